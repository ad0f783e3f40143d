//! Jobs of the device that runs graphs.

use std::sync::Arc;
use std::time::Instant;

use auricle_speech::{
    CancelFlag, EngineError, GraphEngine, GraphResult, GraphSession, GraphWork,
    MAX_GRAPH_JOB_SAMPLES, RequestClass, SAMPLE_RATE, TenantId,
};

use super::{DeviceMeter, Job};
use crate::error::InferenceError;
use crate::registry::Lease;

/// Least audio that a job counts for: calling a graph costs about as much as 0.1 s of voice
/// activity.
const MIN_COST_SAMPLES: u64 = SAMPLE_RATE as u64 / 10;

/// One run of a graph, on at most 60 s of audio or as many bytes ([`MAX_GRAPH_JOB_SAMPLES`]).
#[derive(Debug)]
pub struct GraphJob {
    /// Who pays.
    pub tenant: TenantId,
    /// How urgent it is.
    pub class: RequestClass,
    /// The graph, kept loaded until the job is done.
    pub lease: Lease<dyn GraphEngine>,
    /// What to compute.
    pub work: GraphWork,
    /// As [`SpanJob::cancel`](super::SpanJob::cancel).
    pub cancel: CancelFlag,
    /// When the result is no longer of use.
    pub deadline: Option<Instant>,
    /// As [`SpanJob::meter`](super::SpanJob::meter).
    pub meter: Option<Arc<dyn DeviceMeter>>,
}

impl Job for GraphJob {
    type Engine = dyn GraphEngine;
    type Session = dyn GraphSession;
    type Output = GraphResult;

    fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    fn class(&self) -> RequestClass {
        self.class
    }

    fn cost_samples(&self) -> u64 {
        self.work.cost_samples().max(MIN_COST_SAMPLES)
    }

    fn audio_samples(&self) -> u64 {
        self.work.audio_samples()
    }

    fn cancel(&self) -> &CancelFlag {
        &self.cancel
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn meter(&self) -> Option<&dyn DeviceMeter> {
        self.meter.as_deref()
    }

    fn lease(&self) -> &Lease<dyn GraphEngine> {
        &self.lease
    }

    fn open(engine: &Arc<dyn GraphEngine>) -> Result<Box<dyn GraphSession>, EngineError> {
        engine.open_session()
    }

    fn run(&self, session: &mut Self::Session) -> Result<GraphResult, InferenceError> {
        let samples = self.work.cost_samples();
        if samples > MAX_GRAPH_JOB_SAMPLES {
            let reason = format!("a job of {samples} samples, over {MAX_GRAPH_JOB_SAMPLES}");
            return Err(EngineError::TooLarge(reason).into());
        }
        Ok(session.run(&self.work, &self.cancel)?)
    }
}
