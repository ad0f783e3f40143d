//! One request from clip to transcript, as a list of steps.
//!
//! Owns nothing that outlives a request; calls the guests and the device in
//! order and passes on what they say. Dropping a transcription's events ends its task, which drops
//! its guests and cancels its spans on the device.
//!
//! # Limits
//! Voice activity and plain graphs are not counted against a tenant's seconds of audio.
//!
//! # Layout
//! - `transcribe`: the line of a transcription. `shadow`: candidates on copies of requests.
//! - `recognise`: spans to the device and back, in order.
//! - `spoken`: the language of each chunk.
//! - `mixed`: chunks within which the language changes.
//! - `script`: one script in a Chinese transcript.
//! - `out`: what leaves a transcription.
//! - `guards`: what the model wrote and nobody said.
//! - `meter`: measured device time, charged to tenants.
//! - [`models`]: the names that requests give models.
//! - `nn`: graphs for components. `nn/transcript`: a speech model as one.
//! - `graphs`: work for the second device; `voice`: voice activity of clips and live audio;
//!   `speakers`: who spoke when.

mod graphs;
mod guards;
mod meter;
mod mixed;
pub mod models;
mod nn;
mod out;
mod recognise;
mod script;
mod shadow;
mod speakers;
mod spoken;
mod transcribe;
mod voice;

use std::sync::Arc;
use std::time::Duration;

use auricle_audio::DecodeLimits;
use auricle_capability::{
    Channels, Decoding, Events, Guests, Media, MediaError, MediaHint, RequestScope, ServedModel,
    Services, SpeechError,
};
use auricle_deployment::{DeployError, Deployments, TenantDeployments};
use auricle_inference::{DeviceStats, InferenceError, Lease, Registry, Scheduler};
use auricle_speech::audio::samples_to_duration;
use auricle_speech::{
    Clip, LanguageScore, MAX_CHUNK_SAMPLES, RequestClass, ReserveError, SpeakerOptions,
    TranscribeOptions, Turn,
};
use auricle_telemetry::{Snapshot, step};
use auricle_tenancy::{NodeLimits, NodeMemory, OverQuota};
use futures::FutureExt;
use futures::future::BoxFuture;
use tracing::Instrument;

use crate::speakers::Diarizing;

pub use graphs::{GraphParts, SpeakerModels};
pub use models::{Alias, Catalog, CatalogModel, ModelNames};
pub use nn::NnGraphs;

/// Events that wait for a slow consumer before the pipeline waits for it.
const QUEUED_EVENTS: usize = 16;

/// When a model may be asked for again whose memory others are using: about one request's length.
const MODEL_RETRY_SECS: u32 = 5;

/// The pipeline of this node.
#[derive(Clone)]
pub struct Pipeline {
    inner: Arc<Inner>,
    /// Whether it works on copies of requests, which nobody asked for: see [`Pipeline::for_copies`].
    is_for_copies: bool,
}

struct Inner {
    guests: Guests,
    deployments: Arc<Deployments>,
    registry: Arc<Registry>,
    scheduler: Arc<Scheduler>,
    graphs: Option<GraphParts>,
    names: Arc<ModelNames>,
    decode_limits: DecodeLimits,
    memory: Arc<NodeMemory>,
    shadows: Arc<shadow::ShadowPlaces>,
    batch_over: Duration,
}

/// What the pipeline rests on.
pub struct PipelineParts {
    /// Calls guests.
    pub guests: Guests,
    /// Which components serve which tenant.
    pub deployments: Arc<Deployments>,
    /// Loaded models.
    pub registry: Arc<Registry>,
    /// The device's queue.
    pub scheduler: Arc<Scheduler>,
    /// Voice activity and diarization, where the server has ONNX Runtime.
    pub graphs: Option<GraphParts>,
    /// The names that requests give models.
    pub names: ModelNames,
    /// Bounds on audio that is decoded.
    pub decode_limits: DecodeLimits,
    /// What the host holds for tenants.
    pub memory: Arc<NodeMemory>,
    /// Longest audio that anybody waits for; work on more is batch, whatever the request said.
    pub batch_over: Duration,
}

