//! Stopping in good order.

use std::time::Duration;

use auricle_gateway::GatewayConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::sockets::{closed, open};
use crate::support::{SOON, Server, config, head, read_to_close, until};

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
    let request = "GET /gate HTTP/1.1\r\nhost: test\r\n\r\n";
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
    let server = Server::start(GatewayConfig {
        drain_timeout_ms: 100,
        ..config()
    })
    .await;
    let mut socket = open(&server, "/ws/echo").await;
    let mut hanging = server.connect().await;
    hanging
        .write_all(head("GET", "/hang", "").as_bytes())
        .await
        .unwrap();
    server.until_running(2).await;
    server.shutdown.cancel();
    assert_eq!(closed(&mut socket).await.0, 1001);
    assert_eq!(read_to_close(&mut hanging).await.status, 0);
    let seen = server.seen.clone();
    let report = server.stopped().await;
    assert_eq!((report.in_flight, report.cut_off), (2, 2));
    let running = || seen.running.load(std::sync::atomic::Ordering::SeqCst);
    until("everything dropped", || running() == 0).await;
}
