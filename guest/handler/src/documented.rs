//! The document of the API (`web/openapi.json`) against the fields that are read here: a field, an
//! allowed value, a bound or a default that stands in one and not in the other fails a test.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::BTreeSet;

use std::time::Duration;

use auricle_guest::speech::{Model, Task};
use auricle_speech::{
    DropReason, DroppedSegment, Language, Segment, Silence, SilenceReason, Transcript,
};
use serde_json::{Map, Value, json};

use crate::form::{MAX_KNOWN, MAX_NAME_BYTES};
use crate::openai::asked::{Asked as OpenAi, FIELDS, MAX_KEYWORD_CHARS};
use crate::openai::chunking::{MAX_PREFIX_MS, MAX_SILENCE_MS};
use crate::openai::form::Fields;
use crate::openai::references;
use crate::options::{Asked, NAMES};
use crate::render::{LiveBody, Shown, TranscriptBody};

const TRANSCRIPTIONS: &str = "/v1/audio/transcriptions";
const TRANSLATIONS: &str = "/v1/audio/translations";
const TRANSCRIBE: &str = "/transcribe";
const FORMS: [&str; 3] = [TRANSCRIPTIONS, TRANSLATIONS, TRANSCRIBE];

/// Read by the forms themselves, beside the tables of fields.
const PARTS: [&str; 3] = ["file", "known_speaker_names", "known_speaker_references"];

fn document() -> Value {
    serde_json::from_str(include_str!("../../../web/openapi.json")).unwrap()
}

/// What a `$ref` refers to; anything else is itself.
fn resolved(document: &Value, value: &Value) -> Value {
    match value["$ref"].as_str() {
        Some(reference) => document.pointer(&reference[1..]).unwrap().clone(),
        None => value.clone(),
    }
}

/// The documented fields of a form, by name without `[]`, references resolved.
fn documented(path: &str) -> Map<String, Value> {
    let document = document();
    let content = &document["paths"][path]["post"]["requestBody"]["content"];
    let form = resolved(&document, &content["multipart/form-data"]["schema"]);
    let fields = form["properties"].as_object().unwrap();
    let field = |(name, value): (&String, &Value)| {
        let value = resolved(&document, value);
        let marked = name.ends_with("[]");
        let is_openais = path.starts_with("/v1/");
        assert_eq!(marked, is_openais && value["type"] == "array", "{name}");
        (name.trim_end_matches("[]").to_owned(), value)
    };
    fields.iter().map(field).collect()
}

/// All that a form with these fields asks for, or why it is refused.
fn asked(path: &str, fields: &[(&str, &str)]) -> Result<String, String> {
    let told = |failure: crate::failure::Failure| failure.detail().to_owned();
    if path == TRANSCRIBE {
        let mut asked = Asked::default();
        for (name, value) in fields {
            asked.set(name, (*value).to_owned());
        }
        let options = asked.resolve().map_err(told)?;
        return Ok(format!("{options:?} {:?}", asked.subtitles()));
    }
    let task = match path {
        TRANSLATIONS => Task::Translate,
        _ => Task::Transcribe,
    };
    let mut all = Fields::default();
    for (name, value) in fields {
        all.add(name, (*value).to_owned());
    }
    let asked = OpenAi::read(&all, task).map_err(told)?;
    let shown = (asked.format, asked.words, asked.segments, asked.streams);
    let subtitles = &asked.subtitles;
    let model = Model {
        name: asked.model.clone(),
        installed: 0,
        alias_of: None,
        diarizes: false,
    };
    let options = asked.options(&model).map_err(told)?;
    let logprobs = asked.logprobs;
    Ok(format!("{options:?} {shown:?} {subtitles:?} {logprobs}"))
}

fn written(value: &Value) -> String {
    let text = value.as_str().map(str::to_owned);
    text.unwrap_or_else(|| value.to_string())
}

/// Values that a field's schema allows, and values that it does not.
fn examples(schema: &Value) -> (Vec<String>, Vec<String>) {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    let schema = match schema["type"].as_str() {
        Some("array") => &schema["items"],
        _ => schema,
    };
    if let Some(values) = schema["enum"].as_array() {
        good.extend(values.iter().map(written));
        bad.push("something-else".to_owned());
    }
    if schema["type"] == "boolean" {
        good.extend(["true".to_owned(), "false".to_owned()]);
        bad.push("perhaps".to_owned());
    }
    if schema["type"] == "integer" || schema["type"] == "number" {
        let bound = |name: &str| schema[name].as_i64().unwrap();
        let (least, greatest) = (bound("minimum"), bound("maximum"));
        good.extend([least.to_string(), greatest.to_string()]);
        bad.extend([(least - 1).to_string(), (greatest + 1).to_string()]);
        bad.push("many".to_owned());
    }
    if schema["type"] == "integer" {
        bad.push("1.5".to_owned());
    }
    (good, bad)
}

