//! A loaded graph, and runs of it on plain tensors.
//!
//! The file is read once, its digest compared, and the graph built from those very bytes, so that
//! nothing can change between the check and the use. What goes in is checked against what the
//! graph declares before the engine sees it: a wrong name, type or size is the caller's error and
//! costs nothing.

use std::io::{ErrorKind, Read};
use std::path::Path;

use ort::session::builder::SessionBuilder;
use ort::session::{Session, SessionInputValue};
use ort::value::{DynValue, Outlet, PrimitiveTensorElementType, TensorElementType, TensorRef};
use sha2::{Digest, Sha256};

use crate::{ElementType, NamedTensor, OnnxError, OnnxRuntime, Tensor, TensorData};

/// Largest model file. Protocol buffers end at 2 GiB; no model here has a tenth of that.
const MAX_MODEL_BYTES: u64 = 1 << 30;

/// How much a run may take and give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunLimits {
    /// All inputs together, in bytes.
    pub max_input_bytes: u64,
    /// All outputs together, in bytes. Checked when they exist: a graph that makes more is told
    /// so, after it has taken the memory.
    pub max_output_bytes: u64,
}

impl Default for RunLimits {
    /// 64 MiB each way: 17 minutes of 16 kHz audio as f32.
    fn default() -> Self {
        Self {
            max_input_bytes: 64 << 20,
            max_output_bytes: 64 << 20,
        }
    }
}

/// An input or output of a graph, as the graph declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// What its numbers are.
    pub element_type: ElementType,
    /// Its dimensions; `None` for one that may vary. Empty for a single number, and for a graph
    /// that does not say.
    pub shape: Vec<Option<u64>>,
}

/// A loaded graph with its working memory, for one thread at a time.
#[derive(Debug)]
pub struct OnnxSession {
    session: Session,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    limits: RunLimits,
}

impl OnnxSession {
    /// Reads, verifies and loads a model. Blocking: about 10 ms per megabyte.
    ///
    /// `sha256` is hexadecimal, in either case.
    ///
    /// # Errors
    /// [`OnnxError::ModelUnreadable`], [`OnnxError::WrongDigest`]; [`OnnxError::ModelRefused`] for
    /// a graph that ONNX Runtime does not take, that keeps weights in other files, or whose inputs
    /// or outputs are of a type that is not an [`ElementType`].
    pub fn load(
        runtime: &OnnxRuntime,
        path: &Path,
        sha256: &str,
        limits: RunLimits,
    ) -> Result<Self, OnnxError> {
        let bytes = verified(path, sha256)?;
        let refused = |reason: String| OnnxError::ModelRefused {
            path: path.to_path_buf(),
            reason,
        };
        let session = builder(runtime)
            .and_then(|mut builder| builder.commit_from_memory(&bytes))
            .map_err(|error| refused(error.to_string()))?;
        let ports = |outlets: &[Outlet]| outlets.iter().map(port).collect::<Result<Vec<_>, _>>();
        Ok(Self {
            inputs: ports(session.inputs()).map_err(refused)?,
            outputs: ports(session.outputs()).map_err(refused)?,
            session,
            limits,
        })
    }

    /// The inputs, in the graph's order. All of them must be given to every run.
    #[must_use]
    pub fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// The outputs, in the graph's order.
    #[must_use]
    pub fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    /// Runs the graph on the calling thread. `inputs` may be in any order; the outputs come in the
    /// graph's.
    ///
    /// # Errors
    /// [`OnnxError::InvalidArgument`] when an input is missing, unknown, given twice, empty,
    /// of another type or of another shape than the graph declares, or when ONNX Runtime finds so;
    /// [`OnnxError::TooLarge`]; [`OnnxError::Failed`]. The session can be used again after each.
    pub fn run(&mut self, inputs: &[NamedTensor]) -> Result<Vec<NamedTensor>, OnnxError> {
        self.check(inputs)?;
        let values = inputs
            .iter()
            .map(|input| Ok((input.name.as_str(), value(&input.tensor)?)))
            .collect::<Result<Vec<_>, ort::Error>>()
            .map_err(classify)?;
        let outputs = self.session.run(values).map_err(classify)?;
        let mut results = Vec::with_capacity(outputs.len());
        let mut left_bytes = self.limits.max_output_bytes;
        for (name, value) in outputs.iter() {
            let tensor = extract(&value, left_bytes).map_err(|problem| match problem {
                Problem::Over(bytes) => OnnxError::TooLarge {
                    what: "outputs",
                    bytes: bytes.saturating_add(self.limits.max_output_bytes - left_bytes),
                    limit_bytes: self.limits.max_output_bytes,
                },
                Problem::Failed(reason) => OnnxError::failed(format!("output {name}: {reason}")),
            })?;
            left_bytes = left_bytes.saturating_sub(tensor.size_bytes());
            results.push(NamedTensor::new(name, tensor));
        }
        Ok(results)
    }

