//! Clients that are slow, silent, gone or guessing, and requests whose answer is no whole one.

use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::guests::{beginning, get, key, transcribe};
use crate::support::raw::{Raw, form, form_start};
use crate::support::upload::Answer;
use crate::support::{SOON, Server};

/// Whose key honest-looking clients have.
pub const CLIENT: &str = "client";

/// Handlers that spin at once.
const SPINNERS: usize = 16;

/// What a flood may add to the server's memory while it goes on.
const FLOOD_BYTES: u64 = 64 << 20;

/// The head of a request with a form; how long it says the form is.
fn head(tenant: &str, id: &str, body_bytes: usize) -> String {
    format!(
        "POST /transcribe HTTP/1.1\r\nhost: localhost\r\nx-request-id: {id}\r\n\
         authorization: Bearer {}\r\n\
         content-type: multipart/form-data; boundary={}\r\ncontent-length: {body_bytes}\r\n\r\n",
        key(tenant),
        crate::support::raw::BOUNDARY
    )
}

/// 7: the answer breaks off when the processor time is used up, and nothing has piled up.
pub fn empty_writes(server: &'static Server) -> BoxFuture<'static, ()> {
    async move {
        let before = server.private_bytes();
        let answer = get(server, "fault-writes", "/").send();
        let (answer, highest) = tokio::join!(answer, async {
            let mut highest = 0;
            for _ in 0..10 {
                sleep(Duration::from_millis(40)).await;
                highest = highest.max(server.private_bytes());
            }
            highest
        });
        let grown = highest.saturating_sub(before);
        assert!(grown < FLOOD_BYTES, "{grown} bytes");
        // Its head may have been sent by then, or not.
        if let Ok(answer) = answer {
            let (status, body) = (answer.status(), answer.bytes().await);
            let cut_off = body.is_err() || status.is_server_error();
            assert!(cut_off, "{status} {body:?}");
        }
    }
    .boxed()
}

/// 1: a tenant with as many handlers that compute without end as it may have requests.
pub fn spin_together(server: &'static Server) -> BoxFuture<'static, ()> {
    async move {
        let all = (0..SPINNERS).map(|_| transcribe(server, "fault-spins"));
        let statuses = join_all(all).await.into_iter().map(|answer| answer.status);
        let statuses: Vec<_> = statuses.collect();
        let ended = statuses.iter().filter(|status| **status == 504).count();
        let refused = statuses.iter().filter(|status| **status == 429).count();
        assert!(ended > 1 && ended + refused == SPINNERS, "{statuses:?}");
    }
    .boxed()
}

/// 14: a tenant that takes all the instances it can get, twice.
pub fn crowd(server: &'static Server) -> BoxFuture<'static, ()> {
    async move {
        for _ in 0..2 {
            let answer = once_there_is_room(server, "fault-crowds").await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            let mut counts = answer
                .body
                .split(' ')
                .map(|count| count.parse::<u32>().unwrap());
            let (started, refused) = (counts.next().unwrap(), counts.next().unwrap());
            // About half; some of those that were let in have ended before others ask.
            assert!(
                started == 200 && refused >= 50,
                "{refused} of {started} refused"
            );
        }
    }
    .boxed()
}

/// Asks again while the tenant's own crowd has all of its room, as the refusal says.
async fn once_there_is_room(server: &Server, tenant: &str) -> Answer {
    let since = Instant::now();
    loop {
        let answer = transcribe(server, tenant).await;
        if answer.status != 429 || since.elapsed() > SOON {
            return answer;
        }
        sleep(Duration::from_secs(1)).await;
    }
}

/// 27: heads and bodies that do not go on, and answers that nobody reads.
pub fn slow(server: &'static Server) -> BoxFuture<'static, ()> {
    async move {
        let heads = (0..30).map(|_| async {
            let mut raw = Raw::connect(server).await;
            assert!(raw.send(b"GET /health HTTP/1.1\r\nhost: localho").await);
            raw.answer().await
        });
        let bodies = (0..20).map(|number| async move {
            let mut raw = Raw::connect(server).await;
            let id = format!("stops-{number}");
            assert!(raw.send(head(CLIENT, &id, 1_000_000).as_bytes()).await);
            raw.send(&form_start("audio/wav")).await;
            raw.answer().await
        });
        let deaf = (0..5).map(|_| async {
            let mut stream = TcpStream::connect(&server.address).await.unwrap();
            let key = key("fault-floods");
            let request =
                format!("GET / HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            // It reads again when the server has long given up.
            sleep(Duration::from_millis(3_500)).await;
            let mut taken = Vec::new();
            let end = timeout(SOON, stream.read_to_end(&mut taken)).await;
            end.expect("the server gives up").is_ok()
        });
        let (heads, bodies, _) = tokio::join!(join_all(heads), join_all(bodies), join_all(deaf));
        assert!(heads.iter().all(|answer| !answer.contains(" 200 ")));
        for answer in bodies {
            assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
        }
    }
    .boxed()
}

/// A WebSocket by hand.
async fn websocket(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(&server.address).await.unwrap();
    let handshake = format!(
        "GET /ws/transcribe HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\
         connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        key(CLIENT)
    );
    stream.write_all(handshake.as_bytes()).await.unwrap();
    let mut answer = [0; 1024];
    let count = timeout(SOON, stream.read(&mut answer)).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..count.unwrap()]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    stream
}

/// Everything that the server still says; it must come to an end.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    // A connection that is reset has ended, too.
    let _ = timeout(SOON, stream.read_to_end(&mut said))
        .await
        .expect("the server hangs up");
    said
}

/// 28: no pong, frames without a mask, and messages of one byte without end.
pub fn half_open(server: &'static Server) -> BoxFuture<'static, ()> {
    async move {
        let silent = join_all((0..10).map(|_| async {
            let mut stream = websocket(server).await;
            let since = Instant::now();
            rest(&mut stream).await;
            assert!(since.elapsed() >= Duration::from_millis(1_500));
        }));
        let unmasked = async {
            let mut stream = websocket(server).await;
            stream.write_all(b"\x81\x01a").await.unwrap();
            let said = rest(&mut stream).await;
            // Close, with the code for a broken rule (RFC 6455, 7.4.1).
            let close = said
                .windows(4)
                .any(|w| w[0] == 0x88 && w[2..4] == [0x03, 0xEA]);
            assert!(close, "{said:?}");
        };
        let crumbs = async {
            let mut stream = websocket(server).await;
            let frames = b"\x82\x81\0\0\0\0x".repeat(1_000);
            for _ in 0..20 {
                if stream.write_all(&frames).await.is_err() {
                    return;
                }
            }
            drop(stream);
        };
        tokio::join!(silent, unmasked, crumbs);
    }
    .boxed()
}

/// How many clients leave at once, and how often.
const LEAVING: usize = 20;

/// 35: clients that leave in the middle of everything; what they had open is closed within a second.
pub fn leave(server: &'static Server) -> BoxFuture<'static, ()> {
    leave_times(server, 3).boxed()
}

/// As [`leave`], so many times [`LEAVING`] clients.
pub async fn leave_times(server: &'static Server, times: usize) {
    let before = server.open_files();
    let body = form("audio/wav", &beginning(5));
    for time in 0..times {
        let clients = (0..LEAVING).map(|client| {
            let body = &body;
            async move {
                let mut raw = Raw::connect(server).await;
                let id = format!("leaves-{time}-{client}");
                // From the first bytes of the form to the middle of recognition.
                let sent = body.len() * client.min(10) / 10;
                assert!(raw.send(head(CLIENT, &id, body.len()).as_bytes()).await);
                raw.send(&body[..sent]).await;
                sleep(Duration::from_millis(37 * (client as u64 % 11))).await;
            }
        });
        join_all(clients).await;
    }
    let since = Instant::now();
    loop {
        let open = server.open_files();
        // The victim's own connections come and go.
        if open.all <= before.all + 4 && open.temporary <= before.temporary {
            break;
        }
        assert!(
            since.elapsed() < Duration::from_secs(3),
            "{before:?} became {open:?}"
        );
        sleep(Duration::from_millis(50)).await;
    }
}

/// 37: somebody tries keys, from an address of their own.
pub fn guess_keys(server: &'static Server) -> BoxFuture<'static, ()> {
    async move {
        use futures::StreamExt;
        let builder = reqwest::Client::builder().no_proxy();
        let address = std::net::IpAddr::from([127, 0, 0, 99]);
        let client = builder.local_address(address).build().unwrap();
        let guesses = futures::stream::iter(0..300_u32).map(|number| {
            let guess = format!("sk-{number:08}-{number:064x}");
            client
                .get(server.url("/v1/models"))
                .bearer_auth(guess)
                .send()
        });
        let answers: Vec<_> = guesses.buffer_unordered(8).collect().await;
        let statuses: Vec<u16> = answers
            .into_iter()
            .map(|answer| answer.unwrap().status().as_u16())
            .collect();
        assert!(statuses.iter().all(|status| [401, 429].contains(status)));
        assert!(statuses.iter().filter(|status| **status == 429).count() > 200);
    }
    .boxed()
}
