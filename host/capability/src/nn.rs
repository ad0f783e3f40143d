//! `wasi:nn`: graphs that a deployment is granted, by name.
//!
//! Owns what the component's handles stand for: tensors, graphs, contexts, errors. They live until
//! they are dropped, at most as long as the instance; tensors count among the bytes that the host
//! holds for it. A graph handle keeps its weights loaded.
//!
//! Graphs come by name only. `load` of bytes is refused: a graph is a program for the engine's native
//! code, and what it allocates while it runs is bounded by nothing but the graph, so that graphs come
//! from the operator, who pins their digests. A name that is not granted and one that does not exist
//! have one answer.
//!
//! The interface is bound here and not taken from wasmtime's own crate, whose calls block the thread
//! that runs the component for as long as the graph runs: here `compute` waits for its turn on a
//! device, as every other computation does, and other requests go on meanwhile.
//!
//! # Layout
//! - [`services`]: what the pipeline gives.
//! - `tensor`: a tensor as it was given, and its check.
//! - `bindings`: generated.

mod bindings;
pub mod services;
mod tensor;

use std::sync::Arc;

use auricle_speech::{NamedTensor, SAMPLE_RATE, tensor_samples};
use auricle_tenancy::{HeldKind, Reservation};
use wasmtime::component::{HasSelf, Linker, Resource};

use bindings::wasi::nn::errors::{self, ErrorCode, HostError};
use bindings::wasi::nn::graph::{self, ExecutionTarget, GraphEncoding, HostGraph};
use bindings::wasi::nn::inference::{self, HostGraphExecutionContext};
use bindings::wasi::nn::tensor::{self as wit_tensor, HostTensor, TensorType};
use services::{GraphError, GraphNames, Graphs, LoadedGraph};

use crate::state::GuestState;

pub use tensor::GuestTensor;

/// What an instance may have computed, in samples (four bytes of input each): four days of sound,
/// enough for a live session of the longest life. Waiting for a device costs no CPU time, so that
/// nothing else would end a component that computes without end in a request without end.
const COMPUTE_SAMPLES: u64 = 4 * 24 * 3600 * SAMPLE_RATE as u64;

/// What the smallest computation counts for.
const MIN_SAMPLES: u64 = SAMPLE_RATE as u64 / 10;

/// Bytes of the name of a graph or a tensor.
const MAX_NAME_BYTES: usize = 256;

/// The package's name, as a component that wants it imports its interfaces.
pub(crate) const IMPORT_PREFIX: &str = "wasi:nn/";

/// A graph behind a handle.
pub struct GuestGraph(Arc<dyn LoadedGraph>);

/// A graph that can be computed on. Holds no tensors: they come with each call.
pub struct GuestContext(Arc<dyn LoadedGraph>);

/// An error behind a handle.
pub struct GuestError(GraphError);

/// What an instance may use of `wasi:nn`.
#[derive(Clone)]
pub(crate) struct NnGrant {
    graphs: Option<Arc<dyn Graphs>>,
    names: GraphNames,
    left_samples: u64,
}

impl Default for NnGrant {
    /// Nothing.
    fn default() -> Self {
        Self::new(None, GraphNames::default())
    }
}

impl NnGrant {
    /// These graphs of the server's.
    pub(crate) fn new(graphs: Option<Arc<dyn Graphs>>, names: GraphNames) -> Self {
        Self {
            graphs,
            names,
            left_samples: COMPUTE_SAMPLES,
        }
    }

    /// The server's graphs, when this one may be asked for.
    fn of(&self, name: &str) -> Result<Arc<dyn Graphs>, GraphError> {
        if name.len() > MAX_NAME_BYTES || !self.names.contains(name) {
            return Err(GraphError::NotFound);
        }
        self.graphs
            .clone()
            .ok_or_else(|| GraphError::Unavailable("this server has no graphs".into()))
    }

    fn spend(&mut self, inputs: &[NamedTensor]) -> Result<(), GraphError> {
        let cost = tensor_samples(inputs).max(MIN_SAMPLES);
        let left = self.left_samples.checked_sub(cost);
        self.left_samples = left.ok_or_else(|| {
            GraphError::Unavailable("this instance has had as much computed as it may".into())
        })?;
        Ok(())
    }
}

/// Defines the four interfaces.
pub(crate) fn link(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    wit_tensor::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    graph::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    inference::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    errors::add_to_linker::<_, HasSelf<_>>(linker, |state| state)
}

type Answer<T> = wasmtime::Result<Result<T, Resource<GuestError>>>;

/// Tensors, or their handles, with the names of the graph's inputs or outputs.
type Named<T> = Vec<(String, T)>;

impl GuestState {
    /// The answer to a component, an error behind a handle.
    fn nn_answer<T>(&mut self, result: Result<T, GraphError>) -> Answer<T> {
        match result {
            Ok(value) => Ok(Ok(value)),
            Err(error) => Ok(Err(self.table.push(GuestError(error))?)),
        }
    }

