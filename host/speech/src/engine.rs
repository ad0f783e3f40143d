//! The traits behind which a speech recognition engine lives.
//!
//! An [`Engine`] is a loaded model; an [`EngineSession`] is one thread's working memory on it. All
//! arguments and results are plain data, so that an engine can move into a process of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::detection::{DetectedSegments, Detection};
use crate::language::Language;
use crate::options::DecodeOptions;
use crate::transcript::{LanguageScore, Segment};

/// Says to a running computation that nobody wants its result any more.
///
/// Clones share one flag; once set it stays set.
#[derive(Clone, Debug, Default)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// A flag that is not set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the flag.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the flag is set.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Where a model's weights lie and what they must be.
#[derive(Clone, Debug)]
pub struct ModelFiles {
    /// The model's name in the manifest.
    pub name: String,
    /// The weights.
    pub path: PathBuf,
    /// Lower-case hexadecimal SHA-256 of the weights, checked before they are loaded.
    pub sha256: String,
    /// Whether the engine must be able to give word times. Costs a slower attention, so an engine
    /// without it is a separate one.
    pub word_timestamps: bool,
}

/// Loads models. Blocking: call it on a thread that may wait.
pub trait EngineLoader: Send + Sync {
    /// Verifies and loads a model.
    ///
    /// # Errors
    /// [`EngineError::Model`] when the weights are missing, truncated, foreign or do not fit.
    fn load(&self, files: &ModelFiles) -> Result<Arc<dyn Engine>, EngineError>;
}

/// A loaded model. Shared by all threads; immutable.
pub trait Engine: Send + Sync {
    /// Whether the model knows languages other than English.
    fn is_multilingual(&self) -> bool;

    /// Whether the model has a token for `language`. Not every multilingual model has all of
    /// [`Language::all`].
    fn knows(&self, language: Language) -> bool {
        self.is_multilingual() || language == Language::ENGLISH
    }

    /// Bytes of weights held, about.
    fn memory_bytes(&self) -> u64;

    /// Sets up working memory for one thread.
    ///
    /// # Errors
    /// [`EngineError::Failed`] when there is not enough memory.
    fn open_session(&self) -> Result<Box<dyn EngineSession>, EngineError>;
}

/// One thread's working memory on an engine. Keeps no text from one call to the next.
pub trait EngineSession: Send {
    /// Transcribes `samples` (mono, 16 kHz, at most 30 s), spoken in `language`.
    ///
    /// Times in the result count from the start of `samples`; segment ids count from 0; no segment
    /// has a speaker. An empty list means that no speech was found.
    ///
    /// # Errors
    /// [`EngineError::Cancelled`] soon after `cancel` is set; [`EngineError::Failed`] otherwise.
    fn transcribe(
        &mut self,
        samples: &[f32],
        language: Language,
        options: &DecodeOptions,
        cancel: &CancelFlag,
    ) -> Result<Vec<Segment>, EngineError>;

    /// As [`EngineSession::transcribe`], in the language that is detected in `samples`. An engine may
    /// do both with one encoder pass.
    ///
    /// # Errors
    /// As [`EngineSession::transcribe`].
    fn transcribe_detected(
        &mut self,
        samples: &[f32],
        detection: &Detection,
        options: &DecodeOptions,
        cancel: &CancelFlag,
    ) -> Result<DetectedSegments, EngineError> {
        let scores = self.detect_language(samples, cancel)?;
        let detected = detection.choose(&scores, samples.len());
        let segments = self.transcribe(samples, detected.language, options, cancel)?;
        Ok(DetectedSegments { detected, segments })
    }

    /// Scores every language that the model knows on the first 30 s of `samples`, best first.
    ///
    /// # Errors
    /// As [`EngineSession::transcribe`].
    fn detect_language(
        &mut self,
        samples: &[f32],
        cancel: &CancelFlag,
    ) -> Result<Vec<LanguageScore>, EngineError>;
}

/// Why an engine did not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The weights cannot be used. The text says which model and what to do; it may name a path
    /// and is for the operator.
    #[error("{0}")]
    Model(String),
    /// The caller no longer wants the result.
    #[error("the computation was cancelled")]
    Cancelled,
    /// The caller gave something that the model cannot take; nothing ran. The text says what, names
    /// no path, and may be shown to the caller.
    #[error("{0}")]
    InvalidInput(String),
    /// What the caller gave, or what would come of it, is over a limit. The text names the limit and
    /// may be shown to the caller.
    #[error("{0}")]
    TooLarge(String),
    /// The engine failed; the text is for the operator.
    #[error("the engine failed: {0}")]
    Failed(String),
}
