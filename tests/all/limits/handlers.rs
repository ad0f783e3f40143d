use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};
use serde_json::Value;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{RECURSED, arena};
use crate::guests::{
    Tenants, beside, get, key, logged_kind, must_not_name_others, send, transcribe, wasm,
};
use crate::support::upload::builder;
use crate::support::{SOON, Server};

/// The handler's request fails, in the shape of the API that was asked, and the log says why.
async fn fails(tenant: &str, status: u16, code: &str, kinds: &[&str]) {
    let server = arena();
    let (tutorial, other) = beside(server, async {
        tokio::join!(
            transcribe(server, tenant),
            send(get(server, tenant, "/v1/models"))
        )
    })
    .await;
    tutorial.detail(status);
    assert_eq!(other.status, status, "{}", other.body);
    let body: Value = serde_json::from_str(&other.body).unwrap();
    assert_eq!(
        (&body["error"]["code"], &body["error"]["type"]),
        (&code.into(), &"server_error".into())
    );
    for answer in [&tutorial, &other] {
        must_not_name_others(answer);
        let kind = logged_kind(server, answer);
        assert!(kinds.contains(&kind.as_str()), "{kind}");
    }
}

#[tokio::test]
async fn a_handler_that_spins_is_stopped_and_fails_its_request_alone() {
    fails(
        "handler-spins",
        504,
        "component_timeout",
        &["cpu_exhausted"],
    )
    .await;
}

#[tokio::test]
async fn a_handler_that_hoards_memory_fails_its_request_alone() {
    fails(
        "handler-hoards",
        502,
        "component_over_limit",
        &["out_of_memory"],
    )
    .await;
}

#[tokio::test]
async fn a_handler_that_keeps_handle_after_handle_fails_its_request_alone() {
    fails(
        "handler-holds",
        502,
        "component_over_limit",
        &["limit_exceeded"],
    )
    .await;
}

#[tokio::test]
async fn a_handler_that_has_the_host_record_without_end_fails_its_request_alone() {
    fails(
        "handler-records",
        502,
        "component_over_limit",
        &["limit_exceeded"],
    )
    .await;
}

#[tokio::test]
async fn a_handler_that_recurses_without_end_fails_its_request_alone() {
    fails("handler-recurses", 502, "component_failed", RECURSED).await;
}

#[tokio::test]
async fn a_handler_that_panics_fails_its_request_alone() {
    fails("handler-panics", 502, "component_failed", &["trapped"]).await;
}

#[tokio::test]
async fn a_handler_that_returns_without_an_answer_fails_its_request_alone() {
    let server = arena();
    let answer = beside(server, transcribe(server, "handler-returns")).await;
    answer.detail(502);
    must_not_name_others(&answer);
}

#[tokio::test]
async fn a_handler_that_never_answers_is_stopped_at_the_requests_deadline() {
    let settings = "[server.limits]\nrequest_timeout_ms = 1500";
    let server = Tenants::new(settings).with("handler-waits", "handler", wasm::HANDLER_WAITS, "");
    let server = server.server().start();
    let since = Instant::now();
    let (waited, other) = tokio::join!(transcribe(&server, "handler-waits"), async {
        send(get(&server, crate::guests::VICTIM, "/nothing-here")).await
    });
    let took = since.elapsed();
    waited.detail(504);
    assert!(
        (Duration::from_millis(1500)..Duration::from_secs(4)).contains(&took),
        "{took:?}"
    );
    other.detail(404);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_a_complete_one() {
    let server = arena();
    beside(server, async {
        for version in [reqwest::Version::HTTP_11, reqwest::Version::HTTP_2] {
            let client = builder();
            let client = match version == reqwest::Version::HTTP_2 {
                true => client.http2_prior_knowledge(),
                false => client.http1_only(),
            };
            let request = client
                .build()
                .unwrap()
                .get(server.url("/"))
                .version(version);
            let answer = request.bearer_auth(key("handler-breaks-off")).send().await;
            // The server may not even have sent the head before there was no more to come.
            let body = match answer {
                Ok(answer) => answer.bytes().await,
                Err(error) => Err(error),
            };
            assert!(body.is_err(), "{version:?}: {body:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_endless_answer_ends_with_its_client_and_fills_no_memory() {
    let server = arena();
    let id = beside(server, async {
        let mut answer = get(server, "handler-floods", "/").send().await.unwrap();
        let id = answer.headers()["x-request-id"]
            .to_str()
            .unwrap()
            .to_owned();
        let mut taken = 0;
        while taken < 1 << 20 {
            taken += answer.chunk().await.unwrap().expect("more").len();
        }
        // The client has stopped reading; what is on its way must not grow meanwhile.
        let before = server.private_bytes();
        tokio::time::sleep(Duration::from_millis(700)).await;
        let grown = server.private_bytes().saturating_sub(before);
        assert!(grown < 64 << 20, "{grown} bytes");
        id
    })
    .await;
    // The instance ends when its client does.
    assert!(!server.usage(&id, 1).is_empty());
}

#[tokio::test]
async fn a_websocket_handler_that_spins_is_closed_with_an_error_and_disturbs_nobody() {
    let server = arena();
    let (code, reason) = beside(server, async {
        let mut socket = open(server, "handler-spins").await.unwrap();
        closing(&mut socket).await
    })
    .await;
    assert_eq!(code, 1011);
    assert!(reason.starts_with("component_timeout: "), "{reason}");
}

#[tokio::test]
async fn a_websocket_handler_that_never_reads_loses_its_client_and_no_more_memory() {
    let server = arena();
    let (code, _) = beside(server, async {
        let mut socket = open(server, "handler-deaf").await.unwrap();
        // Twice what the server keeps for a handler that does not read.
        for _ in 0..80 {
            let piece = vec![0; 100 << 10];
            if socket.send(Message::binary(piece)).await.is_err() {
                break;
            }
        }
        closing(&mut socket).await
    })
    .await;
    assert_ne!(code, 1000);
}

type Socket =
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn open(server: &Server, tenant: &str) -> Result<Socket, Error> {
    let url = format!("ws://{}/ws/transcribe", server.address);
    let mut request = url.into_client_request().unwrap();
    let value = format!("Bearer {}", key(tenant)).parse().unwrap();
    request.headers_mut().insert("authorization", value);
    connect_async(request).await.map(|(socket, _)| socket)
}

/// How the server closes; 1006 when it does not say so.
async fn closing(socket: &mut Socket) -> (u16, String) {
    loop {
        match tokio::time::timeout(SOON, socket.next())
            .await
            .expect("an end in time")
        {
            Some(Ok(Message::Close(Some(frame)))) => {
                return (frame.code.into(), frame.reason.to_string());
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return (1006, String::new()),
        }
    }
}

#[tokio::test]
async fn a_websocket_without_a_key_is_refused_before_any_component_runs() {
    let url = format!("ws://{}/ws/transcribe", arena().address);
    match connect_async(url).await {
        Err(Error::Http(response)) => assert_eq!(response.status(), 401),
        other => panic!("{other:?}"),
    }
}
