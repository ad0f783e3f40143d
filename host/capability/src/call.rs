//! One instance per request or session, and how it ends.
//!
//! Every call makes a fresh store and instance and drops them when it is over, whatever the outcome:
//! nothing of one request is there for the next. A call ends at its CPU budget, at the request's
//! deadline, or when its future is dropped, which also ends everything that its handles held.

mod assigner;
mod frames;
mod http;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use auricle_audio::DecodeLimits;
use auricle_runtime::{GuestData, GuestFailure, Revision, Runtime, ThreadPool, metered, new_store};
use auricle_speech::{Clip, MAX_CHUNK_SAMPLES, Span};
use auricle_telemetry::step;
use tracing::Instrument;
use wasmtime::component::Resource;
use wasmtime::{Engine, Store};

use crate::bindings::live::exports::auricle::http::websocket_handler::Upgrade;
use crate::convert::span_from_wit;
use crate::decoding::SpoolConfig;
use crate::decoding::converter::Converter;
use crate::log::{LogBudget, LogLines};
use crate::nn::NnGrant;
use crate::nn::services::Graphs;
use crate::places::Places;
use crate::roles::{ChunkerComponent, HandlerComponent, Versioned};
use crate::services::{Listening, RequestScope, Services};
use crate::state::{Grants, GuestState};
use crate::websocket::{HostSocket, Session};

pub use assigner::Assigner;
pub use http::{GuestBodyError, RequestBody, ResponseBody};

/// Spans that a chunker may answer with: more than 24 h in chunks of a second.
const MAX_SPANS: usize = 100_000;

/// Bytes reserved for the buffers of a request between client and handler: the HTTP/2 window or the
/// messages under way, parts of a form, the answer as it is written.
const REQUEST_BUFFER_BYTES: u64 = 1 << 20;

/// Bytes of a component's own words in the log.
const MAX_REASON_BYTES: usize = 1_000;

/// The request that asked for a WebSocket.
#[derive(Clone, Debug)]
pub struct UpgradeRequest {
    /// Path and query.
    pub path_with_query: String,
    /// Header names in lower case, with values that are UTF-8.
    pub headers: Vec<(String, String)>,
}

/// Calls guests.
#[derive(Clone)]
pub struct Guests {
    engine: Engine,
    places: Arc<Places>,
    graphs: Option<Arc<dyn Graphs>>,
    converter: Option<Arc<Converter>>,
    log_budget: Arc<LogBudget>,
    spool_dir: Arc<PathBuf>,
    /// Decoders compute on these.
    decoders: Arc<ThreadPool>,
}

impl Guests {
    /// Calls guests on `runtime`, the one they were compiled for.
    #[must_use]
    pub fn new(runtime: &Runtime) -> Self {
        Self {
            engine: runtime.engine().clone(),
            places: Places::new(runtime.max_instances()),
            graphs: None,
            converter: None,
            log_budget: LogBudget::new(u64::MAX),
            spool_dir: Arc::new(std::env::temp_dir()),
            decoders: Arc::new(ThreadPool::new("auricle-decode", runtime.max_instances())),
        }
    }

    /// Spools large uploads in this directory instead of the system's for temporary files.
    #[must_use]
    pub fn with_spool_dir(mut self, dir: PathBuf) -> Self {
        self.spool_dir = Arc::new(dir);
        self
    }

    /// How files of this request are spooled.
    pub(crate) fn spool(&self, scope: &RequestScope, limits: &DecodeLimits) -> SpoolConfig {
        SpoolConfig {
            account: Arc::clone(&scope.account),
            dir: Arc::clone(&self.spool_dir),
            max_bytes: limits.max_spool_bytes,
        }
    }

    pub(crate) fn decoders(&self) -> &ThreadPool {
        &self.decoders
    }

    /// Has files converted that no decoder knows.
    #[must_use]
    pub fn with_converter(mut self, converter: Option<Converter>) -> Self {
        self.converter = converter.map(Arc::new);
        self
    }

