//! JSON as OpenAI's transcription API answers: the types `Transcription` and
//! `TranscriptionVerbose` of its client libraries.

use auricle_speech::{DroppedSegment, Language, Segment, Silence, Task, Transcript};
use serde::Serialize;

use crate::channels::{ChannelBody, channels};
use crate::logprobs::{LogprobBody, all_logprobs};
use crate::usage::{Billing, Usage};

/// What `json` shows beside the text.
#[derive(Clone, Copy, Debug)]
pub struct Plain {
    /// How its cost is told.
    pub billing: Billing,
    /// Whether the language is told.
    pub languages: bool,
    /// Whether tokens are told with their probabilities.
    pub logprobs: bool,
}

impl Default for Plain {
    /// The text, and its cost in seconds.
    fn default() -> Self {
        Self {
            billing: Billing::Duration,
            languages: false,
            logprobs: false,
        }
    }
}

/// `{"text", "usage"}`, with `languages` and `logprobs` as far as they are asked for.
#[must_use]
pub fn json(transcript: &Transcript, parts: Plain) -> String {
    write(&Body {
        text: transcript.text(),
        languages: parts.languages.then(|| languages(&transcript.languages)),
        logprobs: parts.logprobs.then(|| all_logprobs(&transcript.segments)),
        channels: channels(transcript),
        usage: Usage::of(transcript, parts.billing),
    })
}

/// `{"text"}`: what a translation to English is.
#[must_use]
pub fn translation_json(transcript: &Transcript) -> String {
    write(&serde_json::json!({ "text": transcript.text() }))
}

/// What `verbose_json` shows.
#[derive(Clone, Copy, Debug)]
pub struct Verbose {
    /// What was asked for.
    pub task: Task,
    /// Whether there are segments.
    pub segments: bool,
    /// Whether there are words.
    pub words: bool,
}

impl Verbose {
    /// Segments, and words where the transcript has some.
    #[must_use]
    pub fn all_of(transcript: &Transcript, task: Task) -> Self {
        Self {
            task,
            segments: true,
            words: transcript.segments.iter().any(|s| !s.words.is_empty()),
        }
    }
}

/// Text with segments and words, as far as they are asked for.
///
/// As OpenAI's server does, `language` is the English name in lower case, that of the text (a
/// translation is English), and the words stand beside the segments, not inside. `seek`, the frame at which the model's window began, is not known here:
/// it is the segment's own start, in frames of 10 ms. `x_dropped`, which OpenAI does not have, lists
/// what was left out, and `x_silence` the stretches that were not recognised; each is there when it is
/// not empty. So are `speaker` of segments and words, and where channels were transcribed apart,
/// `channel` of segments and `channels`. `language` of a segment is the language that was spoken.
#[must_use]
pub fn verbose_json(transcript: &Transcript, parts: Verbose) -> String {
    let words: Vec<_> = transcript
        .segments
        .iter()
        .flat_map(|segment| &segment.words)
        .map(|word| WordBody {
            word: &word.word,
            start: rounded(word.start),
            end: rounded(word.end),
            speaker: word.speaker.as_deref(),
        })
        .collect();
    write(&VerboseBody {
        task: parts.task.as_str(),
        language: match parts.task {
            Task::Transcribe => transcript.language.name(),
            Task::Translate => Language::ENGLISH.name(),
        },
        duration: rounded(transcript.duration_secs),
        text: transcript.text(),
        words: parts.words.then_some(words),
        segments: parts
            .segments
            .then(|| transcript.segments.iter().map(SegmentBody::of).collect()),
        x_dropped: transcript.dropped.iter().map(DroppedBody::of).collect(),
        x_silence: silence(transcript),
        channels: channels(transcript),
        usage: Usage::of(transcript, Billing::Duration),
    })
}

#[derive(Serialize)]
struct Body {
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    languages: Option<Vec<LanguageBody>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<Vec<LogprobBody>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    channels: Vec<ChannelBody>,
    usage: Usage,
}

/// The languages of a text, the one with the most speech first.
#[must_use]
pub fn languages(spoken: &[Language]) -> Vec<LanguageBody> {
    let body = |language: &Language| LanguageBody {
        code: language.code(),
    };
    spoken.iter().map(body).collect()
}

