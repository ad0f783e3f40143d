//! What recognition takes and yields.

pub use crate::bindings::auricle::speech::recognition::{
    Model, detect_language, find_model, knows_language, list_models,
};
pub use crate::bindings::auricle::speech::types::{
    DropReason, DroppedSegment, LanguageScore, Segment, Silence, SilenceReason, SpeechError, Task,
    TokenLogprob, Turn, VoiceOptions, Word,
};
