//! Why a clip was not diarized.

/// Why a clip was not diarized.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DiarizationError {
    /// The caller asked for something that cannot be.
    #[error("invalid {option}: {reason}")]
    InvalidOption {
        /// Which option.
        option: &'static str,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// A model's answer has another form than it must have. The wrong model is loaded.
    #[error("the {model} model answered with {found} numbers and not {expected}")]
    WrongAnswer {
        /// `segmentation` or `speaker`.
        model: &'static str,
        /// How many numbers came.
        found: usize,
        /// How many must come.
        expected: usize,
    },
    /// An answer to a question that was not asked, or asked and answered before.
    #[error("no {question} is open at window {window}")]
    Unasked {
        /// `segmentation` or `voice`.
        question: &'static str,
        /// The window's index.
        window: usize,
    },
    /// A window was never segmented.
    #[error("window {window} was not segmented")]
    Unfinished {
        /// The window's index.
        window: usize,
    },
    /// The caller no longer wants the result.
    #[error("the computation was cancelled")]
    Cancelled,
}
