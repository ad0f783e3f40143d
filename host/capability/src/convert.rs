//! Between the words of the WIT packages and those of the speech crate. One function a type.

use std::time::Duration;

use auricle_speech::{
    DropReason, DroppedSegment, LanguageTag, Segment, Silence, SilenceReason, Span, Task,
    TokenLogprob, Turn, VoiceOptions, Word,
};

use crate::bindings::imports::auricle::audio::types::Span as WitSpan;
use crate::bindings::imports::auricle::speech::types as wit;
use crate::services::SpeechError;

pub(crate) fn segment_to_wit(segment: Segment) -> wit::Segment {
    wit::Segment {
        id: segment.id,
        start: segment.start,
        end: segment.end,
        text: segment.text,
        tokens: segment.tokens,
        logprobs: segment.logprobs.into_iter().map(token_to_wit).collect(),
        temperature: segment.temperature,
        avg_logprob: segment.avg_logprob,
        compression_ratio: segment.compression_ratio,
        no_speech_prob: segment.no_speech_prob,
        words: segment.words.into_iter().map(word_to_wit).collect(),
        speaker: segment.speaker,
        language: segment.language.map(String::from),
    }
}

pub(crate) fn segment_from_wit(segment: wit::Segment) -> Segment {
    Segment {
        id: segment.id,
        start: segment.start,
        end: segment.end,
        text: segment.text,
        tokens: segment.tokens,
        logprobs: segment.logprobs.into_iter().map(token_from_wit).collect(),
        temperature: segment.temperature,
        avg_logprob: segment.avg_logprob,
        compression_ratio: segment.compression_ratio,
        no_speech_prob: segment.no_speech_prob,
        words: segment.words.into_iter().map(word_from_wit).collect(),
        speaker: segment.speaker,
        channel: None,
        // A component may have written anything.
        language: segment.language.and_then(|code| code.parse().ok()),
    }
}

pub(crate) fn silence_to_wit(silence: Silence) -> wit::Silence {
    wit::Silence {
        start: silence.start,
        end: silence.end,
        reason: match silence.reason {
            SilenceReason::NoVoice => wit::SilenceReason::NoVoice,
        },
    }
}

pub(crate) fn dropped_to_wit(dropped: DroppedSegment) -> wit::DroppedSegment {
    wit::DroppedSegment {
        segment: segment_to_wit(dropped.segment),
        reason: match dropped.reason {
            DropReason::Repetition => wit::DropReason::Repetition,
            DropReason::NoSpeech => wit::DropReason::NoSpeech,
            DropReason::NoVoice => wit::DropReason::NoVoice,
        },
        score: dropped.score,
    }
}

fn token_to_wit(token: TokenLogprob) -> wit::TokenLogprob {
    wit::TokenLogprob {
        token: token.token,
        logprob: token.logprob,
    }
}

fn token_from_wit(token: wit::TokenLogprob) -> TokenLogprob {
    TokenLogprob {
        token: token.token,
        logprob: token.logprob,
    }
}

fn word_to_wit(word: Word) -> wit::Word {
    wit::Word {
        word: word.word,
        start: word.start,
        end: word.end,
        probability: word.probability,
        speaker: word.speaker,
    }
}

fn word_from_wit(word: wit::Word) -> Word {
    Word {
        word: word.word,
        start: word.start,
        end: word.end,
        probability: word.probability,
        speaker: word.speaker,
    }
}

pub(crate) fn turn_to_wit(turn: Turn) -> wit::Turn {
    wit::Turn {
        speaker: turn.speaker,
        start: turn.start,
        end: turn.end,
    }
}

pub(crate) fn voice_options_to_wit(options: VoiceOptions) -> wit::VoiceOptions {
    let millis = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
    wit::VoiceOptions {
        threshold: options.threshold,
        prefix_padding_ms: options.prefix_padding.map(millis),
        silence_duration_ms: options.silence_duration.map(millis),
    }
}

pub(crate) fn voice_options_from_wit(
    options: wit::VoiceOptions,
) -> Result<VoiceOptions, SpeechError> {
    let time = |millis: u32| Duration::from_millis(u64::from(millis));
    let options = VoiceOptions {
        threshold: options.threshold,
        prefix_padding: options.prefix_padding_ms.map(time),
        silence_duration: options.silence_duration_ms.map(time),
    };
    let wrong = if options.threshold.is_some_and(|t| !(0.0..=1.0).contains(&t)) {
        "'threshold' must be from 0 to 1"
    } else if options.prefix_padding > Some(VoiceOptions::MAX_PREFIX_PADDING) {
        "'prefix_padding_ms' must be from 0 to 5000"
    } else if options.silence_duration > Some(VoiceOptions::MAX_SILENCE_DURATION) {
        "'silence_duration_ms' must be from 0 to 30000"
    } else {
        return Ok(options);
    };
    Err(SpeechError::InvalidOption(wrong.into()))
}

pub(crate) fn span_from_wit(span: WitSpan) -> Span {
    Span {
        start: span.start,
        end: span.end,
    }
}

pub(crate) fn task_from_wit(task: wit::Task) -> Task {
    match task {
        wit::Task::Transcribe => Task::Transcribe,
        wit::Task::Translate => Task::Translate,
    }
}

pub(crate) fn language_from_wit(code: &str) -> Result<LanguageTag, SpeechError> {
    code.parse()
        .map_err(|_| SpeechError::UnknownLanguage(code.to_owned()))
}

pub(crate) fn error_to_wit(error: SpeechError) -> wit::SpeechError {
    match error {
        SpeechError::UnknownModel(name) => wit::SpeechError::UnknownModel(name),
        SpeechError::UnknownLanguage(code) => wit::SpeechError::UnknownLanguage(code),
        SpeechError::InvalidOption(text) => wit::SpeechError::InvalidOption(text),
        SpeechError::Unavailable(text) => wit::SpeechError::Unavailable(text),
        SpeechError::Overloaded { retry_after_secs } => {
            wit::SpeechError::Overloaded(retry_after_secs)
        }
        SpeechError::OverLimit { retry_after_secs } => {
            wit::SpeechError::OverLimit(retry_after_secs)
        }
        SpeechError::DeadlineExceeded => wit::SpeechError::DeadlineExceeded,
        SpeechError::ComponentFailed => wit::SpeechError::ComponentFailed,
        SpeechError::Internal => wit::SpeechError::Other(None),
    }
}
