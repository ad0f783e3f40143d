//! Voice activity: what it finds, what is left out for it, and a server without it.

use std::os::unix::fs::symlink;
use std::path::Path;

use auricle_models::StoreDirs;
use serde_json::Value;
use tempfile::TempDir;

use crate::guests::{Tenants, send, transcribe_at, wasm};
use crate::support::audio::{chord, evaluation_or_say, noise, silence, speech, wav};
use crate::support::server::shared_multilingual;
use crate::support::{Server, Upload, shared};

/// Fails if anything was heard.
async fn nothing_is_heard(server: &Server, name: &str, file: Vec<u8>) {
    let body = Upload::file(name, file).transcribe(server).await.ok();
    assert_eq!(body["text"], "", "{name}: {body}");
    assert_eq!(body["segments"], serde_json::json!([]), "{name}");
}

#[tokio::test]
async fn silence_noise_and_tones_have_no_words() {
    for samples in [
        silence(31.0),
        noise(20.0, 300),
        noise(20.0, i16::MAX),
        chord(12.0),
        vec![i16::MIN; 50_000],
    ] {
        nothing_is_heard(shared(), "sound.wav", wav(&samples)).await;
        nothing_is_heard(shared_multilingual(), "sound.wav", wav(&samples)).await;
    }
}

#[tokio::test]
async fn birds_music_and_engines_have_no_words() {
    for name in [
        "nonspeech/456440__inspectorj__bird-whistling-robin-single-13.ogg",
        "nonspeech/Kevin_MacLeod_-_Vibe_Ace.ogg",
        "nonspeech/noise1.wav",
        "nonspeech/noise3.wav",
        "nonspeech/empty.wav",
        "derived/silence30.flac",
        "derived/whitenoise20.flac",
    ] {
        let Some(path) = evaluation_or_say(name) else {
            continue;
        };
        let file = std::fs::read(path).unwrap();
        nothing_is_heard(shared(), name, file.clone()).await;
        nothing_is_heard(shared_multilingual(), name, file).await;
    }
}

#[tokio::test]
async fn a_word_after_a_long_silence_is_heard_at_its_time() {
    let samples = [silence(40.0), speech().samples.clone(), silence(20.0)].concat();
    let body = Upload::wav(&wav(&samples)).transcribe(shared()).await.ok();
    speech().must_nearly_be(body["text"].as_str().unwrap(), 0.05);
    let start = body["segments"][0]["start"].as_f64().unwrap();
    assert!((39.0..41.5).contains(&start), "{body}");
}

/// A chunker that asks in both ways, and fails the request when they differ.
#[tokio::test]
async fn a_component_hears_the_same_live_as_of_the_whole_clip() {
    let tenants = Tenants::new("").with("hears", "chunker", wasm::CHUNKER_HEARS, "");
    let server = tenants.server().start();
    let file = speech().wav();
    transcribe_at(&server.address, "hears", file).await.ok();
}

/// A chunker that does not ask where somebody speaks gives the model noise to invent words for; of a
/// robin's song `tiny.en` makes "Squeak!".
#[tokio::test]
async fn what_is_left_out_of_a_transcript_is_told_with_its_reason() {
    let tenants = Tenants::new("").with("fixed", "chunker", wasm::AURICLE_FIXED_CHUNKER, "");
    let server = tenants.server().start();
    for samples in [silence(8.0), noise(8.0, 300), noise(8.0, 8_000), chord(8.0)] {
        let answer = transcribe_at(&server.address, "fixed", wav(&samples)).await;
        assert_eq!(answer.ok()["text"], "", "{}", answer.body);
    }
    let name = "nonspeech/456440__inspectorj__bird-whistling-robin-single-13.ogg";
    let Some(path) = evaluation_or_say(name) else {
        return;
    };
    let song = std::fs::read(path).unwrap();
    let body = transcribe_at(&server.address, "fixed", song).await.ok();
    assert_eq!(body["text"], "", "{body}");
    let dropped = body["x_dropped"].as_array().expect("something was dropped");
    assert!(!dropped.is_empty());
    dropped.iter().for_each(must_be_dropped);
}

fn must_be_dropped(one: &Value) {
    let reason = one["reason"].as_str().unwrap();
    assert!(
        ["repetition", "no_speech", "no_voice"].contains(&reason),
        "{one}"
    );
    for number in [
        "score",
        "start",
        "end",
        "avg_logprob",
        "compression_ratio",
        "no_speech_prob",
    ] {
        assert!(one[number].is_number(), "{number} of {one}");
    }
    assert!(!one["text"].as_str().unwrap().is_empty(), "{one}");
}

