//! `auricle:audio/clips`: decoded audio behind a handle.
//!
//! A clip's samples are shared, never copied, between the handles that refer to them and to slices of
//! it; what they share counts once, as long as one of them lives.

use auricle_speech::{Clip, Span};
use wasmtime::component::Resource;

use crate::bindings::imports::auricle::audio::clips::{ClipError, Host, HostClip};
use crate::bindings::imports::auricle::audio::types;
use crate::state::GuestState;

/// Values that one call may answer with: 30 s of samples.
const MAX_VALUES: u64 = auricle_speech::MAX_CHUNK_SAMPLES;

impl types::Host for GuestState {}

impl Host for GuestState {}

impl HostClip for GuestState {
    fn length(&mut self, clip: Resource<Clip>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&clip)?.len_samples())
    }

    fn samples(
        &mut self,
        clip: Resource<Clip>,
        span: types::Span,
    ) -> wasmtime::Result<Result<Vec<f32>, ClipError>> {
        let clip = self.table.get(&clip)?;
        Ok(checked(clip, span).and_then(|span| {
            if span.len_samples() > MAX_VALUES {
                return Err(ClipError::TooLarge);
            }
            Ok(clip.slice(span).to_vec())
        }))
    }

    fn levels(
        &mut self,
        clip: Resource<Clip>,
        span: types::Span,
        frame_samples: u32,
    ) -> wasmtime::Result<Result<Vec<f32>, ClipError>> {
        let clip = self.table.get(&clip)?;
        Ok(checked(clip, span).and_then(|span| {
            if frame_samples == 0 {
                return Err(ClipError::EmptyFrame);
            }
            if span.len_samples().div_ceil(u64::from(frame_samples)) > MAX_VALUES {
                return Err(ClipError::TooLarge);
            }
            Ok(clip
                .slice(span)
                .chunks(frame_samples as usize)
                .map(root_mean_square)
                .collect())
        }))
    }

    fn slice(
        &mut self,
        clip: Resource<Clip>,
        span: types::Span,
    ) -> wasmtime::Result<Result<Resource<Clip>, ClipError>> {
        let clip = self.table.get(&clip)?;
        let part = match checked(clip, span) {
            Ok(span) => clip.part(span),
            Err(error) => return Ok(Err(error)),
        };
        Ok(Ok(self.push_clip(part)?))
    }

    fn drop(&mut self, clip: Resource<Clip>) -> wasmtime::Result<()> {
        self.held.release(clip.rep());
        self.table.delete(clip)?;
        Ok(())
    }
}

impl GuestState {
    /// A handle for a clip, which counts as held from here on.
    pub(crate) fn push_clip(&mut self, clip: Clip) -> wasmtime::Result<Resource<Clip>> {
        let handle = self.table.push(clip.clone())?;
        self.held.hold_clip(handle.rep(), &clip)?;
        Ok(handle)
    }
}

fn checked(clip: &Clip, span: types::Span) -> Result<Span, ClipError> {
    if span.start > span.end || span.end > clip.len_samples() {
        return Err(ClipError::Outside);
    }
    Ok(Span {
        start: span.start,
        end: span.end,
    })
}

fn root_mean_square(frame: &[f32]) -> f32 {
    let energy: f32 = frame.iter().map(|sample| sample * sample).sum();
    (energy / frame.len().max(1) as f32).sqrt()
}
