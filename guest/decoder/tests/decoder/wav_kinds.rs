//! Every kind of WAV, written here sample by sample.

use auricle_audio::wav::write_s16le;
use proptest::prelude::*;

use crate::support::{Fmt, decode_all, decode_stream, levels, middle, s16, sine, wav};

fn fmt(tag: u16, bits: u16, channels: u16, rate_hz: u32, extensible: bool) -> Fmt {
    Fmt {
        tag,
        channels,
        rate_hz,
        bits,
        extensible,
    }
}

/// G.711 by search: the byte whose level is nearest.
fn law(sample: f64, expand: impl Fn(u8) -> f64) -> u8 {
    (0..=255u8)
        .min_by(|a, b| {
            let far = |byte: u8| (expand(byte) - sample).abs();
            far(*a).total_cmp(&far(*b))
        })
        .unwrap()
}

/// μ-law by the formula of the standard, not by the code under test.
fn mu_level(byte: u8) -> f64 {
    let byte = !byte;
    let (sign, exponent, mantissa) = (byte >> 7, (byte >> 4) & 7, byte & 15);
    let level = f64::from(2 * u32::from(mantissa) + 33) * 2f64.powi(exponent.into()) - 33.0;
    if sign == 1 {
        -level / 8192.0
    } else {
        level / 8192.0
    }
}

fn a_level(byte: u8) -> f64 {
    let byte = byte ^ 0x55;
    let (sign, exponent, mantissa) = (byte >> 7, (byte >> 4) & 7, f64::from(byte & 15));
    let level = if exponent == 0 {
        2.0 * mantissa + 1.0
    } else {
        (2.0 * mantissa + 33.0) * 2f64.powi(i32::from(exponent) - 1)
    };
    if sign == 1 {
        level / 4096.0
    } else {
        -level / 4096.0
    }
}

fn encode(tag: u16, bits: u16, samples: &[f64]) -> Vec<u8> {
    let int = |s: &f64, scale: f64| (s * scale).round() as i64;
    samples
        .iter()
        .flat_map(|s| match (tag, bits) {
            (1, 8) => vec![(int(s, 127.0) + 128) as u8],
            (1, 16) => (int(s, 32_767.0) as i16).to_le_bytes().to_vec(),
            (1, 24) => (int(s, 8_388_607.0) as i32).to_le_bytes()[..3].to_vec(),
            (1, 32) => (int(s, 2_147_483_647.0) as i32).to_le_bytes().to_vec(),
            (3, 32) => (*s as f32).to_le_bytes().to_vec(),
            (3, 64) => s.to_le_bytes().to_vec(),
            (6, _) => vec![law(*s, a_level)],
            (7, _) => vec![law(*s, mu_level)],
            other => panic!("no encoding {other:?}"),
        })
        .collect()
}

#[test]
fn every_sample_format_keeps_frequency_and_level() {
    let tone = sine(440.0, 0.5, 16_000, 1.0);
    let kinds = [
        (1, 8, 0.01),
        (1, 16, 1e-4),
        (1, 24, 1e-5),
        (1, 32, 1e-5),
        (3, 32, 1e-5),
        (3, 64, 1e-5),
        (6, 8, 0.01),
        (7, 8, 0.01),
    ];
    for (tag, bits, tolerance) in kinds {
        for extensible in [false, true] {
            let data = encode(tag, bits, &tone);
            let file = wav(fmt(tag, bits, 1, 16_000, extensible), &data, None, None);
            let clip = decode_all(&file).unwrap();
            assert_eq!(clip.len_samples(), 16_000, "tag {tag}, {bits} bits");
            let (level, rest) = levels(clip.samples(), 440.0);
            assert!((level - 0.5).abs() < tolerance, "{tag}/{bits}: {level}");
            assert!(rest < tolerance, "tag {tag}, {bits} bits: noise {rest}");
        }
    }
}

#[test]
fn every_rate_gives_the_same_sine() {
    for rate_hz in [
        8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 44_101, 48_000, 88_200,
        96_000, 176_400, 192_000,
    ] {
        for channels in [1, 2, 6] {
            let tone = sine(1_000.0, 0.5, rate_hz, 2.0);
            let frames: Vec<f64> = tone
                .iter()
                .flat_map(|s| std::iter::repeat_n(*s, channels))
                .collect();
            let file = wav(
                Fmt::pcm16(channels as u16, rate_hz),
                &s16(&frames),
                None,
                None,
            );
            let clip = decode_stream(&file).unwrap();
            let expected = (tone.len() as f64 * 16_000.0 / f64::from(rate_hz)).round() as u64;
            assert!(
                clip.len_samples().abs_diff(expected) <= 1,
                "{rate_hz} Hz: {} for {expected}",
                clip.len_samples()
            );
            let (level, rest) = levels(middle(&clip), 1_000.0);
            assert!((level - 0.5).abs() < 0.002, "{rate_hz} Hz: level {level}");
            assert!(rest < 0.002, "{rate_hz} Hz: noise {rest}");
        }
    }
}

