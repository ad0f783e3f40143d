//! Where models come from.

use auricle_speech::ModelFiles;

/// Where models come from: the store on disk, as a rule.
pub trait ModelSource: Send + Sync {
    /// The weights of a model. May block; called on a thread that may wait.
    /// [`ModelFiles::word_timestamps`] of the answer is not looked at.
    ///
    /// # Errors
    /// [`ModelSourceError`].
    fn find(&self, name: &str) -> Result<ModelFiles, ModelSourceError>;
}

/// Why a source gave no weights.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ModelSourceError {
    /// No model has this name.
    #[error("there is no such model")]
    Unknown,
    /// The model is known, but its weights are not here. The text says what to do.
    #[error("{reason}")]
    Missing {
        /// What to do, for the operator.
        reason: String,
    },
}
