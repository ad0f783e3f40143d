//! Channels that cancel each other, and those that do not.

use std::time::Duration;

use auricle_audio::{ClipBuilder, DecodeLimits};

use crate::tones::sine;

const RATE_HZ: u32 = 16_000;

/// Mixes interleaved frames that come in pieces of `piece` samples.
fn mixed(frames: &[f32], weights: &[f32], piece: usize) -> Vec<f32> {
    let mut builder = ClipBuilder::new(DecodeLimits {
        max_duration: Duration::from_secs(60),
        ..DecodeLimits::default()
    });
    for piece in frames.chunks(piece * weights.len()) {
        builder.push(piece, weights, RATE_HZ).unwrap();
    }
    builder.finish().unwrap().samples().to_vec()
}

/// Something like speech: bursts of a tone and of noise, with silence between.
fn speech(hz: f64, secs: f64, level: f64) -> Vec<f32> {
    let tone = sine(hz, level, RATE_HZ, secs);
    let mut state = 1_u32;
    let noisy = tone.iter().enumerate().map(|(at, sample)| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = f64::from(state >> 8) / f64::from(1 << 24) - 0.5;
        let is_burst = at % 6_400 < 4_800;
        if is_burst {
            (sample + noise * level) as f32
        } else {
            0.0
        }
    });
    noisy.collect()
}

fn energy(samples: &[f32]) -> f64 {
    samples
        .iter()
        .map(|it| f64::from(*it) * f64::from(*it))
        .sum()
}

/// Frames of channels that are functions of the same sound.
fn channels<const N: usize>(sound: &[f32], channel: impl Fn(usize) -> [f32; N]) -> Vec<f32> {
    (0..sound.len()).flat_map(channel).collect()
}

#[test]
fn channels_without_cancellation_are_averaged_bit_for_bit() {
    let sound = speech(300.0, 3.0, 0.3);
    let other: Vec<f32> = speech(410.0, 3.0, 0.2).into_iter().rev().collect();
    let delayed = |at: usize| sound.get(at.wrapping_sub(37)).copied().unwrap_or(0.0);
    for (what, frames) in [
        ("alike", channels(&sound, |at| [sound[at], sound[at]])),
        ("one silent", channels(&sound, |at| [0.0, sound[at]])),
        ("unrelated", channels(&sound, |at| [sound[at], other[at]])),
        ("delayed", channels(&sound, |at| [sound[at], delayed(at)])),
        (
            "half inverted",
            channels(&sound, |at| [sound[at], -0.4 * sound[at]]),
        ),
    ] {
        let expected: Vec<f32> = frames
            .chunks(2)
            .map(|it| it[0] * 0.5 + it[1] * 0.5)
            .collect();
        for piece in [1, 7, 320, 1_000_000] {
            assert!(
                mixed(&frames, &[1.0, 1.0], piece) == expected,
                "{what} by {piece}"
            );
        }
    }
}

#[test]
fn channels_that_cancel_each_other_are_heard_at_any_level() {
    for level in [0.3, 0.003, 0.000_03] {
        let sound = speech(300.0, 3.0, level);
        let dc = level as f32 / 2.0;
        for (what, frames) in [
            ("inverted", channels(&sound, |at| [sound[at], -sound[at]])),
            (
                "nearly",
                channels(&sound, |at| [-0.8 * sound[at], sound[at]]),
            ),
            (
                "with a constant",
                channels(&sound, |at| [dc + sound[at], dc - sound[at]]),
            ),
            (
                "late by a sample",
                channels(&sound, |at| [sound[at], -sound[at.saturating_sub(1)]]),
            ),
        ] {
            let heard = mixed(&frames, &[1.0, 1.0], 441);
            let mean: f32 = heard.iter().sum::<f32>() / heard.len() as f32;
            let heard: Vec<f32> = heard.iter().map(|it| it - mean).collect();
            let share = energy(&heard) / energy(&sound);
            // What is lost is the start of the first block, while it fades.
            let is_noise = what == "late by a sample";
            let least = if is_noise { 0.5 } else { 0.9 };
            assert!((least..1.1).contains(&share), "{what} at {level}: {share}");
        }
    }
}

#[test]
fn surround_whose_sides_cancel_is_heard_and_the_lowest_channel_is_not() {
    let sound = speech(300.0, 2.0, 0.3);
    let weights = [0.707, 0.707, 1.0, 0.0, 0.5, 0.5];
    let sides = channels(&sound, |at| [sound[at], -sound[at], 0.0, 0.9, 0.0, 0.0]);
    let share = energy(&mixed(&sides, &weights, 500)) / energy(&sound);
    assert!((0.9..1.1).contains(&share), "{share}");
}

#[test]
fn a_plug_that_is_turned_in_the_middle_is_not_heard_as_a_click() {
    let tone: Vec<f32> = sine(200.0, 0.3, RATE_HZ, 4.0)
        .iter()
        .map(|it| *it as f32)
        .collect();
    let turned = |at: usize| {
        if (24_000..40_000).contains(&at) {
            -tone[at]
        } else {
            tone[at]
        }
    };
    let frames = channels(&tone, |at| [tone[at], turned(at)]);
    let heard = mixed(&frames, &[1.0, 1.0], 333);
    let share = energy(&heard) / energy(&tone);
    assert!((0.98..1.02).contains(&share), "{share}");
    // A tone of 200 Hz moves by 0.024 from sample to sample.
    let steps = heard.windows(2).map(|pair| (pair[1] - pair[0]).abs());
    let largest = steps
        .enumerate()
        .filter(|(at, _)| *at != 23_999 && *at != 39_999);
    let largest = largest.map(|(_, step)| step).fold(0.0, f32::max);
    assert!(largest < 0.06, "{largest}");
}
