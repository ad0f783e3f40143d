//! What a client says about its audio beforehand, and what it may learn about the answer.

use serde_json::{Value, json};

use super::{PATH, deltas, error, events, keys, sent, upload};
use crate::support::audio::{evaluation_or_say, silence, speech, two_speakers, wav};
use crate::support::server::shared_multilingual;
use crate::support::{Upload, shared};

/// What the bytes of all tokens together say.
fn said(logprobs: &Value) -> String {
    let bytes = logprobs.as_array().unwrap().iter().flat_map(|token| {
        assert_eq!(keys(token), ["bytes", "logprob", "token"]);
        let logprob = token["logprob"].as_f64().unwrap();
        assert!((-20.0..=0.0).contains(&logprob), "{token}");
        let bytes = token["bytes"].as_array().unwrap();
        bytes
            .iter()
            .map(|byte| u8::try_from(byte.as_u64().unwrap()).unwrap())
    });
    String::from_utf8(bytes.collect()).unwrap()
}

#[tokio::test]
async fn tokens_come_with_their_probabilities_when_asked_for() {
    let body = sent(upload().field("include[]", "logprobs")).await.ok();
    assert_eq!(keys(&body), ["logprobs", "text", "usage"]);
    assert_eq!(said(&body["logprobs"]), body["text"].as_str().unwrap());
    let tokens = body["logprobs"].as_array().unwrap();
    assert!(tokens.len() > 20, "{}", tokens.len());
    // Real ones: the model is surer of some words than of others.
    let numbers: Vec<f64> = tokens
        .iter()
        .map(|t| t["logprob"].as_f64().unwrap())
        .collect();
    let distinct = numbers.iter().filter(|&&n| n != numbers[0]).count();
    assert!(distinct > tokens.len() / 2, "{numbers:?}");
    // Words of one token have in the other API the probability of that token.
    let form = Upload::wav(&speech().wav()).field("word_timestamps", "true");
    let other = form.transcribe(shared()).await.ok();
    let mut compared = 0;
    for word in other["segments"][0]["words"].as_array().unwrap() {
        let text = word["word"].as_str().unwrap();
        let is_it = |token: &&Value| token["token"].as_str().unwrap().trim() == text;
        let own: Vec<&Value> = tokens.iter().filter(is_it).collect();
        if let [token] = own.as_slice() {
            let probability = token["logprob"].as_f64().unwrap().exp();
            let told = word["probability"].as_f64().unwrap();
            assert!((probability - told).abs() < 0.02, "{token} and {word}");
            compared += 1;
        }
    }
    assert!(compared >= 3, "{other}");
}

/// Segments are split between speakers, and their tokens with them.
#[tokio::test]
async fn tokens_come_with_their_probabilities_where_speakers_are_told_too() {
    let call = wav(&two_speakers());
    let form = || {
        let form = Upload::wav(&call).field("model", "gpt-4o-transcribe-diarize");
        form.field("include[]", "logprobs")
    };
    let body = sent(form()).await.ok();
    assert_eq!(said(&body["logprobs"]), body["text"].as_str().unwrap());
    let tokens = body["logprobs"].as_array().unwrap().len();
    // They count as the cost, which they do not where a split loses them.
    let counted = body["usage"]["output_tokens"].as_u64().unwrap();
    assert!(
        counted.abs_diff(tokens as u64) <= tokens as u64 / 10,
        "{counted} of {tokens}"
    );
    let (events, _) = events(form().field("stream", "true")).await;
    let (_, done) = events.last().unwrap();
    assert_eq!(said(&done["logprobs"]), done["text"].as_str().unwrap());
    let diarized = Upload::wav(&call).field("model", "gpt-4o-transcribe-diarize");
    let diarized = sent(diarized.field("response_format", "diarized_json"))
        .await
        .ok();
    let speakers = diarized["segments"].as_array().unwrap().iter();
    let changes: Vec<_> = speakers.map(|it| it["speaker"].clone()).collect();
    assert!(
        changes.windows(2).any(|pair| pair[0] != pair[1]),
        "{diarized}"
    );
    assert_eq!(diarized["text"], body["text"]);
}

#[tokio::test]
async fn streamed_tokens_are_those_of_the_deltas() {
    let form = upload()
        .field("include", "logprobs")
        .field("stream", "true");
    let (events, _) = events(form).await;
    let done = &events.last().unwrap().1;
    assert_eq!(keys(done), ["logprobs", "text", "type", "usage"]);
    assert_eq!(said(&done["logprobs"]), done["text"].as_str().unwrap());
    let mut all = Vec::new();
    for (_, event) in events
        .iter()
        .filter(|(_, e)| e["type"] == "transcript.text.delta")
    {
        assert_eq!(said(&event["logprobs"]), event["delta"].as_str().unwrap());
        all.extend(event["logprobs"].as_array().unwrap().clone());
    }
    assert_eq!(json!(all), done["logprobs"]);
    assert_eq!(deltas(&events), done["text"].as_str().unwrap());
}

