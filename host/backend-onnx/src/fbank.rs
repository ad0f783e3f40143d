//! Kaldi's log-mel filter bank, as CAM++ was trained on it.
//!
//! 25 ms frames every 10 ms (only whole ones), each without its mean, pre-emphasised by 0.97 and
//! under Povey's window; power spectrum of 512 points; 80 triangles between 20 Hz and 8 kHz, even
//! on Kaldi's mel scale; natural logarithm. No dither. Last the mean of each bin over time is
//! taken away, which is what 3D-Speaker feeds the network. Computed in f64, so that the result
//! does not depend on the processor's vector width.

use std::f64::consts::TAU;
use std::fmt;
use std::sync::Arc;

use auricle_speech::SAMPLE_RATE;
use realfft::{RealFftPlanner, RealToComplex};

use crate::OnnxError;

/// Numbers of a frame.
pub const FBANK_BINS: usize = 80;

/// Samples of a frame: 25 ms.
pub(crate) const FRAME_SAMPLES: usize = 400;

/// Samples from one frame to the next: 10 ms.
pub(crate) const SHIFT_SAMPLES: usize = 160;

/// Points of the transform: the next power of two after a frame.
const FFT_POINTS: usize = 512;

const LOW_HZ: f64 = 20.0;

const PRE_EMPHASIS: f64 = 0.97;

/// Smallest power before the logarithm: f32's epsilon, as in Kaldi.
const FLOOR: f64 = f32::EPSILON as f64;

/// Features of a sound: [`Features::frames`] times [`FBANK_BINS`] numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    data: Vec<f32>,
}

impl Features {
    /// Frames of 10 ms.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.data.len() / FBANK_BINS
    }

    /// The numbers, frame after frame.
    #[must_use]
    pub fn data(&self) -> &[f32] {
        &self.data
    }
}

/// The filter bank with its tables.
#[derive(Clone)]
pub struct Fbank {
    transform: Arc<dyn RealToComplex<f64>>,
    window: Vec<f64>,
    filters: Vec<Filter>,
}

/// One triangle: the weights of neighbouring points of the spectrum.
#[derive(Clone)]
struct Filter {
    first: usize,
    weights: Vec<f64>,
}

impl Default for Fbank {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Fbank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fbank").finish_non_exhaustive()
    }
}

impl Fbank {
    /// Computes the tables.
    #[must_use]
    pub fn new() -> Self {
        let last = (FRAME_SAMPLES - 1) as f64;
        let window = |index: usize| (0.5 - 0.5 * (TAU * index as f64 / last).cos()).powf(0.85);
        Self {
            transform: RealFftPlanner::new().plan_fft_forward(FFT_POINTS),
            window: (0..FRAME_SAMPLES).map(window).collect(),
            filters: filters(),
        }
    }

    /// Frames that `samples` samples give: whole ones only.
    #[must_use]
    pub fn frames_of(samples: usize) -> usize {
        match samples.checked_sub(FRAME_SAMPLES) {
            Some(rest) => 1 + rest / SHIFT_SAMPLES,
            None => 0,
        }
    }

    /// The features of a sound (mono, 16 kHz); none of one shorter than 25 ms.
    ///
    /// # Errors
    /// [`OnnxError::Failed`], which does not happen: the transform's buffers have its lengths.
    pub fn compute(&self, samples: &[f32]) -> Result<Features, OnnxError> {
        let mut data = Vec::with_capacity(Self::frames_of(samples.len()) * FBANK_BINS);
        let mut frame = self.transform.make_input_vec();
        let mut spectrum = self.transform.make_output_vec();
        let mut scratch = self.transform.make_scratch_vec();
        for raw in samples.windows(FRAME_SAMPLES).step_by(SHIFT_SAMPLES) {
            self.prepare(raw, &mut frame);
            self.transform
                .process_with_scratch(&mut frame, &mut spectrum, &mut scratch)
                .map_err(OnnxError::failed)?;
            data.extend(self.filters.iter().map(|filter| {
                let points = spectrum.iter().skip(filter.first);
                let power: f64 = points
                    .zip(&filter.weights)
                    .map(|(point, weight)| point.norm_sqr() * weight)
                    .sum();
                power.max(FLOOR).ln() as f32
            }));
        }
        subtract_mean(&mut data);
        Ok(Features { data })
    }

