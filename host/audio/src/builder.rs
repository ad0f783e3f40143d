//! Decoded samples in, one clip out: mixes to mono, counts against the limits, resamples.
//!
//! Lives for one decoding. Whoever decodes is not trusted: every piece's layout is checked, and the
//! duration limit is counted here, in samples that really came; what a header claims is never
//! heard of.

use std::time::Duration;

use auricle_speech::audio::samples_to_duration;
use auricle_speech::{Clip, MemoryReservation, SAMPLE_RATE};

use crate::DecodeLimits;
use crate::error::AudioError;
use crate::growth::Growth;
use crate::mix::Mixer;
use crate::resample::{Resampler, rescale};

/// Input samples per chunk of the resampler: 93 ms at 44.1 kHz, a steep filter and a fast FFT.
const CHUNK_SAMPLES: usize = 4096;

/// Resamplers kept for a stream that changes its rate and comes back; MPEG audio knows 9 rates
/// and AAC 13.
const MAX_SPARE_RESAMPLERS: usize = 16;

/// Collects one clip.
pub struct ClipBuilder {
    limits: DecodeLimits,
    max_samples: u64,
    /// Rate of the packets since the last change; 0 before the first.
    rate_hz: u32,
    /// Frames at `rate_hz`.
    frames: u64,
    /// Output samples of all that came before the last change of rate.
    earlier_samples: u64,
    resampler: Option<Resampler>,
    spare: Vec<Resampler>,
    /// The part of the mix that each channel of the last samples is.
    shares: Vec<f32>,
    mixer: Mixer,
    mono: Vec<f32>,
    out: Vec<f32>,
    /// Where the memory of `out` comes from.
    growth: Growth,
}

impl ClipBuilder {
    /// An empty clip that may grow within `limits`.
    #[must_use]
    pub fn new(limits: DecodeLimits) -> Self {
        let max_samples = limits.max_duration.as_nanos() * u128::from(SAMPLE_RATE) / 1_000_000_000;
        Self {
            limits,
            max_samples: u64::try_from(max_samples).unwrap_or(u64::MAX),
            rate_hz: 0,
            frames: 0,
            earlier_samples: 0,
            resampler: None,
            spare: Vec::new(),
            shares: Vec::new(),
            mixer: Mixer::default(),
            mono: Vec::new(),
            out: Vec::new(),
            growth: Growth::default(),
        }
    }

    /// Takes the clip's memory from `reservation`, which the finished clip keeps.
    #[must_use]
    pub fn reserving(self, reservation: Box<dyn MemoryReservation>) -> Self {
        self.growing(Growth::new(reservation))
    }

    pub(crate) fn growing(mut self, growth: Growth) -> Self {
        self.growth = growth;
        self
    }

    /// Playing time of what was added.
    #[must_use]
    pub fn duration(&self) -> Duration {
        samples_to_duration(self.earlier_samples + rescale(self.frames, self.rate_hz))
    }

    /// Adds interleaved samples, which may be of another layout or rate than those before. There
    /// are as many channels as `weights`, which say how much of each goes into the mix; they are
    /// divided by their sum. Without samples it says whether such would be taken. A frame that is
    /// not whole is left out.
    ///
    /// # Errors
    /// [`AudioError::TooManyChannels`], [`AudioError::BadRate`] and [`AudioError::BadWeights`], after
    /// which other samples may come; [`AudioError::TooLong`].
    pub fn push(
        &mut self,
        interleaved: &[f32],
        weights: &[f32],
        rate_hz: u32,
    ) -> Result<(), AudioError> {
        let channels = weights.len();
        self.limits.check_layout(channels as u64, rate_hz)?;
        self.share(weights)?;
        if interleaved.is_empty() {
            return Ok(());
        }
        if rate_hz != self.rate_hz {
            self.change_rate(rate_hz)?;
        }
        self.frames += (interleaved.len() / channels) as u64;
        let samples = self.earlier_samples + rescale(self.frames, rate_hz);
        if samples > self.max_samples {
            return Err(AudioError::TooLong {
                max_secs: self.limits.max_duration.as_secs(),
            });
        }
        // Room also for what the resampler gives when it is flushed.
        self.growth.make_room(&mut self.out, samples)?;
        if self.resampler.is_none() {
            let out = &mut self.out;
            self.mixer.push(interleaved, &self.shares, rate_hz, out);
            return Ok(());
        }
        self.mono.clear();
        let mono = &mut self.mono;
        self.mixer.push(interleaved, &self.shares, rate_hz, mono);
        self.resample()
    }

    /// The clip of all that was added.
    ///
    /// # Errors
    /// [`AudioError::Resample`], a fault of this program.
    pub fn finish(mut self) -> Result<Clip, AudioError> {
        self.flush()?;
        Ok(Clip::reserved(self.out, self.growth.into_reservation()))
    }

    fn share(&mut self, weights: &[f32]) -> Result<(), AudioError> {
        let sum: f32 = weights.iter().sum();
        let sound = weights.iter().all(|it| (0.0..=1.0).contains(it)) && sum > 0.0;
        if !sound {
            return Err(AudioError::BadWeights);
        }
        self.shares.clear();
        self.shares.extend(weights.iter().map(|it| it / sum));
        Ok(())
    }

    /// Resamples what was mixed.
    fn resample(&mut self) -> Result<(), AudioError> {
        match &mut self.resampler {
            Some(resampler) => resampler.push(&self.mono, &mut self.out),
            None => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<(), AudioError> {
        match self.resampler {
            None => self.mixer.finish(&mut self.out),
            Some(_) => {
                self.mono.clear();
                self.mixer.finish(&mut self.mono);
                self.resample()?;
            }
        }
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
