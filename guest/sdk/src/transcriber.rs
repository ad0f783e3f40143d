//! Transcription of a clip by the whole pipeline: chunker, recognition, speaker-assigner.

pub use crate::bindings::auricle::pipeline::transcriber::{
    Event, Options, Summary, Transcription, start,
};
use crate::speech::{Segment, SpeechError, Task};

impl Default for Options {
    /// The server's model, language detected, plain text: greedy at temperature 0.
    fn default() -> Self {
        Self {
            model: None,
            language: None,
            task: Task::Transcribe,
            prompt: None,
            temperature: 0.0,
            beam_size: 1,
            word_timestamps: false,
            diarize: false,
        }
    }
}

/// Waits for the end of a transcription and returns all its segments.
///
/// # Errors
/// What the transcription failed with.
pub fn collect(transcription: &Transcription) -> Result<(Vec<Segment>, Summary), SpeechError> {
    let mut all = Vec::new();
    while let Some(event) = transcription.next()? {
        match event {
            Event::Segments(segments) => all.extend(segments),
            Event::Finished(summary) => return Ok((all, summary)),
            Event::Language(_) | Event::Progress(_) => {}
        }
    }
    Err(SpeechError::Other(Some(
        "the transcription ended without a summary".to_owned(),
    )))
}

/// The segments' texts joined by single spaces.
#[must_use]
pub fn joined_text(segments: &[Segment]) -> String {
    let mut text = String::new();
    for segment in segments.iter().filter(|s| !s.text.is_empty()) {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&segment.text);
    }
    text
}
