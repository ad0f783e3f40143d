//! Decoded packets in, one clip out: mixes to mono, counts against the limits, resamples.
//!
//! Lives for one decoding. The duration limit is counted here, in samples that were really
//! decoded; what a header claims is never believed and never allocated for.

use auricle_speech::{Clip, SAMPLE_RATE};

use crate::DecodeLimits;
use crate::error::AudioError;
use crate::resample::{Resampler, rescale};

/// Input samples per chunk of the resampler: 93 ms at 44.1 kHz, a steep filter and a fast FFT.
const CHUNK_SAMPLES: usize = 4096;

/// Resamplers kept for a stream that changes its rate and comes back; MPEG audio knows 9 rates
/// and AAC 13.
const MAX_SPARE_RESAMPLERS: usize = 16;

/// Collects one clip.
pub(crate) struct ClipBuilder<'a> {
    limits: &'a DecodeLimits,
    max_samples: u64,
    /// Rate of the packets since the last change; 0 before the first.
    rate_hz: u32,
    /// Frames at `rate_hz`.
    frames: u64,
    /// Output samples of all that came before the last change of rate.
    earlier_samples: u64,
    resampler: Option<Resampler>,
    spare: Vec<Resampler>,
    mono: Vec<f32>,
    out: Vec<f32>,
}

impl<'a> ClipBuilder<'a> {
    pub(crate) fn new(limits: &'a DecodeLimits) -> Self {
        let max_samples = limits.max_duration.as_nanos() * u128::from(SAMPLE_RATE) / 1_000_000_000;
        Self {
            limits,
            max_samples: u64::try_from(max_samples).unwrap_or(u64::MAX),
            rate_hz: 0,
            frames: 0,
            earlier_samples: 0,
            resampler: None,
            spare: Vec::new(),
            mono: Vec::new(),
            out: Vec::new(),
        }
    }

    /// Whether any sample has come.
    pub(crate) fn is_empty(&self) -> bool {
        self.rate_hz == 0
    }

    /// Adds interleaved samples, which may be of another layout or rate than those before.
    pub(crate) fn push(
        &mut self,
        interleaved: &[f32],
        channels: usize,
        rate_hz: u32,
    ) -> Result<(), AudioError> {
        self.limits.check_layout(channels as u64, rate_hz)?;
        if interleaved.is_empty() {
            return Ok(());
        }
        if rate_hz != self.rate_hz {
            self.change_rate(rate_hz)?;
        }
        self.frames += (interleaved.len() / channels) as u64;
        if self.earlier_samples + rescale(self.frames, rate_hz) > self.max_samples {
            return Err(AudioError::TooLong {
                max_secs: self.limits.max_duration.as_secs(),
            });
        }
        match &mut self.resampler {
            None => mix(interleaved, channels, &mut self.out),
            Some(resampler) => {
                self.mono.clear();
                mix(interleaved, channels, &mut self.mono);
                resampler.push(&self.mono, &mut self.out)?;
            }
        }
        Ok(())
    }

    /// The clip of all that was added.
    pub(crate) fn finish(mut self) -> Result<Clip, AudioError> {
        self.flush()?;
        Ok(Clip::new(self.out))
    }

    fn flush(&mut self) -> Result<(), AudioError> {
        if let Some(mut resampler) = self.resampler.take() {
            resampler.finish(&mut self.out)?;
            if self.spare.len() < MAX_SPARE_RESAMPLERS {
                self.spare.push(resampler);
            }
        }
        Ok(())
    }

    fn change_rate(&mut self, rate_hz: u32) -> Result<(), AudioError> {
        self.flush()?;
        self.earlier_samples += rescale(self.frames, self.rate_hz);
        self.frames = 0;
        self.rate_hz = rate_hz;
        if rate_hz != SAMPLE_RATE {
            let kept = self.spare.iter().position(|it| it.rate_hz() == rate_hz);
            self.resampler = Some(match kept {
                Some(index) => self.spare.swap_remove(index),
                None => Resampler::new(rate_hz, CHUNK_SAMPLES)?,
            });
        }
        Ok(())
    }
}

/// Appends the mean of the channels of each frame to `out`, finite and within -1.0..=1.0: one
/// NaN would spoil a whole chunk of the resampler.
fn mix(interleaved: &[f32], channels: usize, out: &mut Vec<f32>) {
    let finite = |sample: f32| if sample.is_finite() { sample } else { 0.0 };
    out.reserve(interleaved.len() / channels.max(1));
    if channels == 1 {
        out.extend(interleaved.iter().map(|s| finite(*s).clamp(-1.0, 1.0)));
        return;
    }
    let share = 1.0 / channels as f32;
    out.extend(interleaved.chunks_exact(channels).map(|frame| {
        let sum: f32 = frame.iter().map(|s| finite(*s) * share).sum();
        finite(sum).clamp(-1.0, 1.0)
    }));
}
