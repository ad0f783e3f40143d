//! What the operator reads.

use std::io::{self, Write};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use auricle_gateway::GatewayConfig;
use serde_json::Value;
use tokio::io::AsyncWriteExt;

use crate::sockets::open;
use crate::support::{Server, config, head, until};

/// The log of the whole test process.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// The line that ends the request.
    fn end_of(&self, key: &str, value: &str) -> Option<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .find(|line| line["span"][key] == value && line["fields"]["message"] == "request ended")
    }
}

#[tokio::test]
async fn the_log_has_a_line_for_every_request() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .json()
        .with_writer(move || writer.clone())
        .init();
    let server = Server::start(config()).await;

    server
        .raw(head("GET", "/class?key=secret", "x-request-id: log-ok\r\n"))
        .await;
    server
        .raw(head("HEAD", "/class", "x-request-id: log-head\r\n"))
        .await;
    server
        .raw(head("GET", "/nowhere", "x-request-id: log-404\r\n"))
        .await;
    let mut leaves = server.connect().await;
    leaves
        .write_all(head("GET", "/hang", "x-request-id: log-499\r\n").as_bytes())
        .await
        .unwrap();
    server.until_running(1).await;
    drop(leaves);
    drop(open(&server, "/ws/echo?log-socket").await);

    let expected = [
        ("log-ok", 200),
        ("log-head", 200),
        ("log-404", 404),
        ("log-499", 499),
    ];
    for (id, status) in expected {
        until(id, || log.end_of("request_id", id).is_some()).await;
        let line = log.end_of("request_id", id).unwrap();
        assert_eq!(line["fields"]["status"], status, "{line}");
        assert_eq!(line["span"]["tenant"], "default", "{line}");
        assert!(line["fields"]["elapsed_ms"].is_number() && line["span"]["method"].is_string());
        assert!(!line.to_string().contains("secret"), "{line}");
    }

    let drained = Server::start(GatewayConfig {
        drain_timeout_ms: 100,
        ..config()
    })
    .await;
    let mut cut_off = Vec::new();
    for (path, id) in [("/hang", "log-503"), ("/trickle", "log-broken")] {
        let mut stream = drained.connect().await;
        let request = head("GET", path, &format!("x-request-id: {id}\r\n"));
        stream.write_all(request.as_bytes()).await.unwrap();
        cut_off.push(stream);
    }
    let _socket = open(&drained, "/ws/echo-cut-off").await;
    until("three requests", || {
        drained.seen.calls.load(Ordering::SeqCst) == 3
    })
    .await;
    drained.shutdown.cancel();
    drained.stopped().await;
    for (key, value) in [
        ("request_id", "log-503"),
        ("request_id", "log-broken"),
        ("path", "/ws/echo-cut-off"),
    ] {
        until(value, || log.end_of(key, value).is_some()).await;
        let line = log.end_of(key, value).unwrap();
        assert_eq!(line["fields"]["status"], 503, "{line}");
    }
    until("the socket's line", || {
        log.end_of("path", "/ws/echo").is_some()
    })
    .await;
}
