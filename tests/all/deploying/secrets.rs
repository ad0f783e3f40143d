use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Tenant, eventually};
use crate::guests::wasm;
use crate::support::{SOON, Server};
use crate::tenancy::desk::{Desk, created, data_dir};

/// A key that no server gave out, of the shape of those that some did.
const OTHER_KEY: &str = "sk-proj-0a1b2c3d4e5f6a7b8c9d0e1f";

/// A value that nothing but the name of its place marks as a secret.
const VALUE: &str = "hunter2hunter2";

/// A request's target and headers with credentials wherever clients put them; `key` is the tenant's.
fn head(key: &str) -> String {
    let encoded = key.replace("sk-", "%73k-");
    format!(
        "GET /ws/echo?language=en&api_key={VALUE}&token={key}&anything={encoded}&task=x HTTP/1.1\r\n\
         host: user:{VALUE}@auricle.example\r\n\
         authorization: Bearer {key}\r\n\
         proxy-authorization: Basic {VALUE}\r\n\
         cookie: session={VALUE}\r\n\
         x-api-key: {OTHER_KEY}\r\n\
         x-auth-token: {VALUE}\r\n\
         referer: https://app.example/?access_token={VALUE}&page=2\r\n\
         x-note: it is {key}\r\n\
         x-request-id: {OTHER_KEY}\r\n\
         forwarded: for=192.0.2.60;proto=https\r\n\
         x-forwarded-for: 192.0.2.60\r\n\
         x-forwarded-proto: https\r\n"
    )
}

/// Fails if a text has a secret, or lacks what a handler should see.
fn must_be_clean(text: &str, key: &str) {
    for secret in [
        key,
        &key["sk-".len()..],
        OTHER_KEY,
        VALUE,
        "cookie",
        "authorization",
    ] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    for kept in [
        "/ws/echo?language=en&task=x",
        "forwarded: for=192.0.2.60;proto=https",
        "x-forwarded-for: 192.0.2.60",
        "x-forwarded-proto: https",
        "?page=2",
    ] {
        assert!(text.contains(kept), "no {kept} in {text}");
    }
}

/// Sends a request as it stands, and reads until the server closes or `is_whole` says so.
async fn exchange(server: &Server, request: &str, is_whole: fn(&[u8]) -> bool) -> String {
    let mut stream = TcpStream::connect(&server.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let reading = async {
        while !is_whole(&answer) && stream.read_buf(&mut answer).await.unwrap_or(0) > 0 {}
    };
    timeout(SOON, reading).await.expect("an answer in time");
    String::from_utf8_lossy(&answer).into_owned()
}

/// For answers that end with their connection.
fn never(_: &[u8]) -> bool {
    false
}

/// Whether a whole message of 126 to 65,535 bytes has come behind the head of the handshake.
fn has_message(answer: &[u8]) -> bool {
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n");
    match head.map(|head| &answer[head + 4..]) {
        Some([0x81, 126, high, low, message @ ..]) => {
            message.len() >= usize::from(u16::from_be_bytes([*high, *low]))
        }
        _ => false,
    }
}

async fn over_http(server: &Server, key: &str) -> String {
    let request = format!("{}connection: close\r\n\r\n", head(key));
    let answer = exchange(server, &request, never).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

async fn over_websocket(server: &Server, key: &str) -> String {
    let request = format!(
        "{}connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         sec-websocket-protocol: realtime, openai-insecure-api-key.{key}, token, {VALUE}\r\n\
         sec-websocket-protocol: bearer.{OTHER_KEY}, openai-beta.realtime-v1\r\n\r\n",
        head(key)
    );
    let answer = exchange(server, &request, has_message).await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    let message = answer.split_once("\r\n\r\n").unwrap().1.to_owned();
    let protocols = "sec-websocket-protocol: realtime, openai-beta.realtime-v1";
    assert!(message.contains(protocols), "{message}");
    message
}

/// What a handler of this name has logged of the request, which is not its first call.
async fn logged(server: &Server, name: &str) -> String {
    let begin = format!("{name} saw auricle.example/");
    eventually("a line of the handler's", async || {
        let lines = server.log.all();
        let line = lines.into_iter().find(|line| line.contains(&begin))?;
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        Some(line["fields"]["message"].as_str().unwrap().to_owned())
    })
    .await
}

#[tokio::test]
async fn no_handler_sees_a_credential_by_http_by_websocket_as_canary_or_as_shadow() {
    let desk = Desk::start(data_dir(), |server| server);
    let tenant = Tenant::new(&desk, "secretive").await;
    let server = &desk.server;
    let component = tenant.push(wasm::HANDLER_ECHOES).await;
    let set = async |name: &str, trial: serde_json::Value| {
        let configuration = json!({ "name": name });
        let mut body = json!({ "component": component, "configuration": configuration });
        if !trial.is_null() {
            body["trial"] = trial;
        }
        let path = "deployments/handler/revisions";
        created(&tenant.ask(Method::POST, path, body).await);
    };

    set("serving", json!(null)).await;
    must_be_clean(&over_http(server, &tenant.key).await, &tenant.key);
    must_be_clean(&over_websocket(server, &tenant.key).await, &tenant.key);
    must_be_clean(&logged(server, "serving").await, &tenant.key);

    set("canary", json!({ "kind": "canary", "percent": 100 })).await;
    let seen = over_http(server, &tenant.key).await;
    assert!(seen.starts_with("canary saw "), "{seen}");
    must_be_clean(&seen, &tenant.key);

    set("shadow", json!({ "kind": "shadow", "percent": 100 })).await;
    let seen = over_http(server, &tenant.key).await;
    assert!(seen.starts_with("serving saw "), "{seen}");
    must_be_clean(&logged(server, "shadow").await, &tenant.key);

    // Nor does the operator's log have any of it, a path that is a key included.
    let request = format!("GET /{OTHER_KEY} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    exchange(server, &request, never).await;
    let redacted = |line: &str| line.contains("\"/redacted\"").then_some(());
    let within = Duration::from_secs(60);
    server
        .log
        .find_within(within, redacted)
        .expect("the line of the last request");
    let log = server.log.all().join("\n");
    for secret in [&tenant.key["sk-".len()..], OTHER_KEY, VALUE] {
        assert!(!log.contains(secret), "{secret} in the log");
    }
}
