//! Keys: made, used, ended, guessed.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use futures::StreamExt;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::desk::{Desk, auricle, created, data_dir, desk, error, retry_after, secret, stdout};
use crate::guests::send;
use crate::support::Server;
use crate::support::upload::{Answer, builder, client};

/// Opened by a handler that has nothing at the path.
fn is_let_in(answer: &Answer) -> bool {
    answer.status == 404
}

/// Refused as every wrong key is, in the dialect of either API.
async fn must_be_shut(desk: &Desk, key: &str) {
    let answer = send(
        client()
            .get(desk.server.url("/transcribe"))
            .bearer_auth(key),
    )
    .await;
    answer.detail(401);
    assert_eq!(answer.header("www-authenticate"), "Bearer");
    let answer = send(client().get(desk.server.url("/v1/models")).bearer_auth(key)).await;
    assert_eq!(error(&answer, 401)["code"], "invalid_api_key");
    assert_eq!(answer.header("www-authenticate"), "Bearer");
}

#[tokio::test]
async fn a_key_made_before_the_first_start_is_asked_for_and_lets_other_machines_in() {
    let dir = data_dir();
    let key = stdout(&auricle(dir.path(), &["key", "create", "--name", "first"]));
    let server = Server::builder()
        .data_dir(dir.path())
        .no_listen_flag()
        .arg("--listen")
        .arg("0.0.0.0:0")
        .start();
    let url = format!(
        "http://{}/nothing-here",
        server.address.replace("0.0.0.0", "127.0.0.1")
    );
    let with = send(client().get(&url).bearer_auth(key.trim())).await;
    assert!(is_let_in(&with), "{with:?}");
    assert_eq!(send(client().get(&url)).await.status, 401);
}