    fn push_tensor(
        &mut self,
        tensor: GuestTensor,
        reservation: Reservation,
    ) -> wasmtime::Result<Resource<GuestTensor>> {
        let handle = self.table.push(tensor)?;
        self.held.hold(handle.rep(), reservation);
        Ok(handle)
    }

    async fn compute_on(
        &mut self,
        graph: Arc<dyn LoadedGraph>,
        given: Named<GuestTensor>,
    ) -> Result<Named<GuestTensor>, GraphError> {
        // The engine's numbers are a copy of the component's bytes.
        let bytes = total_bytes(&given);
        let copied = self.scope.account.reserve(HeldKind::Tensor, bytes);
        let _copied = copied.map_err(|_| {
            GraphError::TooLarge(format!(
                "the inputs take {bytes} bytes, more than may be held now"
            ))
        })?;
        let inputs = given
            .into_iter()
            .map(|(name, tensor)| named(&name, tensor))
            .collect::<Result<Vec<_>, _>>()?;
        self.nn.spend(&inputs)?;
        let outputs = graph.compute(&self.scope, inputs).await?;
        outputs
            .into_iter()
            .map(|NamedTensor { name, tensor }| {
                let tensor = GuestTensor::of(&tensor).ok_or_else(|| {
                    GraphError::TooLarge(format!("output '{name}' has too large a dimension"))
                })?;
                Ok((name, tensor))
            })
            .collect()
    }

    /// Gives results to the component, all or none of them.
    fn hand_over(
        &mut self,
        outputs: Named<GuestTensor>,
    ) -> wasmtime::Result<Result<Named<Resource<GuestTensor>>, GraphError>> {
        let bytes = total_bytes(&outputs);
        let reserve = |(_, tensor): &(String, GuestTensor)| {
            self.held.reserve(HeldKind::Tensor, tensor.size_bytes())
        };
        let reserved = self.held.check(bytes).and_then(|()| {
            let reserved = outputs.iter().map(reserve);
            reserved.collect::<Result<Vec<_>, _>>()
        });
        let Ok(reserved) = reserved else {
            return Ok(Err(GraphError::TooLarge(format!(
                "the outputs take {bytes} bytes, more than this component may still hold"
            ))));
        };
        let mut handles = Vec::with_capacity(outputs.len());
        for ((name, tensor), reservation) in outputs.into_iter().zip(reserved) {
            handles.push((name, self.push_tensor(tensor, reservation)?));
        }
        Ok(Ok(handles))
    }
}

fn total_bytes(tensors: &Named<GuestTensor>) -> u64 {
    tensors.iter().fold(0, |sum: u64, (_, tensor)| {
        sum.saturating_add(tensor.size_bytes())
    })
}

/// A component's tensor with its name, checked.
fn named(name: &str, tensor: GuestTensor) -> Result<NamedTensor, GraphError> {
    if name.len() > MAX_NAME_BYTES {
        return Err(GraphError::InvalidArgument(format!(
            "a tensor's name of {} bytes; no graph here has one of over {MAX_NAME_BYTES}",
            name.len()
        )));
    }
    Ok(NamedTensor::new(name, tensor.into_tensor(name)?))
}

impl wit_tensor::Host for GuestState {}

impl HostTensor for GuestState {
    fn new(
        &mut self,
        dimensions: Vec<u32>,
        ty: TensorType,
        data: Vec<u8>,
    ) -> wasmtime::Result<Resource<GuestTensor>> {
        let tensor = GuestTensor::new(dimensions, ty, data);
        // This call has no way to refuse; the computation says so.
        match self.held.reserve(HeldKind::Tensor, tensor.size_bytes()) {
            Ok(reservation) => self.push_tensor(tensor, reservation),
            Err(_) => Ok(self.table.push(GuestTensor::over_budget(ty))?),
        }
    }

    fn dimensions(&mut self, tensor: Resource<GuestTensor>) -> wasmtime::Result<Vec<u32>> {
        Ok(self.table.get(&tensor)?.dimensions.clone())
    }

    fn ty(&mut self, tensor: Resource<GuestTensor>) -> wasmtime::Result<TensorType> {
        Ok(self.table.get(&tensor)?.element)
    }

    fn data(&mut self, tensor: Resource<GuestTensor>) -> wasmtime::Result<Vec<u8>> {
        Ok(self.table.get(&tensor)?.data.clone())
    }

    fn drop(&mut self, tensor: Resource<GuestTensor>) -> wasmtime::Result<()> {
        self.held.release(tensor.rep());
        self.table.delete(tensor)?;
        Ok(())
    }
}

impl graph::Host for GuestState {
    fn load(
        &mut self,
        _builder: Vec<Vec<u8>>,
        _encoding: GraphEncoding,
        _target: ExecutionTarget,
    ) -> Answer<Resource<GuestGraph>> {
        self.nn_answer(Err(GraphError::Unsupported(
            "a graph's bytes are not taken: use load-by-name with the name of a graph that this \
             component is granted"
                .into(),
        )))
    }

