//! Transcription of a clip by the whole pipeline: chunker, recognition, speaker-assigner.

pub use crate::bindings::auricle::pipeline::transcriber::{
    Event, Options, Summary, Transcription, start,
};
use crate::speech::{DroppedSegment, Segment, Silence, SpeechError, Task};

impl Default for Options {
    /// The server's model, language detected, plain text: greedy at temperature 0.
    fn default() -> Self {
        Self {
            model: None,
            language: None,
            languages: Vec::new(),
            task: Task::Transcribe,
            prompt: None,
            keywords: Vec::new(),
            temperature: 0.0,
            beam_size: 1,
            word_timestamps: false,
            logprobs: false,
            chunking: None,
            diarize: None,
        }
    }
}

/// Everything that a transcription yielded.
#[derive(Clone, Debug)]
pub struct Collected {
    /// The transcript.
    pub segments: Vec<Segment>,
    /// What was left out of it.
    pub dropped: Vec<DroppedSegment>,
    /// Stretches that were not recognised.
    pub silence: Vec<Silence>,
    /// What it is about.
    pub summary: Summary,
}

/// Waits for the end of a transcription and returns all its segments.
///
/// # Errors
/// What the transcription failed with.
pub fn collect(transcription: &Transcription) -> Result<(Vec<Segment>, Summary), SpeechError> {
    collect_all(transcription).map(|all| (all.segments, all.summary))
}

/// As [`collect`], with what was left out.
///
/// # Errors
/// What the transcription failed with.
pub fn collect_all(transcription: &Transcription) -> Result<Collected, SpeechError> {
    let (mut all, mut left_out, mut silent) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(event) = transcription.next()? {
        match event {
            Event::Segments(segments) => all.extend(segments),
            Event::Dropped(dropped) => left_out.extend(dropped),
            Event::Silence(silence) => silent.extend(silence),
            Event::Finished(summary) => {
                return Ok(Collected {
                    segments: all,
                    dropped: left_out,
                    silence: silent,
                    summary,
                });
            }
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
