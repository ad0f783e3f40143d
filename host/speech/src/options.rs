//! What a caller asks of a transcription.

use serde::{Deserialize, Serialize};

use crate::audio::Clip;
use crate::language::Language;

/// What to make of the speech.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Text in the language that was spoken.
    #[default]
    Transcribe,
    /// Text in English.
    Translate,
}

impl Task {
    /// `transcribe` or `translate`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transcribe => "transcribe",
            Self::Translate => "translate",
        }
    }
}

impl std::str::FromStr for Task {
    type Err = UnknownTask;

    fn from_str(text: &str) -> Result<Self, UnknownTask> {
        match text {
            "transcribe" => Ok(Self::Transcribe),
            "translate" => Ok(Self::Translate),
            other => Err(UnknownTask(other.to_owned())),
        }
    }
}

/// A task that is neither `transcribe` nor `translate`.
#[derive(Debug, thiserror::Error)]
#[error("unknown task '{0}': use 'transcribe' or 'translate'")]
pub struct UnknownTask(pub String);

/// A request for a transcript of one clip.
#[derive(Clone, Debug, Default)]
pub struct TranscribeOptions {
    /// Model name; `None` is the server's default model.
    pub model: Option<String>,
    /// The spoken language; `None` has the model detect it.
    pub language: Option<Language>,
    /// How to decode.
    pub decode: DecodeOptions,
    /// How to find out who spoke; `None` leaves it out.
    pub diarize: Option<SpeakerOptions>,
}

/// Who may be speaking in a clip. The default is an unknown number of unknown speakers.
#[derive(Clone, Debug, Default)]
pub struct SpeakerOptions {
    /// Exactly so many speakers, where there are as many different voices; at least 1.
    pub num_speakers: Option<u32>,
    /// At least so many, where there are as many different voices; at least 1.
    pub min_speakers: Option<u32>,
    /// At most so many; at least 1.
    pub max_speakers: Option<u32>,
    /// Voices with names. Who is none of them gets a label like `SPEAKER_00`.
    pub known: Vec<KnownVoice>,
}

/// A speaker by name and by how they sound.
#[derive(Clone, Debug)]
pub struct KnownVoice {
    /// The label that this speaker gets.
    pub name: String,
    /// The speaker alone, some seconds of speech.
    pub clip: Clip,
}

/// How a span is decoded. Plain data: it can cross a process boundary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DecodeOptions {
    /// Transcribe or translate.
    pub task: Task,
    /// Text that the model takes as if it had preceded the clip: names, spelling, style. At most
    /// half of the model's text window (224 tokens) is used, the end of it.
    pub prompt: Option<String>,
    /// First sampling temperature, 0.0..=1.0. At 0.0 decoding is greedy (or beam search) and climbs
    /// by 0.2 while a fallback threshold is exceeded; above 0.0 it is taken as given.
    pub temperature: f32,
    /// Width of the beam search at temperature 0; 1 is greedy. 1..=8 (whisper.cpp's decoders).
    pub beam_size: u8,
    /// Whether each word gets a time and a probability.
    pub word_timestamps: bool,
    /// Text that compresses better than this has run into a repetition: try a higher temperature
    /// (Whisper's 2.4).
    pub compression_ratio_threshold: f32,
    /// A mean log-probability below this means a failed decoding: try a higher temperature
    /// (Whisper's -1.0).
    pub logprob_threshold: f32,
    /// A no-speech probability above this, together with a mean log-probability below
    /// `logprob_threshold`, means silence: no text (Whisper's 0.6).
    pub no_speech_threshold: f32,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self {
            task: Task::Transcribe,
            prompt: None,
            temperature: 0.0,
            beam_size: 1,
            word_timestamps: false,
            compression_ratio_threshold: 2.4,
            logprob_threshold: -1.0,
            no_speech_threshold: 0.6,
        }
    }
}
