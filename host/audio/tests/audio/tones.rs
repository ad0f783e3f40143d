//! Sines and measurements; the decoder's tests share them.

use std::f64::consts::TAU;

/// `secs` of a sine at `level`.
pub fn sine(hz: f64, level: f64, rate_hz: u32, secs: f64) -> Vec<f64> {
    let count = (secs * f64::from(rate_hz)).round() as usize;
    (0..count)
        .map(|n| level * (TAU * hz * n as f64 / f64::from(rate_hz)).sin())
        .collect()
}

/// Samples as 16-bit little-endian.
pub fn s16(samples: &[f64]) -> Vec<u8> {
    samples
        .iter()
        .flat_map(|s| ((s * 32_767.0).round() as i16).to_le_bytes())
        .collect()
}

/// Level of the sine of `hz` in `samples`, and of everything else.
pub fn levels(samples: &[f32], hz: f64) -> (f64, f64) {
    let n = samples.len() as f64;
    let (mut re, mut im, mut power) = (0.0, 0.0, 0.0);
    for (at, sample) in samples.iter().enumerate() {
        let sample = f64::from(*sample);
        let phase = TAU * hz * at as f64 / 16_000.0;
        re += sample * phase.cos();
        im += sample * phase.sin();
        power += sample * sample;
    }
    let level = 2.0 * re.hypot(im) / n;
    let rest = (power / n - level * level / 2.0).max(0.0).sqrt();
    (level, rest)
}
