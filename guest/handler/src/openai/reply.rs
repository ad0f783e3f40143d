//! The bodies of whole answers.

use auricle_formats::{
    Plain, Verbose, diarized_json, json, srt, text, translation_json, verbose_json, vtt,
};
use auricle_guest::http::Response;
use auricle_guest::speech::{self, DropReason, SilenceReason, Task};
use auricle_guest::transcriber::Collected;
use auricle_speech::{self as plain, Transcript};

use crate::openai::asked::{Asked, Format};

/// The answer in the format that was asked for.
pub fn whole(transcript: &Transcript, asked: &Asked) -> Response {
    let (kind, body) = match asked.format {
        Format::Json => match asked.task {
            Task::Transcribe => {
                let parts = Plain {
                    billing: asked.billing(),
                    languages: asked.tells_languages(),
                    logprobs: asked.logprobs,
                };
                (JSON, json(transcript, parts))
            }
            Task::Translate => (JSON, translation_json(transcript)),
        },
        Format::VerboseJson => {
            let parts = Verbose {
                task: match asked.task {
                    Task::Transcribe => plain::Task::Transcribe,
                    Task::Translate => plain::Task::Translate,
                },
                segments: asked.segments,
                words: asked.words,
            };
            (JSON, verbose_json(transcript, parts))
        }
        Format::DiarizedJson => (JSON, diarized_json(transcript, asked.billing())),
        Format::Text => (TEXT, text(transcript) + "\n"),
        Format::Srt => (TEXT, srt(transcript, &asked.subtitles)),
        Format::Vtt => ("text/vtt; charset=utf-8", vtt(transcript, &asked.subtitles)),
    };
    Response::new(200).with_body(kind, body.into_bytes())
}

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// What speakers are called.
pub enum Labels {
    /// As the server labels them.
    Kept,
    /// As OpenAI's API has them: known names, else letters.
    Lettered {
        /// The names of known speakers.
        known: Vec<String>,
        /// Labels met so far, with their letters.
        met: Vec<(String, String)>,
    },
}

impl Labels {
    /// Letters for all but the names `known`.
    pub fn lettered(known: Vec<String>) -> Self {
        Self::Lettered {
            known,
            met: Vec::new(),
        }
    }

    fn of(&mut self, label: Option<String>) -> Option<String> {
        match self {
            Self::Kept => label,
            Self::Lettered { known, met } => {
                label.map(|label| auricle_formats::lettered(&label, known, met))
            }
        }
    }

    /// A segment as the renderers take it.
    pub fn segment(&mut self, segment: speech::Segment) -> plain::Segment {
        plain::Segment {
            id: segment.id,
            start: segment.start,
            end: segment.end,
            text: segment.text,
            tokens: segment.tokens,
            logprobs: segment.logprobs.into_iter().map(token).collect(),
            temperature: segment.temperature,
            avg_logprob: segment.avg_logprob,
            compression_ratio: segment.compression_ratio,
            no_speech_prob: segment.no_speech_prob,
            words: segment.words.into_iter().map(|w| self.word(w)).collect(),
            speaker: self.of(segment.speaker),
            channel: None,
            language: language(segment.language),
        }
    }

    fn word(&mut self, word: speech::Word) -> plain::Word {
        plain::Word {
            word: word.word,
            start: word.start,
            end: word.end,
            probability: word.probability,
            speaker: self.of(word.speaker),
        }
    }
}

/// The language of a code that a component may have written.
fn language(code: Option<String>) -> Option<plain::Language> {
    code?.parse().ok()
}

fn silence(silence: speech::Silence) -> plain::Silence {
    plain::Silence {
        start: silence.start,
        end: silence.end,
        reason: match silence.reason {
            SilenceReason::NoVoice => plain::SilenceReason::NoVoice,
        },
        channel: None,
    }
}

fn token(token: speech::TokenLogprob) -> plain::TokenLogprob {
    plain::TokenLogprob {
        token: token.token,
        logprob: token.logprob,
    }
}

/// A transcript as the renderers take it.
pub fn transcript(all: Collected, labels: &mut Labels) -> Transcript {
    let summary = all.summary;
    let speakers = summary.speakers.into_iter();
    Transcript {
        language: summary.language.parse().unwrap_or(plain::Language::ENGLISH),
        languages: summary
            .languages
            .iter()
            .flat_map(|code| code.parse())
            .collect(),
        speakers: speakers
            .filter_map(|label| labels.of(Some(label)))
            .collect(),
        segments: all
            .segments
            .into_iter()
            .map(|s| labels.segment(s))
            .collect(),
        dropped: all
            .dropped
            .into_iter()
            .map(|dropped| plain::DroppedSegment {
                segment: labels.segment(dropped.segment),
                reason: match dropped.reason {
                    DropReason::Repetition => plain::DropReason::Repetition,
                    DropReason::NoSpeech => plain::DropReason::NoSpeech,
                    DropReason::NoVoice => plain::DropReason::NoVoice,
                },
                score: dropped.score,
            })
            .collect(),
        silence: all.silence.into_iter().map(silence).collect(),
        channels: Vec::new(),
        duration_secs: summary.duration,
    }
}
