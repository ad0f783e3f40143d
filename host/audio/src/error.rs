//! Why audio was refused.

use auricle_speech::ReserveError;

/// Why samples were not taken. The messages are fit to be shown to the API's client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AudioError {
    /// There is more decoded audio than [`DecodeLimits::max_duration`](crate::DecodeLimits).
    #[error("the audio is longer than {max_secs} seconds; cut it into shorter files")]
    TooLong {
        /// The limit in seconds.
        max_secs: u64,
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
    /// Weights of channels that are not in 0.0..=1.0, or are all 0.
    #[error("the audio's channels cannot be mixed; mix it down first")]
    BadWeights,
    /// The number of channels changes in the middle, and they were to be kept apart.
    #[error(
        "the number of channels changes from {from} to {to} within the audio, so that they cannot be told \
             apart; convert it, or leave 'multichannel' out"
    )]
    ChannelsChange {
        /// Channels at first.
        from: usize,
        /// Channels then.
        to: usize,
    },
    /// The clip's memory was not reserved.
    #[error(transparent)]
    Memory(#[from] ReserveError),
    /// The system gave no memory, although it was reserved.
    #[error("the server is out of memory: try again later")]
    OutOfMemory,
    /// The resampler refuses its own measures, a fault of this program.
    #[error("the audio cannot be resampled")]
    Resample {
        /// What it says.
        reason: String,
    },
}

impl AudioError {
    /// Whether the layout of the samples was refused, and samples of another may be taken.
    #[must_use]
    pub fn is_about_layout(&self) -> bool {
        matches!(
            self,
            Self::TooManyChannels { .. } | Self::BadRate { .. } | Self::BadWeights
        )
    }

    pub(crate) fn resample(reason: impl std::fmt::Display) -> Self {
        Self::Resample {
            reason: reason.to_string(),
        }
    }
}
