//! One test for every defect that got out of its crate.

use auricle_audio::DecodeLimits;
use auricle_decoder::native::decode_path;

use crate::support::audio::{evaluation_or_say, silence, wav};
use crate::support::raw::{Raw, form};
use crate::support::server::shared_multilingual;
use crate::support::upload::{client, get};
use crate::support::{Answer, Upload, shared};

/// hyper stops reading a body at its `content-length` and never sees its end: all such requests
/// were logged as if their clients had gone.
#[tokio::test]
async fn a_request_that_succeeded_is_logged_with_its_status() {
    let answer = Upload::wav(&wav(&silence(0.5))).transcribe(shared()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        shared().request_line(answer.request_id())["fields"]["status"],
        200
    );
    let answer = get(shared(), "/nowhere").await;
    assert_eq!(
        shared().request_line(answer.request_id())["fields"]["status"],
        404
    );
}

/// A form whose first bytes came in one piece of more than 8 KiB was refused with 413: the limit on
/// the headers of a part counted the file that came with them. It took a client that sends the
/// request's head alone and its body at once.
#[tokio::test]
async fn a_form_may_begin_with_a_large_piece() {
    let body = form("text/plain", &[b' '; 60_000]);
    for number in 0..30 {
        let mut raw = Raw::connect(shared()).await;
        raw.begin_form("/transcribe", &format!("large-piece-{number}"), body.len())
            .await;
        assert!(raw.send(&body).await);
        let answer = raw.answer().await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.contains("File must be an audio file"), "{answer}");
    }
}

/// The last sentence of a window was lost: the first attempt had failed, the second, drawn at random
/// and all but certain, stopped six seconds before the end, and what was drawn was not believed.
#[tokio::test]
async fn what_follows_a_sure_text_of_a_second_attempt_is_heard() {
    let Some(path) = evaluation_or_say("derived/long_shared.ogg") else {
        return;
    };
    let clip = decode_path(&path, &DecodeLimits::default()).unwrap();
    let samples = clip.samples()[2_919_936..3_398_656].iter();
    let samples: Vec<i16> = samples
        .map(|&sample| (sample * 32_768.0).round() as i16)
        .collect();
    let upload = Upload::wav(&wav(&samples)).field("language", "en");
    let text = upload.transcribe(shared_multilingual()).await.transcript();
    assert!(text.contains("improvised"), "{text}");
}

/// A field that was too long was called a request that was too large, and nothing named it. Found by
/// generated requests (`clients`).
#[tokio::test]
async fn a_field_that_is_too_long_is_named_with_its_limit() {
    let form = Upload::wav(&wav(&silence(0.5))).field("prompt", &"a".repeat(65_537));
    let detail = form.transcribe(shared()).await.detail(413);
    assert_eq!(detail, "'prompt' is longer than 65536 bytes");
}

/// The path of the WebSocket told every method to connect with one. Found by generated requests.
#[tokio::test]
async fn other_methods_than_get_are_not_allowed_on_the_websockets_path() {
    let answer = client()
        .delete(shared().url("/ws/transcribe"))
        .send()
        .await
        .unwrap();
    let answer = Answer::of(answer).await;
    assert_eq!(answer.detail(405), "Method Not Allowed");
    assert_eq!(answer.header("allow"), "GET");
}
