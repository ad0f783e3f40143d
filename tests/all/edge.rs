//! What no client means well by: floods of HTTP/2 frames, requests that two servers would cut at
//! different places, forms built to be held. The server stays as small as it was, answers others in
//! the meantime, and says no with the right status.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::support::audio::speech;
use crate::support::raw::{BOUNDARY, Raw};
use crate::support::upload::get;
use crate::support::{SOON, Server, Upload, shared};

/// What a flood may add to the server's memory, its own bookkeeping and the allocator's included.
const SLACK_BYTES: u64 = 16 << 20;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// A frame of HTTP/2 (RFC 9113, 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// `POST path` as a block of headers: indexed fields of the static table (RFC 7541, A), and the path
/// and the authority as literals with an indexed name.
fn post(path: &str) -> Vec<u8> {
    let mut block = vec![0x83, 0x86, 0x04];
    block.push(u8::try_from(path.len()).unwrap());
    block.extend(path.bytes());
    block.extend([0x01, 9]);
    block.extend(b"localhost");
    block
}

/// An HTTP/2 connection that keeps none of the rules.
struct Http2(TcpStream);

impl Http2 {
    async fn connect(server: &Server) -> Self {
        let mut stream = TcpStream::connect(&server.address).await.unwrap();
        let mut hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        hello.extend(frame(SETTINGS, 0, 0, &[]));
        stream.write_all(&hello).await.unwrap();
        Self(stream)
    }

    /// Sends the same bytes again and again without reading: how often the server took them until it
    /// ended the connection or took no more for a second.
    async fn flood(&mut self, most: usize, mut bytes: impl FnMut(usize) -> Vec<u8>) -> usize {
        for round in 0..most {
            let bytes = bytes(round);
            let sent = self.0.write_all(&bytes);
            match timeout(Duration::from_secs(1), sent).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return round,
            }
        }
        most
    }

    /// The error of the server's goodbye; `None` when the connection just ended.
    async fn goodbye(mut self) -> Option<u32> {
        let mut bytes = Vec::new();
        let end = Instant::now() + SOON;
        // An error is an end: a server that hangs up on unread bytes resets the connection.
        while let Ok(Ok(1..)) = tokio::time::timeout_at(end, self.0.read_buf(&mut bytes)).await {}
        assert!(Instant::now() < end, "the server goes on");
        let mut rest = bytes.as_slice();
        while let [a, b, c, kind, _, _, _, _, _, more @ ..] = rest {
            let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
            let payload = more.get(..length)?;
            if *kind == GOAWAY {
                return Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
            }
            rest = &more[length..];
        }
        None
    }
}

