//! Lies, damage, broken streams and impatient callers.

use std::io::{self, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use auricle_audio::{AudioError, DecodeLimits, Hint, decode, decode_bytes};

use crate::support::{Fmt, Random, decode_all, decode_stream, eval_file, s16, sine, wav};

/// Small files of each container, for truncation and bit flips.
const FILES: [&str; 9] = [
    "jfk.mp3",
    "jfk_441khz.m4a",
    "mono_24bit.flac",
    "mono_8bit.wav",
    "p001.aac",
    "p001.flac",
    "p001.mp4",
    "p001.ogg",
    "video_with_audio.mp4",
];

fn with_limits(bytes: &[u8], limits: &DecodeLimits) -> Result<auricle_speech::Clip, AudioError> {
    decode_bytes(bytes.to_vec(), Hint::default(), limits, &|| false)
}

#[test]
fn no_bytes_are_empty() {
    assert!(matches!(decode_all(&[]), Err(AudioError::Empty)));
}

#[test]
fn what_is_not_audio_is_named_so() {
    let text = "This is a letter, not a recording. ".repeat(400);
    let png = [b"\x89PNG\r\n\x1A\n\0\0\0\rIHDR".to_vec(), vec![0xFF; 3000]].concat();
    for bytes in [text.as_bytes(), &png, b"x", b"%PDF-1.7", &[0; 5000]] {
        let error = decode_stream(bytes).unwrap_err();
        assert!(matches!(error, AudioError::NotAudio), "{error}");
        assert!(error.is_client_fault());
    }
}

#[test]
fn known_kinds_that_are_not_decoded_are_named() {
    let mut ogg_opus = b"OggS\0\x02".to_vec();
    ogg_opus.extend([0; 20]);
    ogg_opus.extend(b"\x01\x13OpusHead\x01\x02");
    let mut webm = b"\x1A\x45\xDF\xA3".to_vec();
    webm.extend([0; 200]);
    webm.extend(b"A_OPUS");
    for (bytes, word) in [
        (ogg_opus, "Opus"),
        (webm, "Opus"),
        (b"#!AMR\n.......".to_vec(), "AMR"),
        (b"RIFF\x04\0\0\0AVI LIST....".to_vec(), "AVI"),
    ] {
        let error = decode_all(&bytes).unwrap_err();
        assert!(matches!(error, AudioError::Unsupported { .. }), "{error}");
        let message = error.to_string();
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
    let error = decode_bytes(vec![0; 999], hint, &DecodeLimits::default(), &|| false).unwrap_err();
    assert!(
        error.to_string().contains("PCM without a header"),
        "{error}"
    );
}

#[test]
fn a_header_that_lies_costs_nothing() {
    let data = s16(&[0.1; 10]);
    let lie = |channels, rate_hz| wav(Fmt::pcm16(channels, rate_hz), &data, None, None);
    assert!(matches!(
        decode_all(&lie(0, 16_000)),
        Err(AudioError::TooManyChannels { channels: 0, .. })
    ));
    assert!(matches!(
        decode_all(&lie(65_535, 16_000)),
        Err(AudioError::TooManyChannels { .. })
    ));
    for rate_hz in [0, 1, 7_999, 192_001, u32::MAX] {
        assert!(matches!(
            decode_all(&lie(1, rate_hz)),
            Err(AudioError::BadRate { .. })
        ));
    }
    let huge = wav(Fmt::pcm16(1, 16_000), &data, None, Some(u32::MAX - 7));
    assert_eq!(decode_all(&huge).unwrap().len_samples(), 10);
    let mut format = wav(Fmt::pcm16(1, 16_000), &data, None, None);
    format[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(
        decode_all(&format),
        Err(AudioError::Undecodable { .. })
    ));
}

#[test]
fn a_flac_that_claims_2_to_the_36_samples_gives_what_it_holds() {
    let Some(mut file) = eval_file("mono_24bit.flac") else {
        return;
    };
    let honest = decode_all(&file).unwrap().len_samples();
    file[21] |= 0x0F;
    file[22..26].fill(0xFF);
    assert_eq!(decode_all(&file).unwrap().len_samples(), honest);
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
        matches!(error, AudioError::TooLong { max_secs: 1 }),
        "{error}"
    );
    for name in FILES {
        if let Some(file) = eval_file(name) {
            let error = with_limits(&file, &limits).unwrap_err();
            assert!(
                matches!(error, AudioError::TooLong { .. }),
                "{name}: {error}"
            );
        }
    }
}

#[test]
fn a_container_that_seeks_is_kept_only_up_to_the_limit() {
    let Some(file) = eval_file("p001.mp4") else {
        return;
    };
    let limits = DecodeLimits {
        max_spool_bytes: 10_000,
        ..DecodeLimits::default()
    };
    let reader = Box::new(io::Cursor::new(file.clone()));
    let error = decode(reader, Hint::default(), &limits, &|| false).unwrap_err();
    assert!(matches!(error, AudioError::TooLarge { max_bytes: 10_000 }));
    // In memory it can seek already, and nothing is kept.
    assert!(with_limits(&file, &limits).is_ok());
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
                    assert!(
                        matches!(error, AudioError::Undecodable { .. }),
                        "{name}: {error}"
                    );
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

#[test]
fn flipped_bits_never_panic_and_never_break_the_limit() {
    let limits = DecodeLimits {
        max_duration: Duration::from_secs(20),
        ..DecodeLimits::default()
    };
    let mut random = Random(20_241_122);
    for name in FILES {
        let Some(mut file) = eval_file(name) else {
            return;
        };
        // The front, where the headers are, is what decoders trust most.
        file.truncate(60_000);
        for round in 0..40 {
            let mut damaged = file.clone();
            let reach = if round % 2 == 0 { 600 } else { damaged.len() };
            for _ in 0..=random.below(20) {
                let at = random.below(reach.min(damaged.len()));
                damaged[at] ^= 1 << random.below(8);
            }
            if let Ok(clip) = with_limits(&damaged, &limits) {
                assert!(clip.duration() <= limits.max_duration, "{name}");
            }
        }
    }
}

/// Gives some bytes and then an error.
struct Breaks(io::Cursor<Vec<u8>>, io::ErrorKind);

impl Read for Breaks {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buf)? {
            0 => Err(self.1.into()),
            len => Ok(len),
        }
    }
}