impl Pipeline {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: PipelineParts) -> Self {
        let PipelineParts {
            guests,
            deployments,
            registry,
            scheduler,
            graphs,
            names,
            decode_limits,
            memory,
            batch_over,
        } = parts;
        let inner = Inner {
            guests,
            deployments,
            registry,
            scheduler,
            graphs,
            names: Arc::new(names),
            decode_limits,
            memory,
            shadows: Arc::default(),
            batch_over,
        };
        Self {
            inner: Arc::new(inner),
            is_for_copies: false,
        }
    }

    /// The same, with no audio counted against anybody's minute.
    pub(crate) fn for_copies(&self) -> Self {
        Self {
            is_for_copies: true,
            ..self.clone()
        }
    }

    /// Counts audio against the tenant's minute, before anything is computed on it and once it is
    /// known that it can be.
    pub(crate) fn use_audio(&self, scope: &RequestScope, samples: u64) -> Result<(), SpeechError> {
        match self.is_for_copies {
            true => Ok(()),
            false => use_audio(scope, samples),
        }
    }

    /// Calls guests.
    #[must_use]
    pub fn guests(&self) -> &Guests {
        &self.inner.guests
    }

    /// Which components serve which tenant.
    #[must_use]
    pub fn deployments(&self) -> &Arc<Deployments> {
        &self.inner.deployments
    }

    /// Limits of what the host holds for tenants.
    #[must_use]
    pub fn memory_limits(&self) -> NodeLimits {
        self.inner.memory.limits()
    }

    /// Loaded models and the devices, as they are now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let inner = &self.inner;
        let mut models = inner.registry.loaded();
        let mut devices = vec![device(inner.scheduler.name(), inner.scheduler.stats())];
        if let Some(graphs) = &inner.graphs {
            models.extend(graphs.registry.loaded());
            devices.push(device(graphs.scheduler.name(), graphs.scheduler.stats()));
        }
        let models = models.into_iter().map(|model| auricle_telemetry::Model {
            name: model.name,
            word_timestamps: model.word_timestamps,
            bytes: model.memory_bytes,
            leases: model.leases,
        });
        Snapshot {
            models: models.collect(),
            devices,
            revisions: inner.deployments.revisions(),
            held: Some(held(&inner.memory)),
        }
    }
}

fn held(memory: &NodeMemory) -> auricle_telemetry::Held {
    let limits = memory.limits();
    let kinds = memory.held().map(|(kind, bytes)| (kind.name(), bytes));
    auricle_telemetry::Held {
        kinds: kinds.to_vec(),
        max_memory_bytes: limits.memory_bytes,
        max_spool_bytes: limits.spool_bytes,
    }
}

fn device(name: &'static str, stats: DeviceStats) -> auricle_telemetry::Device {
    auricle_telemetry::Device {
        name,
        queued_audio: stats.queued_audio,
        queued_jobs: stats.queued_jobs,
        busy_workers: stats.busy_workers,
    }
}

impl Inner {
    /// What serves the request's tenant.
    async fn deployments_of(
        &self,
        scope: &RequestScope,
    ) -> Result<Arc<TenantDeployments>, SpeechError> {
        let found = self.deployments.of(&scope.tenant).await;
        found.map_err(|error| not_ready(scope, &error))
    }

    /// Has the model loaded. One that the tenant may not use is not there for it.
    async fn lease(
        &self,
        scope: &RequestScope,
        model: Option<&str>,
        words: bool,
    ) -> Result<Lease, SpeechError> {
        let name = self.names.model(model);
        if !scope.account.quotas().allows_model(name) {
            return Err(SpeechError::UnknownModel(name.to_owned()));
        }
        self.registry.lease(name, words).await.map_err(speech_error)
    }

    /// The scope of work on `clip`.
    fn classed(&self, scope: &RequestScope, clip: &Clip) -> RequestScope {
        classed(scope, clip.len_samples(), self.batch_over)
    }
}

/// The scope of work on so much audio: over `batch_over` it is batch, and takes the place of nobody
/// who waits for an answer or speaks.
fn classed(scope: &RequestScope, samples: u64, batch_over: Duration) -> RequestScope {
    let mut scope = scope.clone();
    if samples_to_duration(samples) > batch_over {
        scope.class = RequestClass::Batch;
    }
    scope
}

impl Services for Pipeline {
    fn transcribe(
        &self,
        scope: &RequestScope,
        clip: Clip,
        options: TranscribeOptions,
    ) -> Result<Events, SpeechError> {
        if let Some(speakers) = &options.diarize {
            self.inner.diarizer()?;
            speakers::check(speakers)?;
        }
        let (sender, receiver) = tokio::sync::mpsc::channel(QUEUED_EVENTS);
        let (pipeline, scope) = (self.clone(), self.inner.classed(scope, &clip));
        let step = step!("transcribe", audio_secs = clip.span().end_secs());
        let work = async move {
            if let Err(error) =
                transcribe::transcribe(&pipeline, &scope, &clip, &options, &sender).await
            {
                // Nobody listens any more when this fails.
                let _ = sender.send(Err(error)).await;
            }
        };
        let task = tokio::spawn(work.instrument(step));
        Ok(Events::new(receiver, task))
    }

