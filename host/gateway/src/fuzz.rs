//! Seeded fuzzing of a connection: HTTP/2 frames and WebSocket frames, over streams in memory.
//!
//! Each case is a connection made of frames that are mostly well formed, in any order, with damage
//! from a seeded generator. Whatever comes, the connection ends when its client is gone, nothing
//! panics, no request stays in flight, and memory does not grow with the number of cases.
//!
//! `cargo test` runs some hundred cases; `make fuzz` runs them for `AURICLE_FUZZ_SECS`. A failure
//! names its seed, which `AURICLE_FUZZ_SEED` runs alone.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod http2;
mod random;
mod websocket;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use auricle_tenancy::Tenancy;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, StreamBody};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::acts::Acts;
use crate::admission::Admission;
use crate::app::{App, AppError, Health, HealthStatus, RequestContext};
use crate::body::{RequestBody, ResponseBody};
use crate::config::{GatewayConfig, Limits, WebSocketLimits};
use crate::connection::{self, Peer};
use crate::cors::Cors;
use crate::idle::Activity;
use crate::in_flight::InFlight;
use crate::keyless::AllowedHosts;
use crate::rescue;
use crate::service::Shared;
use crate::slots::{ConnectionSlots, Evicts};
use crate::socket::WebSocket;
use random::Random;

/// Cases of a run that has no time given.
const CASES: u64 = 200;

/// No case takes longer, or it hangs: its deadlines are fractions of a second.
const HANGS: Duration = Duration::from_secs(60);

/// What a run may add to the process's memory, the allocator's own included.
const SLACK_BYTES: u64 = 128 << 20;

/// Answers with what it reads, a body without end, or never.
#[derive(Default)]
struct FuzzApp {
    /// Requests and messages that have come through.
    seen: AtomicUsize,
}

impl App for FuzzApp {
    async fn http(
        &self,
        _: RequestContext,
        request: Request<RequestBody>,
    ) -> Result<Response<ResponseBody>, AppError> {
        self.seen.fetch_add(1, Ordering::Relaxed);
        match request.uri().path() {
            "/flood" => {
                let chunk = Bytes::from_static(&[b'x'; 20_000]);
                let frame = move || Ok(http_body::Frame::data(chunk.clone()));
                let body = StreamBody::new(futures::stream::repeat_with(frame));
                Ok(Response::new(body.boxed_unsync()))
            }
            "/hang" => std::future::pending().await,
            _ => match request.into_body().collect().await {
                Ok(body) => Ok(Response::new(rescue::full(body.to_bytes()))),
                Err(_) => Err(AppError::ClientGone),
            },
        }
    }

    async fn accepts_websocket(&self, _: &RequestContext, _: &str) -> bool {
        true
    }

