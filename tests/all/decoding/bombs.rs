use std::time::{Duration, Instant};

use auricle_capability::MediaError;
use serde_json::json;

use super::decode;
use crate::support::audio::wav_header;
use crate::support::files::{flac_of_silence, ogg_opus, opus_head};
use crate::support::{Server, Upload};

/// Ogg Opus of `hours` whose packets are one byte each: two empty frames of 60 ms. 100 kB an hour.
fn opus_of_nothing(hours: u64) -> Vec<u8> {
    let packets = vec![vec![3 << 3 | 1]; usize::try_from(hours * 30_000).unwrap()];
    let samples = hours * 30_000 * 5_760;
    ogg_opus(&opus_head(2, 312, 0), &packets, 5_760, samples)
}

#[tokio::test]
async fn hours_in_a_few_kilobytes_end_at_the_limit() {
    let limit = Duration::from_secs(30 * 60);
    for (name, bomb) in [
        ("Opus", opus_of_nothing(9)),
        ("FLAC", flac_of_silence(4_000, 4_000 * 65_535)),
    ] {
        println!("{name}: {} bytes for 9 h", bomb.len());
        let error = decode(bomb, limit).await.unwrap_err();
        assert_eq!(error, MediaError::TooLong { max_secs: 1_800 }, "{name}");
    }
}

#[tokio::test]
async fn bombs_are_413_and_the_servers_memory_stays() {
    let server = Server::builder()
        .config("[audio]\nmax_minutes = 10\n")
        .start();
    // The first request has the decoder's code loaded.
    let small = Upload::file("a.flac", flac_of_silence(1, 65_535));
    small.transcribe(&server).await.ok();
    let before = server.peak_bytes();
    for (name, bomb) in [
        ("a.opus", opus_of_nothing(9)),
        ("a.flac", flac_of_silence(4_000, 1)),
    ] {
        let answer = Upload::file(name, bomb).transcribe(&server).await;
        let detail = answer.detail(413);
        assert!(detail.contains("600 s"), "{detail}");
    }
    // Ten minutes are 38 MB of samples, twice that while they grow.
    let grown = server.peak_bytes().saturating_sub(before) >> 20;
    println!("the server's memory grew by {grown} MB");
    assert!(grown < 300, "{grown} MB");
}

#[tokio::test]
async fn headers_that_claim_two_to_the_thirty_two_samples_cost_nothing() {
    let claims = |rate| {
        let mut file = wav_header(1, 1, rate, 16, u32::MAX - 64);
        file.extend([0; 3_200]);
        file
    };
    let clip = decode(claims(16_000), Duration::MAX).await.unwrap();
    assert_eq!(clip.len_samples(), 1_600);
    let flac = flac_of_silence(1, (1 << 36) - 1);
    let clip = decode(flac, Duration::MAX).await.unwrap();
    assert_eq!(clip.len_samples(), 131_070);
    // An MP4 whose tables claim four billion entries.
    let mut mp4 = b"\0\0\0\x10ftypisom\0\0\0\0".to_vec();
    let stsz = b"\0\0\0\x14stsz\0\0\0\0\0\0\0\0\xFF\xFF\xFF\xFF";
    for kind in [b"stbl", b"minf", b"mdia", b"trak", b"moov"] {
        let inner = if kind == b"stbl" {
            stsz.to_vec()
        } else {
            mp4.split_off(16)
        };
        mp4.extend((inner.len() as u32 + 8).to_be_bytes());
        mp4.extend(kind);
        mp4.extend(inner);
    }
    let error = decode(mp4, Duration::MAX).await.unwrap_err();
    assert!(matches!(error, MediaError::Undecodable(_)), "{error}");
}

/// Hours of it: `AURICLE_SILENT_HOURS`, or so many.
const SILENT_HOURS: u64 = 2;

#[tokio::test]
async fn hours_of_silence_cost_voice_activitys_time_and_are_an_empty_transcript() {
    let hours = std::env::var("AURICLE_SILENT_HOURS");
    let hours = hours.map_or(SILENT_HOURS, |text| text.parse().unwrap());
    let server = Server::builder()
        .config(&format!("[audio]\nmax_minutes = {}\n", hours * 60 + 1))
        .start();
    let samples = hours * 3_600 * 8_000;
    let blocks = u32::try_from(samples.div_ceil(65_535)).unwrap();
    let since = Instant::now();
    let answer = Upload::file("silence.flac", flac_of_silence(blocks, samples))
        .field("response_format", "verbose_json")
        .field("model", "whisper-1")
        .send(&server, "/v1/audio/transcriptions")
        .await;
    let answer = answer.ok();
    println!("{hours} h of silence in {:?}", since.elapsed());
    assert_eq!(
        (&answer["text"], &answer["segments"]),
        (&json!(""), &json!([]))
    );
    let secs = answer["duration"].as_f64().unwrap();
    assert!((secs - (hours * 3_600) as f64).abs() < 10.0, "{secs}");
    let kept = server.private_bytes() >> 20;
    println!("{kept} MiB afterwards");
    assert!(kept < 600, "{kept} MiB");
}

/// CVE-2026-54233 of vLLM: 25 MB of Opus became 14.9 GB of samples. Here: the length of a clip is
/// the limit of whoever holds it, and seen while it grows.
#[tokio::test]
async fn opus_of_the_size_that_felled_another_server_is_refused_at_the_limit() {
    let bomb = opus_of_nothing(240);
    assert!(bomb.len() > 14 << 20, "{} bytes", bomb.len());
    let error = decode(bomb, Duration::from_secs(600)).await.unwrap_err();
    assert_eq!(error, MediaError::TooLong { max_secs: 600 });
}

/// CVE-2026-109311 of a server that decodes with ffmpeg: an IAMF file wrote beyond its buffer. Here
/// nothing knows the format, and what decodes is in a sandbox.
#[tokio::test]
async fn a_format_that_nobody_needs_is_refused_by_its_first_bytes() {
    let mut iamf = b"\xF8\x06iamf\0\0".to_vec();
    iamf.extend([0xFF; 4_096]);
    let error = decode(iamf, Duration::MAX).await.unwrap_err();
    assert!(matches!(error, MediaError::Unsupported(_)), "{error}");
}

#[tokio::test]
async fn rates_and_channels_beyond_the_limits_are_named() {
    let data = |channels, rate| {
        let mut file = wav_header(1, channels, rate, 16, 3_200);
        file.extend([0; 3_200]);
        file
    };
    for (channels, rate, word) in [
        (9, 16_000, "9 channels"),
        (0, 16_000, "0 channels"),
        (1, 7_999, "7999 Hz"),
        (1, 192_001, "192001 Hz"),
    ] {
        let error = decode(data(channels, rate), Duration::MAX)
            .await
            .unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
    for (channels, rate) in [(8, 192_000), (1, 8_000)] {
        assert!(decode(data(channels, rate), Duration::MAX).await.is_ok());
    }
}