    async fn load_by_name(&mut self, name: String) -> Answer<Resource<GuestGraph>> {
        let graphs = match self.nn.of(&name) {
            Ok(graphs) => graphs,
            Err(error) => return self.nn_answer(Err(error)),
        };
        match graphs.load(&self.scope, &name).await {
            Ok(graph) => Ok(Ok(self.table.push(GuestGraph(graph))?)),
            Err(error) => self.nn_answer(Err(error)),
        }
    }
}

impl HostGraph for GuestState {
    fn init_execution_context(
        &mut self,
        graph: Resource<GuestGraph>,
    ) -> Answer<Resource<GuestContext>> {
        let graph = Arc::clone(&self.table.get(&graph)?.0);
        Ok(Ok(self.table.push(GuestContext(graph))?))
    }

    fn drop(&mut self, graph: Resource<GuestGraph>) -> wasmtime::Result<()> {
        self.table.delete(graph)?;
        Ok(())
    }
}

impl inference::Host for GuestState {}

impl HostGraphExecutionContext for GuestState {
    async fn compute(
        &mut self,
        context: Resource<GuestContext>,
        inputs: Named<Resource<GuestTensor>>,
    ) -> Answer<Named<Resource<GuestTensor>>> {
        let graph = Arc::clone(&self.table.get(&context)?.0);
        // The tensors are the call's, and count until it is over whatever comes of it.
        let numbers: Vec<u32> = inputs.iter().map(|(_, tensor)| tensor.rep()).collect();
        let mut given = Vec::with_capacity(inputs.len());
        for (name, tensor) in inputs {
            given.push((name, self.table.delete(tensor)?));
        }
        let computed = self.compute_on(graph, given).await;
        for number in numbers {
            self.held.release(number);
        }
        let outcome = match computed {
            Ok(outputs) => self.hand_over(outputs)?,
            Err(error) => Err(error),
        };
        self.nn_answer(outcome)
    }

    fn drop(&mut self, context: Resource<GuestContext>) -> wasmtime::Result<()> {
        self.table.delete(context)?;
        Ok(())
    }
}

impl errors::Host for GuestState {}

impl HostError for GuestState {
    fn code(&mut self, error: Resource<GuestError>) -> wasmtime::Result<ErrorCode> {
        Ok(code(&self.table.get(&error)?.0))
    }

    fn data(&mut self, error: Resource<GuestError>) -> wasmtime::Result<String> {
        Ok(self.table.get(&error)?.0.to_string())
    }

    fn drop(&mut self, error: Resource<GuestError>) -> wasmtime::Result<()> {
        self.table.delete(error)?;
        Ok(())
    }
}

/// The standard's word for an error.
fn code(error: &GraphError) -> ErrorCode {
    match error {
        GraphError::InvalidArgument(_) => ErrorCode::InvalidArgument,
        GraphError::Unsupported(_) => ErrorCode::UnsupportedOperation,
        GraphError::TooLarge(_) => ErrorCode::TooLarge,
        GraphError::NotFound => ErrorCode::NotFound,
        GraphError::Timeout => ErrorCode::Timeout,
        GraphError::Unavailable(_) | GraphError::Failed => ErrorCode::RuntimeError,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use auricle_speech::Tensor;

    use super::*;

    fn granted(names: &[&str]) -> NnGrant {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        NnGrant::new(None, Arc::new(names))
    }

    fn input(len: usize) -> [NamedTensor; 1] {
        let tensor = Tensor::f32(vec![len as u64], vec![0.0; len]);
        [NamedTensor::new("x", tensor.unwrap())]
    }

    #[test]
    fn without_a_grant_there_is_no_graph_whatever_its_name() {
        let long = "x".repeat(MAX_NAME_BYTES + 1);
        let grant = granted(&["mine", &long]);
        for name in ["", "other", "MINE", "mine ", &long] {
            assert_eq!(grant.of(name).err(), Some(GraphError::NotFound), "{name}");
        }
        let nothing = NnGrant::default();
        assert_eq!(nothing.of("mine").err(), Some(GraphError::NotFound));
        // Granted, on a server that has none.
        let missing = grant.of("mine").err();
        assert!(matches!(missing, Some(GraphError::Unavailable(_))));
    }

    #[test]
    fn an_instance_is_stopped_when_it_has_had_its_share_computed() {
        let mut grant = granted(&["mine"]);
        grant.left_samples = 10_000;
        assert!(grant.spend(&input(8_000)).is_ok());
        // Even next to nothing costs a call to the device.
        assert!(grant.spend(&input(1)).is_ok());
        let refused = grant.spend(&input(1)).err();
        assert!(matches!(refused, Some(GraphError::Unavailable(_))));
    }

    #[test]
    fn a_name_that_no_graph_has_is_refused_without_being_repeated() {
        let name = "x".repeat(MAX_NAME_BYTES + 1);
        let tensor = GuestTensor::new(vec![1], TensorType::U8, vec![0]);
        let error = named(&name, tensor).unwrap_err();
        assert_eq!(code(&error), ErrorCode::InvalidArgument);
        assert!(error.to_string().len() < 200, "{error}");
    }
}
