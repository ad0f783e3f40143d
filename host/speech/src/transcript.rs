//! What recognition yields.

use serde::{Deserialize, Serialize};

use crate::language::Language;

/// One word with its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Word {
    /// The word as written, with the punctuation that clings to it and without surrounding spaces.
    pub word: String,
    /// Start in seconds from the start of the clip.
    pub start: f64,
    /// End in seconds from the start of the clip; never before `start`.
    pub end: f64,
    /// Mean probability of the word's tokens, 0.0..=1.0.
    pub probability: f32,
    /// The speaker's label, when known.
    pub speaker: Option<String>,
}

/// One token of a text, and how sure the model was of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenLogprob {
    /// The bytes that the token stands for; possibly a part of a character.
    pub token: Vec<u8>,
    /// Natural logarithm of its probability; at most 0.0.
    pub logprob: f32,
}

/// A stretch of text that the model gave one pair of times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// Position in the transcript, counted from 0.
    pub id: u32,
    /// Start in seconds from the start of the clip.
    pub start: f64,
    /// End in seconds from the start of the clip; never before `start`.
    pub end: f64,
    /// The text without surrounding spaces.
    pub text: String,
    /// The model's token ids of the text, timestamps left out.
    pub tokens: Vec<u32>,
    /// Sampling temperature at which this text was accepted; 0.0 is greedy (or beam search).
    pub temperature: f32,
    /// Each of the text's tokens with its probability, when asked for; empty otherwise. The bytes
    /// together are the text, with a space before it where the language has spaces.
    pub logprobs: Vec<TokenLogprob>,
    /// Mean natural logarithm of the tokens' probabilities; at most 0.0.
    pub avg_logprob: f32,
    /// Length of the UTF-8 text over its zlib-compressed length; repetition raises it.
    pub compression_ratio: f32,
    /// The model's probability that the window held no speech, 0.0..=1.0.
    pub no_speech_prob: f32,
    /// Word times, when asked for; empty otherwise.
    pub words: Vec<Word>,
    /// The speaker's label, when known.
    pub speaker: Option<String>,
    /// The channel of the file, from 0, where each was transcribed for itself.
    pub channel: Option<u32>,
    /// The language that was spoken, also where the text is a translation; `None` where it is not
    /// known.
    pub language: Option<Language>,
}

/// Why a segment is no part of the transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// It says the same over and over; the score is its compression ratio.
    Repetition,
    /// The model was unsure of the words and sure of the silence; the score is `no_speech_prob`.
    NoSpeech,
    /// There is no speech, or too little for the text; the score is the highest probability of speech
    /// in it.
    NoVoice,
}

impl DropReason {
    /// `repetition`, `no_speech` or `no_voice`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Repetition => "repetition",
            Self::NoSpeech => "no_speech",
            Self::NoVoice => "no_voice",
        }
    }
}

/// A segment that is no part of the transcript.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DroppedSegment {
    /// What the model wrote; its id counts among the dropped.
    pub segment: Segment,
    /// Why it was left out.
    pub reason: DropReason,
    /// The number that decided; see the reason.
    pub score: f32,
}

/// Why a stretch of a clip was not recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SilenceReason {
    /// The chunker left it out: there is no speech in it.
    NoVoice,
}

impl SilenceReason {
    /// `no_voice`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoVoice => "no_voice",
        }
    }
}

/// A stretch of a clip that no model heard, and of which the transcript has nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Silence {
    /// Start in seconds from the start of the clip.
    pub start: f64,
    /// End in seconds from the start of the clip; after `start`.
    pub end: f64,
    /// Why it was left out.
    pub reason: SilenceReason,
    /// The channel of the file, from 0, where each was transcribed for itself.
    pub channel: Option<u32>,
}

/// One speaker's uninterrupted stretch of speech. Turns of different speakers may overlap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// The speaker's label.
    pub speaker: String,
    /// Start in seconds from the start of the clip.
    pub start: f64,
    /// End in seconds from the start of the clip.
    pub end: f64,
}

/// How probable a language is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LanguageScore {
    /// The language.
    pub language: Language,
    /// 0.0..=1.0; over all languages the scores sum to 1.
    pub probability: f32,
}

/// A finished transcription.
#[derive(Clone, Debug, PartialEq)]
pub struct Transcript {
    /// The language that was spoken (detected, or as the caller said), the one with the most speech.
    pub language: Language,
    /// All languages that were spoken, the one with the most speech first; empty without speech.
    pub languages: Vec<Language>,
    /// Segments in order of time.
    pub segments: Vec<Segment>,
    /// Segments that were left out, in order of time.
    pub dropped: Vec<DroppedSegment>,
    /// Stretches that were not recognised, in order of time.
    pub silence: Vec<Silence>,
    /// Speakers in order of first appearance; empty when nobody asked who spoke.
    pub speakers: Vec<String>,
    /// The language of each channel, where each was transcribed for itself; else empty.
    pub channels: Vec<Language>,
    /// Playing time of the clip in seconds.
    pub duration_secs: f64,
}

impl Transcript {
    /// The transcripts of a file's channels as one: segments in order of time and of equal ones by
    /// channel, numbered anew. Its language is that of the first channel on which somebody speaks.
    #[must_use]
    pub fn of_channels(channels: Vec<Self>) -> Self {
        let spoken = channels.iter().find(|it| !it.segments.is_empty());
        let language = spoken.or(channels.first()).map(|it| it.language);
        let duration = channels.iter().map(|it| it.duration_secs);
        let mut all = Self {
            language: language.unwrap_or(Language::ENGLISH),
            languages: Vec::new(),
            segments: Vec::new(),
            dropped: Vec::new(),
            silence: Vec::new(),
            speakers: Vec::new(),
            channels: channels.iter().map(|it| it.language).collect(),
            duration_secs: duration.fold(0.0, f64::max),
        };
        for (channel, one) in (0..).zip(channels) {
            for language in one.languages {
                if !all.languages.contains(&language) {
                    all.languages.push(language);
                }
            }
            all.silence
                .extend(one.silence.into_iter().map(|silence| Silence {
                    channel: Some(channel),
                    ..silence
                }));
            all.segments
                .extend(one.segments.into_iter().map(|segment| Segment {
                    channel: Some(channel),
                    ..segment
                }));
            all.dropped
                .extend(one.dropped.into_iter().map(|mut dropped| {
                    dropped.segment.channel = Some(channel);
                    dropped
                }));
        }
        // All sorts keep the order of channels among equals.
        all.segments.sort_by(|a, b| a.start.total_cmp(&b.start));
        all.silence.sort_by(|a, b| a.start.total_cmp(&b.start));
        all.dropped
            .sort_by(|a, b| a.segment.start.total_cmp(&b.segment.start));
        for (id, segment) in (0..).zip(&mut all.segments) {
            segment.id = id;
        }
        for (id, dropped) in (0..).zip(&mut all.dropped) {
            dropped.segment.id = id;
        }
        all
    }

    /// The texts of one channel's segments, joined by single spaces.
    #[must_use]
    pub fn channel_text(&self, channel: u32) -> String {
        joined(
            self.segments
                .iter()
                .filter(|it| it.channel == Some(channel)),
        )
    }

    /// The segments' texts joined by single spaces.
    #[must_use]
    pub fn text(&self) -> String {
        joined(self.segments.iter())
    }
}

fn joined<'a>(segments: impl Iterator<Item = &'a Segment>) -> String {
    let mut text = String::new();
    for segment in segments.filter(|s| !s.text.is_empty()) {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&segment.text);
    }
    text
}
