//! What clients are told: health, names, errors, keys, CORS, HTTP/2.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use auricle_gateway::{CorsConfig, Gateway, GatewayConfig, GatewayError};
use auricle_tenancy::{CredentialConfig, KeyConfig, Quotas, Tenancy};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;

use crate::support::{Server, config, head, post};

/// SHA-256 of "abc".
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

#[tokio::test]
async fn health_names_status_and_model() {
    let server = Server::start(config()).await;
    let reply = server.get("/health").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json(), json!({"status": "ok", "model": "base"}));
    assert_eq!(server.get("/livez").await.status, 200);
    assert_eq!(server.get("/readyz").await.status, 200);
    assert_eq!(server.raw(head("HEAD", "/health", "")).await.body, "");
    let refused = server.raw(post("/health", b"x")).await;
    assert_eq!(
        (refused.status, refused.header("allow")),
        (405, Some("GET, HEAD, OPTIONS"))
    );
    assert!(refused.json()["detail"].is_string());
    assert_eq!(
        server.seen.calls.load(Ordering::SeqCst),
        0,
        "the app is not asked"
    );
}

#[tokio::test]
async fn a_request_keeps_its_clients_name_or_gets_one() {
    let server = Server::start(config()).await;
    let reply = server
        .raw(head("GET", "/whoami", "x-request-id: req-7\r\n"))
        .await;
    assert_eq!(reply.header("x-request-id"), Some("req-7"));
    assert_eq!(reply.body, "default req-7");
    for bad in [
        "",
        "x-request-id: a b\r\n",
        &format!("x-request-id: {}\r\n", "a".repeat(129)),
    ] {
        let reply = server.raw(head("GET", "/whoami", bad)).await;
        let id = reply.header("x-request-id").unwrap();
        assert_eq!(id.len(), 16, "{id}");
        assert_eq!(reply.body, format!("default {id}"));
    }
    for path in ["/health", "/nowhere", "/panic"] {
        assert!(
            server.get(path).await.header("x-request-id").is_some(),
            "{path}"
        );
    }
}

#[tokio::test]
async fn every_failure_of_the_app_has_its_status_and_code() {
    let server = Server::start(config()).await;
    let table = [
        ("/nowhere", 404, "not_found", None),
        ("/not-granted", 403, "not_granted", None),
        ("/failed", 502, "component_failed", None),
        ("/timeout", 504, "component_timeout", None),
        ("/over-limit", 502, "component_over_limit", None),
        ("/overloaded", 503, "overloaded", Some("2")),
        ("/tenant-over", 429, "rate_limit_exceeded", Some("2")),
        ("/loading", 503, "model_loading", Some("2")),
        ("/draining", 503, "draining", Some("5")),
        ("/internal", 500, "internal", None),
        ("/panic", 500, "internal", None),
    ];
    for (path, status, code, retry_after) in table {
        let reply = server.get(path).await;
        assert_eq!(reply.status, status, "{path}");
        assert_eq!(reply.header("retry-after"), retry_after, "{path}");
        let error = &reply.json()["error"];
        assert_eq!(error["code"], code, "{path}");
        assert!(
            error["param"].is_null() && error["type"].is_string(),
            "{path}"
        );
        assert!(
            error["message"].as_str().unwrap().contains(": "),
            "{path}: says what to do"
        );
        assert!(
            !reply.body.contains("secret") && !reply.body.contains("acme"),
            "{path}: {}",
            reply.body
        );
    }
}

#[tokio::test]
async fn the_tutorial_paths_fail_with_a_detail() {
    let server = Server::start(config()).await;
    let reply = server.get("/detect-language").await;
    assert_eq!(reply.status, 502);
    let body = reply.json();
    assert!(
        body["detail"]
            .as_str()
            .unwrap()
            .starts_with("the component")
    );
    assert_eq!(body.as_object().unwrap().len(), 1);
}

