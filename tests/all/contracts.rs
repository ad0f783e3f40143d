//! Components built from older versions of the contracts go on running.

use crate::guests::{Tenants, get, key, send, transcribe_at, wasm};
use crate::support::audio::{RATE, silence, speech, wav};
use crate::support::upload::{Answer, Upload};
use crate::support::{Server, shared};

const OPENAI: &str = "/v1/audio/transcriptions";

/// A server with a tenant for each role, which has a component built for version 0.1.0 in it.
fn server() -> Server {
    Tenants::new("")
        .with("handles", "handler", wasm::V0_1_HANDLER, "")
        .with("chunks", "chunker", wasm::V0_1_CHUNKER, "")
        .with("assigns", "speaker_assigner", wasm::V0_1_ASSIGNER, "")
        .with("decodes", "decoder", wasm::V0_1_DECODER, "")
        .server()
        .start()
}

#[tokio::test]
async fn components_of_every_role_built_for_version_0_1_0_go_on_running() {
    let server = server();
    // With a silence, which version 0.1.0 has no event for.
    let file = wav(&[silence(8.0), speech().samples.clone()].concat());

    let handled = Upload::wav(&file).request(&server, "/hear");
    let handled = send(handled.bearer_auth(key("handles"))).await;
    assert_eq!(handled.status, 200, "{}", handled.body);
    let (events, text) = handled.body.split_once('\n').unwrap();
    assert_eq!(events, "language en, finished en");
    speech().must_nearly_be(text, 0.1);

    let chunked = transcribe_at(&server.address, "chunks", speech().wav()).await;
    speech().must_nearly_be(&chunked.transcript(), 0.4);
    let silent = transcribe_at(&server.address, "chunks", wav(&silence(8.0))).await;
    assert_eq!(silent.transcript(), "");

    let assigned = Upload::wav(&speech().wav())
        .field("model", "whisper-1")
        .field("response_format", "verbose_json")
        .request(&server, OPENAI);
    let assigned = send(assigned.bearer_auth(key("assigns"))).await.ok();
    let text = assigned["text"].as_str().unwrap();
    assert_eq!(text, text.to_uppercase());
    speech().must_be(text);
    assert_eq!(assigned["segments"][0]["language"], "english", "{assigned}");

    let raw: Vec<u8> = speech()
        .samples
        .iter()
        .flat_map(|s| s.to_le_bytes())
        .collect();
    let decoded = transcribe_at(&server.address, "decodes", raw).await;
    speech().must_be(&decoded.transcript());
    let empty = transcribe_at(&server.address, "decodes", Vec::new()).await;
    assert_eq!(empty.status, 400, "{}", empty.body);
    assert_eq!(send(get(&server, "handles", "/")).await.status, 400);
}

/// `x_silence` of a tutorial and of an OpenAI answer.
async fn silences(server: &Server, file: &[u8]) -> [serde_json::Value; 2] {
    let tutorial = Upload::wav(file).transcribe(server).await.ok();
    let openai: Answer = Upload::wav(file)
        .field("model", "whisper-1")
        .field("response_format", "verbose_json")
        .send(server, OPENAI)
        .await;
    [
        tutorial["x_silence"].clone(),
        openai.ok()["x_silence"].clone(),
    ]
}

#[tokio::test]
async fn stretches_that_were_not_recognised_are_reported() {
    let spoken = &speech().samples[..5 * RATE];
    let file = wav(&[&silence(10.0), spoken, &silence(8.0)].concat());
    for silence in silences(shared(), &file).await {
        let stretches = silence.as_array().expect("there are some");
        let at = |stretch: &serde_json::Value, name: &str| stretch[name].as_f64().unwrap();
        let (first, last) = (&stretches[0], stretches.last().unwrap());
        assert_eq!(first["reason"], "no_voice");
        assert!(
            at(first, "start") == 0.0 && (9.0..11.0).contains(&at(first, "end")),
            "{first}"
        );
        assert!(
            (at(last, "end") - 23.0).abs() < 0.01 && at(last, "start") < 17.0,
            "{last}"
        );
        for pair in stretches.windows(2) {
            assert!(at(&pair[0], "end") < at(&pair[1], "start"), "{silence}");
        }
    }
    for silence in silences(shared(), &wav(&silence(3.0))).await {
        assert_eq!(silence[0]["end"], 3.0, "all of it: {silence}");
    }
}

#[tokio::test]
async fn channels_report_their_own_silence() {
    let (spoken, silent) = (&speech().samples[..5 * RATE], silence(5.0));
    let pairs = spoken.iter().zip(&silent);
    let data: Vec<u8> = pairs
        .flat_map(|(a, b)| [a.to_le_bytes(), b.to_le_bytes()].concat())
        .collect();
    let file = crate::support::audio::wav_of(1, 2, RATE as u32, 16, &data);
    let body = Upload::empty()
        .field("multichannel", "true")
        .part(
            "file",
            reqwest::multipart::Part::bytes(file).file_name("call.wav"),
        )
        .transcribe(shared())
        .await
        .ok();
    let stretches = body["x_silence"].as_array().expect("one channel is silent");
    let whole = stretches
        .iter()
        .find(|stretch| stretch["end"] == 5.0 && stretch["start"] == 0.0);
    assert_eq!(whole.expect("the second one")["channel"], 1, "{body}");
}
