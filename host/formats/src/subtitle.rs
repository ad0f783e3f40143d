//! Subtitles: SubRip (`srt`) and WebVTT (`vtt`).
//!
//! Good ones, as viewers know them: at most two lines of 42 columns, shown for 1 to 7 s, cut where
//! sentences, clauses and pauses end, by the times of the words where the transcript has them and
//! evenly over a segment where not. Cues never mix speakers and never overlap.
//!
//! Players stop at the first malformed cue, so nothing malformed is written: every end lies after its
//! start, and no text holds a blank line or an arrow, which would end the cue.
//!
//! # Layout
//! `phrase` (where Chinese, Japanese and Korean may break) → `unit` (what is never cut, with times) → `cue` (what is shown together, and when) → `line` (how it
//! breaks).
//!
//! # Limits
//! Where people talk over one another for long, cues come late: each keeps its least time. Words are
//! not highlighted as they are said.

mod cue;
mod line;
mod options;
mod phrase;
mod unit;

use std::fmt::Write;

use auricle_speech::Transcript;

pub use self::options::{SubtitleOptionError, SubtitleOptions};

/// SubRip. A speaker stands before the text: `SPEAKER_00: Hello.`
#[must_use]
pub fn srt(transcript: &Transcript, options: &SubtitleOptions) -> String {
    let mut out = String::new();
    for (index, cue) in cue::cues(transcript, options, true).iter().enumerate() {
        let text = cue.lines.join("\n");
        let speaker = cue.speaker.as_ref().map(|s| format!("{s}: "));
        let text = (speaker.unwrap_or_default() + &text).replace("-->", "→");
        let (start, end) = (Time(cue.start_ms, ','), Time(cue.end_ms, ','));
        // Writing to a string does not fail.
        let _ = write!(out, "{}\n{start} --> {end}\n{text}\n\n", index + 1);
    }
    out
}

/// WebVTT. A speaker is the cue's voice: `<v SPEAKER_00>Hello.`
#[must_use]
pub fn vtt(transcript: &Transcript, options: &SubtitleOptions) -> String {
    let mut out = "WEBVTT\n\n".to_owned();
    for cue in cue::cues(transcript, options, false) {
        let speaker = cue
            .speaker
            .map(|s| format!("<v {}>", escaped(&s)))
            .unwrap_or_default();
        let (start, end) = (Time(cue.start_ms, '.'), Time(cue.end_ms, '.'));
        let text = escaped(&cue.lines.join("\n"));
        let _ = write!(out, "{start} --> {end}\n{speaker}{text}\n\n");
    }
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// Milliseconds as `HH:MM:SS`, the separator, and three digits. Hours have two digits or more.
struct Time(u64, char);

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(ms, separator) = *self;
        let (secs, ms) = (ms / 1000, ms % 1000);
        let (hours, minutes, secs) = (secs / 3600, secs / 60 % 60, secs % 60);
        write!(f, "{hours:02}:{minutes:02}:{secs:02}{separator}{ms:03}")
    }
}

#[cfg(test)]
mod tests;
