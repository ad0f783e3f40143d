//! Channels that are transcribed each for itself, as of a call with one party on each.

use std::time::Duration;

use auricle_audio::DecodeLimits;
use auricle_decoder::native;
use reqwest::multipart::Part;
use serde_json::{Value, json};

use crate::support::audio::{RATE, Speech, evaluation_or_say, speech, two_speakers, wav_of};
use crate::support::program::{command, scratch};
use crate::support::text::word_error_rate;
use crate::support::{Server, Upload, shared};

/// Somebody on the right, who talks over a telephone while the left one speaks.
fn other() -> Speech {
    Speech {
        samples: two_speakers()[18 * RATE..24 * RATE].to_vec(),
        text: "I'm originally from Chicago also. I'm in New Jersey now though. Well, there isn't that \
               much difference.",
        max_error_rate: 0.4,
    }
}

/// A stereo file: one speaker on each channel, the second from the third second on.
fn call() -> Vec<u8> {
    let (left, right) = (&speech().samples, other().samples);
    let right = [vec![0; 3 * RATE], right].concat();
    let frames = left.len().max(right.len());
    let at = |samples: &[i16], frame: usize| samples.get(frame).copied().unwrap_or(0);
    let data = (0..frames).flat_map(|n| [at(left, n), at(&right, n)].map(i16::to_le_bytes));
    let data: Vec<u8> = data.flatten().collect();
    wav_of(1, 2, RATE as u32, 16, &data)
}

fn form(fields: &[(&str, &str)]) -> Upload {
    let form = Upload::empty().field("multichannel", "true");
    let form = fields
        .iter()
        .fold(form, |form, (name, value)| form.field(name, value));
    form.part("file", Part::bytes(call()).file_name("call.wav"))
}

/// What is said on a channel, of segments with channels.
fn said(segments: &Value, channel: u32) -> String {
    let segments = segments.as_array().unwrap().iter();
    let own = segments.filter(|segment| segment["channel"] == channel);
    let texts: Vec<&str> = own
        .map(|segment| segment["text"].as_str().unwrap())
        .collect();
    texts.join(" ")
}

fn must_be_the_call(body: &Value) {
    let segments = &body["segments"];
    speech().must_be(&said(segments, 0));
    other().must_be(&said(segments, 1));
    let starts: Vec<f64> = segments
        .as_array()
        .unwrap()
        .iter()
        .map(|segment| segment["start"].as_f64().unwrap())
        .collect();
    assert!(starts.is_sorted(), "{starts:?}");
    let ids = segments
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["id"].as_u64().unwrap());
    assert!(ids.eq(0..starts.len() as u64));
    let first_of_right = segments
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["channel"] == 1);
    assert!(
        first_of_right.unwrap()["start"].as_f64().unwrap() >= 2.5,
        "{segments}"
    );
}

#[tokio::test]
async fn each_channel_has_its_own_words_in_the_tutorials_api() {
    let body = form(&[("subtitles", "true")])
        .transcribe(shared())
        .await
        .ok();
    must_be_the_call(&body);
    let secs = body["audio_duration"].as_f64().unwrap();
    assert!((secs - speech().secs()).abs() < 0.1, "{secs}");
    for channel in [0_u32, 1] {
        let told = &body["channels"][channel as usize];
        assert_eq!(told["channel"], channel);
        assert_eq!(told["language"], "en");
        assert_eq!(told["text"], said(&body["segments"], channel));
    }
    let srt = body["subtitles"]["srt"].as_str().unwrap();
    assert!(
        srt.contains("Channel 0: ") && srt.contains("Channel 1: "),
        "{srt}"
    );
    // Without the option both are heard at once, and no field tells of channels.
    let mixed = Upload::file("call.wav", call())
        .transcribe(shared())
        .await
        .ok();
    assert_eq!(mixed["channels"], Value::Null);
    assert_eq!(mixed["segments"][0]["channel"], Value::Null);
}