#[test]
fn each_form_is_documented_with_the_fields_that_are_read_and_no_others() {
    for path in FORMS {
        let table: &[&str] = if path == TRANSCRIBE { &NAMES } else { &FIELDS };
        let mut read: BTreeSet<&str> = table.iter().chain(&PARTS).copied().collect();
        match path {
            TRANSCRIPTIONS => read.extend(["chunking_strategy"]),
            TRANSLATIONS => {
                read.extend(["chunking_strategy"]);
                // Read to be refused.
                read.remove("include");
            }
            _ => {}
        }
        let fields = documented(path);
        let named: BTreeSet<&str> = fields.keys().map(String::as_str).collect();
        assert_eq!(named, read, "{path}");
    }
    // This form is read like that of /transcribe; more would not change the answer.
    let fields: Vec<_> = documented("/detect-language").into_iter().collect();
    let named: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(named, ["file", "model"]);
}

#[test]
fn documented_values_are_taken_and_others_refused() {
    for path in FORMS {
        for (name, schema) in documented(path) {
            let (good, bad) = examples(&schema);
            for value in good {
                let taken = asked(path, &[(&name, &value)]);
                assert!(taken.is_ok(), "{path}: {name}={value}: {taken:?}");
            }
            for value in bad {
                let taken = asked(path, &[(&name, &value)]);
                assert!(taken.is_err(), "{path} takes {name}={value}");
            }
        }
    }
}

#[test]
fn a_documented_default_is_what_a_field_means_when_it_is_left_out() {
    for path in FORMS {
        let nothing = asked(path, &[]).unwrap();
        for (name, schema) in documented(path) {
            let default = match &schema["default"] {
                Value::Array(values) => values.first(),
                Value::Null => None,
                value => Some(value),
            };
            let Some(default) = default.map(written) else {
                continue;
            };
            let same = asked(path, &[(&name, &default)]).unwrap();
            assert_eq!(same, nothing, "{path}: {name}={default}");
        }
    }
}

#[test]
fn documented_lengths_are_those_that_are_enforced() {
    for path in FORMS {
        for (name, schema) in documented(path) {
            if let Some(length) = schema["maxLength"].as_u64() {
                assert_eq!(length, u64::from(Asked::max_bytes(&name)), "{name}");
            }
            if schema["maxItems"].is_u64() {
                let known = if path == TRANSCRIBE {
                    MAX_KNOWN
                } else {
                    references::MAX_KNOWN
                };
                assert_eq!(schema["maxItems"], known, "{name}");
            }
        }
        let names = &documented(path)["known_speaker_names"];
        assert_eq!(names["items"]["maxLength"], MAX_NAME_BYTES);
    }
    let schemas = document()["components"]["schemas"].clone();
    let keyword = &schemas["Keywords"]["items"];
    assert_eq!(keyword["maxLength"], MAX_KEYWORD_CHARS);
    let vad = &schemas["ServerVad"]["properties"];
    assert_eq!(vad["prefix_padding_ms"]["maximum"], MAX_PREFIX_MS);
    assert_eq!(vad["silence_duration_ms"]["maximum"], MAX_SILENCE_MS);
}

fn names(object: &Value) -> BTreeSet<&str> {
    object
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

/// Answers that clients' suites do not get from a healthy server.
#[test]
fn what_is_rarely_answered_has_the_documented_fields() {
    let segment = Segment {
        id: 0,
        start: 0.0,
        end: 1.0,
        text: "Thank you.".to_owned(),
        tokens: vec![1],
        logprobs: Vec::new(),
        temperature: 0.0,
        avg_logprob: -0.7,
        compression_ratio: 0.6,
        no_speech_prob: 0.4,
        words: Vec::new(),
        speaker: None,
        channel: None,
        language: None,
    };
    let dropped = DroppedSegment {
        segment,
        reason: DropReason::NoVoice,
        score: 0.03,
    };
    let silence = Silence {
        start: 1.0,
        end: 2.0,
        reason: SilenceReason::NoVoice,
        channel: Some(0),
    };
    let all = Transcript {
        language: Language::ENGLISH,
        languages: Vec::new(),
        segments: Vec::new(),
        dropped: vec![dropped],
        silence: vec![silence],
        speakers: Vec::new(),
        channels: Vec::new(),
        duration_secs: 1.0,
    };
    let body = TranscriptBody::new(&all, Duration::ZERO, Shown::default());
    let live = LiveBody {
        text: "",
        language: "",
        is_final: true,
    };
    let document = document();
    for (schema, answer) in [
        ("Dropped", json!(body)["x_dropped"][0].clone()),
        ("Silence", json!(body)["x_silence"][0].clone()),
        ("LiveText", json!(live)),
        (
            "ErrorBody",
            crate::failure::Failure::new(500, "").openai_body()["error"].clone(),
        ),
    ] {
        let fields = &document["components"]["schemas"][schema]["properties"];
        assert_eq!(names(fields), names(&answer), "{schema}");
    }
}
