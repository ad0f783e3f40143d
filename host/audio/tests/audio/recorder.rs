//! The recorder of live PCM.

use std::time::Duration;

use auricle_audio::{AudioError, DecodeLimits, PcmRecorder};
use proptest::prelude::*;

use crate::tones::{levels, s16, sine};

fn recorder(rate_hz: u32) -> PcmRecorder {
    PcmRecorder::new(rate_hz, &DecodeLimits::default()).unwrap()
}

#[test]
fn a_sample_may_be_cut_between_two_appends() {
    let mut whole = recorder(16_000);
    let mut cut = recorder(16_000);
    let pcm = s16(&sine(440.0, 0.5, 16_000, 0.1));
    whole.append(&pcm).unwrap();
    for piece in pcm.chunks(7) {
        cut.append(piece).unwrap();
        cut.append(&[]).unwrap();
    }
    assert_eq!(whole.samples(), cut.samples());
    assert_eq!(cut.take().unwrap().len_samples(), 1_600);
}

#[test]
fn other_rates_are_resampled_as_they_come() {
    for rate_hz in [8_000, 24_000, 44_100, 48_000] {
        let mut live = recorder(rate_hz);
        let pcm = s16(&sine(700.0, 0.5, rate_hz, 2.0));
        for piece in pcm.chunks(rate_hz as usize / 5) {
            live.append(piece).unwrap();
        }
        assert!(
            live.samples().len() > 32_000 - 16 * 160,
            "{rate_hz} Hz lags"
        );
        let clip = live.take().unwrap();
        assert_eq!(clip.len_samples(), 32_000, "{rate_hz} Hz");
        let (level, rest) = levels(&clip.samples()[800..31_200], 700.0);
        assert!((level - 0.5).abs() < 0.005, "{rate_hz} Hz: level {level}");
        assert!(rest < 0.005, "{rate_hz} Hz: noise {rest}");
    }
}

#[test]
fn a_taken_clip_begins_the_next() {
    let mut live = recorder(8_000);
    live.append(&[0; 1601]).unwrap();
    assert_eq!(live.take().unwrap().len_samples(), 1_600);
    assert!(live.samples().is_empty());
    live.append(&[0; 1599]).unwrap();
    assert_eq!(live.take().unwrap().len_samples(), 1_600);
}

#[test]
fn a_snapshot_leaves_the_recording_as_it_is() {
    let mut live = recorder(16_000);
    live.append(&[0; 640]).unwrap();
    assert_eq!(live.snapshot().len_samples(), 320);
    assert_eq!(live.take_front(100).len(), 100);
    assert_eq!(live.samples().len(), 220);
    assert_eq!(live.take_front(1_000).len(), 220);
    assert!(live.take().unwrap().is_empty());
}

#[test]
fn a_recording_does_not_grow_over_the_limit() {
    let limits = DecodeLimits {
        max_duration: Duration::from_secs(1),
        ..DecodeLimits::default()
    };
    let mut live = PcmRecorder::new(16_000, &limits).unwrap();
    live.append(&[0; 32_000]).unwrap();
    let error = live.append(&[0; 2]).unwrap_err();
    assert!(matches!(error, AudioError::TooLong { max_secs: 1 }));
    assert_eq!(live.samples().len(), 16_000);
    assert!(PcmRecorder::new(0, &limits).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn how_the_bytes_are_cut_does_not_matter(
        pcm in proptest::collection::vec(any::<u8>(), 0..5_000),
        cuts in proptest::collection::vec(1usize..700, 1..20),
    ) {
        let mut whole = recorder(22_050);
        whole.append(&pcm).unwrap();
        let mut live = recorder(22_050);
        let mut rest = &pcm[..];
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, tail) = rest.split_at((*cut).min(rest.len()));
            live.append(piece).unwrap();
            rest = tail;
        }
        let (whole, live) = (whole.take().unwrap(), live.take().unwrap());
        prop_assert_eq!(whole.samples(), live.samples());
    }
}
