//! Clips and what becomes a clip.

pub use crate::bindings::auricle::audio::clips::{Clip, ClipError};
pub use crate::bindings::auricle::audio::decoding::{
    DecodeError, SourceFailure, decode, decode_channels,
};
pub use crate::bindings::auricle::audio::recording::{RecordError, Recorder};
pub use crate::bindings::auricle::audio::types::{Hint, Span};

/// Samples per second of every clip.
pub const SAMPLE_RATE: u32 = 16_000;

/// Most values that `Clip::samples` and `Clip::levels` return at once: 30 s of samples, or 80
/// minutes of levels in 10 ms frames.
pub const MAX_VALUES: u64 = 480_000;
