//! What a caller asks of a transcription.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::audio::Clip;
use crate::language::{ChineseScript, Language};

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
    /// The spoken language; `None` has the model detect that of each chunk.
    pub language: Option<Language>,
    /// The candidates of the detection; empty means all languages. They do not count where `language`
    /// is there.
    pub languages: Vec<Language>,
    /// The script of Chinese text; `None` is that of the transcript's first segment that tells.
    pub script: Option<ChineseScript>,
    /// How the clip is to be cut; `None` is the deployment's way.
    pub chunking: Option<VoiceOptions>,
    /// How to decode.
    pub decode: DecodeOptions,
    /// How to find out who spoke; `None` leaves it out.
    pub diarize: Option<SpeakerOptions>,
}

/// How a client wants voice activity to cut its clip; what is `None` is the chunker's to choose.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct VoiceOptions {
    /// Probability with which speech begins, 0.0..=1.0.
    pub threshold: Option<f32>,
    /// Kept before speech; at most [`VoiceOptions::MAX_PREFIX_PADDING`].
    pub prefix_padding: Option<Duration>,
    /// Silence that ends a chunk; at most [`VoiceOptions::MAX_SILENCE_DURATION`].
    pub silence_duration: Option<Duration>,
}

impl VoiceOptions {
    /// What is kept before speech at most: as much as a chunker may be configured to keep.
    pub const MAX_PREFIX_PADDING: Duration = Duration::from_secs(5);

    /// The silence that ends a chunk at most: a chunk is no longer.
    pub const MAX_SILENCE_DURATION: Duration = Duration::from_secs(30);
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
    /// Words and phrases that are likely to be said, as they are spelled. At most 100 tokens of them
    /// are used, the first ones, and that much less of the prompt.
    pub keywords: Vec<String>,
    /// First sampling temperature, 0.0..=1.0. At 0.0 decoding is greedy (or beam search) and climbs
    /// by 0.2 while a fallback threshold is exceeded; above 0.0 it is taken as given.
    pub temperature: f32,
    /// Width of the beam search at temperature 0; 1 is greedy. 1..=8 (whisper.cpp's decoders).
    pub beam_size: u8,
    /// Whether each word gets a time and a probability.
    pub word_timestamps: bool,
    /// Whether segments have the probabilities of their tokens.
    pub logprobs: bool,
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
            keywords: Vec::new(),
            temperature: 0.0,
            beam_size: 1,
            word_timestamps: false,
            logprobs: false,
            compression_ratio_threshold: 2.4,
            logprob_threshold: -1.0,
            no_speech_threshold: 0.6,
        }
    }
}
