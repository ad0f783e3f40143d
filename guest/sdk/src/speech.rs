//! What recognition takes and yields.

pub use crate::bindings::auricle::speech::recognition::{detect_language, knows_language};
pub use crate::bindings::auricle::speech::types::{
    DropReason, DroppedSegment, LanguageScore, Segment, SpeechError, Task, Turn, Word,
};