#[tokio::test]
async fn each_channel_has_its_own_words_in_openais_api() {
    const PATH: &str = "/v1/audio/transcriptions";
    let model = ("model", "whisper-1");
    let verbose = form(&[model, ("response_format", "verbose_json")]);
    let body = verbose.send(shared(), PATH).await.ok();
    must_be_the_call(&body);
    // Both channels are paid for.
    let secs = 2.0 * body["duration"].as_f64().unwrap();
    assert_eq!(
        body["usage"],
        json!({"type": "duration", "seconds": secs.ceil() as u64})
    );
    let text = form(&[model, ("response_format", "text")])
        .send(shared(), PATH)
        .await;
    assert!(text.body.starts_with("Channel 0: "), "{text:?}");
    assert!(text.body.contains("\nChannel 1: "), "{text:?}");
    let stream = form(&[model, ("stream", "true")])
        .send(shared(), PATH)
        .await;
    let lines = stream
        .body
        .lines()
        .filter_map(|line| line.strip_prefix("data: {"));
    let events: Vec<Value> = lines
        .map(|it| serde_json::from_str(&format!("{{{it}")).unwrap())
        .collect();
    let (done, deltas) = events.split_last().unwrap();
    assert_eq!(done["text"], body["text"]);
    let of = |channel: u32| {
        let own = deltas.iter().filter(|delta| delta["channel"] == channel);
        own.map(|delta| delta["delta"].as_str().unwrap())
            .collect::<String>()
    };
    speech().must_be(&of(0));
    other().must_be(&of(1));
}

#[tokio::test]
async fn channels_are_asked_for_before_the_file_and_without_speakers() {
    let late = Upload::file("call.wav", call()).field("multichannel", "true");
    let detail = late.transcribe(shared()).await.detail(400);
    assert!(detail.contains("before 'file'"), "{detail}");
    let query = Upload::file("call.wav", call()).query("multichannel=true");
    assert_eq!(
        query.transcribe(shared()).await.ok()["channels"][1]["channel"],
        1
    );
    let both = form(&[("diarize", "true")]);
    let detail = both.transcribe(shared()).await.detail(400);
    assert!(detail.contains("'multichannel'"), "{detail}");
    let form = form(&[("model", "gpt-4o-transcribe-diarize")]);
    assert_eq!(
        form.send(shared(), "/v1/audio/transcriptions").await.status,
        400
    );
}

#[test]
fn the_command_line_tells_channels_apart() {
    let file = scratch().join("two channels.wav");
    std::fs::write(&file, call()).unwrap();
    let transcribe = |arguments: &[&str]| {
        let mut command = command();
        command.args(["transcribe", "--model", "tiny.en", "--data-dir"]);
        command
            .arg(scratch().join("data"))
            .args(arguments)
            .arg(&file);
        command.output().unwrap()
    };
    let output = transcribe(&["--multichannel", "--format", "verbose_json"]);
    assert!(output.status.success(), "{output:?}");
    must_be_the_call(&serde_json::from_slice(&output.stdout).unwrap());
    let both = transcribe(&["--multichannel", "--diarize"]);
    assert_eq!(both.status.code(), Some(2));
}

/// 40 s of audio of two channels are 80 s.
#[tokio::test]
async fn every_channel_counts_against_the_limits() {
    let server = Server::builder()
        .config("[audio]\nmax_minutes = 1\n")
        .start();
    let file = || Part::bytes(wav_of(1, 2, 8_000, 16, &vec![0; 40 * 8_000 * 4]));
    let mixed = Upload::empty().part("file", file().file_name("a.wav"));
    assert_eq!(mixed.transcribe(&server).await.status, 200);
    let apart = Upload::empty().field("multichannel", "true");
    let apart = apart.part("file", file().file_name("a.wav"));
    let detail = apart.transcribe(&server).await.detail(413);
    assert!(detail.contains("60 s"), "{detail}");
}

/// A file with six channels that are told by their mask, one of which carries the words.
#[tokio::test]
async fn the_channels_of_a_surround_file_come_in_its_order() {
    let Some(path) = evaluation_or_say("codecs/p001.aiff") else {
        return;
    };
    let text = std::fs::read_to_string(path.with_extension("txt")).unwrap();
    let clip = native::decode_path(&path, &DecodeLimits::default()).unwrap();
    let frame = |sample: &f32| [0.0, 0.0, *sample, 0.0, 0.0, 0.0].map(f32::to_le_bytes);
    let data: Vec<u8> = clip.samples().iter().flat_map(frame).flatten().collect();
    let file = wav_of(3, 6, RATE as u32, 32, &data);
    let form = Upload::empty().field("multichannel", "true");
    let form = form.part("file", Part::bytes(file).file_name("surround.wav"));
    let body = form.transcribe(shared()).await.ok();
    assert_eq!(body["channels"].as_array().unwrap().len(), 6);
    let heard = said(&body["segments"], 2);
    let rate = word_error_rate(&text, &heard);
    assert!(rate <= 0.25, "{rate}: {heard}");
    assert_eq!(body["text"], heard, "nobody speaks on the others");
    assert!(clip.duration() > Duration::from_secs(2));
}
