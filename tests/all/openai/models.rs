//! Models by name: the list, aliases, loading on request, the memory that they may take.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{PATH, error, keys, upload};
use crate::support::audio::speech;
use crate::support::upload::{client, get};
use crate::support::{Answer, SOON, Server, Upload, shared};

#[tokio::test]
async fn models_are_listed_with_their_other_names_and_found_one_by_one() {
    let list = get(shared(), "/v1/models").await.ok();
    assert_eq!(keys(&list), ["data", "object"]);
    assert_eq!(list["object"], "list");
    let models = list["data"].as_array().unwrap();
    let ids: Vec<&str> = models.iter().map(|m| m["id"].as_str().unwrap()).collect();
    for id in ["tiny.en", "whisper-1", "gpt-4o-transcribe-diarize"] {
        assert!(ids.contains(&id), "{ids:?}");
    }
    assert!(!ids.contains(&"silero-vad"), "no speech model: {ids:?}");
    for model in models {
        assert_eq!(keys(model), ["created", "id", "object", "owned_by"]);
        assert_eq!(model["object"], "model");
        assert!(
            model["created"].as_u64().unwrap() > 1_500_000_000,
            "{model}"
        );
        let path = format!("/v1/models/{}", model["id"].as_str().unwrap());
        assert_eq!(get(shared(), &path).await.ok(), *model);
    }
    let dated = get(shared(), "/v1/models/gpt-4o-mini-transcribe-2025-12-15").await;
    assert_eq!(dated.ok()["id"], "gpt-4o-mini-transcribe-2025-12-15");
}

#[tokio::test]
async fn a_model_that_is_not_there_is_404_and_its_file_is_not_read() {
    for id in ["gpt-9", "a%2Fb%20c", "..%2f..%2Fetc"] {
        let (message, param, code) = error(&get(shared(), &format!("/v1/models/{id}")).await, 404);
        assert_eq!(
            (param, code),
            (json!("model"), json!("model_not_found")),
            "{message}"
        );
    }
    let answer = client().delete(shared().url("/v1/models/whisper-1")).send();
    let answer = Answer::of(answer.await.unwrap()).await;
    error(&answer, 405);
    assert_eq!(answer.header("allow"), "GET");
    // Known before the file comes, it is refused before that is decoded.
    let form = Upload::empty().field("model", "gpt-9");
    let file = reqwest::multipart::Part::bytes(b"no audio".to_vec()).file_name("a.wav");
    let (_, param, _) = error(&form.part("file", file).send(shared(), PATH).await, 404);
    assert_eq!(param, "model");
}

/// A server with an admin listener, and that one's address.
fn observed(config: &str) -> (Server, String) {
    let server = Server::builder().config(config).arg("--admin-listen");
    let server = server.arg("127.0.0.1:0").start();
    let announced = |line: &str| line.strip_prefix("admin on http://").map(str::to_owned);
    let admin = server.stdout.find_within(SOON, announced);
    (server, admin.expect("an admin address"))
}

/// The Whisper models that are loaded.
async fn loaded(admin: &str) -> Vec<String> {
    let url = format!("http://{admin}/metrics");
    let text = client()
        .get(url)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let models = text.lines().filter_map(|line| {
        let rest = line.strip_prefix("auricle_model_bytes{model=\"")?;
        Some(rest.split_once('"')?.0.to_owned())
    });
    models
        .filter(|name| ["tiny.en", "base"].contains(&name.as_str()))
        .collect()
}

async fn transcribed(server: &Server, model: &str) -> Answer {
    let form = Upload::wav(&speech().wav()).field("model", model);
    form.send(server, PATH).await
}

#[tokio::test]
async fn another_model_is_loaded_when_it_is_asked_for_and_unloaded_when_idle() {
    let (server, admin) = observed(
        "[models]\nidle_unload = '1s'\n[models.aliases]\nhouse = 'base'\n\
         notes = { model = 'default', diarize = true }\nnowhere = 'large-v3'",
    );
    assert_eq!(loaded(&admin).await, ["tiny.en"]);
    speech().must_nearly_be(&transcribed(&server, "house").await.transcript(), 0.2);
    assert!(loaded(&admin).await.contains(&"base".to_owned()));
    let since = Instant::now();
    while loaded(&admin).await != ["tiny.en"] {
        assert!(since.elapsed() < SOON, "{:?}", loaded(&admin).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    speech().must_be(&transcribed(&server, "whisper-1").await.transcript());
    let form = Upload::wav(&speech().wav()).field("model", "notes");
    let form = form.field("response_format", "verbose_json");
    let body = form.send(&server, PATH).await.ok();
    assert_eq!(body["segments"][0]["speaker"], "A", "{body}");
    // What is not installed is no model, whatever an alias says.
    error(&transcribed(&server, "nowhere").await, 404);
    let listed = get(&server, "/v1/models").await.ok();
    let ids: Vec<&Value> = listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| &m["id"])
        .collect();
    assert!(
        ids.contains(&&json!("house")) && !ids.contains(&&json!("nowhere")),
        "{ids:?}"
    );
}

/// 64 MB hold `tiny.en` (44 MB) and not `base` (82 MB).
#[tokio::test]
async fn a_model_that_does_not_fit_is_refused_and_the_old_one_goes_on() {
    let (server, admin) = observed("[models]\nmemory_mb = 64");
    let (message, ..) = error(&transcribed(&server, "base").await, 400);
    assert!(
        message.contains("base") && message.contains("memory"),
        "{message}"
    );
    assert_eq!(loaded(&admin).await, ["tiny.en"]);
    speech().must_be(&transcribed(&server, "tiny.en").await.transcript());
    let words = upload().field("response_format", "verbose_json");
    let words = words.field("timestamp_granularities[]", "word");
    let (message, ..) = error(&words.send(&server, PATH).await, 400);
    assert!(
        message.contains("memory"),
        "a second copy does not fit either: {message}"
    );
}

#[test]
fn an_alias_of_an_alias_and_an_odd_time_end_the_start() {
    for (config, expected) in [
        ("[models.aliases]\nmine = 'whisper-1'", "'whisper-1'"),
        ("[models]\nidle_unload = 'soon'", "5m"),
    ] {
        let refusal = Server::builder().config(config).try_start().err().unwrap();
        assert!(refusal.stderr.contains(expected), "{}", refusal.stderr);
    }
}