/// A language by its code.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LanguageBody {
    code: &'static str,
}

#[derive(Serialize)]
struct VerboseBody<'a> {
    task: &'static str,
    language: &'static str,
    duration: f64,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<Vec<WordBody<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    segments: Option<Vec<SegmentBody<'a>>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    x_dropped: Vec<DroppedBody<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    x_silence: Vec<SilenceBody>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    channels: Vec<ChannelBody>,
    usage: Usage,
}

#[derive(Serialize)]
struct WordBody<'a> {
    word: &'a str,
    start: f64,
    end: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    speaker: Option<&'a str>,
}

#[derive(Serialize)]
struct SegmentBody<'a> {
    id: u32,
    seek: u64,
    start: f64,
    end: f64,
    text: &'a str,
    tokens: &'a [u32],
    temperature: f64,
    avg_logprob: f64,
    compression_ratio: f64,
    no_speech_prob: f64,
    /// Who said it; OpenAI does not have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    speaker: Option<&'a str>,
    /// Where channels are transcribed apart; OpenAI does not have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<u32>,
    /// English name of the language that was spoken; OpenAI does not have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<&'static str>,
}

impl<'a> SegmentBody<'a> {
    fn of(segment: &'a Segment) -> Self {
        let start = rounded(segment.start);
        Self {
            id: segment.id,
            // Not a number and negative times become 0.
            seek: (start * 100.0) as u64,
            start,
            end: rounded(segment.end),
            text: &segment.text,
            tokens: &segment.tokens,
            temperature: widened(segment.temperature),
            avg_logprob: widened(segment.avg_logprob),
            compression_ratio: widened(segment.compression_ratio),
            no_speech_prob: widened(segment.no_speech_prob),
            speaker: segment.speaker.as_deref(),
            channel: segment.channel,
            language: segment.language.map(Language::name),
        }
    }
}

/// A segment that was left out, why, and the number that decided.
#[derive(Serialize)]
struct DroppedBody<'a> {
    reason: &'static str,
    score: f64,
    start: f64,
    end: f64,
    text: &'a str,
    avg_logprob: f64,
    compression_ratio: f64,
    no_speech_prob: f64,
}

impl<'a> DroppedBody<'a> {
    fn of(dropped: &'a DroppedSegment) -> Self {
        let segment = &dropped.segment;
        Self {
            reason: dropped.reason.as_str(),
            score: widened(dropped.score),
            start: rounded(segment.start),
            end: rounded(segment.end),
            text: &segment.text,
            avg_logprob: widened(segment.avg_logprob),
            compression_ratio: widened(segment.compression_ratio),
            no_speech_prob: widened(segment.no_speech_prob),
        }
    }
}

/// A stretch that was not recognised, and why: an entry of `x_silence`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SilenceBody {
    /// Start in seconds, to thousandths.
    pub start: f64,
    /// End in seconds, to thousandths.
    pub end: f64,
    /// `no_voice`.
    pub reason: &'static str,
    /// Where channels are transcribed apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<u32>,
}

/// All stretches that were not recognised.
#[must_use]
pub fn silence(transcript: &Transcript) -> Vec<SilenceBody> {
    let body = |silence: &Silence| SilenceBody {
        start: rounded(silence.start),
        end: rounded(silence.end),
        reason: silence.reason.as_str(),
        channel: silence.channel,
    };
    transcript.silence.iter().map(body).collect()
}

/// To thousandths; what is not a number becomes 0, because JSON has no word for it.
pub(crate) fn rounded(secs: f64) -> f64 {
    let rounded = (secs * 1000.0).round() / 1000.0;
    if rounded.is_finite() { rounded } else { 0.0 }
}

/// The shortest decimal that is this `f32`, so that 0.2 is not written as 0.20000000298023224.
pub(crate) fn widened(value: f32) -> f64 {
    value
        .to_string()
        .parse()
        .ok()
        .filter(|v: &f64| v.is_finite())
        .unwrap_or(0.0)
}

