//! `known_speaker_names[]` and `known_speaker_references[]`, as client libraries send them and as curl
//! does.

use std::fmt::Write;

use reqwest::multipart::Part;
use serde_json::Value;

use super::{PATH, error, sent};
use crate::support::audio::{silence, speech, two_speakers, wav};
use crate::support::{Upload, shared};

/// Base64, by its definition.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group
            .iter()
            .fold(0_usize, |bits, &byte| bits << 8 | usize::from(byte));
        let bits = bits << (8 * (3 - group.len()));
        for place in 0..4 {
            let letter = LETTERS[bits >> (18 - 6 * place) & 63];
            text.push(if place > group.len() {
                '='
            } else {
                char::from(letter)
            });
        }
    }
    text
}

fn data_url(samples: &[i16]) -> String {
    let mut url = "data:audio/wav;base64,".to_owned();
    write!(url, "{}", base64(&wav(samples))).unwrap();
    url
}

/// A telephone call, and after it somebody who was not part of it.
fn talk() -> Upload {
    let samples = [two_speakers(), silence(1.0), speech().samples.clone()].concat();
    Upload::wav(&wav(&samples))
        .field("model", "gpt-4o-transcribe-diarize")
        .field("response_format", "diarized_json")
}

fn voice() -> &'static [i16] {
    &speech().samples[..5 * 16_000]
}

/// Words of a speaker, and of others, after the call.
fn words_after(body: &Value, name: &str) -> (usize, usize) {
    let segments = body["segments"].as_array().unwrap();
    let after = segments
        .iter()
        .filter(|s| s["start"].as_f64().unwrap() > 30.0);
    let (own, others): (Vec<&Value>, Vec<&Value>) = after.partition(|s| s["speaker"] == name);
    let count = |segments: Vec<&Value>| {
        let texts = segments.iter().map(|s| s["text"].as_str().unwrap());
        texts.map(|text| text.split(' ').count()).sum()
    };
    (count(own), count(others))
}

#[tokio::test]
async fn a_voice_in_a_data_url_gives_its_speaker_the_name() {
    let form = talk()
        .field("known_speaker_names[]", "Jack")
        .field("known_speaker_references[]", &data_url(voice()));
    let body = sent(form).await.ok();
    let (named, others) = words_after(&body, "Jack");
    assert!(named > 2 * others, "{named} and {others}: {body}");
}

#[tokio::test]
async fn what_is_no_voice_is_400_and_named() {
    let good = data_url(voice());
    let long = data_url(&silence(11.0));
    for (reference, expected) in [
        ("https://127.0.0.1/voice.wav", "data URL"),
        ("data:audio/wav,RIFF", "data URL"),
        ("data:audio/wav;base64,!!!!", "base64"),
        ("data:audio/wav;base64,AAAAAAAAAAAAAAAA", ""),
        (data_url(&silence(1.0)).as_str(), "1.0 s"),
        (long.as_str(), "11.0 s"),
        (&format!("{good}{good}"), "base64"),
    ] {
        let form = Upload::wav(&speech().wav()).field("model", "gpt-4o-transcribe-diarize");
        let form = form.field("known_speaker_names[]", "Jack");
        let form = form.field("known_speaker_references[]", reference);
        let (message, param, _) = error(&form.send(shared(), PATH).await, 400);
        assert_eq!(param, "known_speaker_references", "{message}");
        assert!(
            message.contains(expected) && message.len() < 300,
            "{message}"
        );
    }
    let form = talk().field("known_speaker_names[]", "Jack");
    let (_, param, _) = error(&sent(form).await, 400);
    assert_eq!(param, "known_speaker_names");
    let file = || Part::bytes(wav(&silence(3.0))).file_name("voice.wav");
    let five = (0..5).fold(talk(), |form, _| {
        form.part("known_speaker_references[]", file())
    });
    let (message, ..) = error(&sent(five).await, 400);
    assert!(message.contains("at most 4"), "{message}");
}
