//! Between the words of the WIT packages and those of the speech crate. One function a type.

use auricle_speech::{DropReason, DroppedSegment, Language, Segment, Span, Task, Turn, Word};

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
        temperature: segment.temperature,
        avg_logprob: segment.avg_logprob,
        compression_ratio: segment.compression_ratio,
        no_speech_prob: segment.no_speech_prob,
        words: segment.words.into_iter().map(word_to_wit).collect(),
        speaker: segment.speaker,
    }
}

pub(crate) fn segment_from_wit(segment: wit::Segment) -> Segment {
    Segment {
        id: segment.id,
        start: segment.start,
        end: segment.end,
        text: segment.text,
        tokens: segment.tokens,
        temperature: segment.temperature,
        avg_logprob: segment.avg_logprob,
        compression_ratio: segment.compression_ratio,
        no_speech_prob: segment.no_speech_prob,
        words: segment.words.into_iter().map(word_from_wit).collect(),
        speaker: segment.speaker,
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

pub(crate) fn language_from_wit(code: &str) -> Result<Language, SpeechError> {
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
