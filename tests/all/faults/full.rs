//! A node whose pool of instances is used up: 503 with a time to come back, and no panic.

use std::time::{Duration, Instant};

use futures::StreamExt;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::guests::{Tenants, VICTIM, get, key, send, transcribe, wasm};
use crate::support::{Answer, SOON, Server};

/// Instances of the smallest pool.
const POOL: usize = 4;

type Session =
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

/// A WebSocket whose handler never ends.
async fn session(server: &Server, number: usize) -> Session {
    let url = format!("ws://{}/", server.address);
    let mut request = url.into_client_request().unwrap();
    let value = format!("Bearer {}", key(&format!("holds-{number}"))).parse();
    request
        .headers_mut()
        .insert("authorization", value.unwrap());
    connect_async(request).await.unwrap().0
}

/// What the victim is told, once it is told this status: sessions begin and end a moment later.
async fn comes_to(server: &Server, status: u16) -> Answer {
    let since = Instant::now();
    loop {
        let answer = send(get(server, VICTIM, "/nothing-here")).await;
        if answer.status == status || since.elapsed() > SOON {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn must_be_busy(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.body);
    let wait = answer.header("retry-after").parse::<u32>();
    assert!(
        wait.is_ok_and(|secs| (1..=60).contains(&secs)),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_node_without_a_free_instance_is_503_and_serves_again_when_one_ends() {
    let tenants = (0..POOL).fold(
        Tenants::new("[runtime]\nmax_requests = 1"),
        |tenants, number| {
            tenants.with(
                &format!("holds-{number}"),
                "handler",
                wasm::HANDLER_DEAF,
                "",
            )
        },
    );
    let server = tenants.server().start();
    let mut held = Vec::new();
    for number in 0..POOL - 1 {
        held.push(session(&server, number).await);
    }
    // One instance is left: the handler has it, and its decoder none.
    comes_to(&server, 404).await.detail(404);
    must_be_busy(&transcribe(&server, VICTIM).await);
    held.push(session(&server, POOL - 1).await);
    let full = comes_to(&server, 503).await;
    must_be_busy(&full);
    // A WebSocket can only be closed.
    let mut too_many = session(&server, 0).await;
    let said = tokio::time::timeout(SOON, too_many.next()).await.unwrap();
    let Some(Ok(tokio_tungstenite::tungstenite::Message::Close(Some(close)))) = said else {
        panic!("{said:?}");
    };
    assert_eq!(u16::from(close.code), 1013);
    drop(held);
    comes_to(&server, 404).await.detail(404);
    transcribe(&server, VICTIM).await.ok();
}
