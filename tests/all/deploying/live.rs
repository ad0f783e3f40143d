use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::Tenant;
use crate::guests::wasm;
use crate::support::audio::{RATE, speech};
use crate::support::socket::Live;
use crate::tenancy::desk::{created, desk};

#[tokio::test]
async fn a_live_handler_that_fails_is_gone_on_from_where_it_was() {
    let tenant = Tenant::new(desk(), "relapses").await;
    tenant
        .deploy_handler(wasm::HANDLER_RELAPSES, json!({ "name": "first" }))
        .await;
    let mut live = Live::open_with(&tenant.desk.server, &tenant.key).await;
    for text in ["one", "panic", "three"] {
        live.send(Message::text(text)).await;
    }
    for expected in ["first 1 one", "first 2 panic", "first 3 three"] {
        assert_eq!(live.next().await, Some(json!(expected)));
    }
    // One that gets no further any more ends.
    live.send(Message::text("always")).await;
    assert_eq!(live.next().await, None);
}

#[tokio::test]
async fn a_swap_reaches_an_open_session_with_its_next_answer() {
    let tenant = Tenant::new(desk(), "swaps-live").await;
    tenant
        .deploy_handler(wasm::HANDLER_RELAPSES, json!({ "name": "old" }))
        .await;
    let mut live = Live::open_with(&tenant.desk.server, &tenant.key).await;
    live.send(Message::text("a")).await;
    assert_eq!(live.next().await, Some(json!("old 1 a")));
    tenant
        .deploy_handler(wasm::HANDLER_RELAPSES, json!({ "name": "new" }))
        .await;
    // The old one is within a call for the next message, and hands over behind its answer.
    for (text, expected) in [("b", "old 2 b"), ("c", "new 3 c"), ("d", "new 4 d")] {
        live.send(Message::text(text)).await;
        assert_eq!(live.next().await, Some(json!(expected)));
    }
}

#[tokio::test]
async fn swaps_in_mid_call_lose_no_sound() {
    let tenant = Tenant::new(desk(), "talks-live").await;
    let samples = &speech().samples[..11 * RATE];
    let mut texts: Vec<Vec<Value>> = Vec::new();
    for swaps in [false, true] {
        let mut live = Live::open_with(&tenant.desk.server, &tenant.key).await;
        for (number, second) in samples.chunks(RATE).enumerate() {
            live.speak(second).await;
            if swaps && number % 3 == 2 {
                let body = json!({ "configuration": {} });
                let path = "deployments/handler/revisions";
                created(&tenant.ask(reqwest::Method::POST, path, body).await);
            }
        }
        live.flush().await;
        let mut answers = Vec::new();
        // Two whole pieces of 5 s, then the rest.
        for _ in 0..3 {
            let answer = live.next().await.expect("the session goes on");
            answers.push(answer["text"].clone());
        }
        texts.push(answers);
    }
    assert_eq!(texts[0], texts[1]);
    let status = tenant.get("deployments/handler").await;
    assert!(status["serving"]["number"].as_u64() >= Some(3), "{status}");
}
