//! Disconnects, in the middle of everything: the device is free again within a second.
//!
//! Whether the device works is read from the processor time of a server that nobody else uses.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::support::audio::{speech, wav};
use crate::support::raw::{Raw, form, form_start};
use crate::support::socket::Live;
use crate::support::upload::builder;
use crate::support::{SOON, Server, Upload};

/// What the specification gives a cancelled request.
const FREE_WITHIN: Duration = Duration::from_secs(1);

/// Speech without end: some minutes of it, a minute of work and more.
fn endless() -> Vec<i16> {
    speech().samples.repeat(30)
}

fn server() -> Server {
    Server::builder().config("[models]\nworkers = 1\n").start()
}

/// Waits until recognition is under way: uploading and decoding take less than this.
async fn working(server: &Server) {
    let (since, before) = (Instant::now(), server.cpu_time());
    while server.cpu_time() < before + Duration::from_millis(700) {
        assert!(since.elapsed() < SOON, "no work is done");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Fails unless the server rests one second after now.
async fn rests(server: &Server) {
    sleep(FREE_WITHIN).await;
    let before = server.cpu_time();
    sleep(Duration::from_millis(500)).await;
    let worked = server.cpu_time() - before;
    assert!(
        worked < Duration::from_millis(60),
        "still works: {worked:?} in 500 ms"
    );
}

async fn upload(server: &Server, id: &str, samples: &[i16]) -> Raw {
    let body = form("audio/wav", &wav(samples));
    let mut raw = Raw::connect(server).await;
    raw.begin_form("/transcribe", id, body.len()).await;
    assert!(raw.send(&body).await);
    raw
}

#[tokio::test]
async fn a_client_that_leaves_frees_its_device_within_a_second() {
    let server = server();
    let raw = upload(&server, "leaves", &endless()).await;
    working(&server).await;
    drop(raw);
    rests(&server).await;
    assert_eq!(server.request_line("leaves")["fields"]["status"], 499);
    // The next one is served as if nothing had been.
    let raw = upload(&server, "next", &speech().samples)
        .await
        .answer()
        .await;
    assert!(raw.starts_with("HTTP/1.1 200 "), "{raw}");
}

#[tokio::test]
async fn a_reset_stream_frees_its_device_and_keeps_the_connection() {
    let server = server();
    let http2 = builder().http2_prior_knowledge();
    let http2 = http2.build().unwrap();
    let request = Upload::wav(&wav(&endless())).request(&server, "/transcribe");
    let call = tokio::spawn(http2.execute(request.build().unwrap()));
    working(&server).await;
    call.abort();
    rests(&server).await;
    let health = http2.get(server.url("/health")).send().await.unwrap();
    assert_eq!(health.status(), 200);
}

#[tokio::test]
async fn a_client_that_leaves_the_queue_costs_no_work() {
    let server = server();
    let first = upload(&server, "first", &endless()).await;
    working(&server).await;
    let second = upload(&server, "second", &endless()).await;
    sleep(Duration::from_millis(300)).await;
    drop(second);
    assert_eq!(server.request_line("second")["fields"]["status"], 499);
    drop(first);
    rests(&server).await;
}

#[tokio::test]
async fn a_client_that_leaves_while_it_uploads_leaves_nothing() {
    let server = server();
    let before = server.private_bytes();
    for number in 0..5 {
        let mut raw = Raw::connect(&server).await;
        let id = format!("half-{number}");
        raw.begin_form("/transcribe", &id, 20_000_000).await;
        let half = [form_start("audio/wav"), wav(&endless())].concat();
        assert!(raw.send(&half).await);
        drop(raw);
        // 400 for those that only stop sending and still listen.
        assert_eq!(server.request_line(&id)["fields"]["status"], 400);
        // The handler and the decoder.
        assert_eq!(server.usage(&id, 2).len(), 2, "its instances are gone");
    }
    rests(&server).await;
    let grown = server.private_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes are left behind");
}

#[tokio::test]
async fn a_live_session_that_breaks_off_frees_its_device() {
    let server = server();
    let mut live = Live::open(&server, "").await;
    live.speak(&endless()[..60 * 16_000]).await;
    working(&server).await;
    drop(live);
    rests(&server).await;
}

#[tokio::test]
async fn a_request_over_its_deadline_is_504_and_frees_its_device() {
    let config = "[models]\nworkers = 1\n[server.limits]\nrequest_timeout_ms = 2000\n";
    let server = Server::builder().config(config).start();
    let answer = upload(&server, "late", &endless()).await.answer().await;
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    assert!(answer.contains(r#"{"detail":"#), "{answer}");
    rests(&server).await;
}
