//! The live WebSocket: 16 kHz mono s16le in, `{text, language, is_final}` out.

use std::time::Duration;

use serde_json::Value;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::support::audio::{RATE, silence, speech};
use crate::support::socket::{Live, joined};
use crate::support::text::word_error_rate;
use crate::support::upload::get;
use crate::support::{Server, shared};

/// Pieces cut words in two; so many more errors are theirs.
const CUTS: f64 = 0.3;

/// A message of the tutorial's shape, whose text will not change.
fn assert_piece(answer: &Value) {
    let mut keys: Vec<_> = answer
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    assert_eq!(keys, ["is_final", "language", "text"], "{answer}");
    assert_eq!(answer["is_final"], true, "{answer}");
}

#[tokio::test]
async fn every_five_seconds_give_one_message_and_a_flush_the_rest() {
    let mut live = Live::open(shared(), "").await;
    live.speak(&speech().samples).await;
    let mut answers = Vec::new();
    for _ in 0..speech().samples.len() / (5 * RATE) {
        answers.push(live.next().await.unwrap());
        assert_piece(answers.last().unwrap());
    }
    assert!(
        !live.answers_within(Duration::from_millis(300)).await,
        "the rest is not due yet"
    );
    live.flush().await;
    answers.push(live.next().await.unwrap());
    assert_piece(answers.last().unwrap());
    assert_eq!(answers[0]["language"], "en");
    speech().must_nearly_be(&joined(&answers), CUTS);
}

#[tokio::test]
async fn a_session_goes_on_after_a_flush() {
    let mut live = Live::open(shared(), "?language=en").await;
    for _ in 0..2 {
        live.speak(&speech().samples[..3 * RATE]).await;
        live.flush().await;
        let answer = live.next().await.unwrap();
        assert_piece(&answer);
        assert!(!answer["text"].as_str().unwrap().is_empty(), "{answer}");
    }
    // Nothing is left: a flush is answered all the same.
    live.flush().await;
    let answer = live.next().await.unwrap();
    assert_piece(&answer);
    assert_eq!(answer["text"], "");
}

#[tokio::test]
async fn closing_flushes_the_rest() {
    let mut live = Live::open(shared(), "").await;
    live.speak(&speech().samples[..7 * RATE.min(speech().samples.len() / 7)])
        .await;
    live.end().await;
    let answers = live.rest().await;
    assert_eq!(
        answers.len(),
        2,
        "the rest comes before the close: {answers:?}"
    );
    for answer in &answers {
        assert_piece(answer);
    }
    assert!(
        word_error_rate(speech().text, &joined(&answers)) < 0.7,
        "{answers:?}"
    );
}

#[tokio::test]
async fn silence_gives_empty_texts() {
    let mut live = Live::open(shared(), "").await;
    live.speak(&silence(10.0)).await;
    for _ in 0..2 {
        let answer = live.next().await.unwrap();
        assert_piece(&answer);
        assert_eq!(answer["text"], "");
    }
}

#[tokio::test]
async fn recognition_never_holds_up_reading() {
    // One worker and a minute of speech: the answers take seconds.
    let server = Server::builder().config("[models]\nworkers = 1\n").start();
    let mut live = Live::open(&server, "").await;
    let minute: Vec<i16> = speech()
        .samples
        .iter()
        .copied()
        .cycle()
        .take(60 * RATE)
        .collect();
    live.speak(&minute).await;
    // The answer to a ping comes when everything before it has been read.
    let before_pong = live.answers_before_pong().await;
    assert!(
        before_pong <= 3,
        "{before_pong} of 12 answers came before the audio was read"
    );
    // Other requests are answered meanwhile.
    assert_eq!(get(&server, "/health").await.status, 200);
    for number in before_pong..12 {
        let answer = live.next().await.unwrap();
        assert_piece(&answer);
        assert!(
            !answer["text"].as_str().unwrap().is_empty(),
            "{number}: {answer}"
        );
    }
}

#[tokio::test]
async fn a_sample_may_be_split_between_two_messages() {
    let mut live = Live::open(shared(), "").await;
    let part = &speech().samples[..4 * RATE];
    let bytes: Vec<u8> = part.iter().flat_map(|s| s.to_le_bytes()).collect();
    for piece in bytes.chunks(3333) {
        live.send(Message::binary(piece.to_vec())).await;
    }
    live.flush().await;
    let odd = live.next().await.unwrap();
    live.speak(part).await;
    live.flush().await;
    let even = live.next().await.unwrap();
    assert_eq!(odd["text"], even["text"]);
    assert!(!even["text"].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn two_sessions_do_not_hear_each_other() {
    let (mut speaks, mut waits) = (
        Live::open(shared(), "").await,
        Live::open(shared(), "").await,
    );
    for piece in speech().samples[..5 * RATE].chunks(RATE) {
        speaks.speak(piece).await;
        waits.speak(&silence(1.0)).await;
    }
    assert_eq!(waits.next().await.unwrap()["text"], "");
    assert!(
        !speaks.next().await.unwrap()["text"]
            .as_str()
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_text_message_is_explained_and_an_unknown_option_ends_the_session() {
    let mut live = Live::open(shared(), "").await;
    live.send(Message::text("hello")).await;
    let answer = live.next().await.unwrap();
    assert!(
        answer["detail"].as_str().unwrap().contains("s16le"),
        "{answer}"
    );
    live.flush().await;
    assert_piece(&live.next().await.unwrap());

    let mut live = Live::open(shared(), "?language=klingon").await;
    let answer = live.next().await.unwrap();
    assert!(
        answer["detail"].as_str().unwrap().contains("klingon"),
        "{answer}"
    );
    assert_eq!(live.next().await, None);
}

#[tokio::test]
async fn a_page_of_another_site_may_not_listen_in() {
    let opened = Live::open_from(shared(), "https://evil.example").await;
    let Err(Error::Http(answer)) = opened else {
        panic!("it may")
    };
    assert_eq!(answer.status(), 403);
}
