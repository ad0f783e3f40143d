//! `diarized_json` as OpenAI's transcription API answers: the type `TranscriptionDiarized` of its
//! client libraries, and the segments of its events.

use auricle_speech::{Segment, Transcript};
use serde::Serialize;

use crate::openai::{rounded, write};
use crate::usage::{Billing, Usage};

/// The speaker of a segment that the diarizer gave to nobody: the field is required.
const UNKNOWN: &str = "unknown";

/// Text with segments that name their speakers.
#[must_use]
pub fn diarized_json(transcript: &Transcript, billing: Billing) -> String {
    write(&Body {
        task: "transcribe",
        duration: rounded(transcript.duration_secs),
        text: transcript.text(),
        segments: transcript.segments.iter().map(SegmentBody::of).collect(),
        usage: Usage::of(transcript, billing),
    })
}

/// One segment as `diarized_json` and the event `transcript.text.segment` have it.
#[must_use]
pub fn diarized_segment(segment: &Segment) -> String {
    write(&SegmentBody::of(segment))
}

/// The label of the unknown speaker `number`, from 0: `A` to `Z`, then `AA`.
fn letters(mut number: usize) -> String {
    let mut label = Vec::new();
    loop {
        label.push(char::from(b'A' + (number % 26) as u8));
        match number / 26 {
            0 => break,
            more => number = more - 1,
        }
    }
    label.iter().rev().collect()
}

/// The label that a speaker has in OpenAI's API: a known speaker's own name, else the next letter
/// that is nobody's name. `met` has the labels met so far, with the letters they got.
#[must_use]
pub fn lettered(label: &str, known: &[String], met: &mut Vec<(String, String)>) -> String {
    if known.iter().any(|name| name == label) {
        return label.to_owned();
    }
    if let Some((_, letter)) = met.iter().find(|(of, _)| of == label) {
        return letter.clone();
    }
    let taken = |letter: &String| known.contains(letter) || met.iter().any(|(_, l)| l == letter);
    let mut number = met.len();
    let mut letter = letters(number);
    while taken(&letter) {
        number += 1;
        letter = letters(number);
    }
    met.push((label.to_owned(), letter.clone()));
    letter
}

#[derive(Serialize)]
struct Body<'a> {
    task: &'static str,
    duration: f64,
    text: String,
    segments: Vec<SegmentBody<'a>>,
    usage: Usage,
}

#[derive(Serialize)]
struct SegmentBody<'a> {
    r#type: &'static str,
    id: String,
    start: f64,
    end: f64,
    text: &'a str,
    speaker: &'a str,
}

impl<'a> SegmentBody<'a> {
    fn of(segment: &'a Segment) -> Self {
        Self {
            r#type: "transcript.text.segment",
            id: format!("seg_{}", segment.id),
            start: rounded(segment.start),
            end: rounded(segment.end),
            text: &segment.text,
            speaker: segment.speaker.as_deref().unwrap_or(UNKNOWN),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_speakers_are_lettered_in_order_and_known_ones_keep_their_names() {
        let (known, mut met) = (vec!["Ann".to_owned(), "B".to_owned()], Vec::new());
        let mut label = |label: &str| lettered(label, &known, &mut met);
        assert_eq!(label("SPEAKER_03"), "A");
        assert_eq!(label("Ann"), "Ann");
        assert_eq!(label("SPEAKER_00"), "C", "B is somebody's name");
        assert_eq!(label("SPEAKER_01"), "D");
        assert_eq!(label("SPEAKER_03"), "A");
    }

    #[test]
    fn after_z_comes_aa() {
        assert_eq!(letters(25), "Z");
        assert_eq!(letters(26), "AA");
        assert_eq!(letters(26 + 26), "BA");
    }
}