/// Runs a flood against a server of its own; others are answered and its memory stays.
async fn withstands(flood: impl AsyncFnOnce(&Server)) {
    // One worker: the working memory of a second one would count as the flood's.
    let server = Server::builder().arg("--workers=1").start();
    let text = Upload::wav(&speech().wav()).transcribe(&server).await;
    speech().must_be(&text.transcript());
    let before = server.private_bytes();
    let others = async {
        for _ in 0..10 {
            assert_eq!(get(&server, "/livez").await.status, 200);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::join!(flood(&server), others);
    let text = Upload::wav(&speech().wav()).transcribe(&server).await;
    speech().must_be(&text.transcript());
    let grown = server.private_bytes().saturating_sub(before);
    assert!(grown < SLACK_BYTES, "{} MB more", grown >> 20);
}

#[tokio::test]
async fn streams_that_are_opened_and_reset_at_once_end_their_connection() {
    withstands(async |server| {
        let mut client = Http2::connect(server).await;
        let most = 20_000;
        let took = client
            .flood(most, |round| {
                let stream = u32::try_from(round * 2 + 1).unwrap();
                let mut both = frame(HEADERS, END_HEADERS, stream, &post("/transcribe"));
                both.extend(frame(RESET, 0, stream, &8_u32.to_be_bytes()));
                both
            })
            .await;
        // 11 is ENHANCE_YOUR_CALM (RFC 9113, 7).
        let goodbye = client.goodbye().await;
        assert!(
            took < most && matches!(goodbye, None | Some(11)),
            "{took}, {goodbye:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn headers_that_never_end_end_their_connection() {
    withstands(async |server| {
        let mut client = Http2::connect(server).await;
        let opening = frame(HEADERS, 0, 1, &post("/transcribe"));
        client.0.write_all(&opening).await.unwrap();
        // A literal field that is not indexed, again and again.
        let field = [&b"\x00\x04test\x7f\x00"[..], &[b'x'; 127]].concat();
        let more = frame(CONTINUATION, 0, 1, &field.repeat(100));
        let most = 20_000;
        let took = client.flood(most, |_| more.clone()).await;
        assert!(took < 1_000, "{took} frames of 13 kB");
        client.goodbye().await;
    })
    .await;
}

#[tokio::test]
async fn empty_pieces_of_a_body_without_end_hold_nothing() {
    withstands(async |server| {
        let mut client = Http2::connect(server).await;
        let opening = frame(HEADERS, END_HEADERS, 1, &post("/transcribe"));
        client.0.write_all(&opening).await.unwrap();
        let empty = frame(DATA, 0, 1, &[]).repeat(1_000);
        client.flood(300, |_| empty.clone()).await;
    })
    .await;
}

#[tokio::test]
async fn pings_whose_answers_nobody_reads_wait_in_the_clients_memory() {
    withstands(async |server| {
        let mut client = Http2::connect(server).await;
        let pings = frame(PING, 0, 0, &[7; 8]).repeat(1_000);
        client.flood(3_000, |_| pings.clone()).await;
    })
    .await;
}

/// What the server says to a request as it stands here, and what it does with a second one that
/// would hide in the first's body.
async fn smuggled(head: &str, body: &str) -> String {
    let mut raw = Raw::connect(shared()).await;
    let request = format!("POST /transcribe HTTP/1.1\r\nhost: localhost\r\n{head}\r\n{body}");
    raw.send(request.as_bytes()).await;
    raw.answer().await
}

#[tokio::test]
async fn a_body_with_two_lengths_is_400() {
    for head in [
        "content-length: 5\r\ncontent-length: 6\r\n",
        "content-length: 5, 6\r\n",
        "content-length: -1\r\n",
        "content-length: 0x10\r\n",
        "transfer-encoding: chunked, identity\r\n",
        "transfer-encoding: gzip\r\n",
    ] {
        let answer = smuggled(head, "12345").await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{head}: {answer}");
    }
}

#[tokio::test]
async fn a_length_beside_chunks_smuggles_no_second_request() {
    let body = "0\r\n\r\nGET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let head = format!(
        "content-type: multipart/form-data; boundary={BOUNDARY}\r\n\
         content-length: {}\r\ntransfer-encoding: chunked\r\n",
        body.len()
    );
    let answer = smuggled(&head, body).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(!answer.contains("HTTP/1.1 200"), "{answer}");
}

/// The status of a form written by hand.
async fn form(body: Vec<u8>) -> (u16, String) {
    let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
    let answer = crate::support::upload::client()
        .post(shared().url("/transcribe"))
        .header("content-type", content_type)
        .body(body)
        .send();
    let answer = crate::support::Answer::of(answer.await.unwrap()).await;
    (answer.status, answer.body)
}

fn part(disposition: &str, content: &[u8]) -> Vec<u8> {
    let head = format!("--{BOUNDARY}\r\ncontent-disposition: form-data; {disposition}\r\n\r\n");
    [head.as_bytes(), content, b"\r\n"].concat()
}

fn end() -> Vec<u8> {
    format!("--{BOUNDARY}--\r\n").into_bytes()
}

#[tokio::test]
async fn a_form_of_a_hundred_thousand_parts_is_refused_at_its_sixty_fifth() {
    let body = [part("name=\"language\"", b"en").repeat(100_000), end()].concat();
    let (status, text) = form(body).await;
    assert!(status == 400 || status == 413, "{status} {text}");
}

#[tokio::test]
async fn a_form_within_a_form_is_a_file_that_is_no_audio() {
    let inner = [
        part("name=\"file\"; filename=\"a.wav\"", &speech().wav()),
        end(),
    ]
    .concat();
    let outer = "name=\"file\"; filename=\"b.bin\"\r\ncontent-type: multipart/mixed; boundary=x";
    let (status, text) = form([part(outer, b"hello"), end()].concat()).await;
    assert_eq!(status, 400, "{text}");
    // The inner form's end is the outer's: what follows it is not looked at.
    let nested = [part("name=\"file\"; filename=\"c.wav\"", &inner), end()].concat();
    let (status, text) = form(nested).await;
    assert!((400..500).contains(&status), "{status} {text}");
}

#[tokio::test]
async fn names_with_line_ends_quotes_and_nothing_are_only_names() {
    let wav = speech().wav();
    for name in [
        "name=\"file\"; filename=\"a\\\"; filename=b.wav\"",
        "name=\"file\"; filename=\"..\\..\\a.wav\"",
        "name=\"file\"; filename*=UTF-8''%0d%0ax-evil:%201.wav",
        "name=\"file\"; filename=\"\"",
    ] {
        let (status, text) = form([part(name, &wav), end()].concat()).await;
        assert!(status == 200 || status == 400, "{name}: {status} {text}");
        assert!(!text.contains("evil"), "{text}");
    }
}

#[tokio::test]
async fn a_parts_head_without_end_is_refused_early() {
    let mut raw = Raw::connect(shared()).await;
    raw.begin_form("/transcribe", "endless-head", 50 << 20)
        .await;
    let head = format!("--{BOUNDARY}\r\nx-long: ");
    assert!(raw.send(head.as_bytes()).await);
    let piece = vec![b'a'; 64 << 10];
    let mut sent = 0;
    while sent < 64 && raw.send(&piece).await {
        sent += 1;
    }
    let answer = raw.answer().await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
}
