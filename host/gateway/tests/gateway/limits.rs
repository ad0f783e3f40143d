//! Clients that are slow, large, gone or too many.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use auricle_gateway::{AdmissionLimits, GatewayConfig, Limits};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

use crate::sockets::open;
use crate::support::{SOON, Server, config, head, parse, post, read_to_close, until};

fn limited(limits: Limits) -> GatewayConfig {
    GatewayConfig { limits, ..config() }
}

#[tokio::test]
async fn a_head_that_does_not_end_is_cut_off() {
    let limits = Limits {
        header_read_timeout_ms: 200,
        ..Limits::default()
    };
    let server = Server::start(limited(limits)).await;
    // Nothing at all; an HTTP/2 preface that stops; a head that trickles.
    for begin in ["", "PRI * HTTP/2.0", "GET / HTTP/1.1\r\nx-a: b"] {
        let began = Instant::now();
        let mut stream = server.connect().await;
        stream.write_all(begin.as_bytes()).await.unwrap();
        let trickle = async {
            loop {
                sleep(Duration::from_millis(50)).await;
                if begin.starts_with("GET") && stream.write_all(b"c").await.is_err() {
                    break;
                }
                let mut byte = [0; 1];
                match timeout(Duration::from_millis(1), stream.read(&mut byte)).await {
                    Ok(Ok(0) | Err(_)) => break,
                    Ok(Ok(_)) => panic!("an answer to half a request"),
                    Err(_) => {}
                }
            }
        };
        timeout(SOON, trickle).await.expect("cut off");
        assert!(
            began.elapsed() >= Duration::from_millis(200),
            "{begin:?}: {:?}",
            began.elapsed()
        );
    }
    assert_eq!(server.seen.calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_connection_between_requests_has_a_longer_time_than_a_head() {
    let limits = Limits {
        header_read_timeout_ms: 100,
        keep_alive_timeout_ms: 500,
        ..Limits::default()
    };
    let server = Server::start(limited(limits)).await;
    let mut stream = server.connect().await;
    let request = "GET /class HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut answer = vec![0; 4096];
    for _ in 0..2 {
        stream.write_all(request.as_bytes()).await.unwrap();
        let read = timeout(SOON, stream.read(&mut answer))
            .await
            .unwrap()
            .unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
        sleep(Duration::from_millis(250)).await;
    }
    let began = Instant::now();
    stream.write_all(b"GET /").await.unwrap();
    assert_eq!(read_to_close(&mut stream).await.status, 0);
    assert!(
        began.elapsed() < Duration::from_millis(450),
        "a begun head has the shorter time"
    );

    let mut idle = server.connect().await;
    idle.write_all(request.as_bytes()).await.unwrap();
    let reply = read_to_close(&mut idle).await;
    assert_eq!(
        reply.status, 200,
        "and an idle connection ends after the longer one"
    );
}

#[tokio::test]
async fn a_giant_head_is_answered_431() {
    let server = Server::start(config()).await;
    let giant = head(
        "GET",
        "/class",
        &format!("x-a: {}\r\n", "a".repeat(1 << 20)),
    );
    assert_eq!(server.raw(giant).await.status, 431);
    let many = head("GET", "/class", &"x-a: b\r\n".repeat(10_000));
    assert_eq!(server.raw(many).await.status, 431);
    let few = head("GET", "/class", &"x-a: b\r\n".repeat(101));
    assert_eq!(server.raw(few).await.status, 431);
    assert_eq!(server.seen.calls.load(Ordering::SeqCst), 0);
    assert_eq!(server.get("/class").await.status, 200);
}

#[tokio::test]
async fn a_body_that_says_it_is_too_large_is_refused_unread() {
    let server = Server::start(limited(Limits {
        max_body_bytes: 1000,
        ..Limits::default()
    }))
    .await;
    assert_eq!(server.raw(post("/echo", &[b'a'; 1000])).await.status, 200);
    let head = head(
        "POST",
        "/echo",
        "content-length: 1001\r\nexpect: 100-continue\r\n",
    );
    let reply = server.raw(head).await;
    assert_eq!(reply.status, 413, "and no 100 Continue before it");
    assert_eq!(reply.json()["error"]["code"], "body_too_large");
    // All of it is sent, and the answer still arrives.
    let reply = server.raw(post("/transcribe", &vec![b'a'; 8 << 20])).await;
    assert_eq!(reply.status, 413);
    assert!(
        reply.json()["detail"].as_str().unwrap().contains("(1000)"),
        "{reply:?}"
    );
    assert_eq!(
        server.seen.calls.load(Ordering::SeqCst),
        1,
        "the app saw the good one only"
    );
}

fn chunked(path: &str, chunks: usize) -> Vec<u8> {
    let mut request = head("POST", path, "transfer-encoding: chunked\r\n");
    for _ in 0..chunks {
        request.push_str(&format!("64\r\n{}\r\n", "a".repeat(100)));
    }
    request.push_str("0\r\n\r\n");
    request.into_bytes()
}

#[tokio::test]
async fn a_body_that_grows_too_large_is_answered_413_whatever_the_app_says() {
    let server = Server::start(limited(Limits {
        max_body_bytes: 1000,
        ..Limits::default()
    }))
    .await;
    for path in ["/echo", "/own-error"] {
        assert_eq!(server.raw(chunked(path, 10)).await.status, 200, "{path}");
        assert_eq!(server.raw(chunked(path, 11)).await.status, 413, "{path}");
        assert_eq!(
            server.raw(chunked(path, 20_000)).await.status,
            413,
            "{path}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_does_not_wait_for_the_body_arrives() {
    let server = Server::start(config()).await;
    let reply = server.raw(post("/unread", &vec![b'a'; 8 << 20])).await;
    assert_eq!((reply.status, reply.body.as_str()), (422, "not audio"));
}

#[tokio::test]
async fn a_body_that_stops_or_crawls_is_answered_408() {
    let limits = Limits {
        body_idle_timeout_ms: 150,
        body_min_bytes_per_sec: 1000,
        ..Limits::default()
    };
    let server = Server::start(limited(limits)).await;
    let mut stopped = server.connect().await;
    let begin = head("POST", "/echo", "content-length: 100\r\n") + "abc";
    stopped.write_all(begin.as_bytes()).await.unwrap();
    let reply = read_to_close(&mut stopped).await;
    assert_eq!(
        (reply.status, &reply.json()["error"]["code"]),
        (408, &"body_timeout".into())
    );

    let mut crawling = server.connect().await;
    crawling.write_all(begin.as_bytes()).await.unwrap();
    let (mut read, mut write) = crawling.split();
    let crawl = async {
        loop {
            sleep(Duration::from_millis(20)).await;
            write.write_all(b"a").await.unwrap();
        }
    };
    let mut answer = vec![0; 4096];
    let length = tokio::select! {
        () = crawl => 0,
        length = timeout(SOON, read.read(&mut answer)) => length.unwrap().unwrap(),
    };
    assert_eq!(
        parse(&String::from_utf8_lossy(&answer[..length])).status,
        408
    );
}

#[tokio::test]
async fn a_request_past_its_deadline_is_answered_504_and_dropped() {
    let server = Server::start(limited(Limits {
        request_timeout_ms: 100,
        ..Limits::default()
    }))
    .await;
    let reply = server.get("/hang").await;
    assert_eq!(
        (reply.status, &reply.json()["error"]["code"]),
        (504, &"deadline_exceeded".into())
    );
    server.until_running(0).await;
    let reply = server.get("/trickle").await;
    assert_eq!(reply.status, 200);
    assert!(
        reply.body.contains("begun") && !reply.body.ends_with("0\r\n\r\n"),
        "broken off: {reply:?}"
    );
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_request_within_a_second() {
    let server = Server::start(config()).await;
    for request in [
        head("GET", "/hang", "").into_bytes(),
        post("/hang", &vec![b'a'; 100_000]),
    ] {
        let mut stream = server.connect().await;
        stream.write_all(&request).await.unwrap();
        server.until_running(1).await;
        // The request is whole and the app is at work.
        sleep(Duration::from_millis(20)).await;
        let left = Instant::now();
        drop(stream);
        server.until_running(0).await;
        assert!(
            left.elapsed() < Duration::from_secs(1),
            "{:?}",
            left.elapsed()
        );
    }
}

#[tokio::test]
async fn an_http2_client_that_leaves_or_resets_ends_its_requests() {
    let server = Server::start(config()).await;
    let stream = std::net::TcpStream::connect(server.addr).unwrap();
    stream.set_nonblocking(true).unwrap();
    let cable = stream.try_clone().unwrap();
    let io = TokioIo::new(tokio::net::TcpStream::from_std(stream).unwrap());
    let (client, connection) =
        hyper::client::conn::http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), io)
            .await
            .unwrap();
    tokio::spawn(connection);
    let hang = || {
        let mut client = client.clone();
        tokio::spawn(async move {
            let request = Request::get("http://localhost/hang")
                .body(Empty::new())
                .unwrap();
            client.send_request(request).await.map(drop)
        })
    };
    let (one, _two) = (hang(), hang());
    server.until_running(2).await;
    one.abort();
    server.until_running(1).await;
    cable.shutdown(std::net::Shutdown::Both).unwrap();
    server.until_running(0).await;
}

#[tokio::test]
async fn five_hundred_clients_that_leave_at_any_point_leave_nothing_behind() {
    let admission = AdmissionLimits {
        max_requests_per_tenant: 8,
        max_requests: 8,
        ..AdmissionLimits::default()
    };
    let server = Server::start(GatewayConfig {
        admission,
        ..config()
    })
    .await;
    let request = post("/hang", &[b'a'; 200]);
    for n in 0..500 {
        let mut stream = server.connect().await;
        stream
            .write_all(&request[..n * request.len() / 500])
            .await
            .unwrap();
        if n % 2 == 0 {
            tokio::task::yield_now().await;
        }
    }
    server.until_running(0).await;
    server.gate.add_permits(8);
    let all = futures::future::join_all((0..8).map(|_| server.get("/gate"))).await;
    assert!(
        all.iter().all(|reply| reply.status == 200),
        "every place is free again"
    );
}

#[tokio::test]
async fn a_client_that_takes_no_answer_is_cut_off() {
    let server = Server::start(limited(Limits {
        write_stall_timeout_ms: 150,
        ..Limits::default()
    }))
    .await;
    let mut stream = server.connect().await;
    stream
        .write_all(head("GET", "/flood", "").as_bytes())
        .await
        .unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.unwrap();
    sleep(Duration::from_millis(600)).await;
    // What the kernels hold comes, and then the end.
    let rest = async {
        let mut buffer = vec![0; 1 << 20];
        while matches!(stream.read(&mut buffer).await, Ok(read) if read > 0) {}
    };
    timeout(SOON, rest).await.expect("the answer ends");
}

#[tokio::test]
async fn a_tenant_over_its_limit_gets_429_and_a_full_node_503() {
    for (per_tenant, node, status) in [(2, 10, 429), (10, 2, 503)] {
        let admission = AdmissionLimits {
            max_requests_per_tenant: per_tenant,
            max_requests: node,
            ..AdmissionLimits::default()
        };
        let server = Server::start(GatewayConfig {
            admission,
            ..config()
        })
        .await;
        let socket = open(&server, "/ws/echo").await;
        let mut held = server.connect().await;
        held.write_all(head("GET", "/gate", "").as_bytes())
            .await
            .unwrap();
        server.until_running(2).await;
        let reply = server.get("/class").await;
        assert_eq!(
            (reply.status, reply.header("retry-after")),
            (status, Some("1"))
        );
        assert_eq!(
            server.get("/health").await.status,
            200,
            "health needs no place"
        );
        drop(socket);
        server.until_running(1).await;
        until_status(&server, 200).await;
    }
}

async fn until_status(server: &Server, status: u16) {
    let asking = async {
        while server.get("/class").await.status != status {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(SOON, asking).await.expect("a place is free again");
}

#[tokio::test]
async fn two_hundred_slow_clients_do_not_stop_a_good_one() {
    let server = Server::start(limited(Limits {
        header_read_timeout_ms: 300,
        ..Limits::default()
    }))
    .await;
    let mut slow = Vec::new();
    for _ in 0..200 {
        let mut stream = server.connect().await;
        stream.write_all(b"GET / HT").await.unwrap();
        slow.push(stream);
    }
    let began = Instant::now();
    assert_eq!(server.get("/class").await.status, 200);
    assert!(began.elapsed() < Duration::from_secs(1));
    for mut stream in slow {
        assert_eq!(read_to_close(&mut stream).await.status, 0);
    }
    until("no calls but one", || {
        server.seen.calls.load(Ordering::SeqCst) == 1
    })
    .await;
}

#[tokio::test]
async fn a_body_may_be_read_in_full_at_its_limit_over_http2() {
    let server = Server::start(limited(Limits {
        max_body_bytes: 1000,
        ..Limits::default()
    }))
    .await;
    let io = TokioIo::new(server.connect().await);
    let (mut client, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .unwrap();
    tokio::spawn(connection);
    for (bytes, status) in [(1000, 200), (1001, 413)] {
        let body = http_body_util::Full::new(Bytes::from(vec![b'a'; bytes]));
        // Without a length, so that the limit is met while streaming.
        let body = body.map_frame(|frame| frame).boxed();
        let body = http_body_util::StreamBody::new(futures::StreamExt::map(
            body.into_data_stream(),
            |data| data.map(http_body::Frame::data),
        ));
        let request = Request::post("http://localhost/echo").body(body).unwrap();
        let response = client.send_request(request).await.unwrap();
        assert_eq!(response.status(), status, "{bytes}");
    }
}