#[tokio::test]
async fn what_guides_wrongly_is_400_and_named() {
    for (name, value, param) in [
        ("include[]", "everything", "include"),
        ("languages[]", "klingon", "languages"),
        (
            "keywords[]",
            &"far too long a keyword ".repeat(10),
            "keywords",
        ),
        ("chunking_strategy", "manual", "chunking_strategy"),
        (
            "chunking_strategy[type]",
            "semantic_vad",
            "chunking_strategy",
        ),
        ("chunking_strategy[threshold]", "0.5", "chunking_strategy"),
        (
            "chunking_strategy",
            r#"{"type":"server_vad","threshold":7}"#,
            "chunking_strategy",
        ),
    ] {
        let (message, named, _) = error(&sent(upload().field(name, value)).await, 400);
        assert_eq!(named, param, "{message}");
        assert!(message.len() < 300, "{message}");
    }
    let form = upload().field("include[]", "logprobs");
    let (_, named, _) = error(&sent(form.field("response_format", "text")).await, 400);
    assert_eq!(named, "include");
}

#[tokio::test]
async fn one_of_the_candidate_languages_is_detected_and_told() {
    let Some(path) = evaluation_or_say("de/azure_de-DE_training.wav") else {
        return;
    };
    let german = std::fs::read(path).unwrap();
    let heard = async |languages: &[&str]| {
        let form = Upload::wav(&german).field("model", "whisper-1");
        let with = |form: Upload, code: &&str| form.field("languages[]", code);
        let form = languages.iter().fold(form, with);
        form.send(shared_multilingual(), PATH).await.ok()
    };
    let body = heard(&["en", "de", "fr"]).await;
    assert_eq!(body["languages"], json!([{"code": "de"}]));
    assert!(body["text"].as_str().unwrap().contains("Daten"), "{body}");
    // German is none of them.
    let body = heard(&["nl", "fr"]).await;
    let code = body["languages"][0]["code"].as_str().unwrap();
    assert!(["nl", "fr"].contains(&code), "{body}");
    assert_eq!(heard(&["de"]).await["languages"], json!([{"code": "de"}]));
    assert!(heard(&[]).await.get("languages").is_none());
    let only_english = Upload::wav(&german).field("model", "tiny.en");
    let only_english = only_english
        .field("languages[]", "de")
        .field("languages[]", "fr");
    let (_, named, _) = error(&only_english.send(shared(), PATH).await, 400);
    assert_eq!(named, "language");
}

/// A name that `tiny.en` mishears without being told of it.
#[tokio::test]
async fn keywords_have_a_name_spelled_right_and_leave_the_rest_alone() {
    let Some(path) = evaluation_or_say("en/librispeech/2033-164914-0008.flac") else {
        return;
    };
    let bytes = std::fs::read(path).unwrap();
    let form = || Upload::file("name.flac", bytes.clone()).field("model", "whisper-1");
    let unguided = sent(form()).await.transcript();
    assert!(!unguided.contains("Nuzhat"), "{unguided}");
    let keywords = [
        "Auricle",
        "Zarathustra",
        "Helstone",
        "Zau al-Makan",
        "Nuzhat al-Zaman",
    ];
    let with = |form: Upload, word: &&str| form.field("keywords[]", word);
    let guided = sent(keywords.iter().fold(form(), with)).await.transcript();
    assert!(
        guided.contains("Nuzhat al-Zaman heard the first"),
        "{guided}"
    );
    for other in &keywords[..4] {
        assert!(!guided.contains(other), "nobody said {other}: {guided}");
    }
    let prompted = keywords.iter().fold(form(), with);
    let prompted = prompted.field(
        "prompt",
        "And the eunuch came to her, and told her of the poet.",
    );
    let prompted = sent(prompted).await.transcript();
    assert!(prompted.contains("Nuzhat"), "{prompted}");
}

/// The starts of the segments of a text with two pauses of half a second.
async fn starts(fields: &[(&str, &str)]) -> Vec<f64> {
    let once = &speech().samples;
    let audio = [once.as_slice(), &silence(0.7), once, &silence(0.7), once].concat();
    let form = Upload::wav(&wav(&audio)).field("model", "whisper-1");
    let form = form.field("response_format", "verbose_json");
    let form = fields
        .iter()
        .fold(form, |form, (name, value)| form.field(name, value));
    let body = sent(form).await.ok();
    let segments = body["segments"].as_array().unwrap();
    segments
        .iter()
        .map(|segment| segment["start"].as_f64().unwrap())
        .collect()
}

#[tokio::test]
async fn the_clip_is_cut_as_the_client_asks() {
    let usual = starts(&[]).await;
    assert_eq!(starts(&[("chunking_strategy", "auto")]).await, usual);
    let fine = [
        ("chunking_strategy[type]", "server_vad"),
        ("chunking_strategy[silence_duration_ms]", "400"),
        ("chunking_strategy[prefix_padding_ms]", "100"),
    ];
    let cut = starts(&fine).await;
    assert!(cut.len() > usual.len(), "{cut:?} and {usual:?}");
    let json = r#"{"type":"server_vad","silence_duration_ms":400,"prefix_padding_ms":100}"#;
    assert_eq!(starts(&[("chunking_strategy", json)]).await, cut);
    let deaf = r#"{"type":"server_vad","threshold":1.0}"#;
    assert!(starts(&[("chunking_strategy", deaf)]).await.is_empty());
}