#[tokio::test]
async fn a_key_that_was_revoked_or_has_expired_opens_nothing() {
    let desk = desk();
    let revoked = desk.tenant("ends", json!({})).await;
    assert!(is_let_in(&desk.knock(&revoked).await));
    let id = revoked.split('-').nth(1).unwrap();
    for _ in 0..2 {
        let answer = desk.post(&format!("keys/{id}/revoke"), json!({})).await;
        assert_eq!(answer.ok()["status"], "revoked");
    }
    must_be_shut(desk, &revoked).await;
    let body = json!({ "tenant": "ends", "expires_in_secs": 1 });
    let short = secret(&created(&desk.post("keys", body).await));
    let since = Instant::now();
    while is_let_in(&desk.knock(&short).await) {
        assert!(since.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    must_be_shut(desk, &short).await;
}

#[tokio::test]
async fn a_revoked_key_closes_the_websocket_that_it_opened() {
    let desk = desk();
    let key = desk.tenant("listens", json!({})).await;
    let url = format!("ws://{}/ws/transcribe", desk.server.address);
    let mut request = url.into_client_request().unwrap();
    let value = format!("Bearer {key}").parse().unwrap();
    request.headers_mut().insert("authorization", value);
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    let id = key.split('-').nth(1).unwrap();
    let revoked = desk.post(&format!("keys/{id}/revoke"), json!({})).await;
    revoked.ok();
    let closed = tokio::time::timeout(Duration::from_secs(15), socket.next()).await;
    let Ok(Some(Ok(Message::Close(Some(frame))))) = closed else {
        panic!("{closed:?}");
    };
    assert_eq!(u16::from(frame.code), 1008);
    assert!(frame.reason.contains("revoked"), "{frame}");
}

#[tokio::test]
async fn a_key_without_the_scope_is_told_which_is_missing() {
    let desk = desk();
    desk.tenant("scopes", json!({})).await;
    let body = json!({ "tenant": "scopes", "scopes": ["deploy"] });
    let deploy = secret(&created(&desk.post("keys", body).await));
    for key in [deploy.as_str(), desk.key.as_ref().unwrap()] {
        let answer = desk.knock(key).await;
        let error = error(&answer, 403);
        assert_eq!(error["code"], "missing_scope");
        assert!(
            error["message"].as_str().unwrap().contains("'transcribe'"),
            "{error}"
        );
        let url = desk.server.url("/transcribe");
        send(client().get(url).bearer_auth(key)).await.detail(403);
    }
}

#[tokio::test]
async fn a_rotated_key_and_the_new_one_are_good_together_for_the_overlap() {
    let desk = desk();
    let old = desk.tenant("rotates", json!({})).await;
    let id = old.split('-').nth(1).unwrap();
    let path = |id: &str| format!("keys/{id}/rotate");
    let new = created(&desk.post(&path(id), json!({ "overlap_secs": 3600 })).await);
    assert_eq!(new["tenant"], "rotates");
    let new_key = secret(&new);
    assert!(is_let_in(&desk.knock(&old).await) && is_let_in(&desk.knock(&new_key).await));
    let shown = desk.get(&format!("keys/{id}")).await.ok();
    assert_eq!(shown["replaced_by"], new["id"]);
    assert!(shown["expires_at"].as_u64().unwrap() > shown["created_at"].as_u64().unwrap());
    assert_eq!(shown.get("secret"), None);
    // Without an overlap the old one ends at once, and is no key to rotate any more.
    let new_id = new["id"].as_str().unwrap();
    let newest = created(&desk.post(&path(new_id), json!({ "overlap_secs": 0 })).await);
    must_be_shut(desk, &new_key).await;
    assert!(is_let_in(&desk.knock(&secret(&newest)).await));
    let again = desk.post(&path(new_id), json!({})).await;
    assert_eq!(error(&again, 409)["code"], "key_not_live");
}

#[tokio::test]
async fn guessing_is_throttled_and_costs_whoever_has_the_key_nothing() {
    let desk = desk();
    let key = desk.tenant("guessed", json!({})).await;
    let id = key.split('-').nth(1).unwrap();
    // An address of its own, so that other tests may fail as they like.
    let elsewhere = |last: u8| {
        let address = IpAddr::from([127, 0, 0, last]);
        builder().local_address(address).build().unwrap()
    };
    let (guesser, other) = (elsewhere(66), elsewhere(67));
    let url = desk.server.url("/v1/models");
    let mut throttled = 0;
    for n in 0..60 {
        let guess = format!("sk-{id}-{n:064x}");
        let answer = send(guesser.get(&url).bearer_auth(&guess)).await;
        match answer.status {
            401 => {}
            _ => {
                assert!(n >= 20, "told to wait after {n}");
                assert_eq!(error(&answer, 429)["code"], "too_many_wrong_keys");
                assert!((1..=60).contains(&retry_after(&answer)));
                throttled += 1;
            }
        }
        assert!(!answer.body.contains(&guess));
    }
    // One more is answered every 3 s.
    assert!(throttled >= 20, "{throttled} of 60");
    for client in [&guesser, &other] {
        let url = desk.server.url("/nothing-here");
        let right = send(client.get(&url).bearer_auth(&key)).await;
        assert!(is_let_in(&right), "{right:?}");
    }
    // A stranger who sends the key's name from elsewhere waits too, and who sends another does not.
    let mut named = Vec::new();
    for n in 0..4 {
        let guess = format!("sk-{id}-{n}");
        named.push(send(other.get(&url).bearer_auth(guess)).await.status);
    }
    assert!(named.contains(&429), "{named:?}");
    let unknown = send(other.get(&url).bearer_auth("sk-00000000-0")).await;
    assert_eq!(unknown.status, 401);
    let log = desk.server.log.all().join("\n");
    assert!(log.contains(id), "the log has the key's name");
    let secret = key.rsplit('-').next().unwrap();
    assert!(!log.contains(secret) && !log.contains(&format!("{:064x}", 7)));
}

#[tokio::test]
async fn what_was_answered_survives_a_kill() {
    let desk = Desk::start(data_dir(), |server| server);
    let until = Instant::now() + Duration::from_millis(1_500);
    let pid = rustix::process::Pid::from_raw(i32::try_from(desk.server.pid()).unwrap()).unwrap();
    let killer = std::thread::spawn(move || {
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    });
    let mut acknowledged = Vec::new();
    loop {
        let request = desk.request(reqwest::Method::POST, "keys");
        let Ok(answer) = request.json(&json!({})).send().await else {
            break;
        };
        let Ok(text) = answer.text().await else {
            break;
        };
        let key: serde_json::Value = serde_json::from_str(&text).unwrap();
        acknowledged.push(secret(&key));
    }
    killer.join().unwrap();
    assert!(acknowledged.len() > 3, "{}", acknowledged.len());
    let Desk { server, dir, .. } = desk;
    drop(server);
    let desk = Desk::start(dir, |server| server);
    for key in &acknowledged {
        assert!(
            is_let_in(&desk.knock(key).await),
            "of {}",
            acknowledged.len()
        );
    }
    // Each with its line in the log of acts, and nothing half done.
    let keys = desk.get("keys?limit=1000").await.ok();
    let acts = desk.get("audit?limit=1000").await.ok();
    let count = |list: &serde_json::Value| list["data"].as_array().unwrap().len();
    assert_eq!(count(&keys), count(&acts));
    assert!(count(&keys) >= acknowledged.len());
}