    fn diarize(
        &self,
        scope: &RequestScope,
        clip: Clip,
        options: SpeakerOptions,
    ) -> BoxFuture<'static, Result<Vec<Turn>, SpeechError>> {
        let (pipeline, scope) = (self.clone(), self.inner.classed(scope, &clip));
        async move {
            pipeline.inner.diarizer()?;
            speakers::check(&options)?;
            pipeline.use_audio(&scope, clip.len_samples())?;
            Diarizing::start(&pipeline, &scope, &clip, options)
                .turns()
                .await
        }
        .boxed()
    }

    fn detect_language(
        &self,
        scope: &RequestScope,
        clip: Clip,
        model: Option<String>,
    ) -> BoxFuture<'static, Result<Vec<LanguageScore>, SpeechError>> {
        let (pipeline, scope) = (self.clone(), scope.clone());
        async move {
            let inner = &pipeline.inner;
            let lease = inner.lease(&scope, model.as_deref(), false).await?;
            pipeline.use_audio(&scope, clip.len_samples().min(MAX_CHUNK_SAMPLES))?;
            recognise::detect_language(inner, &scope, &lease, &clip).await
        }
        .boxed()
    }

    fn models(&self) -> BoxFuture<'static, Vec<ServedModel>> {
        let names = Arc::clone(&self.inner.names);
        let listed = tokio::task::spawn_blocking(move || names.list());
        async { listed.await.unwrap_or_default() }.boxed()
    }

    fn model(&self, name: String) -> BoxFuture<'static, Option<ServedModel>> {
        let names = Arc::clone(&self.inner.names);
        let found = tokio::task::spawn_blocking(move || names.find(&name));
        async { found.await.unwrap_or_default() }.boxed()
    }

    fn decode(
        &self,
        scope: &RequestScope,
        media: Media,
        hint: MediaHint,
        channels: Channels,
        max_duration: Duration,
    ) -> BoxFuture<'static, Result<Vec<Clip>, MediaError>> {
        let (pipeline, scope) = (self.clone(), scope.clone());
        let mut limits = pipeline.inner.decode_limits.clone();
        limits.max_duration = limits.max_duration.min(max_duration);
        let work = async move {
            let ready = pipeline.inner.deployments_of(&scope).await;
            let ready = ready.map_err(|_| MediaError::Internal)?;
            let decoding = Decoding {
                decoder: ready.decoder.revision_for(&scope.request_id),
                hint,
                limits,
                channels,
            };
            shadow::decoder::decode(&pipeline, &ready, &scope, media, decoding).await
        };
        work.instrument(step!("decode")).boxed()
    }

    fn decode_limits(&self) -> DecodeLimits {
        self.inner.decode_limits.clone()
    }
}

/// Counts audio against the tenant's minute.
pub(crate) fn use_audio(scope: &RequestScope, samples: u64) -> Result<(), SpeechError> {
    let used = scope.account.use_audio(samples_to_duration(samples));
    used.map_err(|over| over_limit(&over))
}

/// What a client is told that is over a quota.
pub(crate) fn over_limit(over: &OverQuota) -> SpeechError {
    let wait = over.retry_after().as_millis().div_ceil(1000);
    SpeechError::OverLimit {
        retry_after_secs: u32::try_from(wait).unwrap_or(u32::MAX).max(1),
    }
}

/// What a client is told when memory for its work is not to be had.
pub(crate) fn no_memory(error: ReserveError) -> SpeechError {
    let secs = |wait: Duration| {
        let secs = wait.as_millis().div_ceil(1000);
        u32::try_from(secs).unwrap_or(u32::MAX).max(1)
    };
    match error {
        ReserveError::TooLarge { .. } => SpeechError::InvalidOption(error.to_string()),
        ReserveError::TenantFull { retry_after } => SpeechError::OverLimit {
            retry_after_secs: secs(retry_after),
        },
        ReserveError::NodeFull { retry_after } => SpeechError::Overloaded {
            retry_after_secs: secs(retry_after),
        },
    }
}

/// A tenant's components that cannot be made ready: its own fault, or this machine's.
fn not_ready(scope: &RequestScope, error: &DeployError) -> SpeechError {
    let (tenant, error): (_, &dyn std::error::Error) = (&scope.tenant, error);
    tracing::error!(error, %tenant, "a tenant's components cannot be made ready");
    SpeechError::ComponentFailed
}

/// What a client is told of a failure of the device; the log has the rest.
fn speech_error(error: InferenceError) -> SpeechError {
    let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX).max(1);
    match error {
        InferenceError::UnknownModel { name } => SpeechError::UnknownModel(name),
        InferenceError::Load { name, reason } => {
            tracing::warn!(
                model = name,
                reason,
                "a model was asked for that cannot be loaded"
            );
            SpeechError::Unavailable(format!(
                "model '{name}' is not ready on this server: name another, or ask whoever runs it"
            ))
        }
        InferenceError::NoMemory {
            name,
            passing: false,
            ..
        } => SpeechError::Unavailable(format!(
            "model '{name}' needs more memory than this server has for models: name a smaller one, \
             or ask whoever runs it to raise memory_mb"
        )),
        InferenceError::NoMemory { .. } => SpeechError::Overloaded {
            retry_after_secs: MODEL_RETRY_SECS,
        },
        InferenceError::Full { retry_after } => SpeechError::Overloaded {
            retry_after_secs: seconds(retry_after),
        },
        InferenceError::TenantFull { retry_after, .. } => SpeechError::OverLimit {
            retry_after_secs: seconds(retry_after),
        },
        InferenceError::Draining => SpeechError::Overloaded {
            retry_after_secs: 1,
        },
        InferenceError::Deadline => SpeechError::DeadlineExceeded,
        error => {
            tracing::error!(%error, "the device failed a request");
            SpeechError::Internal
        }
    }
}
