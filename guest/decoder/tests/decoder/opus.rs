//! Ogg Opus made here: what RFC 7845 asks of a player.

use auricle_speech::Clip;

use crate::files::{ogg_opus, opus_head, opus_packets, opus_voice};
use crate::support::{decode_all, levels, sine};

/// Two seconds of a tone.
fn tone() -> Vec<f32> {
    let tone = sine(440.0, 0.5, 16_000, 2.0);
    tone.iter().map(|sample| *sample as f32).collect()
}

/// The tone as a file whose header says this.
fn file(pre_skip: Option<u16>, gain: i16, end: u64) -> Clip {
    let (packets, ahead) = opus_packets(&tone(), 64_000);
    let head = opus_head(1, pre_skip.unwrap_or(ahead), gain);
    decode_all(&ogg_opus(&head, &packets, 960, end)).unwrap()
}

#[test]
fn what_lies_before_the_start_and_behind_the_end_is_left_out() {
    let clip = decode_all(&opus_voice(&tone())).unwrap();
    assert_eq!(clip.len_samples(), 32_000);
    let (packets, ahead) = opus_packets(&tone(), 64_000);
    let whole = packets.len() as u64 * 960;
    for (skip, end, expected) in [
        (ahead, u64::from(ahead) + 96_000, 32_000),
        (ahead + 480, u64::from(ahead) + 96_000, 31_840),
        (ahead, u64::from(ahead) + 95_760, 31_920),
        // More than there is.
        (ahead, whole + 48_000, (whole - u64::from(ahead)) / 3),
    ] {
        let length = file(Some(skip), 0, end).len_samples();
        assert!(length.abs_diff(expected) <= 1, "{length} for {expected}");
    }
}

#[test]
fn opus_comes_out_in_time() {
    let (packets, ahead) = opus_packets(&tone(), 64_000);
    let clip = file(None, 0, u64::from(ahead) + 96_000);
    assert!(!packets.is_empty());
    // Against the tone, and against the tone a quarter of a turn later.
    let (mut with, mut across) = (0.0, 0.0);
    for (at, sample) in clip.samples().iter().enumerate().skip(4_000).take(20_000) {
        let turn = std::f64::consts::TAU * 440.0 * at as f64 / 16_000.0;
        with += f64::from(*sample) * turn.sin();
        across += f64::from(*sample) * turn.cos();
    }
    // A sample is 9.9 degrees; the encoder's own resampler has one.
    let degrees = across.atan2(with).to_degrees();
    assert!(degrees.abs() < 20.0, "{degrees} degrees off");
}

#[test]
fn the_headers_gain_is_applied() {
    let (_, ahead) = opus_packets(&tone(), 64_000);
    let end = u64::from(ahead) + 96_000;
    for (gain, expected) in [(0, 0.5), (-1_541, 0.25)] {
        let clip = file(None, gain, end);
        let (level, _) = levels(&clip.samples()[3_200..28_800], 440.0);
        assert!((level - expected).abs() < 0.02, "{level} for {expected}");
    }
}

#[test]
fn a_layout_that_is_not_known_is_refused() {
    let (packets, _) = opus_packets(&tone(), 64_000);
    let mut head = opus_head(1, 312, 0);
    head[18] = 3;
    let error = decode_all(&ogg_opus(&head, &packets, 960, 96_000)).unwrap_err();
    assert!(error.to_string().contains("channel layout"), "{error}");
}
