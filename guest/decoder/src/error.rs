//! Why a file did not become a clip.

use crate::out::Refusal;

/// What is read, as told to clients.
const READABLE: &str = "WAV, FLAC, MP3, M4A or MP4 (AAC, ALAC), AAC, Ogg (Opus, Vorbis, FLAC), WebM or Matroska, AIFF or \
     CAF; other files can be converted, for example with `ffmpeg -i input -ac 1 -ar 16000 output.wav`";

/// Why there is no clip. The texts are fit to be shown to the API's client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// There was not one byte.
    #[error("the audio is empty; send the bytes of an audio file")]
    Empty,
    /// Audio of a kind that is not decoded, or no audio at all.
    #[error("{0}")]
    Unsupported(String),
    /// Audio of a known kind in which nothing can be decoded.
    #[error("{0}")]
    Undecodable(String),
    /// The source or the sink wants no more; it knows why.
    #[error("the decoder was stopped")]
    Stopped,
}

impl DecodeError {
    pub(crate) fn not_audio() -> Self {
        Self::Unsupported(format!(
            "the data is not audio of a known kind; send {READABLE}"
        ))
    }

    pub(crate) fn unsupported(what: impl std::fmt::Display) -> Self {
        Self::Unsupported(format!("{what} is not supported; send {READABLE}"))
    }

    pub(crate) fn undecodable(reason: impl std::fmt::Display) -> Self {
        Self::Undecodable(format!(
            "the audio cannot be decoded ({reason}); check that the file plays and is complete"
        ))
    }
}

impl From<Refusal> for DecodeError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unfit(text) => Self::Undecodable(text),
            Refusal::Stopped => Self::Stopped,
        }
    }
}