    async fn websocket(
        &self,
        _: RequestContext,
        _: http::request::Parts,
        mut socket: WebSocket,
    ) -> Result<(), AppError> {
        while let Ok(Some(message)) = socket.receive().await {
            self.seen.fetch_add(1, Ordering::Relaxed);
            if socket.send(message).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    fn snapshot(&self) -> auricle_telemetry::Snapshot {
        auricle_telemetry::Snapshot::default()
    }

    fn health(&self) -> Health {
        Health {
            status: HealthStatus::Ok,
            model: "base".into(),
        }
    }
}

fn shared() -> Arc<Shared<FuzzApp>> {
    let config = GatewayConfig {
        limits: Limits {
            header_read_timeout_ms: 100,
            keep_alive_timeout_ms: 100,
            body_idle_timeout_ms: 100,
            write_stall_timeout_ms: 100,
            request_timeout_ms: 200,
            max_body_bytes: 100_000,
            ..Limits::default()
        },
        websocket: WebSocketLimits {
            max_message_bytes: 50_000,
            max_frame_bytes: 50_000,
            ping_interval_ms: 50,
            pong_timeout_ms: 200,
            close_grace_ms: 50,
            ..WebSocketLimits::default()
        },
        ..GatewayConfig::default()
    };
    Arc::new(Shared {
        app: FuzzApp::default(),
        tenancy: Tenancy::open(),
        control_plane: None,
        pushes: Semaphore::new(1),
        acts: Acts::new(&config.admission),
        admission: Admission::new(config.admission.clone()),
        cors: Cors::new(&config.cors).unwrap(),
        hosts: AllowedHosts::new(&config.allowed_hosts).unwrap(),
        in_flight: InFlight::new(),
        tasks: TaskTracker::new(),
        draining: CancellationToken::new(),
        kill: CancellationToken::new(),
        config,
    })
}

/// The client: sends `bytes` in pieces, reads what comes or does not, and leaves at once, when the
/// server has hung up, or never.
async fn play(stream: DuplexStream, bytes: Vec<u8>, mut random: Random) {
    let reads = random.one_in(2);
    let stays = random.one_in(32);
    let (mut read, mut write) = tokio::io::split(stream);
    let sending = async move {
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let length = random.up_to(rest.len().min(3_000)) + 1;
            let (piece, more) = rest.split_at(length.min(rest.len()));
            if write.write_all(piece).await.is_err() {
                return;
            }
            rest = more;
            if random.one_in(3) {
                tokio::task::yield_now().await;
            }
        }
        if stays {
            std::future::pending::<()>().await;
        }
        // Otherwise time for an answer, or none.
        let waits_ms = random.pick(&[0, 1, 3, 10]);
        tokio::time::sleep(Duration::from_millis(waits_ms)).await;
    };
    let reading = async move {
        let mut buffer = [0; 4096];
        if !reads {
            std::future::pending::<()>().await;
        }
        while matches!(read.read(&mut buffer).await, Ok(1..)) {}
    };
    tokio::select! {
        () = sending => {}
        () = reading => {}
    }
}

/// One case, to its end.
async fn run_case(shared: &Arc<Shared<FuzzApp>>, bytes: Vec<u8>, random: Random) {
    let (client, server) = tokio::io::duplex(16 * 1024);
    let activity = Activity::new(&shared.config.limits);
    let slots = ConnectionSlots::new(1, Evicts::Idle);
    let slot = slots.take(&activity).unwrap();
    let peer = Peer {
        source: Ipv4Addr::LOCALHOST.into(),
        to_loopback: true,
    };
    let connection = connection::serve(Arc::clone(shared), server, peer, activity, slot);
    let mut serving = Box::pin(async {
        connection.await;
        // HTTP/2 streams and WebSockets have tasks of their own.
        while !shared.tasks.is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    tokio::select! {
        () = serving.as_mut() => {}
        () = play(client, bytes, random) => serving.await,
    }
}

fn anonymous_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.split_ascii_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}

/// Panics of this thread; those of tasks would be lost otherwise.
fn count_panics() -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let (counted, thread) = (Arc::clone(&count), std::thread::current().id());
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().id() == thread {
            counted.fetch_add(1, Ordering::SeqCst);
        }
        before(info);
    }));
    count
}

fn from_env(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().expect(name))
}

/// Runs cases made by `generate`, each of its own seed.
fn fuzz(generate: fn(&mut Random) -> Vec<u8>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (panics, shared) = (count_panics(), shared());
    let secs = from_env("AURICLE_FUZZ_SECS").map(Duration::from_secs);
    let only = from_env("AURICLE_FUZZ_SEED");
    let began = Instant::now();
    let (mut seed, mut before) = (only.unwrap_or(1), None);
    loop {
        let mut random = Random::new(seed);
        let bytes = generate(&mut random);
        let case = async { timeout(HANGS, run_case(&shared, bytes, random)).await };
        let ended = runtime.block_on(case);
        assert!(ended.is_ok(), "seed {seed} hangs");
        assert_eq!(panics.load(Ordering::SeqCst), 0, "seed {seed} panics");
        let (open, running) = (shared.in_flight.count(), shared.admission.running());
        assert_eq!(
            (open, running),
            (0, 0),
            "seed {seed} leaves requests behind"
        );
        // What a process takes once is there after some cases.
        if seed == 50 {
            before = Some(anonymous_bytes());
        }
        let is_last = match (only, secs) {
            (Some(_), _) => true,
            (None, Some(secs)) => began.elapsed() >= secs,
            (None, None) => seed >= CASES,
        };
        if is_last {
            break;
        }
        seed += 1;
    }
    let seen = shared.app.seen.load(Ordering::Relaxed);
    println!("{seed} cases, {seen} requests or messages came through");
    assert!(
        only.is_some() || seen as u64 > seed,
        "the cases reach nothing: {seen}"
    );
    if let Some(before) = before {
        let grown = anonymous_bytes().saturating_sub(before);
        assert!(grown < SLACK_BYTES, "{} MiB more", grown >> 20);
    }
}

#[test]
fn http2_frames_of_any_kind_do_no_harm() {
    fuzz(http2::connection);
}

#[test]
fn websocket_frames_of_any_kind_do_no_harm() {
    fuzz(websocket::connection);
}
