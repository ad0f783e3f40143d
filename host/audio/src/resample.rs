//! From any sample rate to [`SAMPLE_RATE`], chunk by chunk, with the delay taken out.
//!
//! rubato's FFT resampler: the ratio is fixed, so the slower sinc interpolation buys nothing.

use auricle_speech::SAMPLE_RATE;
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler as _};

use crate::error::AudioError;

/// Mono at one rate in, mono at [`SAMPLE_RATE`] out; as many samples as the playing time asks for.
pub(crate) struct Resampler {
    rate_hz: u32,
    fft: Fft<f32>,
    /// Input that does not fill a chunk yet.
    pending: Vec<f32>,
    /// One chunk of output.
    chunk: Vec<f32>,
    /// Output of the filter's delay that is still to be dropped.
    delay_samples: usize,
    taken_samples: u64,
    given_samples: u64,
}

impl Resampler {
    /// `chunk_samples` of input are gathered before there is output: a longer chunk has a
    /// steeper filter and a later answer.
    pub(crate) fn new(rate_hz: u32, chunk_samples: usize) -> Result<Self, AudioError> {
        let fft = Fft::new_custom(
            rate_hz as usize,
            SAMPLE_RATE as usize,
            chunk_samples,
            1,
            1,
            rubato::WindowFunction::BlackmanHarris2,
            FixedSync::Both,
        )
        .map_err(AudioError::resample)?;
        Ok(Self {
            rate_hz,
            pending: Vec::with_capacity(2 * fft.input_frames_next()),
            chunk: vec![0.0; fft.output_frames_next()],
            delay_samples: fft.output_delay(),
            fft,
            taken_samples: 0,
            given_samples: 0,
        })
    }

    pub(crate) fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// Takes `mono` in and appends what is ready to `out`.
    pub(crate) fn push(&mut self, mono: &[f32], out: &mut Vec<f32>) -> Result<(), AudioError> {
        self.taken_samples += mono.len() as u64;
        self.pending.extend_from_slice(mono);
        let chunk_samples = self.fft.input_frames_next();
        let pending = std::mem::take(&mut self.pending);
        let mut chunks = pending.chunks_exact(chunk_samples);
        for chunk in &mut chunks {
            self.process(chunk, u64::MAX, out)?;
        }
        self.pending = pending;
        let done = self.pending.len() - self.pending.len() % chunk_samples;
        self.pending.drain(..done);
        Ok(())
    }

    /// Appends what is still inside to `out` and begins anew.
    pub(crate) fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), AudioError> {
        let due_samples = self.due_samples();
        let chunk_samples = self.fft.input_frames_next();
        let mut last = std::mem::take(&mut self.pending);
        while self.given_samples < due_samples {
            last.resize(chunk_samples, 0.0);
            self.process(&last, due_samples, out)?;
            last.clear();
        }
        last.clear();
        self.pending = last;
        self.fft.reset();
        self.delay_samples = self.fft.output_delay();
        self.taken_samples = 0;
        self.given_samples = 0;
        Ok(())
    }

    /// Output samples of the same playing time as what was taken, to the nearest.
    fn due_samples(&self) -> u64 {
        rescale(self.taken_samples, self.rate_hz)
    }

    fn process(
        &mut self,
        chunk: &[f32],
        due_samples: u64,
        out: &mut Vec<f32>,
    ) -> Result<(), AudioError> {
        let capacity = self.chunk.len();
        let input = InterleavedSlice::new(chunk, 1, chunk.len()).map_err(AudioError::resample)?;
        let mut output = InterleavedSlice::new_mut(&mut self.chunk, 1, capacity)
            .map_err(AudioError::resample)?;
        let (_, made) = self
            .fft
            .process_into_buffer(&input, &mut output, None)
            .map_err(AudioError::resample)?;
        let dropped = self.delay_samples.min(made);
        self.delay_samples -= dropped;
        let room = due_samples.saturating_sub(self.given_samples);
        let end = usize::try_from(room).map_or(made, |room| made.min(dropped.saturating_add(room)));
        let ready = self.chunk.get(dropped..end).unwrap_or_default();
        out.extend_from_slice(ready);
        self.given_samples += ready.len() as u64;
        Ok(())
    }
}

/// `samples` at `rate_hz` in samples at [`SAMPLE_RATE`], to the nearest.
pub(crate) fn rescale(samples: u64, rate_hz: u32) -> u64 {
    let rate = u128::from(rate_hz.max(1));
    let scaled = (u128::from(samples) * u128::from(SAMPLE_RATE) + rate / 2) / rate;
    u64::try_from(scaled).unwrap_or(u64::MAX)
}