#[test]
fn the_resampler_adds_no_delay() {
    for rate_hz in [8_000, 44_100, 48_000] {
        let mut click = vec![0.0; rate_hz as usize];
        click[rate_hz as usize / 2] = 1.0;
        let file = wav(Fmt::pcm16(1, rate_hz), &s16(&click), None, None);
        let clip = decode_all(&file).unwrap();
        let peak = (0..clip.samples().len())
            .max_by(|a, b| clip.samples()[*a].total_cmp(&clip.samples()[*b]))
            .unwrap();
        assert!(peak.abs_diff(8_000) <= 1, "{rate_hz} Hz: peak at {peak}");
    }
}

#[test]
fn tones_above_8_khz_do_not_fold_back() {
    let tone = sine(9_000.0, 0.5, 44_100, 1.0);
    let file = wav(Fmt::pcm16(1, 44_100), &s16(&tone), None, None);
    let clip = decode_all(&file).unwrap();
    let loudest = middle(&clip).iter().fold(0f32, |a, b| a.max(b.abs()));
    assert!(loudest < 0.001, "{loudest}");
}

#[test]
fn channels_are_averaged() {
    let frames: Vec<f64> = sine(500.0, 0.8, 16_000, 0.5)
        .iter()
        .flat_map(|s| [*s, 0.0])
        .collect();
    let file = wav(Fmt::pcm16(2, 16_000), &s16(&frames), None, None);
    let (level, _) = levels(decode_all(&file).unwrap().samples(), 500.0);
    assert!((level - 0.4).abs() < 0.001, "{level}");
}

/// 5.1: the low-frequency channel is left out, and the centre is louder than the rear.
#[test]
fn surround_is_mixed_by_its_mask() {
    let tone = sine(500.0, 0.4, 16_000, 0.5);
    let level = |mask: u32, channel: usize| {
        let frames: Vec<f64> = tone
            .iter()
            .flat_map(|s| (0..6).map(move |n| if n == channel { *s } else { 0.0 }))
            .collect();
        let mut file = wav(fmt(1, 16, 6, 16_000, true), &s16(&frames), None, None);
        file[40..44].copy_from_slice(&mask.to_le_bytes());
        let clip = decode_all(&file).unwrap();
        levels(clip.samples(), 500.0).0
    };
    let sum = 2.0 + std::f64::consts::SQRT_2;
    let weights = [1.0, 0.0, 0.5];
    for (weight, channel) in weights.into_iter().zip([2, 3, 5]) {
        let level = level(0x3F, channel);
        assert!(
            (level - 0.4 * weight / sum).abs() < 0.003,
            "{channel}: {level}"
        );
    }
    let unknown = level(0, 3);
    assert!((unknown - 0.4 / 6.0).abs() < 0.003, "{unknown}");
}

#[test]
fn sizes_of_a_wav_from_a_pipe_are_not_believed() {
    let data = s16(&sine(300.0, 0.3, 16_000, 1.0));
    for size in [0, u32::MAX, u32::MAX - 1, 0x7FFF_FFFF] {
        let file = wav(Fmt::pcm16(1, 16_000), &data, Some(size), Some(size));
        assert_eq!(
            decode_stream(&file).unwrap().len_samples(),
            16_000,
            "{size}"
        );
    }
}

#[test]
fn a_data_chunk_that_is_really_empty_does_not_swallow_the_tags() {
    let mut file = wav(Fmt::pcm16(1, 16_000), &[], None, None);
    assert!(decode_all(&file).unwrap().is_empty());
    file.extend(b"LIST\x04\0\0\0INFO");
    assert!(decode_all(&file).is_err());
    file.extend(b"data\x02\0\0\0\0\x40");
    assert_eq!(decode_all(&file).unwrap().samples(), [0.5]);
}

#[test]
fn tags_after_the_audio_are_not_audio() {
    let mut file = wav(Fmt::pcm16(1, 16_000), &s16(&[0.1; 100]), None, None);
    file.extend(b"LIST\x04\0\0\0INFO");
    assert_eq!(decode_all(&file).unwrap().len_samples(), 100);
}

