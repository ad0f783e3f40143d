//! `auricle:audio/samples`: where a decoder's samples go.
//!
//! Owned by the decoder's store. Mixing and resampling is done here and not in the sandbox: it is
//! the same for every decoder, twice as fast, and what is counted is what the clip really holds.
//! The decoder is charged for it, because it runs within its call.

use std::time::Duration;

use auricle_audio::{AudioError, ChannelsBuilder, ClipBuilder, DecodeLimits};
use auricle_speech::Clip;
use auricle_tenancy::Reservation;

use crate::bindings::decoder::auricle::audio::samples::{Host, PushError};
use crate::decoding::{Channels, MediaError};
use crate::state::GuestState;

/// When to come back after the system itself had no memory: about one request's length.
const NO_MEMORY_RETRY_SECS: u32 = 5;

/// A decoder's clip, or clips.
pub(crate) struct HostClip {
    builder: Builder,
    /// Why it can grow no more.
    over: Option<AudioError>,
}

enum Builder {
    Mixed(Box<ClipBuilder>),
    Apart(ChannelsBuilder),
}

impl HostClip {
    /// A clip, or clips, that take their memory from the account of `reservation`.
    pub(crate) fn new(limits: DecodeLimits, channels: Channels, reservation: Reservation) -> Self {
        let reservation = Box::new(reservation);
        Self {
            builder: match channels {
                Channels::Mixed => {
                    let clip = ClipBuilder::new(limits).reserving(reservation);
                    Builder::Mixed(Box::new(clip))
                }
                Channels::Apart => {
                    Builder::Apart(ChannelsBuilder::new(limits).reserving(reservation))
                }
            },
            over: None,
        }
    }

    /// Playing time of what was pushed, all channels that are kept apart together.
    pub(crate) fn duration(&self) -> Duration {
        match &self.builder {
            Builder::Mixed(clip) => clip.duration(),
            Builder::Apart(channels) => channels.duration(),
        }
    }

    fn push(&mut self, samples: &[f32], weights: &[f32], rate_hz: u32) -> Result<(), PushError> {
        if self.over.is_some() {
            return Err(PushError::Full);
        }
        let pushed = match &mut self.builder {
            Builder::Mixed(clip) => clip.push(samples, weights, rate_hz),
            Builder::Apart(channels) => channels.push(samples, weights.len(), rate_hz),
        };
        pushed.map_err(|error| {
            if error.is_about_layout() {
                return PushError::Unfit(error.to_string());
            }
            self.over = Some(error);
            PushError::Full
        })
    }

    /// Why the clip went over a limit, whatever the decoder made of it.
    pub(crate) fn refusal(&self) -> Option<MediaError> {
        self.over.as_ref().map(media_error)
    }

    /// The clips of all that was pushed; a single one where channels are mixed.
    pub(crate) fn finish(self) -> Result<Vec<Clip>, MediaError> {
        let finished = match self.builder {
            Builder::Mixed(clip) => clip.finish().map(|clip| vec![clip]),
            Builder::Apart(channels) => channels.finish(),
        };
        finished.map_err(|error| media_error(&error))
    }
}

fn media_error(error: &AudioError) -> MediaError {
    match error {
        AudioError::TooLong { max_secs } => MediaError::TooLong {
            max_secs: *max_secs,
        },
        AudioError::Memory(error) => (*error).into(),
        AudioError::OutOfMemory => MediaError::Overloaded {
            retry_after_secs: NO_MEMORY_RETRY_SECS,
        },
        AudioError::ChannelsChange { .. } => MediaError::Undecodable(error.to_string()),
        error => {
            tracing::error!(%error, "samples were not taken");
            MediaError::Internal
        }
    }
}

impl Host for GuestState {
    fn push(
        &mut self,
        samples: Vec<f32>,
        weights: Vec<f32>,
        rate: u32,
    ) -> wasmtime::Result<Result<(), PushError>> {
        let clip = self.clip()?;
        let before = clip.duration();
        let pushed = clip.push(&samples, &weights, rate);
        let more = clip.duration().saturating_sub(before);
        self.earn(super::run::earned_by_audio(more));
        Ok(pushed)
    }
}