    /// Bounds what the components of one tenant may write to the log in a minute. Without it they are
    /// bounded by instance only.
    #[must_use]
    pub fn with_log_budget(mut self, bytes_per_minute: u64) -> Self {
        self.log_budget = LogBudget::new(bytes_per_minute);
        self
    }

    pub(crate) fn converter(&self) -> Option<&Converter> {
        self.converter.as_deref()
    }

    /// Lends these graphs to components whose deployments are granted some.
    #[must_use]
    pub fn with_graphs(mut self, graphs: Arc<dyn Graphs>) -> Self {
        self.graphs = Some(graphs);
        self
    }

    /// Has a handler serve a WebSocket connection to its end, or until it hands over.
    ///
    /// # Errors
    /// [`GuestFailure`] when the guest fails; [`GuestFailure::ContractBroken`] when it does not serve
    /// WebSockets.
    pub async fn websocket(
        &self,
        revision: &Revision<HandlerComponent>,
        scope: RequestScope,
        services: Arc<dyn Services>,
        request: UpgradeRequest,
        session: &Session,
    ) -> Result<(), GuestFailure> {
        let Some(live) = &revision.component.live else {
            return Err(GuestFailure::ContractBroken("serves no WebSockets".into()));
        };
        let mut store = self.store("handler", revision, &scope, Grants::of_handler(services))?;
        let upgrade = Upgrade {
            path_with_query: request.path_with_query,
            headers: request.headers,
        };
        session.held_by(&scope.account).await;
        let step = step!("guest", role = "handler");
        let attempt = revision.tally.begin();
        let outcome = run(&mut store, scope.deadline, async |store| {
            let socket = store.data_mut().table.push(HostSocket::new(session))?;
            let guest = live.instantiate_async(&mut *store).await?;
            guest
                .auricle_http_websocket_handler()
                .call_handle(store, &upgrade, socket)
                .await
        })
        .instrument(step)
        .await;
        match outcome {
            Ok(()) => attempt.succeeded_untimed(),
            failure => attempt.judge(failure)?,
        }
        Ok(())
    }

    /// Has a chunker cut a clip without voice activity, and checks the result.
    ///
    /// # Errors
    /// [`GuestFailure`]; [`GuestFailure::ContractBroken`] when a span is empty, too long, out of
    /// order or beyond the clip.
    pub async fn split(
        &self,
        revision: &Revision<ChunkerComponent>,
        scope: &RequestScope,
        clip: &Clip,
    ) -> Result<Vec<Span>, GuestFailure> {
        self.split_heard(revision, scope, Listening::default(), clip)
            .await
    }

    /// As [`Guests::split`], with what the chunker may ask for.
    ///
    /// # Errors
    /// As [`Guests::split`].
    pub async fn split_heard(
        &self,
        revision: &Revision<ChunkerComponent>,
        scope: &RequestScope,
        listening: Listening,
        clip: &Clip,
    ) -> Result<Vec<Span>, GuestFailure> {
        let grants = Grants::of_chunker(listening, clip.len_samples());
        let mut store = self.store("chunker", revision, scope, grants)?;
        let attempt = revision.tally.begin();
        let outcome = run(&mut store, scope.deadline, async |store| {
            let handle = store.data_mut().table.push(clip.clone())?;
            store.data_mut().held.lend(clip);
            let clip = Resource::new_borrow(handle.rep());
            match &revision.component.0 {
                Versioned::Current(chunker) => {
                    let guest = chunker.instantiate_async(&mut *store).await?;
                    let guest = guest.auricle_pipeline_chunker();
                    let spans = guest.call_split(store, clip, MAX_CHUNK_SAMPLES).await?;
                    Ok(spans.map_err(|error| refused("the clip", &error)))
                }
                Versioned::V0_1(chunker) => {
                    let guest = chunker.instantiate_async(&mut *store).await?;
                    let guest = guest.auricle_pipeline_chunker();
                    let spans = guest.call_split(store, clip, MAX_CHUNK_SAMPLES).await?;
                    Ok(spans.map_err(|error| refused("the clip", &error)))
                }
            }
        })
        .instrument(step!("chunk"))
        .await;
        let checked = outcome
            .and_then(|spans| check_spans(spans?.into_iter().map(span_from_wit).collect(), clip));
        attempt.judge(checked)
    }