pub(crate) fn write(body: &impl Serialize) -> String {
    // Fails only on maps whose keys are no strings; there are none.
    serde_json::to_string(body).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use auricle_speech::{DropReason, Word};
    use serde_json::{Value, json};

    use super::*;

    fn transcript(words: Vec<Word>) -> Transcript {
        Transcript {
            language: Language::ENGLISH,
            languages: Vec::new(),
            segments: vec![Segment {
                id: 0,
                start: 1.0,
                end: 2.54,
                text: "Hello there.".to_owned(),
                tokens: vec![2425, 456],
                logprobs: Vec::new(),
                temperature: 0.2,
                avg_logprob: -0.3,
                compression_ratio: 0.9,
                no_speech_prob: f32::NAN,
                words,
                speaker: None,
                channel: None,
                language: None,
            }],
            dropped: Vec::new(),
            silence: Vec::new(),
            speakers: Vec::new(),
            channels: Vec::new(),
            duration_secs: 3.25,
        }
    }

    fn all(transcript: &Transcript, task: Task) -> String {
        verbose_json(transcript, Verbose::all_of(transcript, task))
    }

    #[test]
    fn segments_and_words_are_there_as_asked() {
        let parts = Verbose {
            task: Task::Transcribe,
            segments: false,
            words: true,
        };
        let text = verbose_json(&transcript(Vec::new()), parts);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert!(value.get("segments").is_none());
        assert_eq!(value["words"], json!([]), "never null");
    }

    #[test]
    fn verbose_json_has_every_required_field_of_openais() {
        let text = all(&transcript(Vec::new()), Task::Transcribe);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            value,
            json!({
                "task": "transcribe", "language": "english", "duration": 3.25,
                "text": "Hello there.",
                "segments": [{
                    "id": 0, "seek": 100, "start": 1.0, "end": 2.54, "text": "Hello there.",
                    "tokens": [2425, 456], "temperature": 0.2, "avg_logprob": -0.3,
                    "compression_ratio": 0.9, "no_speech_prob": 0.0
                }],
                "usage": {"type": "duration", "seconds": 4}
            })
        );
    }

    #[test]
    fn what_was_dropped_stands_beside_the_segments_with_its_reason() {
        let mut transcript = transcript(Vec::new());
        transcript.dropped = vec![DroppedSegment {
            segment: transcript.segments[0].clone(),
            reason: DropReason::NoVoice,
            score: 0.02,
        }];
        let text = all(&transcript, Task::Transcribe);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            value["x_dropped"],
            json!([{
                "reason": "no_voice", "score": 0.02, "start": 1.0, "end": 2.54,
                "text": "Hello there.", "avg_logprob": -0.3, "compression_ratio": 0.9,
                "no_speech_prob": 0.0
            }])
        );
    }

    #[test]
    fn words_stand_beside_the_segments() {
        let word = Word {
            word: "Hello".to_owned(),
            start: 1.0,
            end: 1.5,
            probability: 0.9,
            speaker: None,
        };
        let text = all(&transcript(vec![word]), Task::Translate);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            value["words"],
            json!([{"word": "Hello", "start": 1.0, "end": 1.5}])
        );
        assert_eq!(value["task"], "translate");
        assert!(value["segments"][0].get("words").is_none());
    }

    /// A finding of the fuzz target `events`.
    #[test]
    fn times_beyond_all_numbers_are_no_null() {
        for odd in [
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MAX,
            f64::MIN,
        ] {
            assert_eq!(rounded(odd), 0.0, "{odd}");
        }
        assert_eq!(rounded(1.23456), 1.235);
    }

    #[test]
    fn json_is_the_text_and_what_it_cost() {
        assert_eq!(
            super::json(&transcript(Vec::new()), Plain::default()),
            r#"{"text":"Hello there.","usage":{"type":"duration","seconds":4}}"#
        );
        let parts = Plain {
            billing: Billing::Tokens,
            languages: true,
            logprobs: true,
        };
        let english = Transcript {
            languages: vec![Language::ENGLISH],
            ..transcript(Vec::new())
        };
        let text = super::json(&english, parts);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["languages"], json!([{"code": "en"}]));
        assert_eq!(value["logprobs"], json!([]), "never null");
        assert_eq!(value["usage"]["output_tokens"], 2);
    }
}
