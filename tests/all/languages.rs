//! Components in other languages than ours: projects as `auricle component new` writes them, and the
//! examples in Rust, JavaScript and Python on real audio.
//!
//! JavaScript takes node and npm; without them its tests end with a line that says so.

/// What each language's projects make, held against the contracts.
mod fit;
/// The guide for a first component, followed to the letter.
mod guide;
mod project;

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::multipart::{Form, Part};
use serde_json::Value;

use crate::guests::{Tenants, VICTIM, key, must_not_name_others, send, transcribe_at, wasm};
use crate::support::audio::{RATE, evaluation_or_say, silence, speech, two_speakers, wav};
use crate::support::text::word_error_rate;
use crate::support::upload::client;
use crate::support::{Answer, Server};
use project::{can_build, component_new, example};

/// How long the lab may take to start: the first start of all compiles two interpreters.
const COMPILING: Duration = Duration::from_secs(600);

/// What the tenant's handler is to hide beside digits.
const HIDDEN: &str = "configuration = { words = 'country' }";

/// What the tenant's glossary says.
const GLOSSARY: &str = "configuration = { glossary = 'americans=Amerikaner; country=Heimat' }";

/// One server with a tenant for each example.
fn lab() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let pauses = example("python", "chunker", "pause_chunker.py");
        let mut tenants = Tenants::new("")
            .with(
                "redacts",
                "handler",
                wasm::AURICLE_REDACTING_HANDLER,
                HIDDEN,
            )
            .with(
                "writes",
                "speaker_assigner",
                wasm::AURICLE_GLOSSARY_ASSIGNER,
                GLOSSARY,
            )
            .with("pauses", "chunker", &pauses, "")
            .with(
                "short",
                "chunker",
                &pauses,
                "configuration = { max-secs = '4' }",
            )
            .with(
                "wrong",
                "chunker",
                &pauses,
                "configuration = { max-secs = 'ten' }",
            );
        if can_build("js") {
            let names = example("js", "speaker-assigner", "named-speakers.js");
            let (two, twice) = ("names = 'Anna, Ben'", "names = 'Anna, Anna'");
            for (tenant, names_are) in [("names", two), ("twice", twice)] {
                let configuration = format!("configuration = {{ {names_are} }}");
                tenants = tenants.with(tenant, "speaker_assigner", &names, &configuration);
            }
        }
        tenants.server().start_within(COMPILING)
    })
}

/// Has a tenant transcribe a file, with further fields of the form.
async fn transcribe(
    tenant: &str,
    file: Vec<u8>,
    fields: &[(&'static str, &'static str)],
) -> Answer {
    let file = Part::bytes(file).file_name("speech.wav");
    let form = fields
        .iter()
        .fold(Form::new(), |form, &(name, value)| form.text(name, value));
    let request = client()
        .post(lab().url("/transcribe"))
        .bearer_auth(key(tenant));
    send(request.multipart(form.part("file", file))).await
}

/// The line that a request's component wrote about itself.
fn line_of(request_id: &str, says: &str) -> Value {
    lab().log_line(|line| {
        let text = line.to_string();
        text.contains(request_id) && text.contains(says)
    })
}

#[tokio::test]
async fn a_handler_in_rust_lets_no_digit_and_no_chosen_word_out() {
    let answer = transcribe("redacts", speech().wav(), &[]).await.ok();
    let text = answer["text"].as_str().unwrap();
    assert!(!text.to_lowercase().contains("country"), "{text}");
    if speech().text.contains("country") {
        speech().must_be(&text.replace("#######", "country"));
        assert_eq!(answer["redacted"], 2);
    }
    // What is said is figures and words for figures, and other words.
    let Some(path) = evaluation_or_say("en/cheetah_test_en.wav") else {
        return;
    };
    let file = std::fs::read(path).unwrap();
    let plain = transcribe(VICTIM, file.clone(), &[]).await.transcript();
    let answer = transcribe("redacts", file, &[]).await.ok();
    let text = answer["text"].as_str().unwrap();
    println!("{plain}\n{text}");
    assert_eq!(text.chars().count(), plain.chars().count());
    assert!(answer["redacted"].as_u64().unwrap() > 0);
    assert!(!text.chars().any(char::is_numeric), "{text}");
}

#[tokio::test]
async fn what_a_handler_is_not_sent_is_asked_for() {
    let request = client()
        .post(lab().url("/hear"))
        .bearer_auth(key("redacts"));
    let answer = send(request.multipart(Form::new().text("language", "en"))).await;
    assert!(answer.detail(400).contains("field 'file'"));
}

