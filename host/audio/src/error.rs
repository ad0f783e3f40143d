//! Why audio was refused or could not be decoded.

use std::io;

/// What the decoder reads, as told to clients.
const READABLE: &str = "WAV, FLAC, MP3, M4A or MP4 (AAC, ALAC), AAC, Ogg Vorbis, AIFF or CAF; other files can be \
     converted, for example with `ffmpeg -i input -ac 1 -ar 16000 output.wav`";

/// Why there is no clip.
///
/// The messages hold no paths and are fit to be shown to the API's client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AudioError {
    /// There was not one byte.
    #[error("the audio is empty; send the bytes of an audio file")]
    Empty,
    /// Nothing in the data is known as audio.
    #[error("the data is not audio of a known kind; send {READABLE}")]
    NotAudio,
    /// Audio of a kind that this crate does not decode.
    #[error("{what} is not supported; send {READABLE}")]
    Unsupported {
        /// The format or codec, as a noun phrase.
        what: String,
    },
    /// Audio of a known kind in which nothing can be decoded.
    #[error("the audio cannot be decoded ({reason}); check that the file plays and is complete")]
    Undecodable {
        /// What is wrong with it.
        reason: String,
    },
    /// There is more decoded audio than [`DecodeLimits::max_duration`](crate::DecodeLimits).
    #[error("the audio is longer than {max_secs} seconds; cut it into shorter files")]
    TooLong {
        /// The limit in seconds.
        max_secs: u64,
    },
    /// A file that must be read as a whole is larger than
    /// [`DecodeLimits::max_spool_bytes`](crate::DecodeLimits).
    #[error("the file is larger than {max_bytes} bytes; send its audio track alone")]
    TooLarge {
        /// The limit in bytes.
        max_bytes: u64,
    },
    /// More channels than [`DecodeLimits::max_channels`](crate::DecodeLimits), or none.
    #[error("the audio has {channels} channels where 1 to {max} are allowed; mix it down first")]
    TooManyChannels {
        /// What the file claims.
        channels: u64,
        /// The limit.
        max: u16,
    },
    /// A sample rate outside of what [`DecodeLimits`](crate::DecodeLimits) allows.
    #[error("the sample rate is {rate_hz} Hz where {min_hz} to {max_hz} Hz are allowed; resample")]
    BadRate {
        /// What the file claims, in Hz.
        rate_hz: u32,
        /// Lowest rate allowed, in Hz.
        min_hz: u32,
        /// Highest rate allowed, in Hz.
        max_hz: u32,
    },
    /// The source of the bytes failed: a connection that broke, a disk that cannot be read.
    #[error("the audio broke off while it was read; send it again")]
    Read(#[source] io::Error),
    /// The temporary file for a container that needs seeking cannot be written.
    #[error("the server has no room to keep the upload for now; try again later")]
    Spool(#[source] io::Error),
    /// The caller asked to stop.
    #[error("decoding was cancelled")]
    Cancelled,
}

impl AudioError {
    /// Whether the same bytes would be refused again: the client must send something else.
    ///
    /// False for a broken stream, a full disk and a cancellation.
    #[must_use]
    pub fn is_client_fault(&self) -> bool {
        !matches!(self, Self::Read(_) | Self::Spool(_) | Self::Cancelled)
    }

    pub(crate) fn undecodable(reason: impl Into<String>) -> Self {
        Self::Undecodable {
            reason: reason.into(),
        }
    }

    pub(crate) fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported { what: what.into() }
    }
}
