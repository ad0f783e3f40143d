//! Samples of any rate and layout become 16 kHz mono clips.
//!
//! [`ClipBuilder`] takes what a decoder makes of a file, [`ChannelsBuilder`] the same with a clip for
//! each channel, [`PcmRecorder`] what a live session sends.
//! Both live as long as their clip grows. Memory is the clip itself (64 kB per second, reserved before
//! it grows) and a megabyte besides. Decoding is not here: files are decoded in a sandbox, by
//! the decoder component.

mod builder;
mod channels;
mod error;
mod growth;
mod mix;
mod recorder;
mod resample;
pub mod wav;

use std::time::Duration;

pub use crate::builder::ClipBuilder;
pub use crate::channels::ChannelsBuilder;
pub use crate::error::AudioError;
pub use crate::recorder::PcmRecorder;

/// What a file may hold; anything over it is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Longest clip, counted in samples that were decoded; all channels together where they are kept
    /// apart. Default: 4 hours (0.9 GB of samples).
    pub max_duration: Duration,
    /// Most channels. Default: 8, a 7.1 recording.
    pub max_channels: u16,
    /// Lowest sample rate in Hz. Default: 8000, telephony.
    pub min_rate: u32,
    /// Highest sample rate in Hz. Default: 192 000, the highest of studio hardware.
    pub max_rate: u32,
    /// Largest file in bytes of a container that must be kept for seeking (MP4, CAF). Default:
    /// 2 GiB, an hour of video.
    pub max_spool_bytes: u64,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self {
            max_duration: Duration::from_secs(4 * 60 * 60),
            max_channels: 8,
            min_rate: 8_000,
            max_rate: 192_000,
            max_spool_bytes: 2 << 30,
        }
    }
}

impl DecodeLimits {
    fn check_layout(&self, channels: u64, rate_hz: u32) -> Result<(), AudioError> {
        if !(1..=u64::from(self.max_channels)).contains(&channels) {
            return Err(AudioError::TooManyChannels {
                channels,
                max: self.max_channels,
            });
        }
        // A rate of 0 is never allowed, whatever the limits say.
        if !(self.min_rate.max(1)..=self.max_rate).contains(&rate_hz) {
            return Err(AudioError::BadRate {
                rate_hz,
                min_hz: self.min_rate,
                max_hz: self.max_rate,
            });
        }
        Ok(())
    }
}
