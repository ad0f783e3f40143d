//! Syllables in a text and in a sound: whether a text can have been spoken there.
//!
//! Tells real repetition from a decoder that has run into a loop. Both repeat a phrase; a speaker
//! produces a burst of energy per syllable, a loop is written without regard to the sound. Counts are
//! estimates that hold within a factor of two for speech of any language, which is enough: a loop is
//! off by more. Pure functions; costs are linear in their input.

use crate::SAMPLE_RATE;

/// Samples of a frame of the energy envelope (10 ms).
const FRAME_SAMPLES: usize = SAMPLE_RATE as usize / 100;

/// Frames over which energy is averaged (50 ms, a third of a short syllable): steady noise then varies
/// by some tenths of a decibel.
const SMOOTH_FRAMES: usize = 5;

/// Rise above the valley before it, and fall after it, that make a burst, in decibels. On read speech
/// in nine languages the bursts are 0.55 to 1.25 times the syllables; white noise has none.
const BURST_DB: f32 = 4.0;

/// Energy this far below the loud frames counts as silence, in decibels.
const RANGE_DB: f32 = 30.0;

/// Energy that counts as silence however soft the loud frames are, in decibels.
const SILENCE_DB: f32 = -90.0;

/// Share of the syllables that must be heard as bursts, in hundredths: fluent speech slurs some.
const MIN_PERCENT: usize = 45;

/// Bursts per syllable at most, in hundredths: more of them, and something else is said.
const MAX_PERCENT: usize = 250;

/// Bursts beyond [`MAX_PERCENT`] that the surroundings may add, such as a door or a cough.
const EXTRA_BURSTS: usize = 4;

/// Syllables per second that can be spoken; fast speech reaches 8.
const MAX_PER_SEC: f64 = 10.0;

/// Letters per second that can be spoken; fast English reaches 20.
const MAX_LETTERS_PER_SEC: f64 = 20.0;

/// Estimated number of spoken syllables: groups of vowels in alphabets that write them, at least one
/// per word; a character of Chinese or Korean, a kana; half of the letters of other scripts.
#[must_use]
pub fn syllables(text: &str) -> usize {
    text.split_whitespace().map(of_word).sum()
}

fn of_word(word: &str) -> usize {
    let (mut vowels, mut blocks, mut consonants, mut unvowelled) = (0, 0, 0, 0);
    let mut after_vowel = false;
    for c in word.chars().flat_map(char::to_lowercase) {
        let vowel = is_vowel(c);
        match c {
            _ if vowel => vowels += usize::from(!after_vowel),
            // Small kana belong to the one before; the others are a mora each.
            'っ' | 'ゃ' | 'ゅ' | 'ょ' | 'ッ' | 'ャ' | 'ュ' | 'ョ' | 'ー' => {}
            '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' => {
                blocks += 1;
            }
            '\u{0}'..='\u{52f}' if c.is_alphabetic() => consonants += 1,
            _ if c.is_numeric() => blocks += 1,
            _ if c.is_alphabetic() => unvowelled += 1,
            _ => {}
        }
        after_vowel = vowel;
    }
    let spelled = match vowels {
        0 => consonants.min(1),
        _ => vowels,
    };
    spelled + blocks + usize::div_ceil(unvowelled, 2)
}

/// Whether a letter of the Latin, Greek or Cyrillic alphabet is a vowel; in lower case.
fn is_vowel(c: char) -> bool {
    matches!(c, '\u{1ea0}'..='\u{1ef9}')
        || "aeiouyàáâãäåāăąæèéêëēĕėęěìíîïĩīĭįıòóôõöøōŏőœơùúûüũūŭůűųưýÿŷ".contains(c)
        || "αεηιουωάέήίόύώϊϋΐΰаеёиоуыэюяіїє".contains(c)
}

/// Number of bursts of energy, which in speech are the syllables.
#[must_use]
pub fn bursts(samples: &[f32]) -> usize {
    let envelope = envelope(samples);
    let Some(&first) = envelope.first() else {
        return 0;
    };
    // `edge` is the valley while energy is low, the peak while it is high.
    let (mut count, mut high, mut edge) = (0, false, first);
    for level in envelope {
        if high {
            edge = edge.max(level);
            high = level > edge - BURST_DB;
            edge = if high { edge } else { level };
        } else {
            edge = edge.min(level);
            high = level >= edge + BURST_DB;
            count += usize::from(high);
            edge = if high { level } else { edge };
        }
    }
    count
}

