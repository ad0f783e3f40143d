//! Every container and codec that the README names.

use auricle_audio::DecodeLimits;

use crate::support::audio::{RATE, evaluation_or_say, jfk, speech, wav_of};
use crate::support::files::opus_voice;
use crate::support::text::word_error_rate;
use crate::support::{Upload, shared};

/// What the shared server hears in a WAV file of this kind.
async fn heard(what: &str, tag: u16, channels: u16, rate: u32, bits: u16, data: Vec<u8>) {
    let file = wav_of(tag, channels, rate, bits, &data);
    let text = Upload::wav(&file).transcribe(shared()).await.transcript();
    println!("{what}: {text}");
    speech().must_nearly_be(&text, 0.1);
}

fn bytes<const N: usize>(convert: impl Fn(i16) -> [u8; N]) -> Vec<u8> {
    speech()
        .samples
        .iter()
        .flat_map(|sample| convert(*sample))
        .collect()
}

/// The logarithmic codes of telephony, by ITU-T G.711's tables of segments.
fn mu_law(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = (i32::from(sample).abs() + 132).min(32_767);
    let exponent = magnitude.ilog2() - 7;
    let mantissa = (magnitude >> (exponent + 3)) & 15;
    !(sign | (exponent << 4) as u8 | mantissa as u8)
}

fn a_law(sample: i16) -> u8 {
    let sign = if sample < 0 { 0 } else { 0x80 };
    let magnitude = i32::from(sample).abs().min(32_767) >> 3;
    let exponent = if magnitude < 32 {
        0
    } else {
        magnitude.ilog2() - 4
    };
    let mantissa = (magnitude >> exponent.max(1)) & 15;
    (sign | (exponent << 4) as u8 | mantissa as u8) ^ 0x55
}

#[tokio::test]
async fn every_kind_of_pcm_gives_the_same_words() {
    let rate = RATE as u32;
    heard(
        "u8",
        1,
        1,
        rate,
        8,
        bytes(|s| [((i32::from(s) >> 8) + 128) as u8]),
    )
    .await;
    heard("s16", 1, 1, rate, 16, bytes(i16::to_le_bytes)).await;
    let s24 = |s: i16| [0, s.to_le_bytes()[0], s.to_le_bytes()[1]];
    heard("s24", 1, 1, rate, 24, bytes(s24)).await;
    heard(
        "s32",
        1,
        1,
        rate,
        32,
        bytes(|s| (i32::from(s) << 16).to_le_bytes()),
    )
    .await;
    heard(
        "f32",
        3,
        1,
        rate,
        32,
        bytes(|s| (f32::from(s) / 32768.0).to_le_bytes()),
    )
    .await;
    heard(
        "f64",
        3,
        1,
        rate,
        64,
        bytes(|s| (f64::from(s) / 32768.0).to_le_bytes()),
    )
    .await;
}

#[tokio::test]
async fn telephony_and_stereo_give_the_same_words() {
    let rate = RATE as u32;
    heard("mu-law", 7, 1, rate, 8, bytes(|s| [mu_law(s)])).await;
    heard("A-law", 6, 1, rate, 8, bytes(|s| [a_law(s)])).await;
    let stereo = |s: i16| {
        let s = s.to_le_bytes();
        [s[0], s[1], s[0], s[1]]
    };
    heard("stereo", 1, 2, rate, 16, bytes(stereo)).await;
    // Each sample three times: 48 kHz with a little roughness above the speech.
    let thrice = |s: i16| {
        let s = s.to_le_bytes();
        [s[0], s[1], s[0], s[1], s[0], s[1]]
    };
    heard("48 kHz", 1, 1, 3 * rate, 16, bytes(thrice)).await;
}

#[tokio::test]
async fn an_mp3_gives_the_words_whatever_it_is_called() {
    let Some(path) = jfk("jfk.mp3") else {
        eprintln!("skipped: audio-jfk is not installed");
        return;
    };
    let bytes = std::fs::read(path).unwrap();
    for (content_type, name) in [("audio/mpeg", "a.mp3"), ("audio/wav", "a.wav")] {
        let form = Upload::file_as(content_type, name, &bytes);
        speech().must_be(&form.transcribe(shared()).await.transcript());
    }
}

/// A file of the evaluation data, named by its words.
async fn evaluated(name: &str, max_error_rate: f64) {
    let Some(path) = evaluation_or_say(name) else {
        return;
    };
    let text = std::fs::read_to_string(path.with_extension("txt")).unwrap();
    let form = Upload::file(name, std::fs::read(path).unwrap());
    let heard = form.transcribe(shared()).await.transcript();
    let rate = word_error_rate(&text, &heard);
    assert!(
        rate <= max_error_rate,
        "{name}: word error rate {rate}: {heard}"
    );
}

#[tokio::test]
async fn webm_flac_aac_mp4_ogg_and_aiff_give_the_words() {
    for name in [
        "p001.webm",
        "p001.flac",
        "p001.aac",
        "p001.mp4",
        "p001.ogg",
        "p001.aiff",
        "p001.mp3",
    ] {
        evaluated(&format!("codecs/{name}"), 0.25).await;
    }
    evaluated("codecs/jfk_441khz.m4a", 0.1).await;
}

#[tokio::test]
async fn files_of_8_and_24_bits_give_the_words() {
    evaluated("codecs/mono_8bit.wav", 0.4).await;
    evaluated("codecs/mono_24bit.flac", 0.4).await;
}

#[tokio::test]
async fn a_video_is_heard_by_its_sound() {
    let Some(path) = evaluation_or_say("codecs/video_with_audio.mp4") else {
        return;
    };
    let form = Upload::file_as("video/mp4", "film.mp4", &std::fs::read(path).unwrap());
    let body = form.transcribe(shared()).await.ok();
    let secs = body["audio_duration"].as_f64().unwrap();
    assert!((secs - 5.3).abs() < 0.2, "{body}");
}

/// The same sentence costs at most one word in fifty of another format.
#[tokio::test]
async fn one_sentence_gives_the_same_words_in_every_format() {
    let Some(original) = evaluation_or_say("codecs/p001.aiff") else {
        return;
    };
    let heard = async |name: &str, bytes: Vec<u8>| {
        let form = Upload::file(name, bytes).field("language", "en");
        form.transcribe(shared()).await.transcript()
    };
    let expected = heard("p001.aiff", std::fs::read(&original).unwrap()).await;
    for name in [
        "p001.aac",
        "p001.flac",
        "p001.mp3",
        "p001.mp4",
        "p001.ogg",
        "p001.webm",
    ] {
        let text = heard(name, std::fs::read(original.with_file_name(name)).unwrap()).await;
        let rate = word_error_rate(&expected, &text);
        assert!(rate <= 0.02, "{name}: {rate}: {text} for {expected}");
    }
    // What a voice message is: 16 kHz speech as 16 kbit/s Ogg Opus.
    let clip = auricle_decoder::native::decode_path(&original, &DecodeLimits::default()).unwrap();
    let opus = opus_voice(clip.samples());
    let text = heard("p001.opus", opus).await;
    let rate = word_error_rate(&expected, &text);
    assert!(rate <= 0.02, "opus: {rate}: {text} for {expected}");
}

#[tokio::test]
async fn a_codec_that_is_not_read_is_422_and_says_what_is() {
    let form = Upload::file_as("audio/amr", "a.amr", b"#!AMR\n\x04\x00\x00\x00\x00");
    let detail = form.transcribe(shared()).await.detail(422);
    assert!(
        detail.contains("FLAC") && detail.contains("Opus") && detail.contains("not supported"),
        "{detail}"
    );
}
