//! Decoded audio and ranges of it.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::memory::MemoryReservation;

/// Samples per second of every [`Clip`]: what Whisper was trained on (`WHISPER_SAMPLE_RATE`).
pub const SAMPLE_RATE: u32 = 16_000;

/// Longest span that a model is given at once: 30 s, Whisper's window (`WHISPER_CHUNK_SIZE`).
pub const MAX_CHUNK_SAMPLES: u64 = 30 * SAMPLE_RATE as u64;

/// Mono audio at [`SAMPLE_RATE`], each sample finite and in -1.0..=1.0.
///
/// Cheap to clone: clones and [parts](Clip::part) share one allocation, and its memory reservation
/// lives as long as the last of them. May be empty (a file without samples).
#[derive(Clone)]
pub struct Clip {
    backing: Arc<Backing>,
    /// The range of the backing's samples that is this clip.
    start: usize,
    end: usize,
}

struct Backing {
    // Not `Arc<[f32]>`: to make one of a vector copies it, 1 GB for four hours.
    samples: Vec<f32>,
    _reservation: Option<Box<dyn MemoryReservation>>,
}

impl Clip {
    /// Takes over samples that are already mono at [`SAMPLE_RATE`].
    ///
    /// Samples that are not finite become 0.0 and the rest are clamped to -1.0..=1.0, because
    /// whisper.cpp computes on whatever it is given.
    #[must_use]
    pub fn new(samples: Vec<f32>) -> Self {
        Self::backed(samples, None)
    }

    /// As [`Clip::new`], with the reservation that the samples were allocated from. It shrinks to
    /// what the clip takes and is given back with the last clone.
    #[must_use]
    pub fn reserved(samples: Vec<f32>, reservation: Box<dyn MemoryReservation>) -> Self {
        Self::backed(samples, Some(reservation))
    }

    fn backed(mut samples: Vec<f32>, mut reservation: Option<Box<dyn MemoryReservation>>) -> Self {
        for sample in &mut samples {
            *sample = if sample.is_finite() {
                sample.clamp(-1.0, 1.0)
            } else {
                0.0
            };
        }
        samples.shrink_to_fit();
        if let Some(reservation) = &mut reservation {
            // Shrinking never fails.
            let _ = reservation.resize(samples_to_bytes(samples.len() as u64));
        }
        Self {
            start: 0,
            end: samples.len(),
            backing: Arc::new(Backing {
                samples,
                _reservation: reservation,
            }),
        }
    }

    /// All samples.
    #[must_use]
    pub fn samples(&self) -> &[f32] {
        let samples = self.backing.samples.get(self.start..self.end);
        samples.unwrap_or_default()
    }

    /// The samples of `span`, cut to what the clip holds (possibly none).
    #[must_use]
    pub fn slice(&self, span: Span) -> &[f32] {
        let len = self.len_samples();
        let (start, end) = (span.start.min(len), span.end.min(len));
        self.samples()
            .get(start as usize..end.max(start) as usize)
            .unwrap_or_default()
    }

    /// The clip of `span`, cut to what this one holds. It shares the samples: nothing is copied, and
    /// all of them stay in memory while the part does.
    #[must_use]
    pub fn part(&self, span: Span) -> Self {
        let len = self.len_samples();
        let (start, end) = (span.start.min(len), span.end.min(len));
        Self {
            backing: Arc::clone(&self.backing),
            start: self.start + start as usize,
            end: self.start + end.max(start) as usize,
        }
    }

    /// Bytes of the allocation that the clip shares with its clones and parts.
    #[must_use]
    pub fn allocated_bytes(&self) -> u64 {
        samples_to_bytes(self.backing.samples.len() as u64)
    }

    /// Address of that allocation: equal for two clips that share one, while both live.
    #[must_use]
    pub fn allocation(&self) -> usize {
        Arc::as_ptr(&self.backing) as usize
    }

    /// Number of samples.
    #[must_use]
    pub fn len_samples(&self) -> u64 {
        (self.end - self.start) as u64
    }

    /// Whether there is not one sample.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
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

/// Bytes of `samples` in memory.
#[must_use]
pub fn samples_to_bytes(samples: u64) -> u64 {
    samples.saturating_mul(size_of::<f32>() as u64)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::memory::ReserveError;

    /// Tells a shared number how much is reserved.
    struct Counted(Arc<AtomicU64>);

    impl MemoryReservation for Counted {
        fn resize(&mut self, bytes: u64) -> Result<(), ReserveError> {
            self.0.store(bytes, Ordering::Relaxed);
            Ok(())
        }

        fn sibling(&self) -> Box<dyn MemoryReservation> {
            Box::new(Self(Arc::default()))
        }
    }

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.store(0, Ordering::Relaxed);
        }
    }

    #[test]
    fn reservation_lives_as_long_as_any_clone_or_part() {
        let reserved = Arc::new(AtomicU64::new(4_096));
        let mut samples = Vec::with_capacity(1_000);
        samples.extend([0.0; 100]);
        let clip = Clip::reserved(samples, Box::new(Counted(Arc::clone(&reserved))));
        assert_eq!(
            reserved.load(Ordering::Relaxed),
            400,
            "shrunk to the samples"
        );
        let part = clip.clone().part(Span { start: 10, end: 20 });
        drop(clip);
        assert_eq!(reserved.load(Ordering::Relaxed), 400);
        drop(part);
        assert_eq!(reserved.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn part_of_a_part_shares_the_samples_and_stays_within_it() {
        let clip = Clip::new((0..10_u8).map(|n| f32::from(n) / 10.0).collect());
        let part = clip.part(Span { start: 2, end: 8 });
        let inner = part.part(Span { start: 4, end: 99 });
        assert_eq!(inner.samples(), [0.6, 0.7]);
        assert_eq!(inner.slice(Span { start: 1, end: 9 }), [0.7]);
        assert_eq!(inner.allocation(), clip.allocation());
        assert_eq!(inner.allocated_bytes(), 40);
        assert!(clip.part(Span { start: 9, end: 3 }).is_empty());
    }

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
