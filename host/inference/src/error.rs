//! Why inference gave no result.

use std::sync::Arc;
use std::time::Duration;

use auricle_speech::{EngineError, TenantId};

/// Why inference gave no result.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InferenceError {
    /// The queue holds as much audio as it may: the node is full.
    #[error("the queue is full: try again in {} s", .retry_after.as_secs())]
    Full {
        /// When there will be room, going by the measured speed; at least 1 s.
        retry_after: Duration,
    },
    /// One tenant has as much audio or as many jobs queued as it may.
    #[error("tenant '{tenant}' has too much queued: try again in {} s", .retry_after.as_secs())]
    TenantFull {
        /// The tenant.
        tenant: TenantId,
        /// When there will be room, going by the measured speed; at least 1 s.
        retry_after: Duration,
    },
    /// The device is shutting down and takes no more work.
    #[error("the device is shutting down: use another node")]
    Draining,
    /// The operating system gave no threads.
    #[error("cannot start device threads: {source}")]
    Threads {
        /// Its reason.
        source: Arc<std::io::Error>,
    },
    /// The caller no longer wants the result.
    #[error("the computation was cancelled")]
    Cancelled,
    /// The deadline passed before there was a result.
    #[error("the deadline passed before there was a result")]
    Deadline,
    /// No model has this name.
    #[error("there is no model '{name}'")]
    UnknownModel {
        /// The name asked for.
        name: String,
    },
    /// The model is known but cannot be loaded. For the operator: may name paths.
    #[error("cannot load model '{name}': {reason}")]
    Load {
        /// The model's name.
        name: String,
        /// What happened and what to do.
        reason: String,
    },
    /// The model does not fit beside the models in use.
    #[error(
        "model '{name}' needs {needed_bytes} bytes, more than the {budget_bytes} bytes for models \
         leave beside those in use"
    )]
    NoMemory {
        /// The model's name.
        name: String,
        /// Bytes of its weights.
        needed_bytes: u64,
        /// Bytes that all loaded models together may have.
        budget_bytes: u64,
        /// Whether it will fit once models that are in use now no longer are.
        passing: bool,
    },
    /// The engine failed. For the operator.
    #[error("{source}")]
    Engine {
        /// The engine's reason.
        source: Arc<EngineError>,
    },
    /// The engine panicked; its session was thrown away. For the operator.
    #[error("the engine panicked: {message}")]
    Panicked {
        /// The panic's message.
        message: String,
    },
}

impl From<EngineError> for InferenceError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Cancelled => Self::Cancelled,
            other => Self::Engine {
                source: Arc::new(other),
            },
        }
    }
}

/// The text of a caught panic.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
