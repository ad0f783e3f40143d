//! OpenAI's transcription API, field by field.

/// What guides recognition: languages, keywords, chunking, and how sure it was.
mod guided;
/// Speakers whose voices are sent with the request.
mod known;
/// Which models there are, other names of theirs, models that come and go.
mod models;
/// One test for every defect that other servers were found to have.
mod peers;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::audio::{evaluation_or_say, speech};
use crate::support::server::shared_multilingual;
use crate::support::text::words;
use crate::support::upload::{client, get};
use crate::support::{Answer, Upload, shared};

const PATH: &str = "/v1/audio/transcriptions";

fn keys(value: &Value) -> Vec<&str> {
    let fields = value.as_object().unwrap().keys();
    let mut keys: Vec<_> = fields.map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

fn upload() -> Upload {
    Upload::wav(&speech().wav()).field("model", "whisper-1")
}

async fn sent(form: Upload) -> Answer {
    form.send(shared(), PATH).await
}

/// What an error says, once it has been checked for OpenAI's shape: `(message, param, code)`.
fn error(answer: &Answer, status: u16) -> (String, Value, Value) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert!(!answer.request_id().is_empty());
    assert!(answer.header("openai-processing-ms").parse::<u64>().is_ok());
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(keys(&body), ["error"]);
    let error = &body["error"];
    assert_eq!(keys(error), ["code", "message", "param", "type"]);
    assert_eq!(error["type"], "invalid_request_error");
    let message = error["message"].as_str().unwrap().to_owned();
    (message, error["param"].clone(), error["code"].clone())
}

#[tokio::test]
async fn json_is_the_text_and_the_usage() {
    let answer = sent(upload()).await;
    assert!(answer.header("openai-processing-ms").parse::<u64>().is_ok());
    let body = answer.ok();
    assert_eq!(keys(&body), ["text", "usage"]);
    speech().must_be(body["text"].as_str().unwrap());
    let secs = speech().secs().ceil() as u64;
    assert_eq!(body["usage"], json!({"type": "duration", "seconds": secs}));
}

