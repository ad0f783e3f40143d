//! WebSockets from outside.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use auricle_gateway::{GatewayConfig, WebSocketLimits};
use futures::{SinkExt, StreamExt};
use hyper_tungstenite::WebSocketStream;
use hyper_tungstenite::tungstenite::Message;
use hyper_tungstenite::tungstenite::protocol::Role;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::support::{Reply, SOON, Server, config, parse, until};

pub type Client = WebSocketStream<TcpStream>;

/// Opens a WebSocket that the server must accept.
pub async fn open(server: &Server, path: &str) -> Client {
    let (stream, reply) = handshake(server, path, "").await;
    assert_eq!(reply.status, 101, "{reply:?}");
    assert!(reply.header("x-request-id").is_some());
    // RFC 6455, 1.3: the answer to this key.
    let accept = reply.header("sec-websocket-accept");
    assert_eq!(accept, Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    WebSocketStream::from_raw_socket(stream, Role::Client, None).await
}

/// Asks for a WebSocket and reads the head of the answer.
async fn handshake(server: &Server, path: &str, more: &str) -> (TcpStream, Reply) {
    let version = if more.contains("version") {
        ""
    } else {
        "sec-websocket-version: 13\r\n"
    };
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{version}{more}\r\n"
    );
    let mut stream = server.connect().await;
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(SOON, stream.read_u8()).await.unwrap().unwrap());
    }
    let reply = parse(&String::from_utf8(head).unwrap());
    (stream, reply)
}

fn limited(websocket: WebSocketLimits) -> GatewayConfig {
    GatewayConfig {
        websocket,
        ..config()
    }
}

async fn next(client: &mut Client) -> Message {
    let message = timeout(SOON, client.next())
        .await
        .expect("a message in time");
    message.expect("a message").expect("a good message")
}

/// Reads until Close; its code and reason.
pub async fn closed(client: &mut Client) -> (u16, String) {
    loop {
        match next(client).await {
            Message::Close(Some(frame)) => return (frame.code.into(), frame.reason.to_string()),
            Message::Close(None) => return (1005, String::new()),
            _ => {}
        }
    }
}

/// The connection ends after the Close handshake.
async fn hung_up(mut client: Client) {
    let end = timeout(SOON, client.next())
        .await
        .expect("the connection ends");
    assert!(end.is_none(), "{end:?}");
}

#[tokio::test]
async fn messages_go_both_ways_and_an_empty_one_arrives() {
    let server = Server::start(config()).await;
    let mut client = open(&server, "/ws/echo").await;
    let all = [
        Message::text("grüße"),
        Message::binary(vec![1, 2, 3]),
        Message::binary(Vec::new()),
    ];
    for message in all {
        client.send(message.clone()).await.unwrap();
        assert_eq!(next(&mut client).await, message);
    }
    client.close(None).await.unwrap();
    assert_eq!(closed(&mut client).await.0, 1000);
    hung_up(client).await;
    server.until_running(0).await;
}

#[tokio::test]
async fn what_the_app_says_after_the_clients_close_still_arrives() {
    let server = Server::start(config()).await;
    let mut client = open(&server, "/ws/flush").await;
    client.send(Message::binary(vec![0; 3200])).await.unwrap();
    client.close(None).await.unwrap();
    assert_eq!(next(&mut client).await, Message::text("heard 3200"));
    assert_eq!(closed(&mut client).await.0, 1000);
    hung_up(client).await;
}

#[tokio::test]
async fn an_app_that_goes_on_after_the_clients_close_is_ended() {
    let server = Server::start(limited(WebSocketLimits {
        close_grace_ms: 100,
        ..Default::default()
    }))
    .await;
    let mut client = open(&server, "/ws/stuck").await;
    server.until_running(1).await;
    client.close(None).await.unwrap();
    assert_eq!(closed(&mut client).await.0, 1000);
    server.until_running(0).await;
}

#[tokio::test]
async fn a_client_that_vanishes_ends_the_app_within_a_second() {
    let server = Server::start(config()).await;
    for path in ["/ws/echo", "/ws/stuck"] {
        let client = open(&server, path).await;
        server.until_running(1).await;
        let left = Instant::now();
        drop(client);
        server.until_running(0).await;
        assert!(left.elapsed() < Duration::from_secs(1), "{path}");
    }
}

#[tokio::test]
async fn a_backlog_over_the_cap_closes_the_socket() {
    let limits = WebSocketLimits {
        max_backlog_bytes: 100_000,
        ..Default::default()
    };
    let server = Server::start(limited(limits)).await;
    for chunk in [10_000, 1] {
        let mut client = open(&server, "/ws/stuck").await;
        server.until_running(1).await;
        let flood = async {
            // Tiny messages count with what they cost, so 100 000 bytes of them are never held.
            for _ in 0..2000 {
                if client.send(Message::binary(vec![0; chunk])).await.is_err() {
                    break;
                }
            }
        };
        timeout(SOON, flood)
            .await
            .expect("the server goes on reading");
        let (code, reason) = closed(&mut client).await;
        assert_eq!(code, 1013, "{reason}");
        assert!(reason.contains("behind"), "{reason}");
        drop(client);
        server.until_running(0).await;
    }
}