#[test]
fn a_stream_that_breaks_is_not_a_shorter_file() {
    let mut files = vec![wav(
        Fmt::pcm16(1, 8_000),
        &s16(&sine(100.0, 0.1, 8_000, 2.0)),
        None,
        None,
    )];
    files.extend(FILES.iter().filter_map(|name| eval_file(name)));
    for file in files {
        // Both ends of a truncated file look alike to symphonia: this one must not.
        for kind in [io::ErrorKind::ConnectionReset, io::ErrorKind::UnexpectedEof] {
            let half = file[..file.len() / 2].to_vec();
            let reader = Box::new(Breaks(io::Cursor::new(half), kind));
            let limits = DecodeLimits::default();
            let error = decode(reader, Hint::default(), &limits, &|| false).unwrap_err();
            assert!(
                matches!(&error, AudioError::Read(e) if e.kind() == kind),
                "{error:?}"
            );
            assert!(!error.is_client_fault());
        }
    }
}

#[test]
fn a_cancelled_decoding_stops() {
    let mut files = vec![wav(Fmt::pcm16(1, 8_000), &[0; 4_000_000], None, None)];
    files.extend(FILES.iter().filter_map(|name| eval_file(name)));
    for file in files {
        let asked = AtomicUsize::new(0);
        let cancelled = || asked.fetch_add(1, Ordering::Relaxed) >= 3;
        let outcome = decode_bytes(file, Hint::default(), &DecodeLimits::default(), &cancelled);
        assert!(matches!(outcome, Err(AudioError::Cancelled)));
    }
}

#[test]
fn messages_hold_no_paths() {
    let path = std::path::Path::new("/no/such/place/voice.wav");
    let limits = DecodeLimits::default();
    let error = auricle_audio::decode_path(path, &limits, &|| false).unwrap_err();
    assert!(!error.to_string().contains('/'), "{error}");
}
