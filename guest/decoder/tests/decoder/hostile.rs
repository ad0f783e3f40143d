//! Lies, damage, broken streams and impatient callers.

use std::time::Duration;

use auricle_audio::{AudioError, DecodeLimits};
use auricle_decoder::native::{NativeError, decode_bytes, decode_wav};
use auricle_decoder::{DecodeError, Hint, Refusal, Sink};

use crate::files::flac_of_silence;
use crate::support::{Fmt, decode_all, decode_stream, eval_file, s16, sine, wav};

/// Small files of each container, for truncation and bit flips.
const FILES: [&str; 10] = [
    "jfk.mp3",
    "jfk_441khz.m4a",
    "mono_24bit.flac",
    "mono_8bit.wav",
    "p001.aac",
    "p001.flac",
    "p001.mp4",
    "p001.ogg",
    "p001.webm",
    "video_with_audio.mp4",
];

fn with_limits(bytes: &[u8], limits: &DecodeLimits) -> Result<auricle_speech::Clip, NativeError> {
    decode_bytes(bytes.to_vec(), Hint::default(), limits)
}

/// What a refusal of the decoder's own says.
fn unsupported(error: NativeError) -> String {
    match error {
        NativeError::Decode(DecodeError::Unsupported(text)) => text,
        error => panic!("{error}"),
    }
}

/// What is said of a file in which nothing can be decoded.
fn undecodable(error: NativeError) -> String {
    match error {
        NativeError::Decode(DecodeError::Undecodable(text)) => text,
        error => panic!("{error}"),
    }
}

/// A finding of the fuzz target `wav`: no channels at no rate are no change of what there was before.
#[test]
fn samples_without_channels_and_rate_are_asked_about_first() {
    struct Asked(Vec<usize>);
    impl Sink for Asked {
        fn push(&mut self, samples: &[f32], weights: &[f32], _: u32) -> Result<(), Refusal> {
            self.0.push(samples.len());
            match weights.is_empty() {
                true => Err(Refusal::Unfit("no channels".to_owned())),
                false => Ok(()),
            }
        }
    }
    let mut sink = Asked(Vec::new());
    let file = wav(Fmt::pcm16(0, 0), &[1; 400], None, None);
    assert!(decode_wav(file, &mut sink).is_err());
    assert_eq!(sink.0, [0]);
}

#[test]
fn no_bytes_are_empty() {
    let error = decode_all(&[]).unwrap_err();
    assert!(matches!(error, NativeError::Decode(DecodeError::Empty)));
}

#[test]
fn what_is_not_audio_is_named_so() {
    let text = "This is a letter, not a recording. ".repeat(400);
    let png = [b"\x89PNG\r\n\x1A\n\0\0\0\rIHDR".to_vec(), vec![0xFF; 3000]].concat();
    for bytes in [text.as_bytes(), &png, b"x", b"%PDF-1.7", &[0; 5000]] {
        let text = unsupported(decode_stream(bytes).unwrap_err());
        assert!(text.contains("not audio of a known kind"), "{text}");
    }
}

#[test]
fn known_kinds_that_are_not_decoded_are_named() {
    let mut speex = b"OggS\0\x02".to_vec();
    speex.extend([0; 20]);
    speex.extend(b"\x01\x50Speex   1.2");
    for (bytes, word) in [
        (speex, "Speex"),
        (b"#!AMR\n.......".to_vec(), "AMR"),
        (b"RIFF\x04\0\0\0AVI LIST....".to_vec(), "AVI"),
    ] {
        let message = unsupported(decode_all(&bytes).unwrap_err());
        assert!(
            message.contains(word) && message.contains("ffmpeg"),
            "{message}"
        );
    }
}

#[test]
fn the_name_of_a_file_words_the_refusal() {
    let hint = Hint {
        file_name: Some("call.raw"),
        content_type: Some("application/octet-stream"),
    };
    let error = decode_bytes(vec![0; 999], hint, &DecodeLimits::default()).unwrap_err();
    assert!(
        error.to_string().contains("PCM without a header"),
        "{error}"
    );
}

#[test]
fn a_header_that_lies_costs_nothing() {
    let data = s16(&[0.1; 10]);
    let lie = |channels, rate_hz| wav(Fmt::pcm16(channels, rate_hz), &data, None, None);
    for channels in [0, 65_535] {
        let text = undecodable(decode_all(&lie(channels, 16_000)).unwrap_err());
        assert!(text.contains(&format!("{channels} channels")), "{text}");
    }
    for rate_hz in [0, 1, 7_999, 192_001, u32::MAX] {
        let text = undecodable(decode_all(&lie(1, rate_hz)).unwrap_err());
        assert!(text.contains(&format!("{rate_hz} Hz")), "{text}");
    }
    let huge = wav(Fmt::pcm16(1, 16_000), &data, None, Some(u32::MAX - 7));
    assert_eq!(decode_all(&huge).unwrap().len_samples(), 10);
    let mut format = wav(Fmt::pcm16(1, 16_000), &data, None, None);
    format[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
    undecodable(decode_all(&format).unwrap_err());
}

#[test]
fn a_flac_that_claims_2_to_the_36_samples_gives_what_it_holds() {
    let file = flac_of_silence(2, (1 << 36) - 1);
    assert_eq!(decode_all(&file).unwrap().len_samples(), 4 * 65_535);
}

#[test]
fn the_duration_limit_counts_decoded_audio() {
    let limits = DecodeLimits {
        max_duration: Duration::from_secs(1),
        ..DecodeLimits::default()
    };
    let data = s16(&sine(100.0, 0.1, 8_000, 1.5));
    let long = wav(Fmt::pcm16(1, 8_000), &data, None, None);
    let error = with_limits(&long, &limits).unwrap_err();
    assert!(
        matches!(
            error,
            NativeError::Audio(AudioError::TooLong { max_secs: 1 })
        ),
        "{error}"
    );
    for name in FILES {
        if let Some(file) = eval_file(name) {
            let error = with_limits(&file, &limits).unwrap_err();
            assert!(
                matches!(error, NativeError::Audio(AudioError::TooLong { .. })),
                "{name}: {error}"
            );
        }
    }
}

#[test]
fn a_file_cut_anywhere_gives_what_it_holds_or_an_error() {
    for name in FILES {
        let Some(file) = eval_file(name) else {
            return;
        };
        let whole = decode_all(&file).unwrap().len_samples();
        let mut longest = 0;
        for sixteenth in 1..16 {
            match decode_stream(&file[..file.len() * sixteenth / 16]) {
                Ok(clip) => {
                    assert!(clip.len_samples() <= whole, "{name} at {sixteenth}/16");
                    longest = clip.len_samples();
                }
                Err(error) => {
                    let damaged = matches!(
                        error,
                        NativeError::Decode(
                            DecodeError::Undecodable(_) | DecodeError::Unsupported(_)
                        )
                    );
                    assert!(damaged, "{name}: {error}");
                }
            }
        }
        // Without its index, which these two have at their end, an MP4 holds nothing.
        if name.ends_with(".mp4") {
            assert_eq!(longest, 0, "{name}");
        } else {
            assert!(longest > whole * 3 / 4, "{name}: {longest} of {whole}");
        }
    }
}
