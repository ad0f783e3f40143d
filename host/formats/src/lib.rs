//! Renders a transcript as text, JSON, SRT or WebVTT, and turns as RTTM.
//!
//! Pure functions from a [`Transcript`] to a string: no input can make them fail or panic, whatever
//! a component has written into the segments. They compile for WebAssembly as well.
//!
//! # Layout
//! - [`mod@openai`]: `json` and `verbose_json`, field by field as OpenAI's API has them.
//! - [`diarized`]: `diarized_json`, and labels `A`, `B`….
//! - [`mod@channels`]: channels that were transcribed apart.
//! - [`mod@logprobs`], [`usage`]: how sure the model was of each token; what it all cost.
//! - [`subtitle`]: `srt` and `vtt`.
//! - [`mod@rttm`]: who spoke when.

pub mod channels;
pub mod diarized;
pub mod logprobs;
pub mod openai;
pub mod rttm;
pub mod subtitle;
pub mod usage;

use auricle_speech::{Segment, Transcript};

pub use crate::channels::{ChannelBody, channels};
pub use crate::diarized::{diarized_json, diarized_segment, lettered};
pub use crate::logprobs::{LogprobBody, logprobs};
pub use crate::openai::{
    LanguageBody, Plain, SilenceBody, Verbose, json, languages, silence, translation_json,
    verbose_json,
};
pub use crate::rttm::rttm;
pub use crate::subtitle::{SubtitleOptionError, SubtitleOptions, srt, vtt};
pub use crate::usage::{Billing, Usage};

/// The text alone, on one line; where speakers are known, or several channels are transcribed apart, a
/// line each time another one speaks: `SPEAKER_00: Hello.`, `Channel 0: Hello.`
#[must_use]
pub fn text(transcript: &Transcript) -> String {
    if transcript.speakers.is_empty() && transcript.channels.len() < 2 {
        return transcript.text();
    }
    let segments = transcript.segments.iter();
    let spoken: Vec<&Segment> = segments.filter(|s| !s.text.is_empty()).collect();
    let line = |said: &[&Segment]| {
        let texts: Vec<&str> = said.iter().map(|s| s.text.as_str()).collect();
        match said.first().and_then(|s| label(s, transcript)) {
            Some(speaker) => format!("{speaker}: {}", texts.join(" ")),
            None => texts.join(" "),
        }
    };
    let of_one_speaker = spoken.chunk_by(|a, b| (&a.speaker, a.channel) == (&b.speaker, b.channel));
    let lines: Vec<String> = of_one_speaker.map(line).collect();
    lines.join("\n")
}

/// Who says a segment: the speaker, else the channel where there are several.
pub(crate) fn label(segment: &Segment, transcript: &Transcript) -> Option<String> {
    let channel = segment.channel.filter(|_| transcript.channels.len() > 1);
    let of_channel = || channel.map(|number| format!("Channel {number}"));
    segment.speaker.clone().or_else(of_channel)
}