    /// Writes a frame without its mean, pre-emphasised and windowed, and zeros after it.
    fn prepare(&self, raw: &[f32], frame: &mut [f64]) {
        let mean = raw.iter().copied().map(f64::from).sum::<f64>() / raw.len() as f64;
        // The first sample stands for the one before it.
        let mut before = raw.first().map_or(0.0, |&first| f64::from(first) - mean);
        frame.fill(0.0);
        for ((out, &sample), window) in frame.iter_mut().zip(raw).zip(&self.window) {
            let sample = f64::from(sample) - mean;
            *out = (sample - PRE_EMPHASIS * before) * window;
            before = sample;
        }
    }
}

fn mel(hz: f64) -> f64 {
    1127.0 * (1.0 + hz / 700.0).ln()
}

fn filters() -> Vec<Filter> {
    let rate_hz = f64::from(SAMPLE_RATE);
    let (low, high) = (mel(LOW_HZ), mel(rate_hz / 2.0));
    let step = (high - low) / (FBANK_BINS + 1) as f64;
    // The point at half the sample rate lies at the foot of the last triangle.
    let points: Vec<f64> = (0..FFT_POINTS / 2)
        .map(|point| mel(point as f64 * rate_hz / FFT_POINTS as f64))
        .collect();
    (0..FBANK_BINS)
        .map(|bin| {
            let left = low + bin as f64 * step;
            let weight = |point: &f64| {
                let (rising, falling) = ((point - left) / step, (left + 2.0 * step - point) / step);
                rising.min(falling)
            };
            let inside = |point: &f64| weight(point) > 0.0;
            let first = points.iter().position(inside).unwrap_or_default();
            let rest = points.iter().skip(first);
            Filter {
                first,
                weights: rest.map(weight).take_while(|w| *w > 0.0).collect(),
            }
        })
        .collect()
}

fn subtract_mean(data: &mut [f32]) {
    let frames = data.len() / FBANK_BINS;
    let mut means = [0.0_f64; FBANK_BINS];
    for frame in data.chunks_exact(FBANK_BINS) {
        for (mean, value) in means.iter_mut().zip(frame) {
            *mean += f64::from(*value) / frames as f64;
        }
    }
    for frame in data.chunks_exact_mut(FBANK_BINS) {
        for (value, mean) in frame.iter_mut().zip(&means) {
            *value = (f64::from(*value) - mean) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;

    fn tone(hz: f64, samples: usize) -> Vec<f32> {
        let at = |index: usize| 0.5 * (TAU * hz * index as f64 / 16_000.0).sin();
        (0..samples).map(|index| at(index) as f32).collect()
    }

    #[test]
    fn only_whole_frames_count() {
        for (samples, frames) in [(0, 0), (399, 0), (400, 1), (559, 1), (560, 2), (16_000, 98)] {
            assert_eq!(Fbank::frames_of(samples), frames, "{samples}");
            let features = Fbank::new().compute(&vec![0.1; samples]).unwrap();
            assert_eq!(features.frames(), frames, "{samples}");
        }
    }

    #[test]
    fn every_bin_has_its_mean_at_zero() {
        let mut sound = tone(440.0, 8000);
        sound.extend(tone(2000.0, 8000));
        let features = Fbank::new().compute(&sound).unwrap();
        for bin in 0..FBANK_BINS {
            let column = features.data().iter().skip(bin).step_by(FBANK_BINS);
            let mean = column.sum::<f32>() / features.frames() as f32;
            assert!(mean.abs() < 1e-4, "bin {bin}: {mean}");
        }
    }

    #[test]
    fn a_tone_lifts_the_bin_of_its_frequency() {
        // 1 s of silence after 1 s of tone: the tone's bin differs most between the two.
        let mut sound = tone(1000.0, 16_000);
        sound.extend(vec![0.0; 16_000]);
        let features = Fbank::new().compute(&sound).unwrap();
        let first = &features.data()[..FBANK_BINS];
        let loudest = (0..FBANK_BINS).max_by(|&a, &b| first[a].total_cmp(&first[b]));
        let width = (mel(8000.0) - mel(20.0)) / 81.0;
        let expected = ((mel(1000.0) - mel(20.0)) / width) as usize;
        let distance = loudest.unwrap().abs_diff(expected);
        assert!(distance <= 1, "{loudest:?} and not {expected}");
    }
}
