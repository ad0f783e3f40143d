//! What a tenant may use, and that going over it costs nobody else.

use futures::future::join_all;
use reqwest::Method;
use serde_json::json;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::desk::{Desk, data_dir, desk, error, retry_after};
use crate::guests::{TIGHT, Tenants, get, key, send, transcribe, wasm};
use crate::support::upload::client;
use crate::support::{Answer, Upload};

fn number(answer: &Answer, header: &str) -> u32 {
    let value = answer.header(header).parse();
    value.unwrap_or_else(|_| panic!("{header} in {answer:?}"))
}

#[tokio::test]
async fn a_tenant_over_its_requests_per_minute_waits_and_another_sees_nothing_of_it() {
    let desk = desk();
    let noisy = desk
        .tenant("noisy", json!({ "requests_per_minute": 4 }))
        .await;
    let quiet = desk
        .tenant("quiet", json!({ "requests_per_minute": 100 }))
        .await;
    let ask = async |key: &str| {
        let url = desk.server.url("/v1/nothing-here");
        send(crate::support::upload::client().get(url).bearer_auth(key)).await
    };
    for sent in 1..=12 {
        let answer = ask(&noisy).await;
        assert_eq!(number(&answer, "x-ratelimit-limit-requests"), 4);
        let left = number(&answer, "x-ratelimit-remaining-requests");
        if sent <= 4 {
            assert_eq!((answer.status, left), (404, 4 - sent), "{answer:?}");
            assert!(answer.header("x-ratelimit-reset-requests").ends_with('s'));
        } else {
            let error = error(&answer, 429);
            assert_eq!(error["code"], "rate_limit_exceeded");
            assert!(
                error["message"]
                    .as_str()
                    .unwrap()
                    .contains("4 requests per minute")
            );
            assert!((1..=15).contains(&retry_after(&answer)), "{answer:?}");
            assert_eq!(answer.header("x-ratelimit-limit-tokens"), "");
        }
        let others = ask(&quiet).await;
        assert_eq!(others.status, 404, "{others:?}");
        let left = number(&others, "x-ratelimit-remaining-requests");
        assert!((100 - sent..=100).contains(&left), "{others:?}");
    }
    // A higher quota holds at once, and what was used stays used.
    let more = json!({ "quotas": { "requests_per_minute": 8 } });
    desk.ask(Method::PATCH, "tenants/noisy", more).await.ok();
    assert_eq!(ask(&noisy).await.status, 404);
}

#[tokio::test]
async fn audio_beyond_a_minutes_worth_is_refused_with_the_time_that_it_takes() {
    let desk = desk();
    let key = desk
        .tenant("talks", json!({ "audio_secs_per_minute": 4 }))
        .await;
    let other = desk.tenant("talks-too", json!({})).await;
    let first = desk.transcribe(&key, 3).await;
    first.ok();
    assert_eq!(number(&first, "x-ratelimit-limit-tokens"), 4);
    assert!(number(&first, "x-ratelimit-remaining-tokens") <= 2);
    let refused = desk.transcribe(&key, 3).await;
    error(&refused, 429);
    // 2 s are missing, of which one comes in 15 s.
    assert!((5..=30).contains(&retry_after(&refused)), "{refused:?}");
    desk.transcribe(&other, 3).await.ok();
    let both = desk.transcribe(&other, 1).await;
    assert_eq!(
        both.header("x-ratelimit-limit-tokens"),
        "",
        "it has no such limit"
    );
}

#[tokio::test]
async fn a_file_longer_than_a_minutes_worth_is_taken_and_paid_for_before_the_next() {
    let desk = desk();
    let key = desk
        .tenant("owes", json!({ "audio_secs_per_minute": 1 }))
        .await;
    desk.transcribe(&key, 3).await.ok();
    // Before a byte of the next one is read, in the words of either API.
    for path in ["/v1/audio/transcriptions", "/transcribe"] {
        let form = Upload::wav(&crate::guests::beginning(1)).request(&desk.server, path);
        let refused = send(form.bearer_auth(&key)).await;
        assert_eq!(refused.status, 429, "{refused:?}");
        assert!(refused.body.contains("1 seconds of audio per minute"));
        assert!((90..=180).contains(&retry_after(&refused)), "{refused:?}");
    }
}

