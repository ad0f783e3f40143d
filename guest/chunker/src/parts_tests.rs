#![allow(clippy::indexing_slicing, reason = "tests")]

use proptest::prelude::*;

use super::*;

const SECOND: f64 = 31.25;

fn keep() -> Keep {
    Keep {
        rule: Rule {
            on: 0.5,
            off: 0.35,
            min_speech: 4,
            min_silence: 3,
        },
        pad_before: 9,
        pad_after: 9,
        max_silence: 93,
    }
}

/// Probabilities from stretches of (seconds, probability).
fn sound(stretches: &[(f64, f32)]) -> Vec<f32> {
    let frames = stretches
        .iter()
        .map(|&(secs, probability)| std::iter::repeat_n(probability, (secs * SECOND) as usize));
    frames.flatten().collect()
}

fn kept(stretches: &[(f64, f32)]) -> Vec<(f64, f64)> {
    parts(&sound(stretches), &keep())
        .iter()
        .map(|part| (part.start as f64 / SECOND, part.end as f64 / SECOND))
        .collect()
}

const VOICE: f32 = 0.95;
const QUIET: f32 = 0.02;

#[test]
fn silence_has_no_parts() {
    assert!(kept(&[]).is_empty());
    assert!(kept(&[(60.0, QUIET)]).is_empty());
}

#[test]
fn a_sentence_is_one_part_with_its_margins() {
    let parts = kept(&[(5.0, QUIET), (6.0, VOICE), (5.0, QUIET)]);
    assert_eq!(parts.len(), 1);
    assert!((parts[0].0 - 4.7).abs() < 0.1, "{parts:?}");
    assert!((parts[0].1 - 11.3).abs() < 0.1, "{parts:?}");
}

#[test]
fn a_short_silence_at_the_edges_of_a_clip_stays() {
    let parts = kept(&[(1.0, QUIET), (6.0, VOICE), (1.5, QUIET)]);
    assert_eq!(parts.len(), 1);
    assert_eq!(parts[0].0, 0.0);
    assert!(parts[0].1 > 8.3, "{parts:?}");
}

#[test]
fn a_long_silence_is_left_out_and_a_short_one_kept() {
    let parts = kept(&[(6.0, VOICE), (4.0, QUIET), (6.0, VOICE)]);
    assert_eq!(parts.len(), 2);
    assert!(parts[0].1 < 6.5 && parts[1].0 > 9.5, "{parts:?}");
    assert_eq!(kept(&[(4.0, VOICE), (2.8, QUIET), (4.0, VOICE)]).len(), 1);
}

#[test]
fn a_word_at_the_end_is_kept() {
    let parts = kept(&[(10.0, VOICE), (4.0, QUIET), (0.1, VOICE), (3.5, QUIET)]);
    assert_eq!(parts.len(), 2);
    assert!(parts[1].0 < 14.0 && parts[1].1 > 14.1, "{parts:?}");
}

proptest! {
    #[test]
    fn parts_ascend_and_hold_every_voice(
        stretches in prop::collection::vec(
            (0.0..25.0_f64, prop_oneof![Just(0.02_f32), Just(0.95), 0.0..=1.0_f32]),
            0..14,
        ),
        pad in 0_usize..60,
        max_silence in 0_usize..200,
    ) {
        let keep = Keep { pad_before: pad, pad_after: pad / 2, max_silence, ..keep() };
        let probabilities = sound(&stretches);
        let parts = parts(&probabilities, &keep);
        let mut last = 0;
        for part in &parts {
            prop_assert!(part.start >= last && part.start < part.end);
            prop_assert!(part.end <= probabilities.len());
            last = part.end;
        }
        for (frame, &probability) in probabilities.iter().enumerate() {
            if probability >= 0.9 {
                prop_assert!(
                    parts.iter().any(|part| part.contains(&frame)),
                    "frame {frame} is in no part"
                );
            }
        }
    }
}
