//! Who spoke when: labels, options, known speakers, and what the command line makes of it.

use std::collections::HashMap;

use reqwest::multipart::Part;
use serde_json::Value;

use crate::guests::{Tenants, key, send, transcribe_at};
use crate::support::audio::{evaluation_or_say, silence, speech, two_speakers, wav};
use crate::support::program::{command, scratch};
use crate::support::{Upload, shared};

/// The telephone call, to be diarized.
fn call() -> Upload {
    Upload::wav(&wav(&two_speakers())).field("diarize", "true")
}

fn segments(body: &Value) -> &Vec<Value> {
    body["segments"].as_array().unwrap()
}

fn speakers(body: &Value) -> Vec<&str> {
    let list = body["speakers"].as_array().unwrap();
    list.iter().map(|label| label.as_str().unwrap()).collect()
}

/// Who speaks when in truth: start, end, speaker.
type Truth = Vec<(f64, f64, String)>;

fn of_rttm(rttm: &str) -> Truth {
    let turn = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let start: f64 = fields[3].parse().unwrap();
        let secs: f64 = fields[4].parse().unwrap();
        (start, start + secs, fields[7].to_owned())
    };
    rttm.lines().map(turn).collect()
}

/// The share of words whose label is not that of a speaker who truly speaks within 0.3 s of the
/// word's middle. Every label stands for the speaker whom it meets most.
fn speaker_error(words: &[(f64, f64, String)], truth: &Truth) -> f64 {
    let speaking = |(start, end, _): &(f64, f64, String)| -> Vec<&str> {
        let middle = f64::midpoint(*start, *end);
        let near = truth
            .iter()
            .filter(|(from, to, _)| from - 0.3 <= middle && middle < to + 0.3);
        near.map(|(_, _, who)| who.as_str()).collect()
    };
    let mut met: HashMap<(&str, &str), usize> = HashMap::new();
    for word in words {
        for who in speaking(word) {
            *met.entry((&word.2, who)).or_default() += 1;
        }
    }
    let stands_for = |label: &str| {
        let most = met.iter().filter(|((of, _), _)| *of == label);
        most.max_by_key(|(_, count)| **count)
            .map(|((_, who), _)| *who)
    };
    let wrong = words
        .iter()
        .filter(|word| stands_for(&word.2).is_none_or(|who| !speaking(word).contains(&who)));
    wrong.count() as f64 / words.len() as f64
}

fn words(body: &Value) -> Vec<(f64, f64, String)> {
    let words = segments(body).iter().flat_map(|segment| {
        let words = segment["words"].as_array().unwrap();
        words.iter()
    });
    words
        .map(|word| {
            let number = |name: &str| word[name].as_f64().unwrap();
            let speaker = word["speaker"].as_str().unwrap_or_default();
            (number("start"), number("end"), speaker.to_owned())
        })
        .collect()
}

#[tokio::test]
async fn two_speakers_of_a_call_are_told_apart() {
    let body = call().transcribe(shared()).await.ok();
    assert_eq!(speakers(&body), ["SPEAKER_00", "SPEAKER_01"], "{body}");
    for segment in segments(&body) {
        let speaker = segment["speaker"].as_str().unwrap();
        assert!(speakers(&body).contains(&speaker), "{segment}");
        assert!(segment.get("words").is_none(), "nobody asked: {segment}");
    }
}

