//! Stopping in good order.

use std::time::Duration;

use auricle_gateway::GatewayConfig;
use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::frames::Frames;
use crate::sockets::{closed, open};
use crate::support::{Reply, SOON, Server, config, head, read_to_close, until};

/// A drain that ends soon.
fn short() -> GatewayConfig {
    GatewayConfig {
        drain_timeout_ms: 100,
        ..config()
    }
}

#[tokio::test]
async fn a_drain_finishes_what_has_begun_and_takes_nothing_new() {
    let server = Server::start(config()).await;
    let mut idle = server.connect().await;
    let mut busy = server.connect().await;
    busy.write_all(head("GET", "/gate", "").as_bytes())
        .await
        .unwrap();
    server.until_running(1).await;

    server.shutdown.cancel();
    let mut nothing = [0; 1];
    let read = timeout(SOON, idle.read(&mut nothing)).await.unwrap();
    assert!(matches!(read, Ok(0) | Err(_)), "an idle connection ends");
    let addr = server.addr;
    let refused = async {
        while TcpStream::connect(addr).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(SOON, refused)
        .await
        .expect("new connections are refused");

    server.gate.add_permits(1);
    let reply = read_to_close(&mut busy).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "through"));
    let report = server.stopped().await;
    assert_eq!((report.in_flight, report.cut_off), (1, 0));
}

#[tokio::test]
async fn a_kept_connection_ends_after_the_answer_it_waits_for() {
    let server = Server::start(config()).await;
    let mut kept = server.connect().await;
    let request = "GET /gate HTTP/1.1\r\nhost: localhost\r\n\r\n";
    kept.write_all(request.as_bytes()).await.unwrap();
    server.until_running(1).await;
    server.shutdown.cancel();
    // The server notices before the app answers.
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.gate.add_permits(1);
    let reply = read_to_close(&mut kept).await;
    assert_eq!(
        (reply.status, reply.header("connection")),
        (200, Some("close"))
    );
    server.stopped().await;
}

#[tokio::test]
async fn what_outlasts_the_drain_is_cut_off_and_sockets_are_told() {
    let server = Server::start(short()).await;
    let mut socket = open(&server, "/ws/echo").await;
    let mut hanging = server.connect().await;
    hanging
        .write_all(head("GET", "/hang", "").as_bytes())
        .await
        .unwrap();
    server.until_running(2).await;
    server.shutdown.cancel();
    assert_eq!(closed(&mut socket).await.0, 1001);
    must_be_draining(&read_to_close(&mut hanging).await);
    let seen = server.seen.clone();
    let report = server.stopped().await;
    assert_eq!((report.in_flight, report.cut_off), (2, 2));
    let running = || seen.running.load(std::sync::atomic::Ordering::SeqCst);
    until("everything dropped", || running() == 0).await;
}

fn must_be_draining(reply: &Reply) {
    assert_eq!(reply.status, 503, "{reply:?}");
    assert_eq!(reply.json()["error"]["code"], "draining");
    assert!(reply.header("retry-after").is_some(), "{reply:?}");
}

#[tokio::test]
async fn what_has_no_head_at_the_end_of_a_drain_is_answered_503() {
    let server = Server::start(short()).await;
    let mut begun = server.connect().await;
    let half = head("POST", "/echo", "content-length: 10\r\n") + "12345";
    begun.write_all(half.as_bytes()).await.unwrap();
    let io = TokioIo::new(server.connect().await);
    let (mut client, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = Request::get("http://localhost/hang").body(Empty::<Bytes>::new());
    let answer = client.send_request(request.unwrap());
    let stop = async {
        server.until_running(2).await;
        server.shutdown.cancel();
    };
    let (answer, ()) = tokio::join!(answer, stop);
    let answer = answer.unwrap();
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    must_be_draining(&read_to_close(&mut begun).await);
    let report = server.stopped().await;
    assert_eq!((report.in_flight, report.cut_off), (2, 2));
}

#[tokio::test]
async fn what_has_begun_at_the_end_of_a_drain_ends_as_its_client_can_tell() {
    let server = Server::start(short()).await;
    let mut open = Vec::new();
    for path in ["/events", "/half-event", "/trickle"] {
        let mut stream = server.connect().await;
        stream
            .write_all(head("GET", path, "").as_bytes())
            .await
            .unwrap();
        // The head and the first piece.
        let mut seen = Vec::new();
        while !seen.ends_with(b"1\r\n")
            && !seen.ends_with(b"\n\n\r\n")
            && !seen.ends_with(b"begun\r\n")
        {
            timeout(SOON, stream.read_buf(&mut seen))
                .await
                .unwrap()
                .unwrap();
        }
        open.push((path, stream));
    }
    server.shutdown.cancel();
    for (path, mut stream) in open {
        let mut rest = String::new();
        let _ = timeout(SOON, stream.read_to_string(&mut rest))
            .await
            .unwrap();
        let is_whole = rest.ends_with("0\r\n\r\n");
        let tells = rest.contains("data: {") && rest.contains("\"code\":\"draining\"");
        let expected = path == "/events";
        assert_eq!((is_whole, tells), (expected, expected), "{path}: {rest}");
    }
    let report = server.stopped().await;
    assert_eq!((report.in_flight, report.cut_off), (3, 3));
}

#[tokio::test]
async fn a_silent_http2_client_does_not_hold_up_a_drain() {
    let server = Server::start(config()).await;
    let _silent = Frames::connect(server.addr, 0).await;
    assert_eq!(server.get("/class").await.status, 200);
    server.shutdown.cancel();
    let report = server.stopped().await;
    assert!(report.took < Duration::from_secs(30), "{report:?}");
    assert_eq!(report.cut_off, 0);
}
