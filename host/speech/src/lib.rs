//! The words of Auricle: types, traits and errors that every crate shares.
//!
//! Owns no data and starts nothing. It names neither tokio nor wasmtime nor an engine, so that
//! guests, engines and the gateway can all depend on it.
//!
//! # Layout
//! - [`audio`]: sample rate, [`Clip`], [`Span`].
//! - [`class`]: how urgent work is.
//! - [`detection`]: the language of one chunk.
//! - [`language`]: Whisper's languages, codes and names.
//! - [`level`]: the gain of soft recordings.
//! - [`memory`]: host memory reserved before it is allocated.
//! - [`transcript`]: words, segments, turns, the finished transcript.
//! - [`options`]: what a caller asks of a transcription.
//! - [`engine`]: the traits behind which an engine lives.
//! - [`graph`]: the traits of the second engine.
//! - [`rhythm`]: syllables of texts and sounds.
//! - [`tensor`]: what goes into a graph and comes out of it, as plain data.
//! - [`tenant`]: the tenant's name.

pub mod audio;
pub mod class;
pub mod detection;
pub mod engine;
pub mod graph;
pub mod language;
pub mod level;
pub mod memory;
pub mod options;
pub mod rhythm;
pub mod tenant;
pub mod tensor;
pub mod transcript;

pub use audio::{Clip, MAX_CHUNK_SAMPLES, SAMPLE_RATE, Span};
pub use class::RequestClass;
pub use detection::{Detected, DetectedSegments, Detection};
pub use engine::{CancelFlag, Engine, EngineError, EngineLoader, EngineSession, ModelFiles};
pub use graph::{
    GraphEngine, GraphLoader, GraphResult, GraphSession, GraphWork, MAX_GRAPH_JOB_SAMPLES,
    VOICE_FRAME_SAMPLES, VoiceStream, tensor_samples,
};
pub use language::{ChineseScript, Language, LanguageTag, UnknownLanguage, is_chinese};
pub use level::{AUDIBLE_LEVEL, VoiceGain, amplified, clip_gain};
pub use memory::{MemoryReservation, ReserveError};
pub use options::{
    DecodeOptions, KnownVoice, SpeakerOptions, Task, TranscribeOptions, VoiceOptions,
};
pub use tenant::TenantId;
pub use tensor::{ElementType, NamedTensor, Tensor, TensorData, TensorError};
pub use transcript::{
    DropReason, DroppedSegment, LanguageScore, Segment, Silence, SilenceReason, TokenLogprob,
    Transcript, Turn, Word,
};