#[tokio::test]
async fn words_carry_speakers_and_a_segment_has_one_speaker() {
    let asked = call().field("word_timestamps", "true");
    let body = asked.transcribe(shared()).await.ok();
    for segment in segments(&body) {
        let of_segment = segment["words"].as_array().unwrap();
        assert!(
            of_segment
                .iter()
                .all(|word| word["speaker"] == segment["speaker"]),
            "{segment}"
        );
        let told: String = of_segment
            .iter()
            .map(|w| w["word"].as_str().unwrap())
            .collect();
        let text = segment["text"].as_str().unwrap().replace(' ', "");
        assert_eq!(told.replace(' ', ""), text);
    }
    let ids: Vec<_> = segments(&body).iter().map(|s| s["id"].as_u64()).collect();
    let counted: Vec<_> = (0..ids.len() as u64).map(Some).collect();
    assert_eq!(ids, counted);
    if let Some(path) = evaluation_or_say("diarization/pyannote_sample.rttm") {
        let truth = of_rttm(&std::fs::read_to_string(path).unwrap());
        let error = speaker_error(&words(&body), &truth);
        println!("words of the wrong speaker: {error:.3}");
        assert!(error < 0.1, "{error}");
    }
}

/// `tiny.en` on read conversations of two and four.
#[tokio::test]
async fn words_of_read_conversations_have_the_right_speakers() {
    for name in ["conv2_shared", "conv4_shared"] {
        let (Some(audio), Some(truth)) = (
            evaluation_or_say(&format!("derived/{name}.ogg")),
            evaluation_or_say(&format!("derived/{name}.rttm")),
        ) else {
            continue;
        };
        let truth = of_rttm(&std::fs::read_to_string(truth).unwrap());
        let upload = Upload::file("talk.ogg", std::fs::read(audio).unwrap());
        let asked = upload
            .field("diarize", "true")
            .field("word_timestamps", "true");
        let body = asked.transcribe(shared()).await.ok();
        let expected = if name == "conv2_shared" { 2 } else { 4 };
        assert_eq!(speakers(&body).len(), expected, "{name}");
        let error = speaker_error(&words(&body), &truth);
        println!("{name}: words of the wrong speaker: {error:.3}");
        assert!(error < 0.03, "{name}: {error}");
    }
}

#[tokio::test]
async fn the_number_of_speakers_may_be_given() {
    for (option, number) in [("num_speakers", "1"), ("max_speakers", "1")] {
        let body = call().field(option, number).transcribe(shared()).await.ok();
        assert_eq!(speakers(&body), ["SPEAKER_00"], "{option}");
    }
    for (fields, expected) in [
        ([("num_speakers", "0"), ("language", "en")], "num_speakers"),
        ([("max_speakers", "-1"), ("language", "en")], "max_speakers"),
        (
            [("min_speakers", "3"), ("max_speakers", "2")],
            "min_speakers",
        ),
        (
            [("num_speakers", "3"), ("max_speakers", "2")],
            "num_speakers",
        ),
    ] {
        let asked = fields.iter().fold(call(), |form, (n, v)| form.field(n, v));
        let detail = asked.transcribe(shared()).await.detail(400);
        assert!(detail.contains(expected), "{detail}");
    }
}

fn known(name: &str, voice: &[i16], upload: Upload) -> Upload {
    let file = Part::bytes(wav(voice)).file_name("voice.wav");
    upload
        .field("known_speaker_names[]", name)
        .part("known_speaker_references[]", file)
}

#[tokio::test]
async fn a_known_speaker_gets_their_name() {
    let voice = &speech().samples[..5 * 16_000];
    let talk = [two_speakers(), silence(1.0), speech().samples.clone()].concat();
    let asked = Upload::wav(&wav(&talk)).field("diarize", "true");
    let body = known("Jack", voice, asked).transcribe(shared()).await.ok();
    assert!(speakers(&body).contains(&"Jack"), "{body}");
    let (mut named, mut unnamed) = (0, 0);
    for segment in segments(&body) {
        let is_jack = segment["speaker"] == "Jack";
        let after_the_call = segment["start"].as_f64().unwrap() > 30.0;
        assert!(after_the_call || !is_jack, "{segment}");
        let words = segment["text"].as_str().unwrap().split(' ').count();
        named += if is_jack { words } else { 0 };
        unnamed += if after_the_call && !is_jack { words } else { 0 };
    }
    assert!(named > 2 * unnamed, "{named} and {unnamed} words: {body}");
}

