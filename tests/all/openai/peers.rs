//! One test for every defect of other servers that speak this API, which users of theirs report or
//! their source shows, unless another test here shows already that it is not there: a whole `text` at
//! the end of a stream, words at the top, errors in one shape, `diarized_json`, translations.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{PATH, keys, sent, upload};
use crate::support::audio::{evaluation_or_say, silence, speech, two_speakers, wav};
use crate::support::server::shared_multilingual;
use crate::support::{Upload, shared};

/// Whether there is a `null` anywhere.
fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.iter().any(has_null),
        Value::Object(fields) => fields.values().any(has_null),
        _ => false,
    }
}

#[tokio::test]
async fn numbers_are_numbers_and_nothing_is_null() {
    for granularity in ["segment", "word"] {
        let form = upload()
            .field("response_format", "verbose_json")
            .field("timestamp_granularities[]", granularity);
        let body = sent(form).await.ok();
        assert!(!has_null(&body), "{body}");
        let duration = body["duration"].as_f64().unwrap();
        assert!((duration - speech().secs()).abs() < 0.01, "{duration}");
        for segment in body["segments"].as_array().into_iter().flatten() {
            assert!(segment["seek"].is_u64() && segment["compression_ratio"].is_f64());
            assert!(segment["tokens"][0].is_u64(), "{segment}");
        }
    }
}

#[tokio::test]
async fn a_text_has_no_times_in_it_in_any_format() {
    for format in ["json", "text"] {
        let answer = sent(upload().field("response_format", format)).await;
        assert!(
            !answer.body.contains("-->") && !answer.body.contains("[0"),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn the_model_that_is_named_is_the_one_that_answers() {
    let Some(path) = evaluation_or_say("de/azure_de-DE_training.wav") else {
        return;
    };
    let bytes = std::fs::read(path).unwrap();
    let mut languages = BTreeSet::new();
    for model in ["base", "tiny.en"] {
        let form = Upload::wav(&bytes).field("model", model);
        let form = form.field("response_format", "verbose_json");
        let body = form.send(shared_multilingual(), PATH).await.ok();
        languages.insert(body["language"].as_str().unwrap().to_owned());
    }
    assert_eq!(
        languages.into_iter().collect::<Vec<_>>(),
        ["english", "german"]
    );
}

#[tokio::test]
async fn a_prompt_counts() {
    let Some(path) = evaluation_or_say("en/librispeech/2414-128291-0002.flac") else {
        return;
    };
    let bytes = std::fs::read(path).unwrap();
    let form = Upload::file("name.flac", bytes).field("model", "whisper-1");
    let form = form.field("prompt", "Thus spake Zarathustra to the people.");
    let text = sent(form).await.transcript();
    assert!(text.contains("Zarathustra"), "{text}");
}

/// Twelve sentences over more than a minute: the last is as much in its place as the first.
#[tokio::test]
async fn times_do_not_drift_from_chunk_to_chunk() {
    let once = [speech().samples.clone(), silence(0.7)].concat();
    let period = once.len() as f64 / 16_000.0;
    let form = Upload::wav(&wav(&once.repeat(6))).field("model", "whisper-1");
    let form = form
        .field("response_format", "verbose_json")
        .field("timestamp_granularities[]", "word");
    let body = sent(form).await.ok();
    let words = body["words"].as_array().unwrap();
    let of = |said: &str| -> Vec<f64> {
        let own = words
            .iter()
            .filter(|w| w["word"].as_str().unwrap().starts_with(said));
        own.map(|word| word["start"].as_f64().unwrap()).collect()
    };
    let starts = of("Americans");
    assert_eq!(starts.len(), 6, "{body}");
    for (number, start) in starts.iter().enumerate() {
        let drift = start - starts[0] - period * number as f64;
        assert!(drift.abs() < 0.5, "{starts:?}");
    }
}

#[tokio::test]
async fn subtitles_name_the_speakers() {
    let form = |format| {
        Upload::wav(&wav(&two_speakers()))
            .field("model", "gpt-4o-transcribe-diarize")
            .field("response_format", format)
    };
    let srt = sent(form("srt")).await.body;
    assert!(srt.contains("\nA: ") && srt.contains("\nB: "), "{srt}");
    let vtt = sent(form("vtt")).await.body;
    assert!(vtt.contains("<v A>") && vtt.contains("<v B>"), "{vtt}");
    assert!(!srt.contains("speaker ?") && !vtt.contains("speaker ?"));
}

/// One request after the other would have the short one wait for the whole of the long one.
#[tokio::test]
async fn a_short_clip_does_not_wait_for_a_long_one() {
    let long = wav(&[speech().samples.clone(), silence(1.0)].concat().repeat(24));
    let long = Upload::wav(&long)
        .field("model", "whisper-1")
        .field("stream", "true");
    let mut response = long.request(shared(), PATH).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.chunk().await.unwrap().unwrap();
    let rest = tokio::spawn(async move {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.unwrap() {
            bytes.extend_from_slice(&chunk);
        }
        String::from_utf8(bytes).unwrap()
    });
    let body = sent(upload()).await.ok();
    assert_eq!(keys(&body), ["text", "usage"]);
    assert!(!rest.is_finished(), "the short one comes first");
    assert!(rest.await.unwrap().contains("transcript.text.done"));
}
