//! Windows of audio as whisper.cpp takes them: their shortest length, and how much of the encoder they
//! need.

use std::borrow::Cow;

use auricle_speech::SAMPLE_RATE;

use crate::loader::FUSED_ATTENTION;

/// Shortest window given to whisper.cpp; shorter ones get silence behind them. It ignores
/// windows under 0.1 s and warns under 1 s.
const MIN_WINDOW_SAMPLES: usize = SAMPLE_RATE as usize * 11 / 10;

/// Samples in a hundredth of a second.
pub(crate) const SAMPLES_PER_CS: usize = SAMPLE_RATE as usize / 100;

/// Samples per position of the encoder's output (20 ms).
const SAMPLES_PER_POSITION: usize = SAMPLE_RATE as usize / 50;

/// Silence behind a window that the encoder hears: 4 s. On 40 LibriSpeech clips with `base`
/// (688 words, q8_0) 0.6 s of it gave 126 errors, 2 s 90, 4 s 85, 8 s 87 and all of it 86, in 27,
/// 31, 34, 42 and 80 s.
const SILENCE_POSITIONS: usize = 200;

/// Positions are rounded up to this, which suits the matrix kernels. ggml's fused attention pads
/// to 256 without masking what an earlier window left in the padding: there must be none.
const POSITIONS_MULTIPLE: usize = if FUSED_ATTENTION { 256 } else { 64 };

/// The window, with silence behind it if it is too short for whisper.cpp.
pub(crate) fn padded(window: &[f32]) -> Cow<'_, [f32]> {
    if window.len() >= MIN_WINDOW_SAMPLES {
        return Cow::Borrowed(window);
    }
    let mut longer = window.to_vec();
    longer.resize(MIN_WINDOW_SAMPLES, 0.0);
    Cow::Owned(longer)
}

/// Encoder positions to compute for a window of `all`; 0 is all.
///
/// Whisper was trained on 30 s, mostly silence behind short speech, and whisper.cpp computes that
/// silence in full. Leaving most of it out makes short windows several times faster and, with this
/// margin, costs no accuracy; without a margin the decoder runs on and repeats itself.
pub(crate) fn audio_positions(window_samples: usize, all: usize) -> usize {
    let heard = window_samples.div_ceil(SAMPLES_PER_POSITION) + SILENCE_POSITIONS;
    let rounded = heard.next_multiple_of(POSITIONS_MULTIPLE);
    if rounded < all { rounded } else { 0 }
}

/// Playing time in hundredths of a second, rounded up.
pub(crate) fn cs(samples: usize) -> i64 {
    samples.div_ceil(SAMPLES_PER_CS) as i64
}

/// Playing time in seconds.
pub(crate) fn secs(samples: usize) -> f64 {
    samples as f64 / f64::from(SAMPLE_RATE)
}
