//! Clips that are built of what a decoder pushes, which is not trusted.

use std::time::Duration;

use auricle_audio::{AudioError, ClipBuilder, DecodeLimits};

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