    /// Runs a graph of one input and gives the numbers of its first output, which must be f32.
    pub(crate) fn run_one(&mut self, input: NamedTensor) -> Result<Vec<f32>, OnnxError> {
        let outputs = self.run(&[input])?;
        let first = outputs.into_iter().next();
        first
            .and_then(|output| output.tensor.into_f32())
            .ok_or_else(|| OnnxError::failed("the graph gave no f32 output"))
    }

    /// Refuses a graph that has not exactly one input, of this name and shape, of f32.
    pub(crate) fn require(
        &self,
        path: &Path,
        name: &str,
        shape: &[Option<u64>],
    ) -> Result<(), OnnxError> {
        let wanted = [Port {
            name: name.to_owned(),
            element_type: ElementType::F32,
            shape: shape.to_vec(),
        }];
        if self.inputs == wanted {
            return Ok(());
        }
        Err(OnnxError::ModelRefused {
            path: path.to_path_buf(),
            reason: format!("its inputs are {:?} and not {wanted:?}", self.inputs),
        })
    }

    fn check(&self, inputs: &[NamedTensor]) -> Result<(), OnnxError> {
        let bytes = inputs.iter().fold(0_u64, |sum, input| {
            sum.saturating_add(input.tensor.size_bytes())
        });
        if bytes > self.limits.max_input_bytes {
            return Err(OnnxError::TooLarge {
                what: "inputs",
                bytes,
                limit_bytes: self.limits.max_input_bytes,
            });
        }
        for (index, input) in inputs.iter().enumerate() {
            let invalid = |reason: String| Err(OnnxError::invalid(&input.name, reason));
            let Some(port) = self.inputs.iter().find(|port| port.name == input.name) else {
                let names: Vec<_> = self.inputs.iter().map(|port| port.name.as_str()).collect();
                return invalid(format!("the graph has no such input; it has {names:?}"));
            };
            let earlier = inputs.get(..index).unwrap_or_default();
            if earlier.iter().any(|other| other.name == input.name) {
                return invalid("it is given twice".to_owned());
            }
            let found = input.tensor.data().element_type();
            if found != port.element_type {
                return invalid(format!("it is {found} and must be {}", port.element_type));
            }
            if input.tensor.data().is_empty() {
                return invalid("it is empty, which few graphs are made for".to_owned());
            }
            if !port.takes(input.tensor.shape()) {
                let shape = input.tensor.shape();
                return invalid(format!("its shape {shape:?} does not fit {}", port.shape()));
            }
        }
        let given = |port: &&Port| !inputs.iter().any(|input| input.name == port.name);
        match self.inputs.iter().find(given) {
            Some(missing) => Err(OnnxError::invalid(&missing.name, "it is missing")),
            None => Ok(()),
        }
    }
}

impl Port {
    fn takes(&self, shape: &[u64]) -> bool {
        self.shape.is_empty()
            || (self.shape.len() == shape.len()
                && self
                    .shape
                    .iter()
                    .zip(shape)
                    .all(|(wanted, found)| wanted.is_none_or(|wanted| wanted == *found)))
    }

    fn shape(&self) -> String {
        let dims = self.shape.iter().map(|dim| match dim {
            Some(size) => size.to_string(),
            None => "any".to_owned(),
        });
        format!("[{}]", dims.collect::<Vec<_>>().join(", "))
    }
}

fn builder(runtime: &OnnxRuntime) -> ort::Result<SessionBuilder> {
    // One thread within an operator and one between them: the calling one.
    let builder = SessionBuilder::new(runtime.environment())?
        .with_intra_threads(1)?
        .with_inter_threads(1)?
        .with_log_level(ort::logging::LogLevel::Warning)?;
    #[cfg(feature = "cuda")]
    let builder = crate::gpu::on_gpu(builder);
    Ok(builder)
}

