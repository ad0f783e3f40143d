//! `auricle:audio/samples`: where a decoder's samples go.
//!
//! Owned by the decoder's store. Mixing and resampling is done here and not in the sandbox: it is
//! the same for every decoder, twice as fast, and what is counted is what the clip really holds.
//! The decoder is charged for it, because it runs within its call.

use std::time::Duration;

use auricle_audio::{AudioError, ClipBuilder, DecodeLimits};
use auricle_speech::Clip;

use crate::bindings::decoder::auricle::audio::samples::{Host, PushError};
use crate::decoding::MediaError;
use crate::state::GuestState;

/// A decoder's clip.
pub(crate) struct HostClip {
    builder: ClipBuilder,
    /// Why it can grow no more.
    over: Option<AudioError>,
}

impl HostClip {
    pub(crate) fn new(limits: DecodeLimits) -> Self {
        Self {
            builder: ClipBuilder::new(limits),
            over: None,
        }
    }

    /// Playing time of what was pushed.
    pub(crate) fn duration(&self) -> Duration {
        self.builder.duration()
    }

    fn push(&mut self, samples: &[f32], weights: &[f32], rate_hz: u32) -> Result<(), PushError> {
        if self.over.is_some() {
            return Err(PushError::Full);
        }
        self.builder
            .push(samples, weights, rate_hz)
            .map_err(|error| {
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

    /// The clip of all that was pushed.
    pub(crate) fn finish(self) -> Result<Clip, MediaError> {
        self.builder.finish().map_err(|error| media_error(&error))
    }
}

fn media_error(error: &AudioError) -> MediaError {
    match error {
        AudioError::TooLong { max_secs } => MediaError::TooLong {
            max_secs: *max_secs,
        },
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
