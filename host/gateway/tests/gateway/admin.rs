//! The admin listener and clients that hold it.

use std::net::SocketAddr;

use auricle_gateway::{AdminConfig, GatewayConfig};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::{Reply, Server, config, head, read_to_close};

async fn start() -> (Server, SocketAddr) {
    let server = Server::start(GatewayConfig {
        admin: AdminConfig {
            listen: Some("127.0.0.1:0".parse().unwrap()),
            ..AdminConfig::default()
        },
        ..config()
    })
    .await;
    let admin = server.admin.unwrap();
    (server, admin)
}

async fn ask(admin: SocketAddr, path: &str) -> Reply {
    let mut stream = TcpStream::connect(admin).await.unwrap();
    let request = head("GET", path, "");
    stream.write_all(request.as_bytes()).await.unwrap();
    read_to_close(&mut stream).await
}

/// Probes, metrics and the admin API answer.
async fn must_answer(admin: SocketAddr) {
    for path in ["/livez", "/readyz", "/health", "/metrics"] {
        assert_eq!(ask(admin, path).await.status, 200, "{path}");
    }
    // There is no store behind it: what matters is that it answers.
    let reply = ask(admin, "/admin/v1/tenants").await;
    assert!(reply.status != 0 && reply.status != 503, "{reply:?}");
}

#[tokio::test]
async fn clients_that_hold_admin_connections_keep_nobody_out() {
    let (_server, admin) = start().await;
    let metrics = "GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(3_000);
    let body = "PATCH /admin/v1/tenants/a HTTP/1.1\r\nhost: localhost\r\n\
                content-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    // Answers that are not read, bodies that stop, heads that stop, and nothing at all.
    for begin in [metrics.as_str(), body, "GET / HT", ""] {
        let mut held = Vec::new();
        for _ in 0..100 {
            let mut stream = TcpStream::connect(admin).await.unwrap();
            // What is evicted meanwhile breaks off.
            let _ = stream.write_all(begin.as_bytes()).await;
            held.push(stream);
        }
        must_answer(admin).await;
    }
}

#[tokio::test]
async fn without_keys_the_admin_listener_asks_for_a_loopback_name() {
    let (_server, admin) = start().await;
    for path in ["/metrics", "/health", "/readyz", "/admin/v1/tenants"] {
        let mut stream = TcpStream::connect(admin).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let reply = read_to_close(&mut stream).await;
        assert_eq!(reply.status, 421, "{path}");
    }
}
