//! The mel filters, which are computed and not read: they depend on nothing but their number.
//!
//! The formula is Slaney's (Auditory Toolbox, 1998): linear below 1 kHz, logarithmic above, each
//! triangle with an area of one. It is computed in f64 and rounded to f32 where the published
//! filters of Whisper were, which makes the result equal to them bit for bit.

use super::layout::{N_BINS, N_FFT};

const SAMPLE_RATE: f64 = 16_000.0;
/// Width of a mel in Hz where the scale is linear.
const LINEAR_STEP_HZ: f64 = 200.0 / 3.0;
/// Where the logarithmic part of the scale begins.
const LOG_START_HZ: f64 = 1000.0;

/// `n_mels` filters of [`N_BINS`] weights each, filter by filter.
pub(super) fn filters(n_mels: u32) -> Vec<f32> {
    let bin_hz = 1.0 / (N_FFT as f64 * (1.0 / SAMPLE_RATE));
    let edges = edges_hz(n_mels);
    let mut out = Vec::with_capacity(n_mels as usize * N_BINS);
    for edge in edges.windows(3) {
        let &[low, middle, high] = edge else { continue };
        let area = 2.0 / (high - low);
        for bin in 0..N_BINS {
            let hz = bin as f64 * bin_hz;
            let rising = (hz - low) / (middle - low);
            let falling = (high - hz) / (high - middle);
            let height = rising.min(falling).max(0.0) as f32;
            // Adding zero turns -0.0, which `max` may return, into the reference's +0.0.
            out.push((f64::from(height) * area) as f32 + 0.0);
        }
    }
    out
}

/// The corners of the triangles: `n_mels + 2` of them, evenly spaced in mel from 0 to half the
/// sample rate.
fn edges_hz(n_mels: u32) -> Vec<f64> {
    let top = hz_to_mel(SAMPLE_RATE / 2.0);
    let last = n_mels + 1;
    let step = top / f64::from(last);
    (0..=last)
        .map(|i| if i == last { top } else { f64::from(i) * step })
        .map(mel_to_hz)
        .collect()
}

fn log_step() -> f64 {
    6.4_f64.ln() / 27.0
}

fn hz_to_mel(hz: f64) -> f64 {
    if hz < LOG_START_HZ {
        return hz / LINEAR_STEP_HZ;
    }
    LOG_START_HZ / LINEAR_STEP_HZ + (hz / LOG_START_HZ).ln() / log_step()
}

fn mel_to_hz(mel: f64) -> f64 {
    let start = LOG_START_HZ / LINEAR_STEP_HZ;
    if mel < start {
        return LINEAR_STEP_HZ * mel;
    }
    LOG_START_HZ * (log_step() * (mel - start)).exp()
}

#[cfg(test)]
mod tests {
    use super::super::output::hex_sha256;
    use super::*;

    /// The digest is that of the filters in whisper.cpp's published ggml-base.bin and
    /// ggml-tiny.en.bin (bytes 56..64376 of either).
    #[test]
    fn eighty_filters_equal_the_published_ones_bit_for_bit() {
        let bytes: Vec<u8> = filters(80).into_iter().flat_map(f32::to_le_bytes).collect();
        assert_eq!(bytes.len(), 80 * N_BINS * 4);
        assert_eq!(
            hex_sha256(&bytes),
            "85818f156f7e189453901a515e4726d270d307f976e161cf9403e8caab405498"
        );
    }

    #[test]
    fn no_filter_holds_a_negative_zero() {
        for n_mels in [80, 128] {
            assert!(
                filters(n_mels)
                    .iter()
                    .all(|weight| weight.is_sign_positive())
            );
        }
    }
}
