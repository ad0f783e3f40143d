//! Why a model was not converted.

use std::io;
use std::path::{Path, PathBuf};

use super::Quantization;

/// Why a model was not converted. Each message says what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// A file could not be opened, read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb ("read").
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file has the format, and its content breaks the format's rules.
    #[error("{} is not a usable {format}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The format that it was read as.
        format: &'static str,
        /// Which rule is broken, and what to do about it.
        reason: String,
    },
    /// The path holds no format that can be converted.
    #[error("{} cannot be converted: {reason}", path.display())]
    Unrecognised {
        /// The file or directory.
        path: PathBuf,
        /// What was looked for, or what the file is instead.
        reason: String,
    },
    /// The vocabulary is missing or does not fit the weights.
    #[error("no vocabulary for the model from {}: {reason}", path.display())]
    Vocabulary {
        /// The file that should hold it.
        path: PathBuf,
        /// What is wrong with it, and what to pass instead.
        reason: String,
    },
    /// The weights cannot be stored in the asked format.
    #[error("{} cannot be quantized to {quantization}: {reason}", path.display())]
    Quantize {
        /// The weights.
        path: PathBuf,
        /// What was asked for.
        quantization: Quantization,
        /// Why not.
        reason: String,
    },
    /// The name of a quantization is not known.
    #[error("unknown quantization {given:?}: use q4_0, q4_1, q5_0, q5_1 or q8_0")]
    UnknownQuantization {
        /// What was given.
        given: String,
    },
}

impl ConvertError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.to_path_buf(),
            source,
        }
    }

    pub(super) fn malformed(path: &Path, format: &'static str, reason: impl Into<String>) -> Self {
        Self::Malformed {
            path: path.to_path_buf(),
            format,
            reason: reason.into(),
        }
    }

    pub(super) fn unrecognised(path: &Path, reason: impl Into<String>) -> Self {
        Self::Unrecognised {
            path: path.to_path_buf(),
            reason: reason.into(),
        }
    }

    pub(super) fn vocabulary(path: &Path, reason: impl Into<String>) -> Self {
        Self::Vocabulary {
            path: path.to_path_buf(),
            reason: reason.into(),
        }
    }
}
