//! Speech level of a sound, and the gain that makes a soft recording audible to the models.
//!
//! Voice activity (Silero) hears nothing in speech below about -55 dB, and Whisper's features depend on
//! the level too. A sound whose loudest second is at least [`AUDIBLE_LEVEL`] has a gain of exactly 1, so
//! that its samples reach the models unchanged. Digital silence and its dither are never amplified.
//!
//! [`clip_gain`] knows the whole sound; a [`RunningLevel`] knows only what came so far, and leaves the
//! first two seconds as they are.

use std::borrow::Cow;
use std::collections::VecDeque;

use crate::graph::VOICE_FRAME_SAMPLES;

/// Level of the loudest second (root mean square, -26 dB) from which nothing is amplified: the active
/// speech level to which ITU-T P.56 calibrates recordings.
pub const AUDIBLE_LEVEL: f32 = 0.05;

/// Highest gain: 60 dB.
const MAX_GAIN: f32 = 1000.0;

/// Sounds below this level (-86 dB, 1.6 steps of 16 bits) are silence with dither.
const SILENCE_LEVEL: f32 = 5e-5;

/// Frames of the loudest second.
const LOUD_FRAMES: usize = 31;

/// Frames of half a second, the block of a running level.
const BLOCK_FRAMES: u32 = 16;

/// Blocks that a running level remembers: 30 s.
const BLOCKS: usize = 60;

/// Blocks that a running level must have heard before it amplifies: 2 s.
const LEAST_BLOCKS: usize = 4;

/// The gain that brings a sound of this level to [`AUDIBLE_LEVEL`]; 1.0 for louder sounds and for
/// silence, at most 1000.0.
#[must_use]
pub fn gain_of(level: f32) -> f32 {
    if !(SILENCE_LEVEL..AUDIBLE_LEVEL).contains(&level) {
        return 1.0;
    }
    (AUDIBLE_LEVEL / level).min(MAX_GAIN)
}

/// The gain for a whole sound (mono, 16 kHz). Its level is the one that its loudest second exceeds
/// (of sounds under 10 s the loudest tenth, of sounds over 52 minutes the loudest hundredth), so that a
/// click does not hide soft speech. Reads every sample once.
#[must_use]
pub fn clip_gain(samples: &[f32]) -> f32 {
    let mut levels: Vec<f32> = samples
        .chunks(VOICE_FRAME_SAMPLES as usize)
        .map(level_of)
        .collect();
    let rank = LOUD_FRAMES.min(levels.len() / 10).max(levels.len() / 100);
    if rank >= levels.len() {
        return 1.0;
    }
    let (_, level, _) = levels.select_nth_unstable_by(rank, |a, b| b.total_cmp(a));
    gain_of(*level)
}

/// The samples times `gain`, clipped to -1.0..=1.0; borrowed where the gain is 1.
#[must_use]
pub fn amplified(samples: &[f32], gain: f32) -> Cow<'_, [f32]> {
    if gain <= 1.0 {
        return Cow::Borrowed(samples);
    }
    let louder = samples
        .iter()
        .map(|sample| (sample * gain).clamp(-1.0, 1.0));
    Cow::Owned(louder.collect())
}

/// Root mean square about the mean, so that a constant offset does not count. 0.0 for no samples and
/// where a sample is not finite.
fn level_of(samples: &[f32]) -> f32 {
    let count = samples.len().max(1) as f32;
    let mean = samples.iter().sum::<f32>() / count;
    let energy: f32 = samples.iter().map(|sample| (sample - mean).powi(2)).sum();
    let level = (energy / count).sqrt();
    if level.is_finite() { level } else { 0.0 }
}

/// The gain of a sound as voice activity reads it. Plain data.
#[derive(Clone, Debug, PartialEq)]
pub enum VoiceGain {
    /// The gain of a sound that is known as a whole.
    Fixed(f32),
    /// The gain of a sound that is still arriving.
    Running(RunningLevel),
}

impl Default for VoiceGain {
    fn default() -> Self {
        Self::Running(RunningLevel::default())
    }
}

