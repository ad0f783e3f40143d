//! The shared library: loaded once per process, never unloaded.
//!
//! ONNX Runtime allows one environment per process and reads its options when that is made, so
//! both live in a static, and a second [`OnnxRuntime::load`] of the same file is a cheap clone.
//! The binding panics when a function is called before a library is loaded; the only way to a
//! session is through an [`OnnxRuntime`], which exists only after a successful load.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ort::environment::Environment;
use ort::logging::LogLevel;

use crate::OnnxError;

/// Oldest minor version of ONNX Runtime 1.x that can be loaded: the one whose functions the
/// binding was generated for (`ORT_API_VERSION`).
pub const MIN_RUNTIME_MINOR: u32 = ort::MINOR_VERSION;

/// What this process loaded, if it did.
static LOADED: Mutex<Option<OnnxRuntime>> = Mutex::new(None);

/// A loaded ONNX Runtime. Clones share it.
#[derive(Clone, Debug)]
pub struct OnnxRuntime {
    environment: Environment,
    library: Arc<PathBuf>,
}

impl OnnxRuntime {
    /// Loads the shared library and sets up its environment: no telemetry, warnings and errors to
    /// `tracing`. Blocking, about 50 ms; the same file again costs nothing.
    ///
    /// A library that fails to load changes nothing, and another one may be tried after it.
    ///
    /// # Errors
    /// [`OnnxError::LibraryMissing`], [`OnnxError::LibraryUnusable`], [`OnnxError::LibraryTooOld`];
    /// [`OnnxError::LibraryTaken`] when this process has loaded another one before.
    pub fn load(library: &Path) -> Result<Self, OnnxError> {
        let unusable = |reason: String| OnnxError::LibraryUnusable {
            path: library.to_path_buf(),
            reason,
        };
        let path = library.canonicalize().map_err(|error| match error.kind() {
            ErrorKind::NotFound => OnnxError::LibraryMissing {
                path: library.to_path_buf(),
            },
            _ => unusable(error.to_string()),
        })?;
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = loaded.as_ref() {
            if *runtime.library == path {
                return Ok(runtime.clone());
            }
            return Err(OnnxError::LibraryTaken {
                path,
                loaded: runtime.library.as_ref().clone(),
            });
        }
        let builder = ort::init_from(&path).map_err(|error| match error {
            ort::LoadDynamicError::BadVersion { version_str, .. } => OnnxError::LibraryTooOld {
                path: path.clone(),
                found: version_str,
            },
            other => unusable(other.to_string()),
        })?;
        let environment = builder
            .with_name("auricle")
            .with_telemetry(false)
            .with_logger(Arc::new(log))
            .build()
            .map_err(|error| unusable(error.to_string()))?;
        environment.set_log_level(LogLevel::Warning);
        let runtime = Self {
            environment,
            library: Arc::new(path),
        };
        *loaded = Some(runtime.clone());
        Ok(runtime)
    }

    /// The file that was loaded, with symbolic links resolved.
    #[must_use]
    pub fn library(&self) -> &Path {
        &self.library
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }
}

fn log(level: LogLevel, category: &str, _id: &str, _location: &str, message: &str) {
    match level {
        LogLevel::Error | LogLevel::Fatal => tracing::error!(category, "onnxruntime: {message}"),
        LogLevel::Warning => tracing::warn!(category, "onnxruntime: {message}"),
        LogLevel::Info | LogLevel::Verbose => tracing::debug!(category, "onnxruntime: {message}"),
    }
}
