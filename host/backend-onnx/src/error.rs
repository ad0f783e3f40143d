//! Why the ONNX engine did not do its work.

use std::io;
use std::path::PathBuf;

use auricle_speech::{EngineError, TensorError};

use crate::runtime::MIN_RUNTIME_MINOR;

/// Why the ONNX engine did not do its work. Each message says what to do next.
///
/// Messages of the library and model variants name paths and are for the operator; those of
/// [`OnnxError::InvalidArgument`] and [`OnnxError::TooLarge`] say what a caller did wrong and may
/// be shown to it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// There is no file where the library should be.
    #[error(
        "no usable ONNX Runtime: run `make setup` (there is no ONNX Runtime at {}; version 1.{MIN_RUNTIME_MINOR} or newer is needed)",
        path.display()
    )]
    LibraryMissing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file is no ONNX Runtime that this machine can load.
    #[error(
        "no usable ONNX Runtime: run `make setup` ({} is not a usable ONNX Runtime, version 1.{MIN_RUNTIME_MINOR} or newer is needed: {reason})",
        path.display()
    )]
    LibraryUnusable {
        /// The library.
        path: PathBuf,
        /// What the system or the library said.
        reason: String,
    },
    /// The library is an ONNX Runtime, and too old.
    #[error(
        "no usable ONNX Runtime: run `make setup` ({} is ONNX Runtime {found}, version 1.{MIN_RUNTIME_MINOR} or newer is needed)",
        path.display()
    )]
    LibraryTooOld {
        /// The library.
        path: PathBuf,
        /// Its version, as it says.
        found: String,
    },
    /// A process holds one ONNX Runtime, and this one holds another.
    #[error(
        "cannot load ONNX Runtime from {}: this process already runs {}; restart it to change the library",
        path.display(), loaded.display()
    )]
    LibraryTaken {
        /// What was asked for.
        path: PathBuf,
        /// What is loaded.
        loaded: PathBuf,
    },
    /// A model cannot be read.
    #[error("cannot read the model {}: {source}", path.display())]
    ModelUnreadable {
        /// The model.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A model is not the file that was pinned.
    #[error(
        "the SHA-256 of {} is {found} and not {expected}: it is cut off or another version; remove it and run `make setup`",
        path.display()
    )]
    WrongDigest {
        /// The model.
        path: PathBuf,
        /// What was pinned.
        expected: String,
        /// What the file has.
        found: String,
    },
    /// A model has the right digest and cannot be used: ONNX Runtime refuses it, or it is not the
    /// kind of graph that is wanted here.
    #[error("cannot use the model {}: {reason}", path.display())]
    ModelRefused {
        /// The model.
        path: PathBuf,
        /// Which rule it breaks.
        reason: String,
    },
    /// The caller gave something that the graph cannot take. Nothing ran.
    #[error("invalid tensor {name:?}: {reason}")]
    InvalidArgument {
        /// The input it is about.
        name: String,
        /// Which rule is broken.
        reason: String,
    },
    /// Inputs or outputs are over their budget.
    #[error("the {what} take {bytes} bytes, over the limit of {limit_bytes}: use smaller tensors")]
    TooLarge {
        /// `inputs` or `outputs`.
        what: &'static str,
        /// How large they are.
        bytes: u64,
        /// The budget.
        limit_bytes: u64,
    },
    /// ONNX Runtime failed while it ran.
    #[error("ONNX Runtime failed: {reason}")]
    Failed {
        /// What it said.
        reason: String,
    },
    /// The caller no longer wants the result.
    #[error("the computation was cancelled")]
    Cancelled,
}

impl OnnxError {
    pub(crate) fn invalid(name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::InvalidArgument {
            name: name.into(),
            reason: reason.into(),
        }
    }

    pub(crate) fn failed(reason: impl ToString) -> Self {
        Self::Failed {
            reason: reason.to_string(),
        }
    }
}

impl From<OnnxError> for EngineError {
    fn from(error: OnnxError) -> Self {
        match error {
            OnnxError::Cancelled => Self::Cancelled,
            OnnxError::LibraryMissing { .. }
            | OnnxError::LibraryUnusable { .. }
            | OnnxError::LibraryTooOld { .. }
            | OnnxError::LibraryTaken { .. }
            | OnnxError::ModelUnreadable { .. }
            | OnnxError::WrongDigest { .. }
            | OnnxError::ModelRefused { .. } => Self::Model(error.to_string()),
            OnnxError::InvalidArgument { .. } => Self::InvalidInput(error.to_string()),
            OnnxError::TooLarge { .. } => Self::TooLarge(error.to_string()),
            OnnxError::Failed { .. } => Self::Failed(error.to_string()),
        }
    }
}

impl From<TensorError> for OnnxError {
    fn from(error: TensorError) -> Self {
        Self::invalid("", error.to_string())
    }
}