#[tokio::test]
async fn a_model_that_is_not_allowed_is_not_there() {
    let desk = desk();
    let allowed = desk
        .tenant("one-model", json!({ "models": ["tiny.en"] }))
        .await;
    desk.transcribe(&allowed, 1).await.ok();
    let none = desk.tenant("no-model", json!({ "models": [] })).await;
    let refused = desk.transcribe(&none, 1).await;
    let said = error(&refused, 404);
    assert_eq!(said["code"], "model_not_found");
    let form = Upload::wav(&crate::guests::beginning(1))
        .field("model", "no-such-model")
        .request(&desk.server, "/v1/audio/transcriptions");
    let unknown = error(&send(form.bearer_auth(&none)).await, 404);
    for (key, listed) in [(&none, false), (&allowed, true)] {
        let list = client().get(desk.server.url("/v1/models")).bearer_auth(key);
        let list = send(list).await.ok();
        let named = list["data"].as_array().unwrap();
        let of = |name: &str| {
            let is_of =
                |model: &&serde_json::Value| model["id"].as_str().unwrap().starts_with(name);
            named.iter().filter(is_of).count()
        };
        assert_eq!((of("base"), of("tiny.en") > 0), (0, listed), "{list}");
    }
    let words = |error: &serde_json::Value| {
        error["message"]
            .as_str()
            .unwrap()
            .split('\'')
            .next()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        words(&said),
        words(&unknown),
        "the two cannot be told apart"
    );
}

#[tokio::test]
async fn a_graph_that_is_not_allowed_is_not_there_though_it_is_granted() {
    const GRANTS: &str = "nn = ['silero-vad', 'tiny.en']";
    let tenants = Tenants::new("").with("infers", "handler", wasm::HANDLER_INFERS, GRANTS);
    let desk = Desk::start(data_dir(), |server| server.config(tenants.toml()));
    let infers = async |name: &str| {
        let path = format!("/infer?case=name&graph={name}");
        send(get(&desk.server, "infers", &path)).await.body
    };
    let nowhere = infers("no-such-graph").await;
    for graph in ["silero-vad", "tiny.en"] {
        assert_eq!(infers(graph).await, "ok");
    }
    // The tenant is known from the configuration; with the store's quotas it is the same one.
    desk.tenant("infers", json!({ "graphs": ["tiny.en"] }))
        .await;
    assert_eq!(infers("silero-vad").await, nowhere);
    assert_eq!(infers("tiny.en").await, "ok");
}

/// A desk with tenants whose components use much, one way or another.
async fn greedy() -> Desk {
    let tenants = Tenants::new("")
        .with("burns", "handler", wasm::HANDLER_SPINS, TIGHT)
        .with("burns-in-line", "chunker", wasm::CHUNKER_SPINS, TIGHT)
        .with(
            "burns-long",
            "handler",
            wasm::HANDLER_SPINS,
            "limits = { cpu_ms = 60000 }",
        )
        .with("keeps", "handler", wasm::HANDLER_DEAF, "")
        .with("hoards-alone", "handler", wasm::HANDLER_HOARDS, "")
        .with_key("keeps-in-line");
    let desk = Desk::start(data_dir(), |server| server.config(tenants.toml()));
    for tenant in ["burns", "burns-in-line", "burns-long"] {
        desk.tenant(tenant, json!({ "guest_cpu_secs_per_minute": 1 }))
            .await;
    }
    desk
}

#[tokio::test]
async fn a_tenant_whose_components_have_used_their_minute_waits_whatever_their_role() {
    let desk = greedy().await;
    for (tenant, status) in [("burns", 504), ("burns-in-line", 502)] {
        let mut answer = transcribe(&desk.server, tenant).await;
        // 0.3 s each; the last one is let in with what is left.
        for _ in 0..5 {
            if answer.status != status {
                break;
            }
            answer = transcribe(&desk.server, tenant).await;
        }
        let detail = answer.detail(429);
        assert!(detail.contains("1 seconds of components' processor time per minute"));
        assert!((1..=60).contains(&retry_after(&answer)), "{answer:?}");
        let v1 = send(get(&desk.server, tenant, "/v1/models")).await;
        assert_eq!(error(&v1, 429)["code"], "rate_limit_exceeded");
    }
    transcribe(&desk.server, crate::guests::VICTIM).await.ok();
    // What runs is stopped when it has used another minute's worth, long before its own limit.
    let since = std::time::Instant::now();
    let stopped = transcribe(&desk.server, "burns-long").await;
    assert!(stopped.detail(429).contains("processor time"));
    let wait = retry_after(&stopped);
    assert!((50..=90).contains(&wait), "{wait} s");
    assert!(since.elapsed() < std::time::Duration::from_secs(20));
    // A higher quota holds at once.
    let more = json!({ "quotas": { "guest_cpu_secs_per_minute": 100 } });
    desk.ask(Method::PATCH, "tenants/burns", more).await.ok();
    transcribe(&desk.server, "burns").await.detail(504);
}

