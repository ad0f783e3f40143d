//! Decoded samples in, a clip of each channel out.
//!
//! Lives for one decoding. Every channel counts: together they may be as long as one clip, so that a
//! file with more of them holds no more memory and gets no more computing.

use std::time::Duration;

use auricle_speech::{Clip, MemoryReservation};

use crate::DecodeLimits;
use crate::builder::ClipBuilder;
use crate::error::AudioError;
use crate::growth::Growth;

/// Collects the channels of one file.
pub struct ChannelsBuilder {
    limits: DecodeLimits,
    /// One for each channel, from the first samples on.
    channels: Vec<ClipBuilder>,
    /// The samples of one channel on their way.
    one: Vec<f32>,
    /// Where the clips' memory comes from.
    growth: Growth,
}

impl ChannelsBuilder {
    /// No channel yet; all of them together stay within `limits`.
    #[must_use]
    pub fn new(limits: DecodeLimits) -> Self {
        Self {
            limits,
            channels: Vec::new(),
            one: Vec::new(),
            growth: Growth::default(),
        }
    }

    /// Takes the clips' memory from the account of `reservation`, one reservation for each clip.
    #[must_use]
    pub fn reserving(mut self, reservation: Box<dyn MemoryReservation>) -> Self {
        self.growth = Growth::new(reservation);
        self
    }

    /// Playing time of what was added, of all channels together.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.channels.iter().map(ClipBuilder::duration).sum()
    }

    /// Adds interleaved samples of so many channels, which stay as many; without samples it says
    /// whether such would be taken.
    ///
    /// # Errors
    /// [`AudioError::TooManyChannels`] and [`AudioError::BadRate`], after which other samples may come;
    /// [`AudioError::TooLong`], [`AudioError::ChannelsChange`], [`AudioError::Memory`].
    pub fn push(
        &mut self,
        interleaved: &[f32],
        channels: usize,
        rate_hz: u32,
    ) -> Result<(), AudioError> {
        self.limits.check_layout(channels as u64, rate_hz)?;
        if interleaved.is_empty() {
            return Ok(());
        }
        if self.channels.is_empty() {
            let share = DecodeLimits {
                max_duration: self.limits.max_duration / u32::try_from(channels).unwrap_or(1),
                ..self.limits.clone()
            };
            for _ in 0..channels {
                let builder = ClipBuilder::new(share.clone()).growing(self.growth.sibling());
                self.channels.push(builder);
            }
        }
        if self.channels.len() != channels {
            return Err(AudioError::ChannelsChange {
                from: self.channels.len(),
                to: channels,
            });
        }
        for (number, builder) in self.channels.iter_mut().enumerate() {
            self.one.clear();
            let frames = interleaved.chunks_exact(channels);
            self.one
                .extend(frames.filter_map(|frame| frame.get(number)));
            builder
                .push(&self.one, &[1.0], rate_hz)
                .map_err(|error| match error {
                    AudioError::TooLong { .. } => AudioError::TooLong {
                        max_secs: self.limits.max_duration.as_secs(),
                    },
                    error => error,
                })?;
        }
        Ok(())
    }

    /// The clips, all equally long; a single empty one of a file without samples.
    ///
    /// # Errors
    /// [`AudioError::Resample`], a fault of this program.
    pub fn finish(mut self) -> Result<Vec<Clip>, AudioError> {
        if self.channels.is_empty() {
            self.channels.push(ClipBuilder::new(self.limits));
        }
        self.channels.into_iter().map(ClipBuilder::finish).collect()
    }
}
