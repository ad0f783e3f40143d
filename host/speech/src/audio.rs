//! Decoded audio and ranges of it.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Samples per second of every [`Clip`]: what Whisper was trained on (`WHISPER_SAMPLE_RATE`).
pub const SAMPLE_RATE: u32 = 16_000;

/// Longest span that a model is given at once: 30 s, Whisper's window (`WHISPER_CHUNK_SIZE`).
pub const MAX_CHUNK_SAMPLES: u64 = 30 * SAMPLE_RATE as u64;

/// Mono audio at [`SAMPLE_RATE`], each sample finite and in -1.0..=1.0.
///
/// Cheap to clone: clones share one allocation. May be empty (a file without samples).
#[derive(Clone)]
pub struct Clip {
    // Not `Arc<[f32]>`: to make one of a vector copies it, 1 GB for four hours.
    samples: Arc<Vec<f32>>,
}

impl Clip {
    /// Takes over samples that are already mono at [`SAMPLE_RATE`].
    ///
    /// Samples that are not finite become 0.0 and the rest are clamped to -1.0..=1.0, because
    /// whisper.cpp computes on whatever it is given.
    #[must_use]
    pub fn new(mut samples: Vec<f32>) -> Self {
        for sample in &mut samples {
            *sample = if sample.is_finite() {
                sample.clamp(-1.0, 1.0)
            } else {
                0.0
            };
        }
        samples.shrink_to_fit();
        Self {
            samples: Arc::new(samples),
        }
    }

    /// All samples.
    #[must_use]
    pub fn samples(&self) -> &[f32] {
        &self.samples
    }

    /// The samples of `span`, cut to what the clip holds (possibly none).
    #[must_use]
    pub fn slice(&self, span: Span) -> &[f32] {
        let len = self.len_samples();
        let (start, end) = (span.start.min(len), span.end.min(len));
        self.samples
            .get(start as usize..end.max(start) as usize)
            .unwrap_or_default()
    }

    /// Number of samples.
    #[must_use]
    pub fn len_samples(&self) -> u64 {
        self.samples.len() as u64
    }

    /// Whether there is not one sample.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Playing time.
    #[must_use]
    pub fn duration(&self) -> Duration {
        samples_to_duration(self.len_samples())
    }

    /// The span of the whole clip.
    #[must_use]
    pub fn span(&self) -> Span {
        Span {
            start: 0,
            end: self.len_samples(),
        }
    }
}

impl std::fmt::Debug for Clip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clip")
            .field("len_samples", &self.len_samples())
            .finish()
    }
}

/// A half-open range of samples of a clip: `start` belongs to it, `end` does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Span {
    /// First sample.
    pub start: u64,
    /// First sample after the span.
    pub end: u64,
}

impl Span {
    /// Number of samples; 0 for a span whose end is not after its start.
    #[must_use]
    pub fn len_samples(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether the span holds no sample.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len_samples() == 0
    }

    /// When the span begins, in seconds from the start of the clip.
    #[must_use]
    pub fn start_secs(self) -> f64 {
        samples_to_secs(self.start)
    }

    /// When the span ends, in seconds from the start of the clip.
    #[must_use]
    pub fn end_secs(self) -> f64 {
        samples_to_secs(self.end)
    }

    /// Playing time.
    #[must_use]
    pub fn duration(self) -> Duration {
        samples_to_duration(self.len_samples())
    }
}

/// Playing time in seconds of `samples` at [`SAMPLE_RATE`].
#[must_use]
pub fn samples_to_secs(samples: u64) -> f64 {
    samples as f64 / f64::from(SAMPLE_RATE)
}

/// Playing time of `samples` at [`SAMPLE_RATE`].
#[must_use]
pub fn samples_to_duration(samples: u64) -> Duration {
    Duration::from_nanos(samples.saturating_mul(1_000_000_000 / u64::from(SAMPLE_RATE)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_that_are_not_finite_become_silence() {
        let clip = Clip::new(vec![
            f32::NAN,
            f32::INFINITY,
            -f32::INFINITY,
            2.0,
            -2.0,
            0.5,
        ]);
        assert_eq!(clip.samples(), [0.0, 0.0, 0.0, 1.0, -1.0, 0.5]);
    }

    #[test]
    fn a_slice_is_cut_to_the_clip() {
        let clip = Clip::new(vec![0.1, 0.2, 0.3]);
        assert_eq!(clip.slice(Span { start: 1, end: 9 }), [0.2, 0.3]);
        assert!(clip.slice(Span { start: 7, end: 9 }).is_empty());
        assert!(clip.slice(Span { start: 2, end: 1 }).is_empty());
    }

    #[test]
    fn sixteen_thousand_samples_are_one_second() {
        assert_eq!(samples_to_duration(16_000), Duration::from_secs(1));
    }
}
