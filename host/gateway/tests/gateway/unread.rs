//! Clients that hold what they were given: answers that they do not take, connections that they do
//! not use. Whatever they send meanwhile, permits and connections come back.

use std::time::Duration;

use auricle_gateway::{AdmissionLimits, GatewayConfig, Limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::frames::{DATA, Frames, GOAWAY, HEADERS, RESET};
use crate::sockets::open;
use crate::support::{SOON, Server, config, head, read_to_close};

/// Cancelled (RFC 9113, 7).
const CANCEL: [u8; 4] = [0, 0, 0, 8];

/// A server with two permits for each tenant, whose clients have little time to take an answer.
async fn impatient() -> Server {
    Server::start(GatewayConfig {
        limits: Limits {
            write_stall_timeout_ms: 200,
            ..Limits::default()
        },
        admission: AdmissionLimits {
            max_requests_per_tenant: 2,
            ..AdmissionLimits::default()
        },
        ..config()
    })
    .await
}

async fn until_served(server: &Server) {
    let asking = async {
        while server.get("/class").await.status != 200 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, asking).await.expect("a permit comes back");
}

#[tokio::test]
async fn http2_answers_that_are_never_taken_end_whatever_else_the_client_sends() {
    // No window, or one that lets a first piece begin; answers small, large, endless and slow.
    for (window, paths) in [
        (0, ["/class", "/large", "/flood", "/trickle"]),
        (1, ["/large", "/flood", "/large", "/flood"]),
    ] {
        for path in paths {
            let server = impatient().await;
            let mut client = Frames::connect(server.addr, window).await;
            client.get(1, path).await;
            client.get(3, path).await;
            let mut seen = Vec::new();
            while let Some(frame) = client.next().await {
                // It is alive and says so.
                client.ping().await;
                if frame.kind == RESET {
                    assert_eq!(frame.payload, CANCEL, "{path}");
                }
                seen.push((frame.kind, frame.stream));
            }
            for expected in [
                (HEADERS, 1),
                (HEADERS, 3),
                (RESET, 1),
                (RESET, 3),
                (GOAWAY, 0),
            ] {
                assert!(seen.contains(&expected), "{path}: {expected:?} of {seen:?}");
            }
            until_served(&server).await;
        }
    }
}

#[tokio::test]
async fn one_http2_answer_that_is_not_taken_ends_alone() {
    let server = impatient().await;
    let mut client = Frames::connect(server.addr, 0).await;
    client.get(1, "/large").await;
    client.get(3, "/gate").await;
    loop {
        let frame = client.next().await.expect("the connection stays");
        if (frame.kind, frame.stream) == (RESET, 1) {
            break;
        }
        assert_eq!((frame.kind, frame.stream), (HEADERS, 1));
    }
    client.widen(3, 1000).await;
    server.gate.add_permits(1);
    let head = client.next().await.expect("an answer");
    assert_eq!((head.kind, head.stream), (HEADERS, 3));
    let body = client.next().await.expect("a body");
    assert_eq!((body.kind, body.stream), (DATA, 3));
    assert_eq!(body.payload, b"through");
}

#[tokio::test]
async fn an_http2_client_that_takes_its_answer_slowly_gets_all_of_it() {
    let server = impatient().await;
    let mut client = Frames::connect(server.addr, 16 * 1024).await;
    client.get(1, "/flood").await;
    // Each piece is taken well after the last one, and altogether longer than one may take.
    let mut bytes = 0;
    while bytes < 20 * 16 * 1024 {
        let frame = client.next().await.expect("the connection stays");
        assert_ne!(frame.kind, RESET);
        if frame.kind == DATA {
            bytes += frame.payload.len();
            sleep(Duration::from_millis(20)).await;
            let taken = u32::try_from(frame.payload.len()).unwrap();
            client.widen(1, taken).await;
            client.widen(0, taken).await;
        }
    }
}

#[tokio::test]
async fn an_http1_client_that_takes_its_answer_by_drops_is_cut_off_at_the_deadline() {
    let server = Server::start(GatewayConfig {
        limits: Limits {
            request_timeout_ms: 300,
            // Longer than the pauses that buffers make of a steady reader.
            write_stall_timeout_ms: 3_000,
            ..Limits::default()
        },
        ..config()
    })
    .await;
    let mut stream = server.connect().await;
    let request = head("GET", "/large", "");
    stream.write_all(request.as_bytes()).await.unwrap();
    // It never stops reading, and would need 20 s for all of it.
    let (mut taken, mut piece) = (0, vec![0; 16 * 1024]);
    let drips = async {
        while let Ok(read @ 1..) = stream.read(&mut piece).await {
            taken += read;
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON * 6, drips).await.expect("the answer ends");
    assert!(
        taken < crate::support::LARGE_BYTES,
        "it has taken all of it"
    );
}

/// Whether the server has closed this connection.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut bytes = [0; 4096];
    let read = async { while matches!(stream.read(&mut bytes).await, Ok(1..)) {} };
    timeout(Duration::from_millis(50), read).await.is_ok()
}

#[tokio::test]
async fn a_newcomer_takes_the_slot_of_the_connection_that_was_idle_longest() {
    let server = Server::start(GatewayConfig {
        limits: Limits {
            max_connections: 4,
            ..Limits::default()
        },
        ..config()
    })
    .await;
    let mut silent = Vec::new();
    for begin in [
        "",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        "GET / HT",
    ] {
        let mut stream = server.connect().await;
        stream.write_all(begin.as_bytes()).await.unwrap();
        silent.push(stream);
    }
    let mut kept = server.connect().await;
    let request = "GET /class HTTP/1.1\r\nhost: localhost\r\n\r\n";
    for _ in 0..20 {
        // The connection that is used goes on; newcomers replace the silent ones and each other.
        kept.write_all(request.as_bytes()).await.unwrap();
        let mut answer = [0; 4096];
        let read = timeout(SOON, kept.read(&mut answer)).await.unwrap();
        assert!(answer[..read.unwrap()].starts_with(b"HTTP/1.1 200"));
        assert_eq!(server.get("/class").await.status, 200);
        silent.push(server.connect().await);
        assert_eq!(server.get("/class").await.status, 200);
    }
    let first = silent.len() - 4;
    for (number, stream) in silent[..first].iter_mut().enumerate() {
        let closed = timeout(SOON, async { while !is_closed(stream).await {} });
        assert!(closed.await.is_ok(), "{number} of the silent is still open");
    }
}

#[tokio::test]
async fn requests_and_websockets_keep_their_connections() {
    let server = Server::start(GatewayConfig {
        limits: Limits {
            max_connections: 3,
            ..Limits::default()
        },
        ..config()
    })
    .await;
    let _socket = open(&server, "/ws/echo").await;
    let mut held = server.connect().await;
    let request = head("GET", "/gate", "");
    held.write_all(request.as_bytes()).await.unwrap();
    let mut stream = Frames::connect(server.addr, 65_535).await;
    stream.get(1, "/gate").await;
    server.until_running(3).await;
    let reply = server.get("/class").await;
    assert_eq!(
        (reply.status, reply.header("retry-after")),
        (503, Some("1"))
    );
    assert_eq!(reply.json()["error"]["code"], "too_many_connections");
    server.gate.add_permits(2);
    assert_eq!(read_to_close(&mut held).await.body, "through");
    until_served(&server).await;
}

#[tokio::test]
async fn a_thousand_silent_http2_connections_keep_no_newcomer_out() {
    let server = Server::start(GatewayConfig {
        limits: Limits {
            max_connections: 64,
            write_stall_timeout_ms: 200,
            ..Limits::default()
        },
        ..config()
    })
    .await;
    let mut silent = Vec::new();
    for number in 0..1_000 {
        let mut client = Frames::connect(server.addr, 0).await;
        if number % 2 == 0 {
            client.get(1, "/livez").await;
        }
        silent.push(client);
        if number % 100 == 99 {
            until_served(&server).await;
        }
    }
    until_served(&server).await;
}