#[tokio::test]
async fn text_is_plain_and_ends_with_a_newline() {
    let answer = sent(upload().field("response_format", "text")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    speech().must_be(answer.body.strip_suffix('\n').unwrap());
}

#[tokio::test]
async fn subtitles_are_subtitles() {
    let srt = sent(upload().field("response_format", "srt")).await;
    assert!(srt.body.starts_with("1\n00:00:0"), "{srt:?}");
    let vtt = sent(upload().field("response_format", "vtt")).await;
    assert!(vtt.body.starts_with("WEBVTT\n\n00:00:0"), "{vtt:?}");
}

#[tokio::test]
async fn verbose_json_has_every_field_and_no_words_unless_asked() {
    let body = sent(upload().field("response_format", "verbose_json"))
        .await
        .ok();
    let fields = ["duration", "language", "segments", "task", "text", "usage"];
    assert_eq!(keys(&body), fields);
    assert_eq!(body["task"], "transcribe");
    assert_eq!(body["language"], "english");
    assert!(body["duration"].is_f64(), "{body}");
    for (id, segment) in body["segments"].as_array().unwrap().iter().enumerate() {
        let fields = [
            "avg_logprob",
            "compression_ratio",
            "end",
            "id",
            "language",
            "no_speech_prob",
            "seek",
            "start",
            "temperature",
            "text",
            "tokens",
        ];
        assert_eq!(keys(segment), fields);
        assert_eq!(segment["id"], id);
        assert!(!segment["tokens"].as_array().unwrap().is_empty());
        assert!(segment["no_speech_prob"].is_f64());
    }
}

#[tokio::test]
async fn words_stand_at_the_top_and_not_in_segments() {
    let form = upload()
        .field("response_format", "verbose_json")
        .field("timestamp_granularities[]", "word")
        .field("timestamp_granularities[]", "segment");
    let body = sent(form).await.ok();
    let all = body["words"].as_array().unwrap();
    assert!(
        all.iter()
            .all(|word| keys(word) == ["end", "start", "word"])
    );
    let heard: Vec<_> = all.iter().map(|w| w["word"].as_str().unwrap()).collect();
    assert_eq!(
        words(&heard.join(" ")),
        words(body["text"].as_str().unwrap())
    );
    assert!(body["segments"][0].get("words").is_none());

    let form = upload()
        .field("response_format", "verbose_json")
        .field("timestamp_granularities", "word");
    let body = sent(form).await.ok();
    assert!(body.get("segments").is_none() && body["words"].is_array());
}

#[tokio::test]
async fn diarized_json_names_a_speaker_for_every_segment() {
    let Some(path) = evaluation_or_say("diarization/pyannote_sample.wav") else {
        return;
    };
    let form = Upload::wav(&std::fs::read(path).unwrap())
        .field("model", "gpt-4o-transcribe-diarize")
        .field("chunking_strategy", "auto")
        .field("response_format", "diarized_json");
    let body = sent(form).await.ok();
    assert_eq!(
        keys(&body),
        ["duration", "segments", "task", "text", "usage"]
    );
    let segments = body["segments"].as_array().unwrap();
    let fields = ["end", "id", "speaker", "start", "text", "type"];
    assert!(segments.iter().all(|segment| keys(segment) == fields));
    assert_eq!(segments[0]["type"], "transcript.text.segment");
    assert_eq!(segments[0]["speaker"], "A");
    assert!(segments.iter().any(|segment| segment["speaker"] == "B"));
}

#[tokio::test]
async fn a_translation_is_english() {
    let Some(path) = evaluation_or_say("de/azure_de-DE_training.wav") else {
        return;
    };
    let form = || Upload::wav(&std::fs::read(&path).unwrap()).field("model", "whisper-1");
    let path = "/v1/audio/translations";
    let body = form().send(shared_multilingual(), path).await.ok();
    assert_eq!(keys(&body), ["text"]);
    let form = form().field("response_format", "verbose_json");
    let body = form.send(shared_multilingual(), path).await.ok();
    assert_eq!(body["language"], "english", "that of the text");
    assert_eq!(body["task"], "translate");
    let text = body["text"].as_str().unwrap().to_lowercase();
    assert!(text.contains("you"), "{text}");
}

#[tokio::test]
async fn a_wrong_field_is_400_and_named() {
    for (name, value, param) in [
        ("response_format", "xml", "response_format"),
        ("temperature", "7", "temperature"),
        ("language", "klingon", "language"),
        ("stream", "perhaps", "stream"),
        (
            "timestamp_granularities[]",
            "char",
            "timestamp_granularities",
        ),
    ] {
        let (message, named, _) = error(&sent(upload().field(name, value)).await, 400);
        assert_eq!(named, param, "{message}");
    }
    let (_, param, _) = error(&sent(Upload::wav(&speech().wav())).await, 400);
    assert_eq!(param, "model");
    let no_file = Upload::empty().field("model", "whisper-1");
    let (_, param, _) = error(&sent(no_file).await, 400);
    assert_eq!(param, "file");
    let form = Upload::file("a.wav", b"no audio".repeat(99)).field("model", "whisper-1");
    let (_, param, _) = error(&sent(form).await, 400);
    assert_eq!(param, "file");
}

#[tokio::test]
async fn unknown_fields_are_ignored() {
    let form = upload().field("colour", "red").field("extra[deep][]", "1");
    speech().must_be(&sent(form).await.transcript());
}

#[tokio::test]
async fn an_unknown_model_is_404_with_its_code() {
    let form = Upload::wav(&speech().wav()).field("model", "gpt-9");
    let (_, param, code) = error(&sent(form).await, 404);
    assert_eq!((param, code), (json!("model"), json!("model_not_found")));
}

#[tokio::test]
async fn other_paths_and_methods_have_openais_errors() {
    error(&get(shared(), "/v1/nowhere").await, 404);
    let answer = get(shared(), PATH).await;
    error(&answer, 405);
    assert_eq!(answer.header("allow"), "POST");
    let request = client().post(shared().url(PATH)).body("{}");
    error(&Answer::of(request.send().await.unwrap()).await, 400);
}

/// The events of a stream, each with when it came.
async fn events(form: Upload) -> (Vec<(Duration, Value)>, Duration) {
    let began = Instant::now();
    let mut response = form.request(shared(), PATH).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let kind = response.headers()["content-type"].to_str().unwrap();
    assert!(kind.starts_with("text/event-stream"), "{kind}");
    let (mut events, mut rest, mut ended) = (Vec::new(), String::new(), false);
    while let Some(bytes) = response.chunk().await.unwrap() {
        rest.push_str(std::str::from_utf8(&bytes).unwrap());
        while let Some((event, more)) = rest.split_once("\n\n") {
            let data = event.strip_prefix("data: ").unwrap();
            assert!(!ended, "nothing follows [DONE]: {data}");
            match data {
                "[DONE]" => ended = true,
                data => events.push((began.elapsed(), serde_json::from_str(data).unwrap())),
            }
            rest = more.to_owned();
        }
    }
    assert!(ended && rest.is_empty(), "{rest}");
    (events, began.elapsed())
}

fn deltas(events: &[(Duration, Value)]) -> String {
    let deltas = events
        .iter()
        .filter(|(_, event)| event["type"] == "transcript.text.delta");
    deltas
        .map(|(_, event)| event["delta"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn the_text_of_done_is_whole_and_the_sum_of_the_deltas() {
    let (events, _) = events(upload().field("stream", "true")).await;
    let done = &events.last().unwrap().1;
    assert_eq!(keys(done), ["text", "type", "usage"]);
    assert_eq!(done["type"], "transcript.text.done");
    speech().must_be(done["text"].as_str().unwrap());
    assert_eq!(deltas(&events), done["text"].as_str().unwrap());
    let usage = &done["usage"];
    assert_eq!(usage["type"], "tokens");
    let sum = usage["input_tokens"].as_u64().unwrap() + usage["output_tokens"].as_u64().unwrap();
    assert_eq!(usage["total_tokens"], sum);
}

#[tokio::test]
async fn the_first_event_of_a_long_file_comes_long_before_the_end() {
    let Some(path) = evaluation_or_say("derived/long_shared.ogg") else {
        return;
    };
    let form = Upload::file("long.ogg", std::fs::read(path).unwrap())
        .field("model", "whisper-1")
        .field("stream", "true");
    let (events, whole) = events(form).await;
    let first = events[0].0;
    println!("first event after {first:?}, the last after {whole:?}");
    assert!(first < whole / 3, "{first:?} of {whole:?}");
    assert_eq!(events[0].1["type"], "transcript.text.delta");
    assert_eq!(
        deltas(&events),
        events.last().unwrap().1["text"].as_str().unwrap()
    );
}

#[tokio::test]
async fn a_stream_that_cannot_begin_is_an_error_with_a_status() {
    let form = Upload::wav(&speech().wav())
        .field("model", "gpt-9")
        .field("stream", "true");
    error(&sent(form).await, 404);
    let form = upload().field("stream", "true");
    let (_, param, _) = error(&sent(form.field("response_format", "srt")).await, 400);
    assert_eq!(param, "stream");
}
