//! The bodies of successful answers, field by field.

use std::time::Duration;

use auricle_formats::{ChannelBody, SilenceBody, SubtitleOptions, channels, silence, srt, vtt};
use auricle_guest::speech::LanguageScore;
use auricle_speech::{DroppedSegment, Language, Segment, Transcript, Word};
use serde::Serialize;

/// How many languages are named.
const TOP_LANGUAGES: usize = 5;

/// Answer of `/transcribe`.
#[derive(Serialize)]
pub struct TranscriptBody<'a> {
    text: String,
    language: &'a str,
    /// Seconds that the request took.
    duration: f64,
    /// Seconds of audio.
    audio_duration: f64,
    segments: Vec<SegmentBody<'a>>,
    speakers: &'a [String],
    /// What was left out of the transcript; not there when nothing was.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    x_dropped: Vec<DroppedBody<'a>>,
    /// Stretches that were not recognised; not there when the whole clip was.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    x_silence: Vec<SilenceBody>,
    /// Not there unless each was transcribed for itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    channels: Vec<ChannelBody>,
    /// Left out unless they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    subtitles: Option<SubtitlesBody>,
}

/// What of a transcript is shown on request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shown {
    /// Words in segments.
    pub words: bool,
    /// The whole as subtitles.
    pub subtitles: bool,
}

#[derive(Serialize)]
struct SubtitlesBody {
    srt: String,
    vtt: String,
}

impl SubtitlesBody {
    fn of(transcript: &Transcript) -> Self {
        let usual = SubtitleOptions::default();
        Self {
            srt: srt(transcript, &usual),
            vtt: vtt(transcript, &usual),
        }
    }
}

/// As in verbose_json of the command line.
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

#[derive(Serialize)]
struct SegmentBody<'a> {
    id: u32,
    start: f64,
    end: f64,
    text: &'a str,
    /// `null` unless speakers were asked for.
    speaker: Option<&'a str>,
    /// Left out unless each was transcribed for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<u32>,
    /// Code of the language that was spoken; left out unless there are several in the transcript.
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<&'static str>,
    /// Left out unless words were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<Vec<WordBody<'a>>>,
}

#[derive(Serialize)]
struct WordBody<'a> {
    word: &'a str,
    start: f64,
    end: f64,
    probability: f64,
    /// Left out unless speakers were asked for and one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    speaker: Option<&'a str>,
}

impl<'a> TranscriptBody<'a> {
    /// `took` is the time that the request has taken.
    pub fn new(all: &'a Transcript, took: Duration, shown: Shown) -> Self {
        let several = all.languages.len() > 1;
        let segment = |s: &'a Segment| SegmentBody {
            id: s.id,
            start: rounded(s.start),
            end: rounded(s.end),
            text: &s.text,
            speaker: s.speaker.as_deref(),
            channel: s.channel,
            language: s.language.filter(|_| several).map(Language::code),
            words: shown.words.then(|| s.words.iter().map(word).collect()),
        };
        Self {
            text: all.text(),
            language: all.language.code(),
            duration: rounded(took.as_secs_f64()),
            audio_duration: rounded(all.duration_secs),
            segments: all.segments.iter().map(segment).collect(),
            speakers: &all.speakers,
            x_dropped: all.dropped.iter().map(dropped).collect(),
            x_silence: silence(all),
            channels: channels(all),
            subtitles: shown.subtitles.then(|| SubtitlesBody::of(all)),
        }
    }
}

fn dropped(dropped: &DroppedSegment) -> DroppedBody<'_> {
    let segment = &dropped.segment;
    DroppedBody {
        reason: dropped.reason.as_str(),
        score: rounded(f64::from(dropped.score)),
        start: rounded(segment.start),
        end: rounded(segment.end),
        text: &segment.text,
        avg_logprob: rounded(f64::from(segment.avg_logprob)),
        compression_ratio: rounded(f64::from(segment.compression_ratio)),
        no_speech_prob: rounded(f64::from(segment.no_speech_prob)),
    }
}

fn word(word: &Word) -> WordBody<'_> {
    WordBody {
        word: &word.word,
        start: rounded(word.start),
        end: rounded(word.end),
        probability: rounded(f64::from(word.probability)),
        speaker: word.speaker.as_deref(),
    }
}

