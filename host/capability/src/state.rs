//! What a store holds: one instance's view of the host.

use std::sync::Arc;
use std::time::Duration;

use auricle_runtime::{CpuMeter, GuestData, InstanceLimits, LimitState};
use auricle_speech::VoiceOptions;
use auricle_tenancy::LiveInstance;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

use crate::decoding::{HostClip, HostFile};
use crate::held::HeldAudio;
use crate::log::LogLines;
use crate::nn::NnGrant;
use crate::places::Place;
use crate::services::{Configuration, Listening, RequestScope, Services, Voices};
use crate::voice_activity;

/// Bytes of randomness that a guest may ask for in one call.
const MAX_RANDOM_BYTES: u64 = 64 << 10;

/// Bytes that one set of HTTP fields of a guest may take.
const MAX_FIELD_BYTES: usize = 64 << 10;

/// The data of a store. Lives as long as one request or session and belongs to one tenant.
pub struct GuestState {
    pub(crate) table: ResourceTable,
    pub(crate) scope: RequestScope,
    pub(crate) configuration: Configuration,
    pub(crate) log: LogLines,
    /// The audio behind the instance's handles.
    pub(crate) held: HeldAudio,
    /// What a handler may use; other roles have none of it.
    pub(crate) services: Option<Arc<dyn Services>>,
    /// Voice activity; there in every role whose world imports it.
    pub(crate) voices: Option<Arc<dyn Voices>>,
    /// Audio that the instance may still have computed on.
    pub(crate) voice_left_samples: u64,
    /// How the client wants its clip to be cut; of a chunker alone.
    pub(crate) chunking: Option<VoiceOptions>,
    /// Graphs that the deployment is granted.
    pub(crate) nn: NnGrant,
    /// What a decoder decodes; other roles have none of it.
    decoding: Option<(HostFile, HostClip)>,
    limits: LimitState,
    cpu: Arc<CpuMeter>,
    /// Made when it is first asked for: a chunker or speaker-assigner imports none of it.
    wasi: Option<WasiCtx>,
    http: WasiHttpCtx,
    hooks: NoOutgoingRequests,
    _place: Place,
}

/// What a role may use of the pipeline.
#[derive(Clone, Default)]
pub(crate) struct Grants {
    services: Option<Arc<dyn Services>>,
    voices: Option<Arc<dyn Voices>>,
    voice_samples: u64,
    chunking: Option<VoiceOptions>,
    nn: NnGrant,
}

impl Grants {
    /// All of it.
    pub(crate) fn of_handler(services: Arc<dyn Services>) -> Self {
        Self {
            voices: Some(Arc::clone(&services) as Arc<dyn Voices>),
            services: Some(services),
            voice_samples: voice_activity::HANDLER_SAMPLES,
            chunking: None,
            nn: NnGrant::default(),
        }
    }

    /// Voice activity for a clip of this length, and how the client wants it cut.
    pub(crate) fn of_chunker(listening: Listening, clip_samples: u64) -> Self {
        Self {
            services: None,
            voices: listening.voices,
            voice_samples: voice_activity::chunker_samples(clip_samples),
            chunking: listening.options,
            nn: NnGrant::default(),
        }
    }

    /// Graphs of the deployment's beside that.
    pub(crate) fn with_nn(mut self, nn: NnGrant) -> Self {
        self.nn = nn;
        self
    }
}

impl GuestState {
    /// The state of a fresh instance, whose role `log` names.
    pub(crate) fn new(
        log: LogLines,
        scope: RequestScope,
        configuration: Configuration,
        limits: &InstanceLimits,
        grants: Grants,
        (place, instance): (Place, LiveInstance),
    ) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.host_resources);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(MAX_FIELD_BYTES);
        Self {
            table,
            log,
            held: HeldAudio::new(limits.host_bytes, Arc::clone(&scope.account)),
            cpu: Arc::new(CpuMeter::new(
                Arc::clone(&scope.account),
                scope.tenant.clone(),
            )),
            scope,
            configuration,
            services: grants.services,
            voices: grants.voices,
            voice_left_samples: grants.voice_samples,
            chunking: grants.chunking,
            nn: grants.nn,
            decoding: None,
            limits: LimitState::new(limits.clone(), instance),
            wasi: None,
            http,
            hooks: NoOutgoingRequests,
            _place: place,
        }
    }

    /// The services, which are there in every role whose world imports them.
    pub(crate) fn services(&self) -> wasmtime::Result<Arc<dyn Services>> {
        self.services
            .clone()
            .ok_or_else(|| wasmtime::Error::msg("this role has no services"))
    }

    /// Gives a decoder what it reads and where its samples go.
    pub(crate) fn decodes(&mut self, mut file: HostFile, clip: HostClip) {
        file.computed_by(Some(Arc::clone(&self.cpu)));
        self.decoding = Some((file, clip));
    }

    /// The decoder's file.
    pub(crate) fn file(&mut self) -> wasmtime::Result<&mut HostFile> {
        let decoding = self.decoding.as_mut().map(|(file, _)| file);
        decoding.ok_or_else(no_decoder)
    }

    /// The decoder's clip.
    pub(crate) fn clip(&mut self) -> wasmtime::Result<&mut HostClip> {
        let decoding = self.decoding.as_mut().map(|(_, clip)| clip);
        decoding.ok_or_else(no_decoder)
    }

    /// Takes what has become of both.
    pub(crate) fn decoded(&mut self) -> wasmtime::Result<(HostFile, HostClip)> {
        let (mut file, clip) = self.decoding.take().ok_or_else(no_decoder)?;
        file.computed_by(None);
        Ok((file, clip))
    }

    /// Adds to the CPU time that the instance may use.
    pub(crate) fn earn(&self, more: Duration) {
        self.cpu.earn(more);
    }
}

/// No directory, no variable, no socket, no inherited stream: what is written to standard output is
/// thrown away.
fn sandbox() -> WasiCtx {
    WasiCtx::builder()
        .max_random_size(MAX_RANDOM_BYTES)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .build()
}

fn no_decoder() -> wasmtime::Error {
    wasmtime::Error::msg("this role decodes nothing")
}

impl GuestData for GuestState {
    fn limit_state(&mut self) -> &mut LimitState {
        &mut self.limits
    }

    fn cpu_meter(&self) -> &Arc<CpuMeter> {
        &self.cpu
    }
}

impl WasiView for GuestState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: self.wasi.get_or_insert_with(sandbox),
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for GuestState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.http,
            table: &mut self.table,
            hooks: &mut self.hooks,
        }
    }
}

/// Refuses every outgoing request: nothing grants them yet.
struct NoOutgoingRequests;

type OutgoingBody =
    http_body_util::combinators::UnsyncBoxBody<bytes::Bytes, wasmtime_wasi_http::Error>;
type Transmission = Box<dyn Future<Output = Result<(), wasmtime_wasi_http::Error>> + Send>;

impl WasiHttpHooks for NoOutgoingRequests {
    fn send_request(
        &mut self,
        _request: http::Request<OutgoingBody>,
        _options: Option<wasmtime_wasi_http::RequestOptions>,
        _sent: Transmission,
    ) -> Box<
        dyn Future<
                Output = Result<
                    (http::Response<OutgoingBody>, Transmission),
                    wasmtime_wasi_http::Error,
                >,
            > + Send,
    > {
        Box::new(async { Err(wasmtime_wasi_http::Error::HttpRequestDenied) })
    }
}