impl VoiceGain {
    /// The gain for the next frame, which is part of what it is taken from.
    pub fn next(&mut self, frame: &[f32]) -> f32 {
        match self {
            Self::Fixed(gain) => *gain,
            Self::Running(level) => level.push(frame),
        }
    }
}

/// The level of a sound so far: that of the loudest half second among the last 30 s, or of the newest
/// frame where that is louder. At most 60 numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunningLevel {
    /// Mean energies of whole blocks, the oldest first.
    blocks: VecDeque<f32>,
    /// Sum of the energies of the frames after them.
    energy: f32,
    frames: u32,
}

impl RunningLevel {
    /// Adds a frame; the gain for it.
    fn push(&mut self, frame: &[f32]) -> f32 {
        let level = level_of(frame);
        self.energy += level * level;
        self.frames += 1;
        if self.frames == BLOCK_FRAMES {
            self.blocks.push_back(self.energy / BLOCK_FRAMES as f32);
            (self.energy, self.frames) = (0.0, 0);
            if self.blocks.len() > BLOCKS {
                self.blocks.pop_front();
            }
        }
        if self.blocks.len() < LEAST_BLOCKS {
            return 1.0;
        }
        let loudest = self.blocks.iter().copied().fold(0.0, f32::max).sqrt();
        gain_of(loudest.max(level))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "tests")]
    use super::*;

    /// A tone of this root mean square, with as many seconds of near silence before it.
    fn tone(secs: usize, level: f32) -> Vec<f32> {
        let wave = |i: usize| (i as f32 * 0.2).sin() * level * std::f32::consts::SQRT_2;
        let quiet = (0..secs * 16_000).map(|i| wave(i) * 0.01);
        quiet.chain((0..secs * 16_000).map(wave)).collect()
    }

    #[test]
    fn loud_sounds_are_left_as_they_are() {
        let loud = tone(3, 0.06);
        assert_eq!(clip_gain(&loud), 1.0);
        assert!(matches!(
            amplified(&loud, clip_gain(&loud)),
            Cow::Borrowed(_)
        ));
    }

    #[test]
    fn soft_sounds_are_brought_to_the_audible_level() {
        for level in [0.02, 0.001, 0.000_1] {
            let gain = clip_gain(&tone(3, level));
            assert!(
                (gain * level / AUDIBLE_LEVEL - 1.0).abs() < 0.05,
                "{level}: {gain}"
            );
        }
    }

    #[test]
    fn silence_dither_and_nothing_are_not_amplified() {
        let step = 1.0 / 32_768.0;
        let dither: Vec<f32> = (0..64_000).map(|i| step * (i % 3 - 1) as f32).collect();
        for silent in [Vec::new(), vec![0.0; 64_000], vec![0.5; 64_000], dither] {
            assert_eq!(clip_gain(&silent), 1.0);
        }
        assert_eq!(clip_gain(&[f32::NAN; 2000]), 1.0);
    }

    #[test]
    fn a_click_does_not_hide_soft_speech() {
        let mut samples = tone(10, 0.001);
        samples[1000..4000].fill(0.9);
        samples[1001] = -0.9;
        assert!(clip_gain(&samples) > 40.0);
    }

    #[test]
    fn a_running_gain_waits_rises_for_soft_sound_and_falls_at_once() {
        let gains = |sound: &[f32]| -> Vec<f32> {
            let mut gain = VoiceGain::default();
            sound.chunks(512).map(|frame| gain.next(frame)).collect()
        };
        let soft = tone(3, 0.001);
        let found = gains(&soft);
        assert!(found[..63].iter().all(|gain| *gain == 1.0));
        assert!((found[180] - 50.0).abs() < 3.0, "{}", found[180]);
        let then_loud: Vec<f32> = soft
            .iter()
            .copied()
            .chain(tone(1, 0.3)[16_000..].to_vec())
            .collect();
        let found = gains(&then_loud);
        assert!(found[190..].iter().all(|gain| *gain == 1.0));
        // A pause between loud words stays as soft as it is.
        assert!(
            gains(&tone(2, 0.3))
                .iter()
                .skip(64)
                .all(|gain| *gain == 1.0)
        );
    }
}
