//! Keys, quotas, the admin API; and what a tenant can see of another: nothing.

/// The admin API and the verbs that use it.
mod admin;
pub mod desk;
/// Keys: made, used, ended, guessed.
mod keys;
/// What a tenant may use.
mod quotas;

use std::sync::OnceLock;
use std::time::Duration;

use futures::stream;
use reqwest::Body;
use reqwest::multipart::{Form, Part};

use crate::guests::{Tenants, VICTIM, beginning, get, key, send, transcribe_at, wasm};
use crate::support::Server;
use crate::support::upload::client;

/// What [`wasm::HANDLER_DEAF`] answers to plain requests.
const DEAF_ANSWER: &str = "only WebSockets are ignored here";

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        Tenants::new("")
            .with("own-handler", "handler", wasm::HANDLER_DEAF, "")
            .with(
                "one-second",
                "chunker",
                wasm::AURICLE_FIXED_CHUNKER,
                "configuration = { fixed-secs = '1' }",
            )
            .with(
                "bad-number",
                "chunker",
                wasm::AURICLE_FIXED_CHUNKER,
                "configuration = { fixed-secs = 'x' }",
            )
            .with("scans-a", "handler", wasm::HANDLER_SCANS, "")
            .with("scans-b", "handler", wasm::HANDLER_SCANS, "")
            .server()
            .start()
    })
}

#[tokio::test]
async fn without_a_key_or_with_a_wrong_one_nothing_answers() {
    let url = server().url("/transcribe");
    for key in [None, Some("key-of-nobody"), Some(""), Some("KEY-OF-VICTIM")] {
        let request = client().post(&url);
        let request = match key {
            Some(key) => request.bearer_auth(key),
            None => request,
        };
        let answer = send(request).await;
        answer.detail(401);
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        assert!(!answer.body.contains("key-of") && !answer.body.contains(VICTIM));
    }
}

#[tokio::test]
async fn a_tenants_handler_answers_that_tenant_alone() {
    let own = send(get(server(), "own-handler", "/anything")).await;
    assert_eq!((own.status, own.body.as_str()), (200, DEAF_ANSWER));
    send(get(server(), VICTIM, "/anything")).await.detail(404);
    send(get(server(), "one-second", "/anything"))
        .await
        .detail(404);
}

#[tokio::test]
async fn a_component_reads_its_own_tenants_configuration() {
    let segments = async |tenant| {
        let answer = transcribe_at(&server().address, tenant, beginning(3)).await;
        answer.ok()["segments"].as_array().unwrap().len()
    };
    let (own, other) = tokio::join!(segments("one-second"), segments(VICTIM));
    assert!(
        own > other,
        "{own} segments in spans of 1 s, {other} in one"
    );
    let bad = transcribe_at(&server().address, "bad-number", beginning(1)).await;
    bad.detail(502);
}

#[tokio::test]
async fn an_instance_finds_nothing_that_another_has_left_in_memory() {
    // One after the other, so that the pool gives each the memory of the one before.
    for _ in 0..10 {
        for tenant in ["scans-a", "scans-b"] {
            let answer = send(get(server(), tenant, "/")).await;
            assert_eq!(
                (answer.status, answer.body.as_str()),
                (200, "0 0"),
                "{tenant}"
            );
        }
    }
}

#[tokio::test]
async fn slow_uploads_of_one_tenant_hold_up_nobody_else() {
    let uploads: Vec<_> = (0..SLOW_UPLOADS)
        .map(|_| tokio::spawn(upload_slowly()))
        .collect();
    // So that each has come as far as the decoder.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let answer = transcribe_at(&server().address, VICTIM, beginning(1));
    let answer = tokio::time::timeout(Duration::from_secs(15), answer).await;
    uploads.iter().for_each(|upload| upload.abort());
    answer.expect("an answer while others upload").ok();
}

/// More than any test machine has cores to decode on.
const SLOW_UPLOADS: usize = 40;

/// Sends the beginning of a file at once and the rest as slowly as is allowed.
async fn upload_slowly() {
    let file = beginning(3);
    let (begun, rest) = file.split_at(file.len() / 2);
    let (begun, rest) = (begun.to_vec(), rest.to_vec());
    let begun = stream::once(async { Ok::<_, std::io::Error>(begun) });
    let rest = stream::unfold((rest, 0), |(rest, from)| async move {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let piece = rest.get(from..from + 256)?.to_vec();
        Some((Ok(piece), (rest, from + 256)))
    });
    let body = Body::wrap_stream(stream::StreamExt::chain(begun, rest));
    let form = Form::new().part("file", Part::stream(body).file_name("slow.wav"));
    let request = client().post(server().url("/transcribe")).multipart(form);
    let _ = request.bearer_auth(key("one-second")).send().await;
}
