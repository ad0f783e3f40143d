//! Traces: what a collector is told of a request. The collector is this test's own listener; what it
//! is sent is read with the protocol's own types.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::audio::speech;
use crate::support::program::repository;
use crate::support::{Answer, SOON, Server, Upload};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

type Spans = Arc<Mutex<Vec<Span>>>;

/// A collector: its address, and the spans that it was sent.
async fn collector() -> (String, Spans) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let spans = Spans::default();
    let kept = Arc::clone(&spans);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(take(stream, Arc::clone(&kept)));
        }
    });
    (address, spans)
}

/// Takes the deliveries of one connection.
async fn take(mut stream: TcpStream, spans: Spans) {
    let mut bytes = Vec::new();
    loop {
        let Some((body, end)) = delivery(&bytes) else {
            match stream.read_buf(&mut bytes).await {
                Ok(0) | Err(_) => return,
                Ok(_) => continue,
            }
        };
        let sent = ExportTraceServiceRequest::decode(&bytes[body..end]).unwrap();
        let scopes = sent.resource_spans.into_iter().flat_map(|r| r.scope_spans);
        spans.lock().unwrap().extend(scopes.flat_map(|s| s.spans));
        bytes.drain(..end);
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer).await.unwrap();
    }
}

/// Where the body of a whole delivery begins and ends.
fn delivery(bytes: &[u8]) -> Option<(usize, usize)> {
    let body = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..body]).to_lowercase();
    assert!(head.starts_with("post /v1/traces "), "{head}");
    let length = head.split("content-length: ").nth(1)?;
    let end = body + length.split("\r\n").next()?.parse::<usize>().ok()?;
    (bytes.len() >= end).then_some((body, end))
}

async fn transcribed(server: &Server, flags: &str) -> Answer {
    let upload = Upload::wav(&speech().wav()).query("api_key=secret-in-a-query");
    let request = upload.request(server, "/transcribe");
    let traceparent = format!("00-{TRACE}-{PARENT}-{flags}");
    let answer = request.header("traceparent", traceparent).send().await;
    let answer = Answer::of(answer.unwrap()).await;
    speech().must_be(&answer.transcript());
    answer
}

/// Ends the server, which sends what it still has.
fn end(server: &Server) {
    server.terminate();
    let ended = server.exit_within(SOON).expect("an end");
    assert!(ended.success(), "{ended}");
}

fn attribute(span: &Span, key: &str) -> String {
    let found = span.attributes.iter().find(|pair| pair.key == key);
    let found = found.unwrap_or_else(|| panic!("{key} of {span:?}"));
    format!(
        "{:?}",
        found.value.as_ref().unwrap().value.as_ref().unwrap()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_continues_its_callers_trace_with_a_span_for_every_step() {
    let (address, spans) = collector().await;
    let server = Server::builder()
        .arg("--otlp-endpoint")
        .arg(address)
        .start();
    let answer = transcribed(&server, "01").await;
    end(&server);
    let spans = spans.lock().unwrap().clone();
    assert!(!format!("{spans:?}").contains("secret-in"), "{spans:?}");
    let root = spans.iter().find(|span| span.name == "POST /transcribe");
    let root = root.unwrap_or_else(|| panic!("{spans:?}"));
    assert_eq!(hex::encode(&root.parent_span_id), PARENT);
    assert_eq!(root.kind, 2, "a server's");
    assert!(attribute(root, "http.response.status_code").contains("200"));
    assert!(attribute(root, "auricle.request_id").contains(answer.request_id()));
    let names: BTreeSet<_> = spans.iter().map(|span| span.name.as_str()).collect();
    for step in [
        "guest",
        "decode",
        "transcribe",
        "chunk",
        "recognise",
        "assign",
    ] {
        assert!(names.contains(step), "{step} of {names:?}");
    }
    for span in &spans {
        assert_eq!(hex::encode(&span.trace_id), TRACE, "{span:?}");
        let inside = span.start_time_unix_nano <= span.end_time_unix_nano;
        let of = |parent: &Span| parent.span_id == span.parent_span_id;
        assert!(inside && (span == root || spans.iter().any(of)), "{span:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_samples_nothing_is_not_traced() {
    let (address, spans) = collector().await;
    let server = Server::builder()
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &address)
        .start();
    transcribed(&server, "00").await;
    end(&server);
    assert_eq!(spans.lock().unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_gone_costs_no_request_and_no_shutdown() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let config = format!("[telemetry]\notlp_endpoint = {address:?}\n");
    let server = Server::builder().config(&config).start();
    transcribed(&server, "01").await;
    server.terminate();
    let ended = server.exit_within(Duration::from_secs(10));
    assert!(ended.expect("an end").success());
}

#[test]
fn every_span_is_documented() {
    let text = std::fs::read_to_string(repository().join("docs/metrics.md")).unwrap();
    let traces = text.split_once("## Traces").unwrap().1;
    let rows = traces.lines().filter_map(|line| line.strip_prefix("- `"));
    let documented: BTreeSet<_> = rows.map(|row| row.split('`').next().unwrap()).collect();
    let known: BTreeSet<_> = auricle_telemetry::traces::STEPS.into_iter().collect();
    assert_eq!(documented, known);
}