#[tokio::test]
async fn a_tenant_whose_components_hold_their_memory_waits_for_one_to_end() {
    let desk = greedy().await;
    let ask = async || send(get(&desk.server, "keeps", "/")).await;
    let used = async |answer: &Answer, count| {
        let usage = desk.server.usage(answer.request_id(), count);
        usage
            .into_iter()
            .map(|one| (one.component, one.peak_memory_bytes))
    };
    let first = ask().await;
    let (_, one) = used(&first, 1).await.next().unwrap();
    // One fits, and two do not.
    desk.tenant("keeps", json!({ "max_guest_memory_bytes": one * 3 / 2 }))
        .await;
    assert_eq!(ask().await.status, 200);
    let url = format!("ws://{}/", desk.server.address);
    let mut request = url.into_client_request().unwrap();
    let value = format!("Bearer {}", key("keeps")).parse().unwrap();
    request.headers_mut().insert("authorization", value);
    let (held, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    let until = async |status| {
        let mut answer = ask().await;
        for _ in 0..100 {
            if answer.status == status {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            answer = ask().await;
        }
        answer
    };
    let refused = until(429).await;
    assert_eq!(error(&refused, 429)["code"], "rate_limit_exceeded");
    assert!((1..=60).contains(&retry_after(&refused)), "{refused:?}");
    drop(held);
    assert_eq!(until(200).await.status, 200);
    // The decoder's memory is the tenant's, too: with the handler's alone there is no room for it.
    let whole = transcribe(&desk.server, "keeps-in-line").await;
    whole.ok();
    let handler = used(&whole, 4)
        .await
        .find(|(role, _)| role == "handler")
        .unwrap()
        .1;
    let quotas = json!({ "max_guest_memory_bytes": handler + 65_536 });
    desk.tenant("keeps-in-line", quotas).await;
    let refused = transcribe(&desk.server, "keeps-in-line").await;
    refused.detail(429);
    assert!(retry_after(&refused) >= 1);
    // Who alone wants more than may ever be had need not come back.
    let quotas = json!({ "max_guest_memory_bytes": 4_000_000 });
    desk.tenant("hoards-alone", quotas).await;
    transcribe(&desk.server, "hoards-alone").await.detail(502);
}

#[tokio::test]
async fn a_tenant_that_has_enough_queued_is_refused_while_another_is_served() {
    let desk = desk();
    let hoards = desk
        .tenant("hoards", json!({ "max_queued_audio_secs": 5 }))
        .await;
    let other = desk.tenant("hoards-not", json!({})).await;
    let cores = std::thread::available_parallelism().unwrap().get();
    let many = (0..cores + 8).map(|_| desk.transcribe(&hoards, 5));
    let (answers, others) = tokio::join!(join_all(many), desk.transcribe(&other, 1));
    others.ok();
    let refused: Vec<_> = answers
        .iter()
        .filter(|answer| answer.status != 200)
        .collect();
    assert!(!refused.is_empty() && refused.len() < answers.len());
    for answer in refused {
        assert_eq!(error(answer, 429)["code"], "rate_limit_exceeded");
        assert!(retry_after(answer) >= 1);
    }
}

#[tokio::test]
async fn a_tenant_holds_as_many_websockets_and_as_much_memory_as_it_may() {
    let desk = desk();
    let quotas = json!({ "max_sessions": 1, "max_host_bytes": 100_000 });
    let key = desk.tenant("holds", quotas).await;
    let open = async || {
        let url = format!("ws://{}/ws/transcribe", desk.server.address);
        let mut request = url.into_client_request().unwrap();
        let value = format!("Bearer {key}").parse().unwrap();
        request.headers_mut().insert("authorization", value);
        tokio_tungstenite::connect_async(request).await
    };
    let (held, _) = open().await.unwrap();
    let Err(Error::Http(refused)) = open().await else {
        panic!("a second WebSocket");
    };
    assert_eq!(refused.status(), 429);
    assert!(refused.headers().contains_key("retry-after"));
    drop(held);
    // 1 s of audio is 64,000 bytes, and 2 s are more than may ever be held: no use to come back.
    desk.transcribe(&key, 1).await.ok();
    let refused = desk.transcribe(&key, 2).await;
    assert_eq!(refused.status, 413, "{refused:?}");
    assert!(refused.body.contains("longer than 1 s"), "{refused:?}");
    let acts = desk.get("tenants/holds").await.ok();
    assert_eq!(acts["quotas"]["max_host_bytes"], 100_000);
}
