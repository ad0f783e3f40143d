//! The tutorial API: fields, options and routes of every answer that is not an error.

use serde_json::{Value, json};

use crate::support::audio::{evaluation_or_say, speech};
use crate::support::server::shared_multilingual;
use crate::support::text::words;
use crate::support::upload::{client, get};
use crate::support::{Answer, Upload, shared};

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys
}

fn upload() -> Upload {
    Upload::wav(&speech().wav())
}

#[tokio::test]
async fn a_transcript_has_the_tutorials_fields_and_no_others() {
    let body = upload().transcribe(shared()).await.ok();
    let fields = [
        "audio_duration",
        "duration",
        "language",
        "segments",
        "speakers",
        "text",
    ];
    assert_eq!(keys(&body), fields);
    speech().must_be(body["text"].as_str().unwrap());
    assert_eq!(body["language"], "en");
    assert_eq!(body["speakers"], json!([]));
    assert!(body["duration"].as_f64().unwrap() > 0.0);
    assert!((body["audio_duration"].as_f64().unwrap() - speech().secs()).abs() < 0.01);
    let segments = body["segments"].as_array().unwrap();
    let mut end = 0.0;
    for (id, segment) in segments.iter().enumerate() {
        assert_eq!(keys(segment), ["end", "id", "speaker", "start", "text"]);
        assert_eq!(segment["id"], id);
        assert_eq!(segment["speaker"], Value::Null);
        assert!(segment["start"].as_f64().unwrap() >= end);
        end = segment["end"].as_f64().unwrap();
        assert!(end > segment["start"].as_f64().unwrap());
    }
    assert!(end <= speech().secs() + 0.05, "{end}");
    let texts: Vec<_> = segments
        .iter()
        .map(|s| s["text"].as_str().unwrap())
        .collect();
    assert_eq!(
        words(&texts.join(" ")),
        words(body["text"].as_str().unwrap())
    );
}

#[tokio::test]
async fn each_word_has_its_time_when_asked() {
    let body = upload()
        .field("word_timestamps", "true")
        .transcribe(shared())
        .await
        .ok();
    let mut heard = Vec::new();
    let mut end = 0.0;
    for segment in body["segments"].as_array().unwrap() {
        for word in segment["words"].as_array().unwrap() {
            assert_eq!(keys(word), ["end", "probability", "start", "word"]);
            let start = word["start"].as_f64().unwrap();
            assert!(
                start >= end,
                "{word} begins before the last word's end {end}"
            );
            end = word["end"].as_f64().unwrap();
            assert!(end >= start && (0.0..=1.0).contains(&word["probability"].as_f64().unwrap()));
            heard.push(word["word"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(
        words(&heard.join(" ")),
        words(body["text"].as_str().unwrap())
    );
    assert!(end <= speech().secs() + 0.05, "{end}");
    assert!(end > speech().secs() - 2.0, "{end}");
}

#[tokio::test]
async fn options_count_after_the_file_and_in_the_query() {
    let after = upload()
        .field("word_timestamps", "true")
        .field("language", "en");
    let query = upload().query("word_timestamps=true&language=en&task=transcribe");
    for form in [after, query] {
        let body = form.transcribe(shared()).await.ok();
        assert!(body["segments"][0]["words"].is_array(), "{body}");
    }
}

#[tokio::test]
async fn unknown_fields_and_empty_options_are_ignored() {
    let form = upload()
        .field("colour", "red")
        .field("language", "")
        .field("diarize", "");
    speech().must_be(
        &form
            .field("temperature", "")
            .transcribe(shared())
            .await
            .transcript(),
    );
}

#[tokio::test]
async fn beam_search_and_a_prompt_leave_the_words_right() {
    let form = upload()
        .field("beam_size", "3")
        .field("prompt", "A speech.");
    speech().must_nearly_be(&form.transcribe(shared()).await.transcript(), 0.1);
}

#[tokio::test]
async fn a_request_may_name_another_model() {
    let answer = upload().field("model", "base").transcribe(shared()).await;
    speech().must_nearly_be(&answer.transcript(), 0.1);
}

#[tokio::test]
async fn five_languages_are_scored_best_first() {
    let body = upload()
        .send(shared_multilingual(), "/detect-language")
        .await
        .ok();
    assert_eq!(
        keys(&body),
        ["confidence", "detected_language", "top_languages"]
    );
    assert_eq!(body["detected_language"], "en");
    let top = body["top_languages"].as_array().unwrap();
    assert_eq!(top.len(), 5);
    assert_eq!(keys(&top[0]), ["language", "probability"]);
    assert_eq!(top[0]["language"], "en");
    assert_eq!(top[0]["probability"], body["confidence"]);
    let scores: Vec<_> = top
        .iter()
        .map(|t| t["probability"].as_f64().unwrap())
        .collect();
    assert!(
        scores.is_sorted_by(|a, b| a >= b) && scores[0] > 0.8,
        "{scores:?}"
    );
    assert!(scores.iter().sum::<f64>() <= 1.001, "{scores:?}");
}

#[tokio::test]
async fn translation_makes_english_of_german() {
    let Some(path) = evaluation_or_say("de/azure_de-DE_training.wav") else {
        return;
    };
    let form = Upload::wav(&std::fs::read(path).unwrap());
    let form = form.field("language", "de").field("task", "translate");
    let body = form.transcribe(shared_multilingual()).await.ok();
    assert_eq!(body["language"], "de", "the language that was spoken");
    let text = body["text"].as_str().unwrap();
    for word in ["you", "with this tool", "quality"] {
        assert!(text.to_lowercase().contains(word), "{text}");
    }
}

#[tokio::test]
async fn health_names_the_model() {
    let answer = get(shared(), "/health").await;
    assert_eq!(answer.ok(), json!({ "status": "ok", "model": "tiny.en" }));
}

#[tokio::test]
async fn every_answer_names_its_request_and_keeps_the_clients_name_for_it() {
    let answer = get(shared(), "/health").await;
    assert_eq!(answer.request_id().len(), 16, "{answer:?}");
    let request = client()
        .get(shared().url("/nowhere"))
        .header("x-request-id", "mine-1");
    let answer = Answer::of(request.send().await.unwrap()).await;
    assert_eq!(answer.request_id(), "mine-1");
}

#[tokio::test]
async fn other_paths_and_methods_are_refused_in_json() {
    assert_eq!(get(shared(), "/nowhere").await.detail(404), "Not Found");
    let answer = get(shared(), "/transcribe").await;
    assert_eq!(answer.detail(405), "Method Not Allowed");
    assert_eq!(answer.header("allow"), "POST");
    let answer = client().post(shared().url("/health")).send().await.unwrap();
    assert_eq!(answer.status(), 405);
    assert_eq!(get(shared(), "/ws/transcribe").await.status, 426);
}