#[tokio::test]
async fn reading_goes_on_while_the_app_is_busy() {
    let server = Server::start(config()).await;
    let mut client = open(&server, "/ws/stuck").await;
    for _ in 0..100 {
        client.send(Message::binary(vec![0; 3200])).await.unwrap();
    }
    client
        .send(Message::Ping("are you there".into()))
        .await
        .unwrap();
    assert_eq!(
        next(&mut client).await,
        Message::Pong("are you there".into())
    );
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_closed() {
    let limits = WebSocketLimits {
        ping_interval_ms: 50,
        pong_timeout_ms: 200,
        ..Default::default()
    };
    let server = Server::start(limited(limits)).await;
    // Answers pings: stays, longer than the timeout.
    let mut lively = open(&server, "/ws/echo").await;
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(500) {
        assert_eq!(next(&mut lively).await, Message::Ping("".into()));
    }
    lively.send(Message::text("here")).await.unwrap();
    while next(&mut lively).await != Message::text("here") {}
    // Reads without tungstenite, so nothing is answered.
    let (mut silent, _) = handshake(&server, "/ws/stuck", "").await;
    let mut bytes = Vec::new();
    timeout(SOON, silent.read_to_end(&mut bytes))
        .await
        .expect("closed")
        .unwrap();
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("keepalive ping timeout"), "{text}");
    assert!(bytes.starts_with(&[0x89, 0]), "pinged first");
    drop(lively);
    server.until_running(0).await;
}

#[tokio::test]
async fn a_rule_that_is_broken_is_named_in_the_close() {
    let limits = WebSocketLimits {
        max_message_bytes: 1000,
        ..Default::default()
    };
    let server = Server::start(limited(limits)).await;
    let mut large = open(&server, "/ws/echo").await;
    large.send(Message::binary(vec![0; 1001])).await.unwrap();
    assert_eq!(closed(&mut large).await.0, 1009);
    // Unmasked "hi"; masked text that is not UTF-8; a reserved opcode.
    let bad: [(&[u8], u16); 3] = [
        (&[0x81, 2, b'h', b'i'], 1002),
        (&[0x81, 0x81, 0, 0, 0, 0, 0xff], 1007),
        (&[0x83, 0x80, 0, 0, 0, 0], 1002),
    ];
    for (bytes, code) in bad {
        let mut client = open(&server, "/ws/echo").await;
        client.get_mut().write_all(bytes).await.unwrap();
        assert_eq!(closed(&mut client).await.0, code, "{bytes:?}");
    }
    server.until_running(0).await;
}

#[tokio::test]
async fn an_app_that_fails_closes_the_socket_without_telling_why() {
    let server = Server::start(config()).await;
    for (path, word) in [("/ws/fail", "component_failed"), ("/ws/panic", "internal")] {
        let mut client = open(&server, path).await;
        let (code, reason) = closed(&mut client).await;
        assert_eq!(code, 1011);
        assert!(
            reason.starts_with(word) && !reason.contains("secret"),
            "{reason}"
        );
    }
}

#[tokio::test]
async fn an_apps_own_close_comes_after_its_words() {
    let server = Server::start(config()).await;
    let mut client = open(&server, "/ws/bye").await;
    assert_eq!(next(&mut client).await, Message::text("last words"));
    assert_eq!(closed(&mut client).await, (4000, "bye".to_owned()));
    hung_up(client).await;
}

#[tokio::test]
async fn an_app_waits_for_a_client_that_does_not_listen() {
    let mut config = limited(WebSocketLimits {
        max_unsent_bytes: 64 * 1024,
        ..Default::default()
    });
    config.limits.write_stall_timeout_ms = 400;
    let server = Server::start(config).await;
    let client = open(&server, "/ws/flood").await;
    let sent = || server.seen.sent.load(Ordering::SeqCst);
    let mut before = 0;
    loop {
        sleep(Duration::from_millis(100)).await;
        if sent() == before && before > 0 {
            break;
        }
        before = sent();
    }
    assert!(
        sent() < 4096,
        "the kernels' buffers and 64 KiB, not more: {}",
        sent()
    );
    server.until_running(0).await;
    drop(client);
}

#[tokio::test]
async fn a_handshake_that_is_not_welcome_gets_an_http_answer() {
    let server = Server::start(config()).await;
    let status = async |path, more| handshake(&server, path, more).await.1.status;
    assert_eq!(status("/nowhere", "").await, 404);
    assert_eq!(
        status("/ws/echo", "origin: https://evil.example\r\n").await,
        403
    );
    assert_eq!(
        status("/ws/echo", "origin: http://localhost\r\n").await,
        101
    );
    let (_, reply) = handshake(&server, "/ws/echo", "sec-websocket-version: 8\r\n").await;
    assert_eq!(
        (reply.status, reply.header("sec-websocket-version")),
        (400, Some("13"))
    );
    until("only the good one was run", || {
        server.seen.calls.load(Ordering::SeqCst) <= 1
    })
    .await;
}
