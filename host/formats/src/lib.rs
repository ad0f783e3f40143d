//! Renders a transcript as text, JSON, SRT or WebVTT.
//!
//! Pure functions from a [`Transcript`] to a string: no input can make them fail or panic, whatever
//! a component has written into the segments. They compile for WebAssembly as well.
//!
//! # Layout
//! - [`mod@openai`]: `json` and `verbose_json`, field by field as OpenAI's API has them.
//! - [`subtitle`]: `srt` and `vtt`.

pub mod openai;
pub mod subtitle;

use auricle_speech::Transcript;

pub use crate::openai::{json, verbose_json};
pub use crate::subtitle::{srt, vtt};

/// The text alone, on one line.
#[must_use]
pub fn text(transcript: &Transcript) -> String {
    transcript.text()
}