#[tokio::test]
async fn a_transcript_of_which_nothing_was_left_out_does_not_say_so() {
    let body = Upload::wav(&speech().wav()).transcribe(shared()).await.ok();
    assert!(body.get("x_dropped").is_none(), "{body}");
}

/// The models directory with these sets alone.
fn models_with(sets: &[&str]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let installed = StoreDirs::from_env().unwrap().models;
    for set in sets {
        symlink(installed.join(set), dir.path().join(set)).unwrap();
    }
    dir
}

/// Serves with these models: speech is heard, one warning says what to do, and nothing else is
/// different.
async fn serves_without_voice_activity(models: &Path, reason: &str) {
    let server = Server::builder()
        .arg("--models-dir")
        .arg(models.to_str().unwrap())
        .start();
    let text = Upload::wav(&speech().wav()).transcribe(&server).await;
    speech().must_be(&text.transcript());
    let warnings: Vec<_> = server
        .log
        .all()
        .into_iter()
        .filter(|line| line.contains("voice activity"))
        .collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("\"WARN\""), "{warnings:?}");
    assert!(warnings[0].contains("make setup"), "{warnings:?}");
    assert!(warnings[0].contains(reason), "{warnings:?}");
    let refused = Upload::wav(&speech().wav()).field("diarize", "true");
    let detail = refused.transcribe(&server).await.detail(400);
    assert!(detail.starts_with("Diarization not available"), "{detail}");
}

#[tokio::test]
async fn a_server_without_the_library_or_the_model_serves() {
    let models = models_with(&["tiny.en"]);
    serves_without_voice_activity(models.path(), "onnxruntime").await;
    let models = models_with(&["tiny.en", "onnxruntime"]);
    serves_without_voice_activity(models.path(), "silero-vad").await;
}

#[tokio::test]
async fn a_server_without_the_speaker_models_hears_voices_and_refuses_to_tell_them_apart() {
    let models = models_with(&["tiny.en", "onnxruntime", "silero-vad", "campplus"]);
    let server = Server::builder()
        .arg("--models-dir")
        .arg(models.path().to_str().unwrap())
        .start();
    let refused = Upload::wav(&speech().wav()).field("diarize", "true");
    let detail = refused.transcribe(&server).await.detail(400);
    assert!(detail.starts_with("Diarization not available"), "{detail}");
    assert!(detail.contains("make setup"), "{detail}");
    nothing_is_heard(&server, "noise.wav", wav(&noise(4.0, 3000))).await;
    let warned = server.log.all().into_iter();
    let warned: Vec<_> = warned
        .filter(|line| line.contains("no diarization"))
        .collect();
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(
        warned[0].contains("pyannote-segmentation-3.0"),
        "{warned:?}"
    );
}

#[tokio::test]
async fn a_library_that_is_none_does_not_keep_a_server_from_serving() {
    let models = models_with(&["tiny.en", "silero-vad"]);
    let (installed, own) = (
        StoreDirs::from_env().unwrap().models.join("onnxruntime"),
        models.path().join("onnxruntime"),
    );
    std::fs::create_dir(&own).unwrap();
    for entry in std::fs::read_dir(installed).unwrap() {
        let entry = entry.unwrap();
        let (name, copy) = (entry.file_name(), own.join(entry.file_name()));
        if name.to_string_lossy().contains(".so") {
            // As long as the library, and empty.
            let file = std::fs::File::create(copy).unwrap();
            file.set_len(entry.metadata().unwrap().len()).unwrap();
        } else {
            std::fs::copy(entry.path(), copy).unwrap();
        }
    }
    serves_without_voice_activity(models.path(), "not a usable ONNX Runtime").await;
}

/// What a deployment sets wrongly is the request's failure, and names the key in the log.
#[tokio::test]
async fn a_wrong_setting_of_the_chunker_is_named_in_the_log() {
    let tenants = Tenants::new("").with_key("wrong");
    let toml = format!(
        "{}\n[tenants.wrong.chunker]\nconfiguration = {{ \"threshold\" = \"2\" }}\n",
        tenants.toml()
    );
    let server = Server::builder().config(&toml).start();
    let answer = transcribe_at(&server.address, "wrong", speech().wav()).await;
    answer.detail(502);
    let line = server.log_line(|line| line.to_string().contains("'threshold' is '2'"));
    assert_eq!(line["level"], "WARN");
    let health = crate::guests::get(&server, "wrong", "/health");
    assert_eq!(send(health).await.status, 200);
}