    pub(crate) fn store<P>(
        &self,
        role: &'static str,
        revision: &Revision<P>,
        scope: &RequestScope,
        grants: Grants,
    ) -> Result<Store<GuestState>, GuestFailure> {
        let buffer_bytes = match role {
            "handler" => REQUEST_BUFFER_BYTES,
            _ => 0,
        };
        let place = self.places.take(&scope.account, buffer_bytes);
        let place = place.map_err(|failure| counted(role, failure))?;
        let configuration = Arc::clone(&revision.configuration);
        let nn = NnGrant::new(self.graphs.clone(), Arc::clone(&revision.graphs));
        let (grants, limits) = (grants.with_nn(nn), &revision.limits);
        let log = LogLines::new(role, scope, Arc::clone(&self.log_budget));
        let state = GuestState::new(log, scope.clone(), configuration, limits, grants, place);
        Ok(new_store(&self.engine, state, limits))
    }
}

/// Runs `work` on a store within the CPU budget and until `deadline`, and says how it failed.
async fn run<R>(
    store: &mut Store<GuestState>,
    deadline: Instant,
    work: impl AsyncFnOnce(&mut Store<GuestState>) -> wasmtime::Result<R>,
) -> Result<R, GuestFailure> {
    let role = store.data().log.role();
    let left = deadline.saturating_duration_since(Instant::now());
    tokio::time::timeout(left, run_within_budget(store, work))
        .await
        .unwrap_or_else(|_| Err(counted(role, GuestFailure::DeadlineExceeded)))
}

/// As [`run`], without a deadline: needs no timer.
pub(crate) async fn run_within_budget<R>(
    store: &mut Store<GuestState>,
    work: impl AsyncFnOnce(&mut Store<GuestState>) -> wasmtime::Result<R>,
) -> Result<R, GuestFailure> {
    let meter = Arc::clone(store.data().cpu_meter());
    metered(&meter, work(store)).await.map_err(|error| {
        let failure = GuestFailure::from_error(&error, store.data_mut().limit_state());
        counted(store.data().log.role(), failure)
    })
}

/// A failure that the metrics know of.
pub(crate) fn counted(role: &'static str, failure: GuestFailure) -> GuestFailure {
    auricle_telemetry::metrics().guest_failure(role, failure.kind());
    failure
}

/// A component's refusal; as much of its text as a line of the log takes.
fn refused(what: &str, error: &impl std::fmt::Debug) -> GuestFailure {
    let mut text = format!("refused {what}: {error:?}");
    text.truncate(text.floor_char_boundary(MAX_REASON_BYTES));
    GuestFailure::ContractBroken(text)
}

fn check_spans(spans: Vec<Span>, clip: &Clip) -> Result<Vec<Span>, GuestFailure> {
    let broken = |text: &str| Err(GuestFailure::ContractBroken(text.to_owned()));
    if spans.len() > MAX_SPANS {
        return broken("more spans than a clip can have");
    }
    let mut end = 0;
    for span in &spans {
        if span.is_empty() {
            return broken("an empty span");
        }
        if span.len_samples() > MAX_CHUNK_SAMPLES {
            return broken("a span longer than 30 s");
        }
        if span.start < end {
            return broken("spans that overlap or are out of order");
        }
        if span.end > clip.len_samples() {
            return broken("a span beyond the end of the clip");
        }
        end = span.end;
    }
    Ok(spans)
}
