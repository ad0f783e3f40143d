//! Graphs by name, through the standard `wasi:nn`.
//!
//! The deployment is granted the names in its configuration (`nn = ["silero-vad"]`); without a grant
//! a component that calls anything here is refused when it is deployed. What the standard has stands
//! in [`raw`]; the rest of this module makes it shorter to use.
//!
//! ```
//! use auricle_guest::nn::{Graph, NnError, f32s};
//!
//! /// The first output for one row of numbers.
//! fn scores(row: &[f32]) -> Result<Vec<f32>, NnError> {
//!     let graph = Graph::load("my-graph")?;
//!     let outputs = graph.compute(vec![("x", f32s(&[1, row.len() as u32], row))])?;
//!     outputs.f32s_at(0)
//! }
//! ```

use std::fmt;

pub use self::raw::wasi::nn::errors::ErrorCode;
use self::raw::wasi::nn::graph::{self, Error};
use self::raw::wasi::nn::inference::GraphExecutionContext;
pub use self::raw::wasi::nn::tensor::{Tensor, TensorType};

/// The standard's interfaces as they are.
pub mod raw {
    #![allow(
        missing_docs,
        unsafe_code,
        clippy::all,
        reason = "generated code; the documentation is in the WIT files"
    )]

    wit_bindgen::generate!({
        path: ["../../wit/deps/nn.wit"],
        world: "wasi:nn/ml",
        generate_all,
    });
}

/// What the host answered instead of a result.
#[derive(Clone, Debug)]
pub struct NnError {
    /// Its kind.
    pub code: ErrorCode,
    /// What was wrong, for the log.
    pub text: String,
}

impl NnError {
    /// The code's name in the standard, such as `not-found`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.code {
            ErrorCode::InvalidArgument => "invalid-argument",
            ErrorCode::InvalidEncoding => "invalid-encoding",
            ErrorCode::Timeout => "timeout",
            ErrorCode::RuntimeError => "runtime-error",
            ErrorCode::UnsupportedOperation => "unsupported-operation",
            ErrorCode::TooLarge => "too-large",
            ErrorCode::NotFound => "not-found",
            ErrorCode::Security => "security",
            ErrorCode::Unknown => "unknown",
        }
    }
}

impl fmt::Display for NnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind(), self.text)
    }
}

impl std::error::Error for NnError {}

impl From<Error> for NnError {
    fn from(error: Error) -> Self {
        Self {
            code: error.code(),
            text: error.data(),
        }
    }
}

/// A graph that is ready to be computed on. Dropping it lets the host unload it.
#[derive(Debug)]
pub struct Graph {
    context: GraphExecutionContext,
}

impl Graph {
    /// Makes a granted graph ready.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] for a name that is not granted, whether it exists or not;
    /// [`ErrorCode::RuntimeError`] when the graph is not to be had on this server.
    pub fn load(name: &str) -> Result<Self, NnError> {
        let context = graph::load_by_name(name)?.init_execution_context()?;
        Ok(Self { context })
    }

    /// Runs the graph once. Needs every input of the graph, in any order.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidArgument`] when the inputs are not the graph's;
    /// [`ErrorCode::TooLarge`] beyond 3.84 MB of input; [`ErrorCode::Timeout`];
    /// [`ErrorCode::RuntimeError`].
    pub fn compute(&self, inputs: Vec<(&str, Tensor)>) -> Result<Outputs, NnError> {
        let inputs = inputs
            .into_iter()
            .map(|(name, tensor)| (name.to_owned(), tensor))
            .collect();
        Ok(Outputs(self.context.compute(inputs)?))
    }
}

/// What a graph gave, in its own order.
#[derive(Debug)]
pub struct Outputs(Vec<(String, Tensor)>);

impl Outputs {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tensor of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        let found = self.0.iter().find(|(own, _)| own == name);
        found.map(|(_, tensor)| tensor)
    }

    /// The numbers of output `index`, in row-major order.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidArgument`] when there is no such output or it is not of f32.
    pub fn f32s_at(&self, index: usize) -> Result<Vec<f32>, NnError> {
        match self.0.get(index) {
            Some((_, tensor)) if tensor.ty() == TensorType::Fp32 => Ok(numbers(&tensor.data())),
            Some((name, _)) => Err(unfit(format!("output '{name}' is not of f32"))),
            None => Err(unfit(format!("there is no output {index}"))),
        }
    }

    /// The text in the bytes of an output: what a speech model gives as `transcript`.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidArgument`] when there is no such output or it is no text.
    pub fn text(&self, name: &str) -> Result<String, NnError> {
        let tensor = self.get(name);
        let tensor = tensor.ok_or_else(|| unfit(format!("there is no output '{name}'")))?;
        String::from_utf8(tensor.data()).map_err(|_| unfit(format!("output '{name}' is no text")))
    }
}

/// A tensor of f32 in row-major order.
#[must_use]
pub fn f32s(dimensions: &[u32], values: &[f32]) -> Tensor {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    Tensor::new(dimensions, TensorType::Fp32, &bytes)
}

/// A tensor of i64 in row-major order.
#[must_use]
pub fn i64s(dimensions: &[u32], values: &[i64]) -> Tensor {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    Tensor::new(dimensions, TensorType::I64, &bytes)
}

fn numbers(bytes: &[u8]) -> Vec<f32> {
    let (chunks, _) = bytes.as_chunks::<4>();
    chunks
        .iter()
        .map(|chunk| f32::from_le_bytes(*chunk))
        .collect()
}

fn unfit(text: String) -> NnError {
    NnError {
        code: ErrorCode::InvalidArgument,
        text,
    }
}
