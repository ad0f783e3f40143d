//! Whisper's rules for accepting a decoding, trying a higher temperature, or hearing silence
//! (`decode_with_fallback` of openai-whisper).
//!
//! The first attempt is made alone and judged here. If it fails and had a prompt, the next one is made
//! without: a prompt can send the decoder into a loop. If that fails too, one more call climbs from
//! 0.2 to 1.0 inside whisper.cpp: judging each step here would run the encoder again for each.
//!
//! A text that repeats itself in the rhythm of the sound was spoken like that and does not climb.
//!
//! Work is bounded in tokens, so that a text does not depend on how busy the machine is: see
//! [`max_tokens`] and [`MAX_CLIMB_TOKENS`].

use auricle_speech::{DecodeOptions, SAMPLE_RATE, rhythm};

use crate::attempt::Attempt;

/// Tokens of a window however short, punctuation and timestamps included.
const MIN_TOKENS: usize = 24;

/// Tokens per second of a window. Fast English comes to 8; scripts that take a token or more per
/// letter to 25.
const TOKENS_PER_SEC: usize = 30;

/// Tokens of all decodings of one chunk, over all temperatures, after which a climb is given up: a
/// window of speech takes 100 to 200, a ladder of loops would take 2,600.
pub(crate) const MAX_CLIMB_TOKENS: usize = 1_500;

/// Tokens that a decoding of so many samples may have; whisper.cpp allows 220 whatever they are.
pub(crate) fn max_tokens(window_samples: usize) -> usize {
    MIN_TOKENS + window_samples * TOKENS_PER_SEC / SAMPLE_RATE as usize
}

/// Whether an attempt has run into a loop: its text repeats itself, and not as it was spoken.
fn is_loop(attempt: &Attempt, window: &[f32], options: &DecodeOptions) -> bool {
    attempt.compression_ratio > options.compression_ratio_threshold
        && !(attempt.finished && rhythm::fits(&attempt.text, window))
}

/// What to make of an attempt at the first temperature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Take it.
    Accept,
    /// There was no speech: take nothing.
    Silence,
    /// Try a higher temperature.
    Climb,
}

/// Judges an attempt at a window.
pub(crate) fn judge(
    attempt: &Attempt,
    window: &[f32],
    no_speech_prob: f32,
    options: &DecodeOptions,
) -> Verdict {
    let failed =
        attempt.avg_logprob < options.logprob_threshold || is_loop(attempt, window, options);
    if !failed {
        return Verdict::Accept;
    }
    // openai-whisper hears silence in improbable texts only, and climbs where a text repeats
    // itself over noise, until some text is accepted.
    if no_speech_prob > options.no_speech_threshold {
        return Verdict::Silence;
    }
    if options.temperature > 0.0 {
        Verdict::Accept
    } else {
        Verdict::Climb
    }
}

/// Chooses between the first attempt, which failed, and the one from higher up the ladder.
///
/// The later one if it meets the thresholds; else the more probable of those that do not repeat
/// themselves; else the more probable one.
pub(crate) fn choose(
    first: Attempt,
    second: Option<Attempt>,
    window: &[f32],
    options: &DecodeOptions,
) -> Attempt {
    let Some(second) = second else {
        return first;
    };
    let repeats = |attempt: &Attempt| is_loop(attempt, window, options);
    if !repeats(&second) && second.avg_logprob >= options.logprob_threshold {
        return second;
    }
    match (repeats(&first), repeats(&second)) {
        (false, true) => first,
        (true, false) => second,
        _ if first.avg_logprob >= second.avg_logprob => first,
        _ => second,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(avg_logprob: f32, compression_ratio: f32, temperature: f32) -> Attempt {
        Attempt {
            tokens: Vec::new(),
            avg_logprob,
            compression_ratio,
            temperature,
            text: String::new(),
            finished: true,
        }
    }

    #[test]
    fn a_repetition_or_an_improbable_text_climbs() {
        let options = DecodeOptions::default();
        assert_eq!(
            judge(&attempt(-0.3, 1.5, 0.0), &[], 0.1, &options),
            Verdict::Accept
        );
        assert_eq!(
            judge(&attempt(-0.3, 2.5, 0.0), &[], 0.1, &options),
            Verdict::Climb
        );
        assert_eq!(
            judge(&attempt(-1.1, 1.5, 0.0), &[], 0.1, &options),
            Verdict::Climb
        );
    }

    #[test]
    fn a_failed_text_over_probable_silence_is_silence() {
        let options = DecodeOptions::default();
        assert_eq!(
            judge(&attempt(-0.3, 2.5, 0.0), &[], 0.7, &options),
            Verdict::Silence
        );
        assert_eq!(
            judge(&attempt(-1.1, 1.5, 0.0), &[], 0.7, &options),
            Verdict::Silence
        );
        assert_eq!(
            judge(&attempt(-0.3, 1.5, 0.0), &[], 0.9, &options),
            Verdict::Accept,
            "a probable text outweighs the no-speech token"
        );
    }

    #[test]
    fn a_callers_own_temperature_is_taken_as_given() {
        let options = DecodeOptions {
            temperature: 0.4,
            ..DecodeOptions::default()
        };
        assert_eq!(
            judge(&attempt(-3.0, 9.0, 0.4), &[], 0.1, &options),
            Verdict::Accept
        );
    }

    #[test]
    fn when_all_fail_the_one_that_does_not_repeat_itself_is_taken() {
        let options = DecodeOptions::default();
        let pick = |a, b| choose(a, Some(b), &[], &options).temperature;
        assert!(pick(attempt(-0.2, 9.0, 0.0), attempt(-0.9, 1.2, 0.4)) > 0.0);
        assert!(pick(attempt(-1.2, 1.2, 0.0), attempt(-0.2, 9.0, 1.0)) <= 0.0);
        assert!(pick(attempt(-1.2, 1.2, 0.0), attempt(-1.4, 1.2, 1.0)) <= 0.0);
    }

    /// Tones of a fifth of a second with pauses as long.
    fn beeps(count: usize) -> Vec<f32> {
        let beep = |n: usize| {
            if (n / 3_200).is_multiple_of(2) {
                0.0
            } else {
                0.5
            }
        };
        (0..count * 6_400)
            .map(|n| beep(n) * (n as f32 * 0.3).sin())
            .collect()
    }

    #[test]
    fn repetition_in_the_rhythm_of_the_sound_is_accepted_and_a_loop_climbs() {
        let options = DecodeOptions::default();
        let said = |times: usize, finished| Attempt {
            text: "No, ".repeat(times),
            finished,
            ..attempt(-0.3, 5.0, 0.0)
        };
        let sound = beeps(10);
        let verdict = |attempt: &Attempt| judge(attempt, &sound, 0.1, &options);
        assert_eq!(verdict(&said(10, true)), Verdict::Accept);
        assert_eq!(verdict(&said(100, true)), Verdict::Climb, "too many");
        assert_eq!(verdict(&said(10, false)), Verdict::Climb, "cut off");
        let silence = vec![0.0; sound.len()];
        let verdict = judge(&said(10, true), &silence, 0.1, &options);
        assert_eq!(verdict, Verdict::Climb, "over silence");
    }

    #[test]
    fn a_short_window_has_few_tokens() {
        assert_eq!(max_tokens(32_000), 84);
        assert!(max_tokens(480_000) > 220, "whisper.cpp's own limit holds");
    }
}