/// Answer of `/detect-language`.
#[derive(Serialize)]
pub struct LanguagesBody<'a> {
    detected_language: &'a str,
    confidence: f64,
    top_languages: Vec<LanguageBody<'a>>,
}

#[derive(Serialize)]
struct LanguageBody<'a> {
    language: &'a str,
    probability: f64,
}

impl<'a> LanguagesBody<'a> {
    /// Nothing without scores. `scores` come best first.
    pub fn new(scores: &'a [LanguageScore]) -> Option<Self> {
        let language = |s: &'a LanguageScore| LanguageBody {
            language: &s.language,
            probability: rounded(f64::from(s.probability)),
        };
        let best = language(scores.first()?);
        Some(Self {
            detected_language: best.language,
            confidence: best.probability,
            top_languages: scores.iter().take(TOP_LANGUAGES).map(language).collect(),
        })
    }
}

/// One message of `/ws/transcribe`.
#[derive(Serialize)]
pub struct LiveBody<'a> {
    /// Text of this piece; empty for silence.
    pub text: &'a str,
    /// Its language; empty when there was nothing to tell it from.
    pub language: &'a str,
    /// Whether the text will not change; always true.
    pub is_final: bool,
}

/// To thousandths: finer than any model's times, and free of the noise of binary fractions. What is
/// not a number becomes 0: a deployed speaker-assigner may write anything, and clients expect
/// numbers.
fn rounded(value: f64) -> f64 {
    let rounded = (value * 1000.0).round() / 1000.0;
    if rounded.is_finite() { rounded } else { 0.0 }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use auricle_speech::DropReason;

    use super::*;

    fn segment() -> Segment {
        Segment {
            id: 0,
            start: 0.0,
            end: 1.199_999_9,
            text: "Hello \"you\".".to_owned(),
            tokens: vec![1],
            logprobs: Vec::new(),
            temperature: 0.0,
            avg_logprob: -0.2,
            compression_ratio: 1.0,
            no_speech_prob: 0.0,
            words: vec![Word {
                word: "Hello".to_owned(),
                start: 0.1,
                end: 0.5,
                probability: 0.9,
                speaker: None,
            }],
            speaker: None,
            channel: None,
            language: None,
        }
    }

    fn json(words: bool, dropped: Vec<DroppedSegment>) -> String {
        let all = Transcript {
            language: Language::ENGLISH,
            languages: Vec::new(),
            segments: vec![segment()],
            dropped,
            silence: Vec::new(),
            speakers: Vec::new(),
            channels: Vec::new(),
            duration_secs: 1.5,
        };
        let took = Duration::from_millis(250);
        let shown = Shown {
            words,
            subtitles: false,
        };
        serde_json::to_string(&TranscriptBody::new(&all, took, shown)).unwrap()
    }

    #[test]
    fn what_was_left_out_is_told_with_its_reason() {
        let dropped = DroppedSegment {
            segment: segment(),
            reason: DropReason::NoVoice,
            score: 0.0421,
        };
        assert!(json(false, vec![dropped]).contains(
            r#""x_dropped":[{"reason":"no_voice","score":0.042,"start":0.0,"end":1.2,"text":"#
        ));
    }

    #[test]
    fn the_transcript_has_the_tutorials_fields() {
        assert_eq!(
            json(false, Vec::new()),
            r#"{"text":"Hello \"you\".","language":"en","duration":0.25,"audio_duration":1.5,"segments":[{"id":0,"start":0.0,"end":1.2,"text":"Hello \"you\".","speaker":null}],"speakers":[]}"#
        );
    }

    #[test]
    fn words_are_there_when_they_were_asked_for() {
        assert!(
            json(true, Vec::new())
                .contains(r#""words":[{"word":"Hello","start":0.1,"end":0.5,"probability":0.9}]"#)
        );
    }

    #[test]
    fn what_is_not_a_number_is_written_as_0() {
        for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX] {
            assert_eq!(rounded(odd), 0.0, "{odd}");
        }
    }

    #[test]
    fn five_languages_are_named_and_none_is_no_answer() {
        let scores: Vec<_> = (0..9)
            .map(|i| LanguageScore {
                language: format!("l{i}"),
                probability: 0.5,
            })
            .collect();
        let body = LanguagesBody::new(&scores).unwrap();
        assert_eq!(
            (body.detected_language, body.top_languages.len()),
            ("l0", 5)
        );
        assert!(LanguagesBody::new(&[]).is_none());
    }
}