/// Smoothed energy of the frames in decibels, silence cut off.
fn envelope(samples: &[f32]) -> Vec<f32> {
    let powers: Vec<f32> = samples
        .chunks_exact(FRAME_SAMPLES)
        .map(|frame| frame.iter().map(|s| s * s).sum::<f32>() / FRAME_SAMPLES as f32)
        .collect();
    let half = SMOOTH_FRAMES / 2;
    let mut levels: Vec<f32> = (0..powers.len())
        .map(|at| {
            let to = powers.len().min(at + half + 1);
            let around = powers.get(at.saturating_sub(half)..to).unwrap_or_default();
            let mean = around.iter().sum::<f32>() / SMOOTH_FRAMES as f32;
            10.0 * mean.max(1e-12).log10()
        })
        .collect();
    let mut sorted = levels.clone();
    sorted.sort_by(f32::total_cmp);
    let loud = sorted
        .get(sorted.len() * 19 / 20)
        .copied()
        .unwrap_or(SILENCE_DB);
    let floor = (loud - RANGE_DB).max(SILENCE_DB);
    for level in &mut levels {
        *level = level.max(floor);
    }
    levels
}

/// Whether the rhythm of `samples` is that of `text` spoken once: about a burst for each syllable, and
/// no more syllables than time allows.
#[must_use]
pub fn fits(text: &str, samples: &[f32]) -> bool {
    let (written, heard) = (syllables(text), bursts(samples));
    let secs = samples.len() as f64 / f64::from(SAMPLE_RATE);
    written > 0
        && written as f64 <= secs * MAX_PER_SEC
        && heard * 100 >= written * MIN_PERCENT
        && heard * 100 <= written * MAX_PERCENT + EXTRA_BURSTS * 100
}

/// Whether so much time is too short to speak `text` in, however fast.
#[must_use]
pub fn is_too_fast(text: &str, samples: usize) -> bool {
    let letters = text.chars().filter(|c| c.is_alphanumeric()).count();
    let secs = samples as f64 / f64::from(SAMPLE_RATE);
    letters as f64 > 1.0 + secs * MAX_LETTERS_PER_SEC
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "tests")]
    use super::*;

    /// `count` tones of `ms`, each followed by as much of a tone at a tenth of the amplitude.
    fn beeps(count: usize, ms: usize, amplitude: f32) -> Vec<f32> {
        let samples = ms * SAMPLE_RATE as usize / 1000;
        (0..count * 2 * samples)
            .map(|n| {
                let loud = (n / samples).is_multiple_of(2);
                let level = if loud { amplitude } else { amplitude / 10.0 };
                level * (n as f32 * 0.3).sin()
            })
            .collect()
    }

    fn noise(secs: usize) -> Vec<f32> {
        let mut seed = 1_u32;
        let mut next = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        (0..secs * SAMPLE_RATE as usize).map(|_| next()).collect()
    }

    #[test]
    fn syllables_are_counted_in_many_scripts() {
        for (text, count) in [
            ("", 0),
            ("No, no, no!", 3),
            ("The child almost hurt the small dog.", 8),
            ("hmm Mr. 25", 4),
            ("Über Ägypten", 5),
            ("Молоко", 3),
            ("καλημέρα", 4),
            ("你好。", 2),
            ("ありがとう", 5),
            ("きゃっと", 2),
            ("안녕하세요", 5),
            ("สวัสดี", 3),
            ("…", 0),
        ] {
            assert_eq!(syllables(text), count, "{text}");
        }
    }

    #[test]
    fn a_burst_is_counted_at_any_level() {
        for amplitude in [0.9, 0.01, 0.001] {
            assert_eq!(bursts(&beeps(10, 200, amplitude)), 9, "{amplitude}");
        }
    }

    #[test]
    fn silence_and_steady_noise_have_no_bursts() {
        assert_eq!(bursts(&noise(20)), 0);
        assert_eq!(bursts(&vec![0.0; 160_000]), 0);
        assert_eq!(bursts(&[0.5; 10]), 0);
    }

    #[test]
    fn ten_words_fit_ten_bursts_and_neither_a_hundred_nor_two() {
        let sound = beeps(10, 200, 0.5);
        assert!(fits(&"No, ".repeat(10), &sound));
        assert!(!fits(&"No, ".repeat(100), &sound), "a loop runs on");
        assert!(!fits("", &sound));
        assert!(!fits("No, no.", &beeps(30, 100, 0.5)), "more is said");
        assert!(!fits(&"Thank you. ".repeat(15), &noise(30)), "over noise");
    }

    #[test]
    fn text_of_more_letters_than_time_allows_is_too_fast() {
        assert!(is_too_fast("Thank you.", 3_200));
        assert!(is_too_fast("Thank you.", 4_800));
        assert!(!is_too_fast("Thank you.", 8_000));
        assert!(!is_too_fast("No.", 3_200));
    }
}
