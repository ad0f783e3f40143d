#![allow(clippy::indexing_slicing, reason = "tests")]

use proptest::prelude::*;

use super::*;

const SECOND: f64 = 31.25;

fn packing() -> Packing {
    Packing {
        rule: Rule {
            on: 0.5,
            off: 0.35,
            min_speech: 4,
            min_silence: 3,
        },
        max: 937,
        pad_before: 9,
        pad_after: 9,
        max_silence: 62,
        window_price: 94.0,
        cut_price: 625.0,
        good_pause: 19,
    }
}

/// Probabilities and levels from stretches of (seconds, probability, level).
fn sound(stretches: &[(f64, f32, f32)]) -> (Vec<f32>, Vec<f32>) {
    let frames = stretches.iter().flat_map(|&(secs, probability, level)| {
        std::iter::repeat_n((probability, level), (secs * SECOND) as usize)
    });
    frames.unzip()
}

fn packed(stretches: &[(f64, f32, f32)]) -> Vec<(f64, f64)> {
    let (probabilities, levels) = sound(stretches);
    windows(&probabilities, &levels, &packing())
        .iter()
        .map(|w| (w.start as f64 / SECOND, w.end as f64 / SECOND))
        .collect()
}

const VOICE: (f32, f32) = (0.95, 0.1);
const QUIET: (f32, f32) = (0.02, 0.001);
const NOISE: (f32, f32) = (0.05, 0.2);

fn of(secs: f64, kind: (f32, f32)) -> (f64, f32, f32) {
    (secs, kind.0, kind.1)
}

#[test]
fn silence_and_noise_have_no_windows() {
    assert!(packed(&[]).is_empty());
    assert!(packed(&[of(60.0, QUIET)]).is_empty());
    assert!(packed(&[of(60.0, NOISE)]).is_empty());
}

#[test]
fn a_sentence_is_one_window_with_its_margins() {
    let windows = packed(&[of(5.0, QUIET), of(6.0, VOICE), of(5.0, QUIET)]);
    assert_eq!(windows.len(), 1);
    assert!((windows[0].0 - 4.7).abs() < 0.1, "{windows:?}");
    assert!((windows[0].1 - 11.3).abs() < 0.1, "{windows:?}");
}

#[test]
fn a_short_silence_at_the_edges_of_a_clip_stays() {
    let windows = packed(&[of(1.0, QUIET), of(6.0, VOICE), of(1.5, QUIET)]);
    assert_eq!(windows.len(), 1);
    assert_eq!(windows[0].0, 0.0);
    assert!(windows[0].1 > 8.3, "{windows:?}");
}

#[test]
fn a_long_silence_is_left_out_and_a_short_one_kept() {
    let long = [of(6.0, VOICE), of(4.0, QUIET), of(6.0, VOICE)];
    let windows = packed(&long);
    assert_eq!(windows.len(), 2);
    assert!(windows[0].1 < 6.5 && windows[1].0 > 9.5, "{windows:?}");
    let short = [of(4.0, VOICE), of(0.2, QUIET), of(4.0, VOICE)];
    assert_eq!(packed(&short).len(), 1);
}

#[test]
fn a_cut_is_in_the_longest_pause_and_not_in_the_last() {
    let windows = packed(&[
        of(14.0, VOICE),
        of(0.6, QUIET),
        of(11.0, VOICE),
        of(0.1, QUIET),
        of(12.0, VOICE),
    ]);
    assert_eq!(windows.len(), 2);
    assert!((14.0..14.6).contains(&windows[0].1), "{windows:?}");
}

#[test]
fn speech_without_a_pause_is_cut_all_the_same() {
    let windows = packed(&[of(95.0, VOICE)]);
    assert!((4..=5).contains(&windows.len()), "{windows:?}");
    for pair in windows.windows(2) {
        assert_eq!(pair[0].1, pair[1].0);
    }
}

#[test]
fn a_voice_in_noise_is_cut_where_the_voice_pauses() {
    let windows = packed(&[
        of(20.0, (0.9, 0.25)),
        of(0.5, (0.05, 0.2)),
        of(20.0, (0.9, 0.25)),
    ]);
    assert_eq!(windows.len(), 2);
    assert!((20.0..20.5).contains(&windows[0].1), "{windows:?}");
}

#[test]
fn a_soft_voice_beside_a_loud_one_is_kept() {
    let windows = packed(&[
        of(12.0, VOICE),
        of(0.3, QUIET),
        of(40.0, (0.9, 0.004)),
        of(0.3, QUIET),
        of(12.0, VOICE),
    ]);
    let held: f64 = windows.iter().map(|(start, end)| end - start).sum();
    assert!(held > 63.5, "{windows:?}");
}

#[test]
fn a_word_at_the_end_is_kept() {
    let windows = packed(&[
        of(10.0, VOICE),
        of(4.0, QUIET),
        of(0.1, VOICE),
        of(3.0, QUIET),
    ]);
    assert_eq!(windows.len(), 2);
    assert!(windows[1].0 < 14.0 && windows[1].1 > 14.1, "{windows:?}");
}

#[test]
fn four_hours_are_packed_at_once() {
    let pattern = [
        of(2.3, VOICE),
        of(0.2, QUIET),
        of(3.1, VOICE),
        of(0.7, QUIET),
    ];
    let (probabilities, levels) = sound(&pattern.repeat(2_300));
    let windows = windows(&probabilities, &levels, &packing());
    assert!((480..=2_400).contains(&windows.len()), "{}", windows.len());
}

proptest! {
    #[test]
    fn windows_ascend_fit_and_hold_every_voice(
        stretches in prop::collection::vec(
            (
                0.0..25.0_f64,
                prop_oneof![Just(0.02_f32), Just(0.95), 0.0..=1.0_f32],
                prop_oneof![Just(0.0_f32), Just(0.001), Just(0.1), 0.0..1.0_f32],
            ),
            0..14,
        ),
        max in 1_usize..=937,
        pad in 0_usize..60,
        max_silence in 0_usize..200,
        window_price in 0.0..300.0_f32,
        cut_price in 0.0..3000.0_f32,
    ) {
        let packing = Packing { max, pad_before: pad, pad_after: pad / 2, max_silence, window_price, cut_price, ..packing() };
        let (probabilities, levels) = sound(&stretches);
        let windows = windows(&probabilities, &levels, &packing);
        let mut last = 0;
        for window in &windows {
            prop_assert!(window.start >= last && window.start < window.end);
            prop_assert!(window.end <= probabilities.len());
            prop_assert!(window.len() <= max, "{window:?} of at most {max}");
            last = window.end;
        }
        for (frame, &probability) in probabilities.iter().enumerate() {
            if probability >= 0.9 {
                prop_assert!(
                    windows.iter().any(|window| window.contains(&frame)),
                    "frame {frame} is in no window"
                );
            }
        }
    }
}