#[tokio::test]
async fn a_glossary_in_rust_is_in_text_and_words_and_in_no_other_tenants() {
    let fields = [("word_timestamps", "true")];
    let own = transcribe("writes", speech().wav(), &fields).await.ok();
    let others = transcribe(VICTIM, speech().wav(), &fields).await.ok();
    let text = |body: &Value| body["text"].as_str().unwrap().to_owned();
    let written = |text: &str| {
        text.replace("Americans", "Amerikaner")
            .replace("country", "Heimat")
    };
    assert_eq!(text(&own), written(&text(&others)));
    let words = |body: &Value| -> String {
        let segments = body["segments"].as_array().unwrap();
        let words = segments
            .iter()
            .flat_map(|segment| segment["words"].as_array().unwrap());
        words.map(|word| word["word"].to_string()).collect()
    };
    assert_eq!(words(&own), written(&words(&others)));
    if speech().text.contains("country") {
        assert_ne!(text(&own), text(&others));
    }
}

#[tokio::test]
async fn a_speaker_assigner_in_javascript_calls_speakers_by_name() {
    if !can_build("js") {
        return;
    }
    let (call, fields) = (
        wav(&two_speakers()),
        [("diarize", "true"), ("word_timestamps", "true")],
    );
    let own = transcribe("names", call.clone(), &fields).await;
    let body = own.ok();
    assert_eq!(body["speakers"], serde_json::json!(["Anna", "Ben"]));
    let segments = body["segments"].as_array().unwrap();
    let first = |body: &Value| body["segments"][0]["speaker"].as_str().unwrap().to_owned();
    assert_eq!(first(&body), "Anna");
    for segment in segments {
        for word in segment["words"].as_array().unwrap() {
            assert!(
                word["start"].as_f64() >= segment["start"].as_f64(),
                "{segment}"
            );
        }
    }
    // The same words, whoever says them.
    let others = transcribe(VICTIM, call, &fields).await.ok();
    let rate = word_error_rate(
        others["text"].as_str().unwrap(),
        body["text"].as_str().unwrap(),
    );
    assert_eq!(rate, 0.0);
    assert_eq!(first(&others), "SPEAKER_00");
    let line = line_of(own.request_id(), "segments became");
    assert_eq!(line["fields"]["component"], "speaker-assigner");
}

#[tokio::test]
async fn a_chunker_in_python_cuts_in_pauses_and_leaves_silence_out() {
    let whole = transcribe("pauses", speech().wav(), &[]).await;
    speech().must_nearly_be(&whole.transcript(), 0.1);
    // 25 s of silence between twice the same are in no piece.
    let mut twice = speech().samples.clone();
    twice.extend(silence(25.0));
    twice.extend(&speech().samples);
    let answer = transcribe("pauses", wav(&twice), &[]).await;
    let line = line_of(answer.request_id(), "pieces of");
    let message = line["fields"]["message"].as_str().unwrap().to_owned();
    let frames = twice.len().div_ceil(160);
    let pieces: usize = message.split(' ').next().unwrap().parse().unwrap();
    assert!(
        pieces >= 2 && message.ends_with(&format!("of {frames} frames")),
        "{message}"
    );
    let nothing = transcribe("pauses", wav(&silence(3.0)), &[]).await;
    assert_eq!(nothing.transcript(), "");
}

#[tokio::test]
async fn a_setting_reaches_a_chunker_in_python() {
    let answer = transcribe("short", speech().wav(), &[]).await;
    answer.ok();
    let line = line_of(answer.request_id(), "pieces of");
    let pieces: f64 = line["fields"]["message"]
        .as_str()
        .and_then(|message| message.split(' ').next())
        .unwrap()
        .parse()
        .unwrap();
    assert!(pieces >= 2.0, "{line}");
}

#[tokio::test]
async fn a_bad_setting_costs_the_tenant_its_requests_and_is_in_the_log() {
    let mut cases = vec![("wrong", "max-secs is 'ten': use 1 to 30")];
    if can_build("js") {
        cases.push(("twice", "a name is there twice"));
    }
    for (tenant, reason) in cases {
        let answer = transcribe(
            tenant,
            wav(&two_speakers()[18 * RATE..24 * RATE]),
            &[("diarize", "true")],
        );
        let answer = answer.await;
        answer.detail(502);
        must_not_name_others(&answer);
        line_of(answer.request_id(), reason);
    }
    transcribe_at(&lab().address, VICTIM, speech().wav())
        .await
        .ok();
}

#[test]
fn a_project_is_not_written_over_anything_nor_under_a_bad_name() {
    let dir = tempfile::tempdir().unwrap();
    let said = |args: &[&str]| {
        let output = component_new(dir.path(), args);
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    assert_eq!(said(&["--lang", "python", "mine"]).0, Some(0));
    let (code, error) = said(&["--lang", "js", "mine"]);
    assert!(code == Some(1) && error.contains("not empty"), "{error}");
    for name in ["../up", "Upper", "9lives", "a--b", "", &"a".repeat(65)] {
        let (code, error) = said(&["--lang", "js", name]);
        assert!(
            code == Some(2) && error.contains("a letter"),
            "{name}: {error}"
        );
    }
    let (code, error) = said(&["--lang", "python", "--role", "handler", "other"]);
    assert!(code == Some(1) && error.contains("--lang rust"), "{error}");
    let left = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(left, 1, "only the first project is there");
}
