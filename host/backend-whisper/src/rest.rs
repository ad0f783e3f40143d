//! Whether a window holds more than its first pass found.
//!
//! A decoding may stop before the window ends. Another pass over the rest costs an encoder run,
//! and over silence or over speech already transcribed it invents text, so it must earn its way.

use std::collections::HashSet;

use auricle_speech::{SAMPLE_RATE, Segment, rhythm};

/// Shortest rest that is worth another pass: 1 s holds a sentence such as "That's all."
const MIN_REST_SAMPLES: usize = SAMPLE_RATE as usize;

/// Loudness is compared over this long.
const LOUDNESS_SAMPLES: usize = SAMPLE_RATE as usize / 2;

/// Power that counts as sound at all (-60 dB).
const MIN_POWER: f32 = 1e-6;

/// How much weaker than the rest of the window speech may be (-12 dB, in power).
const WEAKER: f32 = 16.0;

/// Shortest rest that is heard although the model says that it is silent: 4 s. Whisper now and then
/// ends after the first sentence of a window, with its time, and leaves out all the others.
const MIN_DENIED_SAMPLES: usize = 4 * SAMPLE_RATE as usize;

/// Letters a second that people say at most. More than that, and the time is wrong, not the text:
/// fast English comes to 20.
const MAX_LETTERS_PER_SEC: usize = 25;

/// Length of the stretches of letters by which texts are compared.
const SHINGLE_CHARS: usize = 8;

/// Whether the audio of `window` after sample `stopped` is long and loud enough to hold speech.
pub(crate) fn is_worth_a_pass(window: &[f32], stopped: usize) -> bool {
    let Some((heard, rest)) = window.split_at_checked(stopped) else {
        return false;
    };
    let loudest = rest.chunks(LOUDNESS_SAMPLES).map(power).fold(0.0, f32::max);
    !heard.is_empty()
        && rest.len() >= MIN_REST_SAMPLES
        && loudest > MIN_POWER
        && loudest * WEAKER >= power(heard)
}

/// Whether the audio of `window` after sample `silent_from` should be heard although the model says
/// that nobody speaks there, after it heard `text` before.
pub(crate) fn is_worth_a_doubt<'a>(
    window: &[f32],
    silent_from: usize,
    text: impl Iterator<Item = &'a Segment>,
) -> bool {
    let letters: usize = text.map(|segment| segment.text.chars().count()).sum();
    let heard_secs = silent_from as f64 / f64::from(SAMPLE_RATE);
    window.len().saturating_sub(silent_from) >= MIN_DENIED_SAMPLES
        && letters as f64 <= heard_secs * MAX_LETTERS_PER_SEC as f64
        && is_worth_a_pass(window, silent_from)
}

fn power(samples: &[f32]) -> f32 {
    samples.iter().map(|s| s * s).sum::<f32>() / samples.len().max(1) as f32
}

/// Whether most of `new` is already in `before`: the first pass had heard the whole window and
/// only its timestamps said otherwise. Texts of less than two shingles are given the benefit of
/// the doubt, as speakers do say short things twice.
pub(crate) fn repeats(new: &[Segment], before: &[Segment]) -> bool {
    let (new, before) = (letters(new), letters(before));
    if new.len() < 2 * SHINGLE_CHARS {
        return false;
    }
    let known: HashSet<&[char]> = before.windows(SHINGLE_CHARS).collect();
    let shingles = new.len() - SHINGLE_CHARS + 1;
    let repeated = new
        .windows(SHINGLE_CHARS)
        .filter(|shingle| known.contains(shingle))
        .count();
    repeated * 2 > shingles
}

/// Whether a text that came twice was said twice: what was written before the rest of the chunk at
/// sample `from` has the rhythm of the sound up to there, rather than that of the whole chunk.
pub(crate) fn is_said_again(before: &[Segment], samples: &[f32], from: usize) -> bool {
    let texts = before.iter().map(|segment| segment.text.as_str());
    let written: usize = texts.map(rhythm::syllables).sum();
    let heard = rhythm::bursts(samples.get(..from).unwrap_or_default());
    // The geometric mean lies between the two as far from one as from the other.
    written * written < heard * rhythm::bursts(samples)
}

/// Letters and digits in lower case.
fn letters(segments: &[Segment]) -> Vec<char> {
    segments
        .iter()
        .flat_map(|segment| segment.text.chars())
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> [Segment; 1] {
        [Segment {
            id: 0,
            start: 0.0,
            end: 1.0,
            text: text.to_owned(),
            tokens: Vec::new(),
            logprobs: Vec::new(),
            temperature: 0.0,
            avg_logprob: 0.0,
            compression_ratio: 1.0,
            no_speech_prob: 0.0,
            words: Vec::new(),
            speaker: None,
            channel: None,
            language: None,
        }]
    }

    #[test]
    fn a_long_loud_rest_is_doubted_to_be_silent() {
        let window = vec![0.1_f32; 320_000];
        let doubted = |silent_from, text| is_worth_a_doubt(&window, silent_from, said(text).iter());
        let sentence = "Why it might have been in the workhouse?";
        assert!(doubted(42_000, sentence));
        assert!(!doubted(300_000, sentence), "a short rest");
        assert!(!doubted(16_000, sentence), "40 letters in a second");
        let quiet: Vec<f32> = [vec![0.1; 42_000], vec![1e-4; 278_000]].concat();
        assert!(!is_worth_a_doubt(&quiet, 42_000, said(sentence).iter()));
    }

    #[test]
    fn a_silent_or_short_rest_is_not_worth_a_pass() {
        let mut window = vec![0.1_f32; 160_000];
        assert!(is_worth_a_pass(&window, 80_000));
        assert!(!is_worth_a_pass(&window, 150_000), "0.6 s");
        assert!(!is_worth_a_pass(&window, 0));
        assert!(!is_worth_a_pass(&window, 200_000), "past the end");
        if let Some(rest) = window.get_mut(80_000..) {
            rest.fill(0.001);
        }
        assert!(!is_worth_a_pass(&window, 80_000));
    }

    #[test]
    fn a_sentence_said_again_is_told_from_one_heard_again() {
        // Eight syllables of a fifth of a second, then as many again.
        let beep = |n: usize| {
            if (n / 3_200).is_multiple_of(2) {
                0.0
            } else {
                0.5
            }
        };
        let samples: Vec<f32> = (0..2 * 8 * 6_400)
            .map(|n| beep(n) * (n as f32 * 0.3).sin())
            .collect();
        let once = said("The child almost hurt the small dog.");
        let twice =
            said("The child almost hurt the small dog. The child almost hurt the small dog.");
        assert!(is_said_again(&once, &samples, samples.len() / 2));
        assert!(!is_said_again(&twice, &samples, samples.len() / 2));
        assert!(!is_said_again(&once, &samples, 0));
    }

    #[test]
    fn speech_that_was_already_transcribed_is_recognised() {
        let before =
            said("Well, there's not much difference. At least, you know, they call me that.");
        assert!(repeats(
            &said("There's not much difference at least you know"),
            &before
        ));
        assert!(!repeats(&said("of having been a shopboy."), &before));
        assert!(!repeats(&said("Thank you."), &said("Thank you.")));
        assert!(!repeats(&said("A sentence that stands alone."), &[]));
        assert!(repeats(
            &said("今日はとても良い天気ですね本当に"),
            &said("今日はとても良い天気ですね、本当に。")
        ));
    }
}
