//! Clips that are built of what a decoder pushes, which is not trusted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use auricle_audio::{AudioError, ClipBuilder, DecodeLimits};
use auricle_speech::{MemoryReservation, ReserveError};

use crate::tones::{levels, sine};

fn builder(max_duration: Duration) -> ClipBuilder {
    ClipBuilder::new(DecodeLimits {
        max_duration,
        ..DecodeLimits::default()
    })
}

#[test]
fn seconds_are_counted_over_every_change_of_rate() {
    let mut clip = builder(Duration::from_secs(3));
    let silence = vec![0.0; 48_000];
    for rate_hz in [48_000, 24_000] {
        clip.push(&silence[..rate_hz as usize], &[1.0], rate_hz)
            .unwrap();
    }
    assert_eq!(clip.duration(), Duration::from_secs(2));
    clip.push(&silence[..16_000], &[1.0], 16_000).unwrap();
    let error = clip.push(&[0.0], &[1.0], 16_000).unwrap_err();
    assert!(
        matches!(error, AudioError::TooLong { max_secs: 3 }),
        "{error}"
    );
    assert!(!error.is_about_layout());
}

#[test]
fn a_layout_that_is_refused_leaves_the_clip_as_it_was() {
    let mut clip = builder(Duration::from_secs(3));
    clip.push(&[0.5; 160], &[1.0], 16_000).unwrap();
    let nothing: &[f32] = &[];
    for (weights, rate_hz) in [
        (nothing, 16_000),
        (&[1.0; 9], 16_000),
        (&[1.0], 7_999),
        (&[1.0], 192_001),
        (&[1.0], 0),
        (&[0.0, 0.0], 16_000),
        (&[f32::NAN], 16_000),
        (&[-1.0, 1.0], 16_000),
        (&[2.0], 16_000),
    ] {
        for samples in [&[0.1; 90][..], &[]] {
            let error = clip.push(samples, weights, rate_hz).unwrap_err();
            assert!(error.is_about_layout(), "{weights:?} at {rate_hz}: {error}");
        }
    }
    assert_eq!(clip.finish().unwrap().samples(), [0.5; 160]);
}

#[test]
fn channels_are_mixed_by_their_weights() {
    let tone = sine(500.0, 0.8, 16_000, 0.5);
    let frames: Vec<f32> = tone
        .iter()
        .flat_map(|sample| [*sample as f32, 0.0, 1.0])
        .collect();
    for (weights, expected) in [([1.0, 1.0, 0.0], 0.4), ([0.75, 0.25, 0.0], 0.6)] {
        let mut clip = builder(Duration::from_secs(1));
        clip.push(&frames, &weights, 16_000).unwrap();
        let (level, rest) = levels(clip.finish().unwrap().samples(), 500.0);
        assert!((level - expected).abs() < 0.001, "{level} for {expected}");
        assert!(rest < 0.001, "{rest}");
    }
}

#[test]
fn samples_that_are_no_numbers_are_silence() {
    let mut clip = builder(Duration::from_secs(1));
    let dirty = [f32::NAN, f32::INFINITY, 0.5, f32::NEG_INFINITY, 1e30, 0.25];
    clip.push(&dirty, &[1.0, 1.0], 16_000).unwrap();
    assert_eq!(clip.finish().unwrap().samples(), [0.0, 0.25, 1.0]);
}

#[test]
fn half_a_frame_is_left_out() {
    let mut clip = builder(Duration::from_secs(1));
    clip.push(&[0.5, 0.5, 0.5], &[1.0, 1.0], 16_000).unwrap();
    assert_eq!(clip.finish().unwrap().samples(), [0.5]);
}

/// A reservation that refuses to hold more than `most` bytes, and what it holds.
struct Bounded {
    most: u64,
    held: Arc<AtomicU64>,
    peak: Arc<AtomicU64>,
}

impl MemoryReservation for Bounded {
    fn resize(&mut self, bytes: u64) -> Result<(), ReserveError> {
        if bytes > self.most {
            return Err(ReserveError::TooLarge {
                limit_bytes: self.most,
            });
        }
        self.held.store(bytes, Ordering::Relaxed);
        self.peak.fetch_max(bytes, Ordering::Relaxed);
        Ok(())
    }

    fn sibling(&self) -> Box<dyn MemoryReservation> {
        Box::new(Self {
            most: self.most,
            held: Arc::default(),
            peak: Arc::clone(&self.peak),
        })
    }
}

#[test]
fn clip_is_reserved_before_it_grows_and_keeps_what_it_takes() {
    for rate_hz in [16_000, 8_000, 44_100] {
        let (held, peak) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let bounded = Bounded {
            most: 64_000,
            held: Arc::clone(&held),
            peak: Arc::clone(&peak),
        };
        let clip = builder(Duration::from_secs(100));
        let mut clip = clip.reserving(Box::new(bounded));
        // A second fits exactly, although the step that is asked for first does not.
        let piece = vec![0.0; rate_hz as usize / 4];
        for _ in 0..4 {
            clip.push(&piece, &[1.0], rate_hz).unwrap();
        }
        assert_eq!(peak.load(Ordering::Relaxed), 64_000, "{rate_hz}");
        let clip = clip.finish().unwrap();
        assert_eq!(clip.len_samples(), 16_000, "{rate_hz}");
        assert_eq!(held.load(Ordering::Relaxed), 64_000, "{rate_hz}");
    }
}

#[test]
fn clip_without_memory_grows_no_further() {
    let bounded = Bounded {
        most: 64_000,
        held: Arc::default(),
        peak: Arc::default(),
    };
    let mut clip = builder(Duration::from_secs(100)).reserving(Box::new(bounded));
    clip.push(&vec![0.0; 16_000], &[1.0], 16_000).unwrap();
    let error = clip.push(&[0.0], &[1.0], 16_000).unwrap_err();
    let AudioError::Memory(ReserveError::TooLarge { limit_bytes }) = error else {
        panic!("{error}");
    };
    assert_eq!(limit_bytes, 64_000);
}
