//! Whisper's rules for accepting a decoding, trying a higher temperature, or hearing silence
//! (`decode_with_fallback` of openai-whisper).
//!
//! The first attempt is made alone and judged here. If it fails, one second call climbs from 0.2
//! to 1.0 inside whisper.cpp: judging each step here would run the encoder again for each.

use auricle_speech::DecodeOptions;

use crate::attempt::Attempt;

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

/// Judges an attempt.
pub(crate) fn judge(attempt: &Attempt, no_speech_prob: f32, options: &DecodeOptions) -> Verdict {
    let failed = attempt.avg_logprob < options.logprob_threshold
        || attempt.compression_ratio > options.compression_ratio_threshold;
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
pub(crate) fn choose(first: Attempt, second: Option<Attempt>, options: &DecodeOptions) -> Attempt {
    let Some(second) = second else {
        return first;
    };
    let repeats =
        |attempt: &Attempt| attempt.compression_ratio > options.compression_ratio_threshold;
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
        }
    }

    #[test]
    fn a_repetition_or_an_improbable_text_climbs() {
        let options = DecodeOptions::default();
        assert_eq!(
            judge(&attempt(-0.3, 1.5, 0.0), 0.1, &options),
            Verdict::Accept
        );
        assert_eq!(
            judge(&attempt(-0.3, 2.5, 0.0), 0.1, &options),
            Verdict::Climb
        );
        assert_eq!(
            judge(&attempt(-1.1, 1.5, 0.0), 0.1, &options),
            Verdict::Climb
        );
    }

    #[test]
    fn a_failed_text_over_probable_silence_is_silence() {
        let options = DecodeOptions::default();
        assert_eq!(
            judge(&attempt(-0.3, 2.5, 0.0), 0.7, &options),
            Verdict::Silence
        );
        assert_eq!(
            judge(&attempt(-1.1, 1.5, 0.0), 0.7, &options),
            Verdict::Silence
        );
        assert_eq!(
            judge(&attempt(-0.3, 1.5, 0.0), 0.9, &options),
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
            judge(&attempt(-3.0, 9.0, 0.4), 0.1, &options),
            Verdict::Accept
        );
    }

    #[test]
    fn when_all_fail_the_one_that_does_not_repeat_itself_is_taken() {
        let options = DecodeOptions::default();
        let pick = |a, b| choose(a, Some(b), &options).temperature;
        assert!(pick(attempt(-0.2, 9.0, 0.0), attempt(-0.9, 1.2, 0.4)) > 0.0);
        assert!(pick(attempt(-1.2, 1.2, 0.0), attempt(-0.2, 9.0, 1.0)) <= 0.0);
        assert!(pick(attempt(-1.2, 1.2, 0.0), attempt(-1.4, 1.2, 1.0)) <= 0.0);
    }
}
