//! Device time: what it costs a tenant, and texts that must not depend on how much of it there is.

use serde_json::{Value, json};

use crate::support::audio::{RATE, noise, silence, speech, two_speakers, wav};
use crate::support::server::shared_multilingual;
use crate::support::socket::{Live, joined};
use crate::support::text::words;
use crate::support::{Upload, shared};
use crate::tenancy::desk::{desk, error, retry_after};

#[tokio::test]
async fn used_device_time_refuses_a_tenants_next_request_and_no_other_tenants() {
    let desk = desk();
    let busy = json!({ "device_secs_per_minute": 1 });
    let busy = desk.tenant("computes", busy).await;
    let other = desk.tenant("computes-too", json!({})).await;
    // What a request takes depends on the machine; a second of it is used up sooner or later.
    let mut taken = 0;
    let refused = loop {
        let answer = desk.transcribe(&busy, 10).await;
        if answer.status == 429 {
            break answer;
        }
        answer.ok();
        assert_eq!(answer.header("x-ratelimit-limit-device-secs"), "1");
        taken += 1;
        assert!(taken < 200, "200 requests took less than a second");
    };
    assert!(taken > 0, "the first request is let through");
    let said = error(&refused, 429);
    let message = said["message"].as_str().unwrap();
    assert!(
        message.contains("1 seconds of device time per minute"),
        "{message}"
    );
    assert_eq!(said["code"], "rate_limit_exceeded");
    assert!(retry_after(&refused) >= 1, "{refused:?}");
    assert_eq!(refused.header("x-ratelimit-remaining-device-secs"), "0");
    let answer = desk.transcribe(&other, 10).await;
    answer.ok();
    assert_eq!(answer.header("x-ratelimit-limit-device-secs"), "");
    let shown = desk.get("tenants/computes").await.ok();
    assert_eq!(shown["quotas"]["device_secs_per_minute"], 1);
}

/// What OpenAI's API says of a file.
async fn verbose(file: &[u8], words: bool) -> Value {
    let mut form = Upload::wav(file)
        .field("model", "whisper-1")
        .field("language", "en")
        .field("response_format", "verbose_json");
    if words {
        form = form
            .field("timestamp_granularities[]", "segment")
            .field("timestamp_granularities[]", "word");
    }
    form.send(shared_multilingual(), "/v1/audio/transcriptions")
        .await
        .ok()
}

#[tokio::test]
async fn word_times_change_no_text_and_words_follow_each_other() {
    for samples in [
        two_speakers(),
        [speech().samples.clone(), silence(1.0)].concat().repeat(5),
    ] {
        let file = wav(&samples);
        let (plain, timed) = (verbose(&file, false).await, verbose(&file, true).await);
        assert_eq!(plain["text"], timed["text"]);
        let (mut last, timed) = (0.0, timed["words"].as_array().unwrap().clone());
        assert!(!timed.is_empty());
        for word in timed {
            let (start, end) = (word["start"].as_f64(), word["end"].as_f64());
            let (start, end) = (start.unwrap(), end.unwrap());
            assert!(last <= start && start < end, "{word} after {last}");
            last = end;
        }
    }
}

/// A sentence of the recording of which the words are known, and a word that it has once.
fn sentence() -> Option<Vec<i16>> {
    if speech().max_error_rate > 0.0 {
        eprintln!("skipped: `audio-jfk` is not installed (no npm)");
        return None;
    }
    Some(speech().samples[RATE * 81 / 10..RATE * 106 / 10].to_vec())
}

#[tokio::test]
async fn a_sentence_that_is_said_again_and_again_is_kept_in_files_and_live() {
    let Some(sentence) = sentence() else {
        return;
    };
    let said = [sentence.clone(), silence(0.4)].concat();
    let body = verbose(&wav(&said.repeat(8)), false).await;
    let times = |text: &str| words(text).iter().filter(|word| *word == "country").count();
    assert_eq!(times(body["text"].as_str().unwrap()), 8, "{body}");
    assert!(body.get("x_dropped").is_none(), "{body}");
    let mut live = Live::open(shared_multilingual(), "?language=en").await;
    live.speak(&said.repeat(4)).await;
    live.flush().await;
    live.end().await;
    let heard = joined(&live.rest().await);
    // Live pieces cut sentences in two, of which both parts may have the word.
    assert!((4..=8).contains(&times(&heard)), "{heard}");
}

#[tokio::test]
async fn noise_has_no_words_live_either() {
    for samples in [silence(10.0), noise(10.0, 300), noise(10.0, 8_000)] {
        let mut live = Live::open(shared(), "?language=en").await;
        live.speak(&samples).await;
        live.end().await;
        assert_eq!(joined(&live.rest().await).trim(), "");
    }
}

#[tokio::test]
async fn a_fifth_of_a_second_has_no_invented_words() {
    for millis in [99, 100, 150, 200] {
        for from in [0, 1, 4, 9] {
            let from = from * RATE;
            let clip = &speech().samples[from..from + millis * RATE / 1000];
            for server in [shared(), shared_multilingual()] {
                let body = Upload::wav(&wav(clip)).transcribe(server).await.ok();
                assert_eq!(body["text"], "", "{millis} ms from {from}: {body}");
            }
        }
    }
}

#[tokio::test]
async fn a_prompt_that_repeats_itself_does_not_replace_what_was_said() {
    for prompt in [
        "The quick brown fox jumps over the lazy dog. ".repeat(50),
        "x".repeat(2_047),
        "no ".repeat(600),
    ] {
        let form = Upload::wav(&speech().wav()).field("prompt", &prompt);
        let body = form.transcribe(shared_multilingual()).await.ok();
        speech().must_nearly_be(body["text"].as_str().unwrap(), 0.1);
    }
}
