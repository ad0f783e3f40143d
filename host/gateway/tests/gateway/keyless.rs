//! Web pages that reach a server on this machine which asks for no key.

use auricle_gateway::{CorsConfig, GatewayConfig};
use auricle_tenancy::Tenancy;

use crate::frames::{Frames, HEADERS};
use crate::support::{Server, config};

fn request(method: &str, path: &str, lines: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n{lines}\r\n")
}

const UPGRADE: &str = "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                       sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[tokio::test]
async fn without_keys_every_path_asks_for_a_loopback_name() {
    let server = Server::start(config()).await;
    for path in ["/whoami", "/v1/models", "/health", "/", "/docs", "/livez"] {
        for host in ["evil.example", "evil.example:8000", "10.0.0.1"] {
            let lines = format!("host: {host}\r\n");
            let reply = server.raw(request("GET", path, &lines)).await;
            assert_eq!(reply.status, 421, "{path} {host}: {reply:?}");
            assert!(reply.body.contains("server.allowed_hosts"), "{reply:?}");
        }
    }
    let socket = format!("host: evil.example\r\norigin: http://evil.example\r\n{UPGRADE}");
    assert_eq!(
        server.raw(request("GET", "/ws/echo", &socket)).await.status,
        421
    );
    let seen = server.seen.calls.load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(seen, 0, "the app saw none of it");
    // A rebound page over HTTP/2, and a program that speaks HTTP/1.0.
    let mut client = Frames::connect(server.addr, 65_535).await;
    client.get_from(1, "/whoami", "evil.example").await;
    let head = client.next().await.unwrap();
    assert_eq!(head.kind, HEADERS);
    // `:status: 200` of the static table (RFC 7541, A).
    assert_ne!(head.payload.first(), Some(&0x88));
    client.get(3, "/whoami").await;
    let allowed = async {
        loop {
            let frame = client.next().await.unwrap();
            if (frame.kind, frame.stream) == (HEADERS, 3) {
                return frame.payload;
            }
        }
    };
    assert_eq!(allowed.await.first(), Some(&0x88));
    let reply = server.raw("GET /whoami HTTP/1.0\r\n\r\n").await;
    assert_eq!(reply.status, 200, "{reply:?}");
}

#[tokio::test]
async fn without_keys_pages_of_other_origins_cause_nothing() {
    let server = Server::start(GatewayConfig {
        cors: CorsConfig {
            allowed_origins: vec!["https://app.example".into()],
            ..CorsConfig::default()
        },
        ..config()
    })
    .await;
    let post = async |origin: &str| {
        let lines = format!("host: localhost\r\norigin: {origin}\r\ncontent-length: 0\r\n");
        server.raw(request("POST", "/echo", &lines)).await
    };
    for origin in ["http://evil.example", "null", "http://localhost:3000"] {
        let reply = post(origin).await;
        assert_eq!(reply.status, 403, "{origin}: {reply:?}");
        assert_eq!(reply.json()["error"]["code"], "origin_not_allowed");
    }
    for origin in ["http://localhost", "https://app.example"] {
        assert_eq!(post(origin).await.status, 200, "{origin}");
    }
}

#[tokio::test]
async fn configured_names_and_servers_with_keys_are_not_asked() {
    let named = Server::start(GatewayConfig {
        allowed_hosts: vec!["auricle.example".into()],
        ..config()
    })
    .await;
    let lines = "host: auricle.example:8000\r\n";
    assert_eq!(
        named.raw(request("GET", "/whoami", lines)).await.status,
        200
    );
    let credentials = auricle_tenancy::CredentialConfig {
        required: true,
        ..Default::default()
    };
    let tenancy = Tenancy::new(&credentials, None, Default::default()).unwrap();
    let keyed = Server::start_with(config(), tenancy).await;
    let lines = "host: any.example\r\n";
    assert_eq!(
        keyed.raw(request("GET", "/whoami", lines)).await.status,
        401
    );
    assert_eq!(keyed.raw(request("GET", "/livez", lines)).await.status, 200);
}