/// The bytes of a model's file, if they are the pinned ones.
pub(crate) fn verified(path: &Path, sha256: &str) -> Result<Vec<u8>, OnnxError> {
    let bytes = read(path)?;
    let found = hex::encode(Sha256::digest(&bytes));
    if found.eq_ignore_ascii_case(sha256) {
        return Ok(bytes);
    }
    Err(OnnxError::WrongDigest {
        path: path.to_path_buf(),
        expected: sha256.to_ascii_lowercase(),
        found,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, OnnxError> {
    let unreadable = |source| OnnxError::ModelUnreadable {
        path: path.to_path_buf(),
        source,
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(MAX_MODEL_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_MODEL_BYTES {
        let reason = format!("it has more than {MAX_MODEL_BYTES} bytes");
        return Err(unreadable(std::io::Error::new(
            ErrorKind::FileTooLarge,
            reason,
        )));
    }
    Ok(bytes)
}

fn port(outlet: &Outlet) -> Result<Port, String> {
    let name = outlet.name().to_owned();
    let declared = outlet.dtype();
    let (Some(element), Some(shape)) = (declared.tensor_type(), declared.tensor_shape()) else {
        return Err(format!("{name} is {declared} and not a tensor"));
    };
    let element_type = match element {
        TensorElementType::Float32 => ElementType::F32,
        TensorElementType::Float64 => ElementType::F64,
        TensorElementType::Int32 => ElementType::I32,
        TensorElementType::Int64 => ElementType::I64,
        TensorElementType::Uint8 => ElementType::U8,
        other => {
            return Err(format!(
                "{name} is {other}; inputs and outputs must be f32, f64, i32, i64 or u8"
            ));
        }
    };
    Ok(Port {
        name,
        element_type,
        shape: shape.iter().map(|&dim| u64::try_from(dim).ok()).collect(),
    })
}

/// A view of a tensor's numbers for the engine; no copy.
fn value(tensor: &Tensor) -> Result<SessionInputValue<'_>, ort::Error> {
    let shape = tensor.shape();
    Ok(match tensor.data() {
        TensorData::F32(data) => view(shape, data)?,
        TensorData::F64(data) => view(shape, data)?,
        TensorData::I32(data) => view(shape, data)?,
        TensorData::I64(data) => view(shape, data)?,
        TensorData::U8(data) => view(shape, data)?,
    })
}

fn view<'a, T>(shape: &[u64], data: &'a [T]) -> Result<SessionInputValue<'a>, ort::Error>
where
    T: PrimitiveTensorElementType + Clone + std::fmt::Debug + 'static,
{
    // A tensor's dimensions fit i64: `Tensor::new` saw to it.
    let shape: Vec<i64> = shape
        .iter()
        .map(|&dimension| i64::try_from(dimension).unwrap_or(i64::MAX))
        .collect();
    Ok(TensorRef::from_array_view((shape, data))?.into())
}

enum Problem {
    /// So many bytes are over the budget.
    Over(u64),
    Failed(String),
}

fn extract(value: &DynValue, budget_bytes: u64) -> Result<Tensor, Problem> {
    let data = match value.dtype().tensor_type() {
        Some(TensorElementType::Float32) => copy(value, budget_bytes, TensorData::F32),
        Some(TensorElementType::Float64) => copy(value, budget_bytes, TensorData::F64),
        Some(TensorElementType::Int32) => copy(value, budget_bytes, TensorData::I32),
        Some(TensorElementType::Int64) => copy(value, budget_bytes, TensorData::I64),
        Some(TensorElementType::Uint8) => copy(value, budget_bytes, TensorData::U8),
        _ => Err(Problem::Failed(format!("it is {}", value.dtype()))),
    };
    let (shape, data) = data?;
    Tensor::new(shape, data).map_err(|error| Problem::Failed(error.to_string()))
}

fn copy<T: PrimitiveTensorElementType + Clone>(
    value: &DynValue,
    budget_bytes: u64,
    wrap: fn(Vec<T>) -> TensorData,
) -> Result<(Vec<u64>, TensorData), Problem> {
    let (shape, data) = value
        .try_extract_tensor::<T>()
        .map_err(|error| Problem::Failed(error.to_string()))?;
    let bytes = size_of_val(data) as u64;
    if bytes > budget_bytes {
        return Err(Problem::Over(bytes));
    }
    let shape = shape
        .iter()
        .map(|&dimension| u64::try_from(dimension).unwrap_or_default())
        .collect();
    Ok((shape, wrap(data.to_vec())))
}

fn classify(error: ort::Error) -> OnnxError {
    match error.code() {
        ort::ErrorCode::InvalidArgument => OnnxError::invalid("", error.message()),
        _ => OnnxError::failed(error.message()),
    }
}