/// "Ask not", 0.9 s, is too little for a voice of its own.
#[tokio::test]
async fn a_short_phrase_of_a_known_speaker_is_theirs() {
    let (voice, phrase) = (
        &speech().samples[102_400..],
        &speech().samples[84_800..99_200],
    );
    let talk = [two_speakers(), silence(11.0), phrase.to_vec(), silence(1.0)].concat();
    let asked = || Upload::wav(&wav(&talk)).field("diarize", "true");
    let body = asked().transcribe(shared()).await.ok();
    assert_eq!(speakers(&body).len(), 2, "given to another: {body}");
    let body = known("Jack", voice, asked())
        .transcribe(shared())
        .await
        .ok();
    assert_eq!(speakers(&body), ["SPEAKER_00", "SPEAKER_01", "Jack"]);
    for segment in segments(&body) {
        let after_the_call = segment["start"].as_f64().unwrap() > 30.0;
        assert_eq!(segment["speaker"] == "Jack", after_the_call, "{body}");
    }
}

#[tokio::test]
async fn a_known_speaker_who_cannot_be_one_is_refused() {
    let refused = known("Nobody", &silence(3.0), call());
    let detail = refused.transcribe(shared()).await.detail(400);
    assert!(detail.contains("Nobody"), "{detail}");
    let nameless = call().part(
        "known_speaker_references",
        Part::bytes(speech().wav()).file_name("a.wav"),
    );
    nameless.transcribe(shared()).await.detail(400);
    let twice = known("A", &silence(1.0), known("A", &silence(1.0), call()));
    let detail = twice.transcribe(shared()).await.detail(400);
    assert!(detail.contains("one name"), "{detail}");
}

#[tokio::test]
async fn by_the_midpoint_rule_segments_stay_whole() {
    let tenants =
        Tenants::new("[tenants.whole.speaker_assigner]\nconfiguration = { rule = 'midpoint' }")
            .with_key("whole");
    let server = tenants.server().start();
    let file = || wav(&two_speakers());
    let whole = send(
        call()
            .request(&server, "/transcribe")
            .bearer_auth(key("whole")),
    );
    let whole = whole.await.ok();
    let plain = transcribe_at(&server.address, "whole", file()).await.ok();
    // Word times make a segment's own times finer.
    assert_eq!(segments(&whole).len(), segments(&plain).len());
    assert_eq!(speakers(&whole).len(), 2, "{whole}");
}

#[tokio::test]
async fn nobody_speaks_in_silence() {
    let asked = Upload::wav(&wav(&silence(12.0))).field("diarize", "true");
    let body = asked.transcribe(shared()).await.ok();
    assert_eq!((speakers(&body).len(), segments(&body).len()), (0, 0));
}

fn file(name: &str, samples: &[i16]) -> String {
    let path = scratch().join(name);
    std::fs::write(&path, wav(samples)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn the_command_line_says_who_said_what() {
    let call = file("call.wav", &two_speakers());
    let output = command()
        .args(["transcribe", "--model", "tiny.en", "--diarize", &call])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(text.lines().count() > 4, "{text}");
    assert!(
        text.lines().all(|line| line.starts_with("SPEAKER_0")),
        "{text}"
    );
}

#[test]
fn diarize_prints_rttm() {
    let call = file("rttm call.wav", &two_speakers());
    let output = command().args(["diarize", &call]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let turns = of_rttm(&text);
    let mut labels: Vec<&str> = turns.iter().map(|(_, _, who)| who.as_str()).collect();
    assert!(turns.windows(2).all(|pair| pair[0].0 <= pair[1].0));
    labels.sort_unstable();
    labels.dedup();
    assert_eq!(labels, ["SPEAKER_00", "SPEAKER_01"], "{text}");
    assert!(text.starts_with("SPEAKER rttm_call 1 "), "{text}");
    let silent = file("silent.wav", &silence(2.0));
    let output = command()
        .args(["diarize", &silent, "no-such-file.wav"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3), "some failed");
    assert!(output.stdout.is_empty());
}
