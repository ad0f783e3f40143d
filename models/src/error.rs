//! Why a model could not be fetched, converted, imported or found.
//!
//! The texts are for the operator: they name files and say what to do next.

use std::path::{Path, PathBuf};

/// What can go wrong with models and their files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelsError {
    /// The manifest is not valid.
    #[error("the model manifest is wrong: {problem}")]
    Manifest {
        /// What is wrong.
        problem: String,
    },
    /// A name that cannot be a file's.
    #[error(
        "{name:?} is no valid name: use 1 to 64 letters, digits, '.', '_' and '-', without '..', \
         beginning with a letter or digit"
    )]
    BadName {
        /// The name, cut to 80 characters.
        name: String,
    },
    /// Nothing is called that.
    #[error("no model or file is called {name}; `auricle models list` shows all names")]
    Unknown {
        /// The name.
        name: String,
    },
    /// The part of a reference after the colon is no quantization.
    #[error("{reference}: {quantization} is no quantization; known are {known}")]
    UnknownQuantization {
        /// The whole reference.
        reference: String,
        /// The part that is wrong.
        quantization: String,
        /// All that are known.
        known: String,
    },
    /// A model that is not on this machine.
    #[error(
        "the model {reference} is not installed; get it with `auricle models pull {reference}`"
    )]
    NotInstalled {
        /// Its reference.
        reference: String,
    },
    /// A model's file is gone or is not what its record says.
    #[error(
        "the installed model {reference} is damaged ({problem}); \
         get it again with `auricle models pull {reference}`"
    )]
    Damaged {
        /// Its reference.
        reference: String,
        /// What is wrong.
        problem: String,
    },
    /// An import under a name that is taken.
    #[error("{name} is the name of a listed model; import under another name")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// A file is not what it must be. It has been removed if it was one of ours.
    #[error("{file}: wrong {algorithm}: expected {expected}, found {found}")]
    WrongDigest {
        /// The file, as a person knows it.
        file: String,
        /// `sha256` or `sha1`.
        algorithm: &'static str,
        /// What it must be, in lower-case hexadecimal.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A file does not have the size that it must have.
    #[error("{file}: expected {expected_bytes} bytes, found {found_bytes}")]
    WrongSize {
        /// The file.
        file: String,
        /// What it must have.
        expected_bytes: u64,
        /// What it has.
        found_bytes: u64,
    },
    /// Nothing says what the file must be.
    #[error("no digest is known for {name}; give the one that you trust with `--sha256 DIGEST`")]
    NoDigest {
        /// The model.
        name: String,
    },
    /// A download that failed after all attempts.
    #[error("cannot download {what}: {problem}")]
    Download {
        /// What was to be fetched.
        what: String,
        /// The last failure.
        problem: String,
    },
    /// A registry's client is not installed.
    #[error("{what} needs {client}, which is not installed; {advice}")]
    NoClient {
        /// What was to be fetched.
        what: String,
        /// The program.
        client: &'static str,
        /// How to get it.
        advice: &'static str,
    },
    /// None of a model's sources could be reached.
    #[error("{name} could not be fetched from any of its sources: {reasons}")]
    NoSource {
        /// The model.
        name: String,
        /// Why not, one for each source.
        reasons: String,
    },
    /// An archive that cannot be read or lacks a file.
    #[error("{archive}: {problem}")]
    Archive {
        /// The archive's file name.
        archive: String,
        /// What is wrong.
        problem: String,
    },
    /// The converter refused.
    #[error("cannot convert {what}: {problem}")]
    Convert {
        /// What was to be converted.
        what: String,
        /// The converter's words.
        problem: String,
    },
    /// No home directory to keep models in.
    #[error("no home directory is known; set AURICLE_MODELS_DIR and AURICLE_CACHE_DIR")]
    NoHome,
    /// A file operation failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: `read`, `write`, `create`…
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
}

impl ModelsError {
    /// For `map_err` on a file operation.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }

    /// Whether another source may succeed: it was unreachable, not wrong.
    pub(crate) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Download { .. } | Self::NoClient { .. })
    }
}
