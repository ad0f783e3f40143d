//! Work for the device that runs graphs, from whichever step of the pipeline.
//!
//! The first piece of a request is refused when the queue is full; later ones wait, so that work
//! already done is not thrown away.

use std::sync::Arc;

use auricle_capability::{RequestScope, SpeechError};
use auricle_inference::{GraphJob, GraphRegistry, GraphScheduler, InferenceError, Lease};
use auricle_speech::{CancelFlag, GraphEngine, GraphResult, GraphWork};

use crate::meter::meter;
use crate::recognise::FULL_QUEUE_PAUSE;
use crate::speech_error;

/// What voice activity and diarization rest on.
pub struct GraphParts {
    /// Loaded graphs.
    pub registry: GraphRegistry,
    /// The device's queue.
    pub scheduler: Arc<GraphScheduler>,
    /// The store's name of the voice activity model, where it is installed.
    pub voice: Option<String>,
    /// The models that tell speakers apart, where they are installed.
    pub speakers: Option<SpeakerModels>,
}

/// The two models of diarization, by the store's names.
#[derive(Clone, Debug)]
pub struct SpeakerModels {
    /// Who speaks when within ten seconds.
    pub segmentation: String,
    /// What a voice sounds like.
    pub embedding: String,
}

impl GraphParts {
    pub(crate) async fn lease(&self, model: &str) -> Result<Lease<dyn GraphEngine>, SpeechError> {
        let lease = self.registry.lease(model, false).await;
        lease.map_err(speech_error)
    }

    /// Pieces of one request that are queued at once: enough that no worker waits for it.
    pub(crate) fn in_flight(&self) -> usize {
        self.scheduler.stats().workers.saturating_mul(2)
    }

    /// Has the device do a piece of work; `waits` when the queue is full, else that is an error.
    pub(crate) async fn run(
        &self,
        scope: &RequestScope,
        lease: &Lease<dyn GraphEngine>,
        work: GraphWork,
        waits: bool,
    ) -> Result<GraphResult, SpeechError> {
        loop {
            let job = GraphJob {
                tenant: scope.tenant.clone(),
                class: scope.class,
                lease: lease.clone(),
                work: work.clone(),
                cancel: CancelFlag::new(),
                deadline: Some(scope.deadline),
                meter: Some(meter(scope)),
            };
            match self.scheduler.submit(job) {
                Ok(pending) => return pending.await.map_err(speech_error),
                Err(InferenceError::Full { .. } | InferenceError::TenantFull { .. }) if waits => {
                    if std::time::Instant::now() >= scope.deadline {
                        return Err(SpeechError::DeadlineExceeded);
                    }
                    tokio::time::sleep(FULL_QUEUE_PAUSE).await;
                }
                Err(error) => return Err(speech_error(error)),
            }
        }
    }
}
