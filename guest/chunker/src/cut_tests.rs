#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use proptest::prelude::*;

use super::*;

const SECOND: usize = 100;

fn limits() -> Limits {
    Limits::new(30 * SECOND, 10 * SECOND)
}

/// Levels from stretches of (seconds, level).
fn sound(stretches: &[(f64, f32)]) -> Vec<f32> {
    stretches
        .iter()
        .flat_map(|&(secs, level)| std::iter::repeat_n(level, (secs * SECOND as f64) as usize))
        .collect()
}

/// The spans of whole frames, in seconds.
fn cut_secs(levels: &[f32]) -> Vec<(f64, f64)> {
    heard_secs(levels, &[])
}

fn heard_secs(levels: &[f32], voices: &[f32]) -> Vec<(f64, f64)> {
    let length = levels.len() as u64 * FRAME_SAMPLES;
    spans(Sound { levels, voices }, length, limits())
        .iter()
        .map(|s| (s.start as f64 / 16_000.0, s.end as f64 / 16_000.0))
        .collect()
}

#[test]
fn a_short_clip_is_one_span() {
    assert_eq!(cut_secs(&sound(&[(11.0, 0.1)])), [(0.0, 11.0)]);
}

#[test]
fn an_empty_or_silent_clip_has_no_spans() {
    assert!(cut_secs(&[]).is_empty());
    assert!(cut_secs(&sound(&[(95.0, 0.0)])).is_empty());
    assert!(cut_secs(&sound(&[(0.5, 5e-5)])).is_empty());
}

#[test]
fn silence_at_the_edges_is_left_out_but_for_a_margin() {
    let levels = sound(&[(40.0, 0.0), (5.0, 0.1), (40.0, 0.0)]);
    assert_eq!(cut_secs(&levels), [(39.8, 45.2)]);
}

#[test]
fn the_cut_is_in_the_middle_of_the_last_pause() {
    let levels = sound(&[
        (22.0, 0.1),
        (0.5, 0.001),
        (4.0, 0.1),
        (0.5, 0.001),
        (13.0, 0.1),
    ]);
    let spans = cut_secs(&levels);
    assert_eq!(spans.len(), 2);
    assert!((spans[0].1 - 26.75).abs() < 0.1, "{spans:?}");
    assert_eq!(spans[0].1, spans[1].0);
}

#[test]
fn a_short_closure_near_the_end_loses_to_a_pause() {
    let levels = sound(&[
        (23.0, 0.1),
        (0.4, 0.001),
        (5.0, 0.1),
        (0.05, 0.001),
        (20.0, 0.1),
    ]);
    let spans = cut_secs(&levels);
    assert!((23.0..=23.4).contains(&spans[0].1), "{spans:?}");
}

#[test]
fn sound_without_a_pause_fills_the_window() {
    assert_eq!(
        cut_secs(&sound(&[(70.0, 0.1)])),
        [(0.0, 30.0), (30.0, 60.0), (60.0, 70.0)]
    );
}

#[test]
fn a_voice_in_noise_is_cut_where_the_voice_pauses() {
    let noise = sound(&[(40.5, 0.2)]);
    let voice = sound(&[(24.0, 0.18), (0.5, 0.01), (16.0, 0.18)]);
    let spans = heard_secs(&noise, &voice);
    assert_eq!(spans.len(), 2);
    assert!((24.0..24.5).contains(&spans[0].1), "{spans:?}");
}

#[test]
fn a_soft_voice_beside_a_loud_one_is_kept() {
    let levels = sound(&[(12.0, 0.1), (0.3, 0.001), (40.0, 0.004), (12.0, 0.1)]);
    let held: f64 = cut_secs(&levels)
        .iter()
        .map(|(start, end)| end - start)
        .sum();
    assert!(held > 64.2, "{held}");
}

#[test]
fn a_rest_is_never_shorter_than_a_second() {
    let spans = cut_secs(&sound(&[(30.3, 0.1)]));
    assert_eq!(spans.len(), 2);
    assert!((spans[1].1 - spans[1].0 - 1.0).abs() < 1e-9, "{spans:?}");
}

#[test]
fn a_long_silence_inside_a_window_stays_inside_it() {
    let levels = sound(&[(5.0, 0.1), (10.0, 0.0), (5.0, 0.1)]);
    assert_eq!(cut_secs(&levels), [(0.0, 20.0)]);
}

#[test]
fn a_long_silence_between_windows_belongs_to_none() {
    let levels = sound(&[(20.0, 0.1), (60.0, 0.0), (20.0, 0.1)]);
    assert_eq!(cut_secs(&levels), [(0.0, 20.2), (79.8, 100.0)]);
}

#[test]
fn an_hour_of_levels_is_cut_at_once() {
    let levels: Vec<f32> = (0..360_000)
        .map(|i| if i % 700 < 30 { 0.001 } else { 0.1 })
        .collect();
    let spans = cut_secs(&levels);
    assert!((120..=150).contains(&spans.len()), "{}", spans.len());
    for pair in spans.windows(2) {
        let frame = (pair[0].1 * 100.0).round() as usize;
        assert!(levels[frame] < 0.01, "cut inside sound at {frame}");
    }
}

proptest! {
    #[test]
    fn spans_ascend_fit_and_hold_every_sound(
        stretches in prop::collection::vec(
            (0.0..25.0_f64, prop_oneof![Just(0.0_f32), Just(0.001), Just(0.1), 0.0..1.0_f32]),
            0..20,
        ),
        odd_samples in 0_u64..160,
        max in 1_usize..=3000,
        search in 0_usize..=3000,
    ) {
        let levels = sound(&stretches);
        let length = (levels.len() as u64 * FRAME_SAMPLES).saturating_sub(odd_samples);
        let sound = Sound { levels: &levels, voices: &levels };
        let spans = spans(sound, length, Limits::new(max, search));
        let mut last = 0;
        for span in &spans {
            prop_assert!(span.start >= last && span.start < span.end && span.end <= length);
            prop_assert!(span.end - span.start <= max as u64 * FRAME_SAMPLES);
            last = span.end;
        }
        for (frame, level) in levels.iter().enumerate().filter(|(_, l)| is_sound(**l)) {
            let sample = frame as u64 * FRAME_SAMPLES;
            prop_assert!(
                spans.iter().any(|s| s.start <= sample && sample < s.end),
                "frame {frame} of level {level} is in no span"
            );
        }
    }
}
