//! Graphs for components: by name, on the devices that everything else computes on.
//!
//! Two kinds of graph are served. What the second engine runs takes and gives plain tensors. A
//! Whisper model takes the samples of a clip and gives its text: its spans of 30 s go to the device
//! directly and never through a chunker, because it may be a chunker that asks.
//!
//! Owns nothing but handles to the registries and queues: a graph stays loaded while a component
//! holds it. Whether a deployment is granted a graph is not decided here; whether its tenant may use
//! it is.
//!
//! # Limits
//! A computation counts in the queue by the bytes of its inputs and not by the work that the graph
//! makes of them: a tenant whose graph computes for long on little gets more than its share of the
//! device. Graphs come from the operator, who knows them.

mod transcript;

use std::sync::Arc;
use std::time::{Duration, Instant};

use auricle_capability::{GraphError, Graphs, LoadedGraph, RequestScope};
use auricle_inference::{
    Device, GraphJob, GraphRegistry, GraphScheduler, InferenceError, Job, Lease, Registry,
    Scheduler,
};
use auricle_speech::{
    CancelFlag, EngineError, GraphEngine, GraphResult, GraphWork, MAX_GRAPH_JOB_SAMPLES,
    NamedTensor, tensor_samples,
};
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::meter::meter;
use crate::recognise::FULL_QUEUE_PAUSE;
use transcript::Transcriber;

/// The graphs of this server.
pub struct NnGraphs {
    /// Whisper models.
    pub models: Arc<Registry>,
    /// The device that runs them.
    pub model_device: Arc<Scheduler>,
    /// The second engine's graphs and their device, where the server has them.
    pub graphs: Option<(GraphRegistry, Arc<GraphScheduler>)>,
    /// As [`PipelineParts::batch_over`](crate::PipelineParts::batch_over).
    pub batch_over: Duration,
}

impl Graphs for NnGraphs {
    fn load(
        &self,
        scope: &RequestScope,
        name: &str,
    ) -> BoxFuture<'static, Result<Arc<dyn LoadedGraph>, GraphError>> {
        if !scope.account.quotas().allows_graph(name) {
            return async { Err(GraphError::NotFound) }.boxed();
        }
        let (models, device) = (Arc::clone(&self.models), Arc::clone(&self.model_device));
        let (graphs, name, batch_over) = (self.graphs.clone(), name.to_owned(), self.batch_over);
        async move {
            let has_graphs = graphs.is_some();
            if let Some((registry, device)) = graphs {
                match registry.lease(&name, false).await {
                    Ok(lease) => return Ok(Arc::new(Plain { lease, device }) as _),
                    // It may be a model's name.
                    Err(InferenceError::UnknownModel { .. }) => {}
                    Err(error) => return Err(graph_error(error)),
                }
            }
            let lease = match models.lease(&name, false).await {
                Ok(lease) => lease,
                Err(InferenceError::UnknownModel { .. }) if !has_graphs => {
                    let text = "this server has no engine for such a graph".to_owned();
                    return Err(GraphError::Unavailable(text));
                }
                Err(error) => return Err(graph_error(error)),
            };
            Ok(Arc::new(Transcriber::new(lease, device, batch_over)) as _)
        }
        .boxed()
    }
}

/// A graph of the second engine.
struct Plain {
    lease: Lease<dyn GraphEngine>,
    device: Arc<GraphScheduler>,
}

impl LoadedGraph for Plain {
    fn compute(
        &self,
        scope: &RequestScope,
        inputs: Vec<NamedTensor>,
    ) -> BoxFuture<'static, Result<Vec<NamedTensor>, GraphError>> {
        let (lease, device, scope) = (self.lease.clone(), Arc::clone(&self.device), scope.clone());
        async move {
            if tensor_samples(&inputs) > MAX_GRAPH_JOB_SAMPLES {
                let limit = MAX_GRAPH_JOB_SAMPLES * size_of::<f32>() as u64;
                return Err(GraphError::TooLarge(format!(
                    "the inputs are over the limit of {limit} bytes for one computation"
                )));
            }
            let checked = scope.account.check_device();
            checked.map_err(|over| GraphError::Unavailable(over.to_string()))?;
            let inputs: Arc<[NamedTensor]> = inputs.into();
            let job = || GraphJob {
                tenant: scope.tenant.clone(),
                class: scope.class,
                lease: lease.clone(),
                work: GraphWork::Compute {
                    inputs: Arc::clone(&inputs),
                },
                cancel: CancelFlag::new(),
                deadline: Some(scope.deadline),
                meter: Some(meter(&scope)),
            };
            match run(&device, job, scope.deadline).await? {
                GraphResult::Compute(outputs) => Ok(outputs),
                _ => Err(GraphError::Failed),
            }
        }
        .boxed()
    }
}

/// Has a device do a job; offers it again while the queue is full.
async fn run<J: Job>(
    device: &Device<J>,
    job: impl Fn() -> J,
    deadline: Instant,
) -> Result<J::Output, GraphError> {
    loop {
        match device.submit(job()) {
            Ok(pending) => return pending.await.map_err(graph_error),
            Err(InferenceError::Full { .. } | InferenceError::TenantFull { .. }) => {
                if Instant::now() >= deadline {
                    return Err(GraphError::Timeout);
                }
                tokio::time::sleep(FULL_QUEUE_PAUSE).await;
            }
            Err(error) => return Err(graph_error(error)),
        }
    }
}

/// What a component is told of a failure of the device; the log has the rest.
fn graph_error(error: InferenceError) -> GraphError {
    match error {
        InferenceError::UnknownModel { .. } => GraphError::NotFound,
        InferenceError::Load { name, reason } => {
            tracing::warn!(graph = name, reason, "a component's graph cannot be loaded");
            GraphError::Unavailable("the graph is not ready on this server".into())
        }
        InferenceError::NoMemory { .. } => {
            GraphError::Unavailable("there is no room for the graph: try again later".into())
        }
        InferenceError::Draining => GraphError::Unavailable("the server is shutting down".into()),
        InferenceError::Deadline => GraphError::Timeout,
        InferenceError::Engine { source } => match source.as_ref() {
            EngineError::InvalidInput(text) => GraphError::InvalidArgument(text.clone()),
            EngineError::TooLarge(text) => GraphError::TooLarge(text.clone()),
            EngineError::Model(reason) => {
                tracing::warn!(reason, "a component's graph cannot be used");
                GraphError::Unavailable("the graph cannot be used on this server".into())
            }
            error => {
                tracing::warn!(%error, "a component's graph failed");
                GraphError::Failed
            }
        },
        error => {
            tracing::error!(%error, "the device failed a component's computation");
            GraphError::Failed
        }
    }
}