#[tokio::test]
async fn a_key_decides_the_tenant_and_none_is_401() {
    let key = KeyConfig {
        tenant: "acme".into(),
        sha256: ABC.into(),
    };
    let keys = CredentialConfig {
        keys: vec![key],
        ..CredentialConfig::default()
    };
    let tenancy = Tenancy::new(&keys, None, Quotas::default()).unwrap();
    let server = Server::start_with(config(), tenancy).await;
    let reply = server
        .raw(head("GET", "/whoami", "authorization: Bearer abc\r\n"))
        .await;
    assert!(reply.body.starts_with("acme "), "{reply:?}");
    for wrong in [
        "",
        "authorization: Bearer wrong\r\n",
        "authorization: Basic abc\r\n",
    ] {
        for path in ["/whoami", "/nowhere", "/ws/echo"] {
            let reply = server.raw(head("GET", path, wrong)).await;
            assert_eq!(
                (reply.status, reply.header("www-authenticate")),
                (401, Some("Bearer"))
            );
            assert_eq!(reply.json()["error"]["code"], "invalid_api_key");
        }
    }
    assert_eq!(
        server
            .raw(post("/transcribe", b"x"))
            .await
            .json()
            .as_object()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(server.get("/health").await.status, 200);
    assert_eq!(server.get("/livez").await.status, 200);
}

#[tokio::test]
async fn other_machines_are_not_served_without_a_key() {
    let open = GatewayConfig {
        listen: vec!["0.0.0.0:0".parse().unwrap()],
        ..config()
    };
    let refused = Gateway::bind(open.clone(), Tenancy::open())
        .await
        .unwrap_err();
    assert!(matches!(refused, GatewayError::Exposed(_)), "{refused}");
    let insecure = GatewayConfig {
        insecure: true,
        ..open
    };
    assert_eq!(
        Gateway::bind(insecure, Tenancy::open())
            .await
            .unwrap()
            .addrs()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_may_call() {
    let cors = CorsConfig {
        allowed_origins: vec!["https://app.example".into()],
        ..CorsConfig::default()
    };
    let server = Server::start(GatewayConfig { cors, ..config() }).await;
    let asks = |origin| {
        let asks =
            "access-control-request-method: POST\r\naccess-control-request-headers: x-a, x-b\r\n";
        head(
            "OPTIONS",
            "/transcribe",
            &format!("origin: {origin}\r\n{asks}"),
        )
    };
    let reply = server.raw(asks("https://app.example")).await;
    assert_eq!(reply.status, 204);
    assert_eq!(
        reply.header("access-control-allow-origin"),
        Some("https://app.example")
    );
    assert!(
        reply
            .header("access-control-allow-methods")
            .unwrap()
            .contains("POST")
    );
    assert_eq!(
        reply.header("access-control-allow-headers"),
        Some("x-a, x-b")
    );
    assert_eq!(reply.header("vary"), Some("origin"));
    let reply = server.raw(asks("https://evil.example")).await;
    assert_eq!(
        (reply.status, reply.header("access-control-allow-origin")),
        (204, None)
    );
    assert_eq!(
        server.seen.calls.load(Ordering::SeqCst),
        0,
        "the app is not asked"
    );

    for path in ["/whoami", "/nowhere"] {
        let reply = server
            .raw(head("GET", path, "origin: https://app.example\r\n"))
            .await;
        assert_eq!(
            reply.header("access-control-allow-origin"),
            Some("https://app.example")
        );
        assert!(
            reply
                .header("access-control-expose-headers")
                .unwrap()
                .contains("x-request-id")
        );
        let reply = server
            .raw(head("GET", path, "origin: https://evil.example\r\n"))
            .await;
        assert_eq!(reply.header("access-control-allow-origin"), None);
    }
}

#[tokio::test]
async fn cors_is_off_by_default_and_a_star_lets_everybody_in() {
    let server = Server::start(config()).await;
    let origin = "origin: https://app.example\r\naccess-control-request-method: GET\r\n";
    assert_eq!(
        server
            .raw(head("OPTIONS", "/whoami", origin))
            .await
            .header("access-control-allow-origin"),
        None
    );
    assert_eq!(
        server.seen.calls.load(Ordering::SeqCst),
        1,
        "the app is asked"
    );

    let cors = CorsConfig {
        allowed_origins: vec!["*".into()],
        ..CorsConfig::default()
    };
    let server = Server::start(GatewayConfig { cors, ..config() }).await;
    let reply = server
        .raw(head("GET", "/whoami", "origin: https://any.example\r\n"))
        .await;
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
}

#[tokio::test]
async fn a_client_may_lower_its_class() {
    let server = Server::start(config()).await;
    assert_eq!(server.get("/class").await.body, "Interactive");
    let batch = head("GET", "/class", "x-auricle-class: batch\r\n");
    assert_eq!(server.raw(batch).await.body, "Batch");
    let background = head("GET", "/class", "priority: u=7, i\r\n");
    assert_eq!(server.raw(background).await.body, "Batch");
    let live = head("GET", "/class", "x-auricle-class: live\r\n");
    assert_eq!(server.raw(live).await.body, "Interactive");
}

#[tokio::test]
async fn http2_is_spoken_on_the_same_port() {
    let server = Server::start(config()).await;
    let io = TokioIo::new(server.connect().await);
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io);
    let (client, connection) = handshake.await.unwrap();
    let connection = tokio::spawn(connection);
    let calls = (0..20).map(|n| {
        let mut client = client.clone();
        async move {
            let body = Full::new(Bytes::from(vec![b'a'; n * 1000]));
            let request = Request::post("http://localhost/echo").body(body).unwrap();
            let response = client.send_request(request).await.unwrap();
            assert_eq!(response.status(), 200);
            assert!(response.headers().contains_key("x-request-id"));
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body.len(), n * 1000);
        }
    });
    futures::future::join_all(calls).await;
    drop(client);
    connection.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_requests_at_concurrency_sixteen_all_succeed() {
    let server = Arc::new(Server::start(config()).await);
    let workers = (0..16).map(|worker| {
        let server = Arc::clone(&server);
        tokio::spawn(async move {
            for n in (worker..200).step_by(16) {
                let body = format!("request {n}").repeat(100 + n);
                let reply = server.raw(post("/echo", body.as_bytes())).await;
                assert_eq!((reply.status, reply.body), (200, body));
            }
        })
    });
    for worker in futures::future::join_all(workers).await {
        worker.unwrap();
    }
    assert_eq!(server.seen.calls.load(Ordering::SeqCst), 200);
}
