//! Probabilities of speech to stretches of speech.
//!
//! Two thresholds keep a voice that wavers in one piece. A stretch too short to be speech is dropped
//! only when nothing about it was certain: a short word is short, and the model is sure of it.

use std::ops::Range;

/// What counts as speech, in frames of voice activity.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// A frame of at least this probability begins speech.
    pub on: f32,
    /// Frames below this end it.
    pub off: f32,
    /// Shorter speech is dropped, unless a frame of it reaches `sure`.
    pub min_speech: usize,
    /// Shorter silence does not end it.
    pub min_silence: usize,
}

/// A frame of at least this probability is speech however short.
const SURE: f32 = 0.9;

/// The stretches of speech: ascending, disjoint, none empty. What is no number counts as silence.
pub fn stretches(probabilities: &[f32], rule: Rule) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut start = None;
    let mut last_voiced = 0;
    for (frame, &probability) in probabilities.iter().enumerate() {
        if start.is_none() && probability >= rule.on {
            start = Some(frame);
        }
        let Some(from) = start else { continue };
        if probability >= rule.off {
            last_voiced = frame;
        } else if frame - last_voiced >= rule.min_silence.max(1) {
            found.push(from..last_voiced + 1);
            start = None;
        }
    }
    if let Some(from) = start {
        found.push(from..last_voiced + 1);
    }
    found.retain(|stretch| {
        let sure = || {
            let frames = probabilities.get(stretch.clone()).unwrap_or_default();
            frames.iter().any(|&probability| probability >= SURE)
        };
        stretch.len() >= rule.min_speech || sure()
    });
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    const RULE: Rule = Rule {
        on: 0.5,
        off: 0.35,
        min_speech: 4,
        min_silence: 3,
    };

    fn found(runs: &[(f32, usize)]) -> Vec<Range<usize>> {
        let all: Vec<f32> = runs
            .iter()
            .flat_map(|&(probability, frames)| std::iter::repeat_n(probability, frames))
            .collect();
        stretches(&all, RULE)
    }

    #[test]
    fn a_voice_that_wavers_stays_in_one_piece() {
        assert_eq!(
            found(&[(0.1, 5), (0.6, 3), (0.4, 9), (0.1, 2), (0.4, 1), (0.1, 9)]),
            [5..20]
        );
    }

    #[test]
    fn a_pause_of_the_least_silence_ends_it() {
        assert_eq!(found(&[(0.8, 5), (0.1, 3), (0.8, 5)]), [0..5, 8..13]);
        assert_eq!(found(&[(0.8, 5), (0.1, 2), (0.8, 5)]), [0..12]);
    }

    #[test]
    fn a_short_word_is_kept_and_a_short_doubt_is_not() {
        assert_eq!(found(&[(0.1, 5), (0.97, 1), (0.1, 9)]), [5..6]);
        assert!(found(&[(0.1, 5), (0.7, 3), (0.1, 9)]).is_empty());
    }

    #[test]
    fn what_is_no_number_is_silence() {
        assert!(found(&[(f32::NAN, 50)]).is_empty());
        assert_eq!(found(&[(0.8, 5), (f32::NAN, 9), (0.8, 5)]), [0..5, 14..19]);
    }

    proptest! {
        #[test]
        fn stretches_ascend_and_hold_every_sure_frame(
            probabilities in prop::collection::vec(0.0..=1.0_f32, 0..300),
            min_speech in 0_usize..20,
            min_silence in 0_usize..20,
        ) {
            let rule = Rule { min_speech, min_silence, ..RULE };
            let found = stretches(&probabilities, rule);
            let mut end = 0;
            for stretch in &found {
                prop_assert!(stretch.start >= end && stretch.start < stretch.end);
                prop_assert!(stretch.end <= probabilities.len());
                end = stretch.end;
            }
            for (frame, &probability) in probabilities.iter().enumerate() {
                if probability >= SURE {
                    prop_assert!(found.iter().any(|stretch| stretch.contains(&frame)));
                }
            }
        }
    }
}