#[test]
fn unknown_chunks_of_odd_length_are_passed_over() {
    let plain = wav(Fmt::pcm16(1, 16_000), &s16(&[0.25; 50]), None, None);
    let mut file = plain[..12].to_vec();
    file.extend(b"JUNK\x03\0\0\0abc\0");
    file.extend(&plain[12..]);
    assert_eq!(decode_all(&file).unwrap().len_samples(), 50);
}

#[test]
fn rf64_takes_its_size_from_ds64() {
    let data = s16(&[0.25; 50]);
    let plain = wav(Fmt::pcm16(1, 16_000), &data, None, Some(u32::MAX));
    for id in [b"RF64", b"BW64"] {
        let mut file = id.to_vec();
        file.extend(u32::MAX.to_le_bytes());
        file.extend(b"WAVEds64\x1C\0\0\0");
        file.extend(0u64.to_le_bytes());
        file.extend((data.len() as u64).to_le_bytes());
        file.extend([0; 12]);
        file.extend(&plain[12..]);
        file.extend(b"LIST\x04\0\0\0INFO");
        assert_eq!(decode_all(&file).unwrap().len_samples(), 50);
    }
}

#[test]
fn twenty_four_bits_in_four_bytes_keep_their_level() {
    let data: Vec<u8> = [0.5f64, -0.5]
        .iter()
        .flat_map(|s| (((s * 8_388_608.0) as i32) << 8).to_le_bytes())
        .collect();
    let mut file = wav(fmt(1, 32, 1, 16_000, true), &data, None, None);
    file[34] = 24; // the bits, while the block stays at 4 bytes
    assert_eq!(decode_all(&file).unwrap().samples(), [0.5, -0.5]);
}

#[test]
fn nan_and_infinity_become_silence_and_spare_their_neighbours() {
    for rate_hz in [16_000, 44_100] {
        let clean: Vec<f32> = sine(440.0, 0.5, rate_hz, 1.0)
            .iter()
            .enumerate()
            .map(|(at, s)| if at % 1000 == 500 { 0.0 } else { *s as f32 })
            .collect();
        let mut dirty = clean.clone();
        for (at, bad) in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY]
            .iter()
            .enumerate()
        {
            dirty[500 + 1000 * at] = *bad;
        }
        let file = |samples: &[f32]| {
            let data: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
            wav(fmt(3, 32, 1, rate_hz, false), &data, None, None)
        };
        let clean = decode_all(&file(&clean)).unwrap();
        let dirty = decode_all(&file(&dirty)).unwrap();
        assert_eq!(clean.samples(), dirty.samples());
    }
}

#[test]
fn what_write_s16le_writes_comes_back() {
    let samples: Vec<f32> = (0..1000).map(|n| (n as f32 / 500.0) - 1.0).collect();
    let clip = decode_all(&write_s16le(&samples, 16_000)).unwrap();
    assert_eq!(clip.samples().len(), samples.len());
    for (a, b) in clip.samples().iter().zip(&samples) {
        assert!((a - b).abs() < 1e-4, "{a} for {b}");
    }
}

#[test]
fn one_sample_is_a_clip_at_any_rate() {
    for rate_hz in [8_000, 16_000, 48_000] {
        let file = wav(Fmt::pcm16(1, rate_hz), &[0, 0x20], None, None);
        let expected = (16_000.0 / f64::from(rate_hz)).round() as u64;
        assert_eq!(decode_all(&file).unwrap().len_samples(), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_length_follows_from_the_rate(
        rate_hz in 8_000u32..=192_000,
        frames in 0usize..40_000,
        channels in 1u16..=8,
    ) {
        let data = vec![0x11; frames * usize::from(channels) * 2];
        let file = wav(Fmt::pcm16(channels, rate_hz), &data, None, None);
        let clip = decode_all(&file).unwrap();
        let expected = (frames as f64 * 16_000.0 / f64::from(rate_hz)).round() as u64;
        prop_assert!(clip.len_samples().abs_diff(expected) <= 1);
    }

    #[test]
    fn any_bytes_behind_a_riff_header_are_survived(tail in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut file = b"RIFF\x10\0\0\0WAVE".to_vec();
        file.extend(&tail);
        let _ = decode_all(&file);
        let mut file = b"RIFF\x10\0\0\0WAVEfmt \x10\0\0\0".to_vec();
        file.extend(tail);
        let _ = decode_all(&file);
    }
}
