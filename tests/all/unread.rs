//! Clients that do not take their answers, and connections that are not used: permits, connections
//! and the admin listener come back by themselves.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::audio::speech;
use crate::support::frames::NoWindow;
use crate::support::upload::{client, get};
use crate::support::{Answer, SOON, Server, Upload};

#[tokio::test]
async fn answers_that_are_never_taken_give_their_permits_back() {
    let config = "[server.limits]\nwrite_stall_timeout_ms = 5000\n\
                  [server.admission]\nmax_requests_per_tenant = 2\n";
    let server = Server::builder().config(config).start();
    let mut stuck = NoWindow::connect(&server.address).await;
    stuck.get(1, "/v1/models", None).await;
    stuck.get(3, "/v1/models", None).await;
    stuck.until_answered(2).await;
    assert_eq!(get(&server, "/v1/models").await.status, 429);
    let mut reset = stuck.until_hung_up().await;
    reset.sort_unstable();
    assert_eq!(reset, [1, 3]);
    assert_eq!(get(&server, "/v1/models").await.status, 200);
    // In the log each is a client that has gone.
    server.log_line(|line| line["fields"]["status"] == 499);
}

#[tokio::test]
async fn silent_connections_keep_no_newcomer_out() {
    let config = "[server.limits]\nmax_connections = 16\n";
    let server = Server::builder().config(config).start();
    let mut silent = Vec::new();
    for _ in 0..64 {
        silent.push(NoWindow::connect(&server.address).await);
    }
    let answer = Upload::wav(&speech().wav()).transcribe(&server).await;
    speech().must_be(&answer.transcript());
    // Those that gave way have been told so; the youngest may still be open.
    for oldest in silent.into_iter().take(40) {
        oldest.until_hung_up().await;
    }
}

#[tokio::test]
async fn the_admin_listener_answers_beside_clients_that_hold_it() {
    let server = Server::builder()
        .arg("--admin-listen")
        .arg("127.0.0.1:0")
        .start();
    let announced = |line: &str| line.strip_prefix("admin on http://").map(str::to_owned);
    let admin = server.stdout.find_within(SOON, announced).unwrap();
    let unread = "GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(2_000);
    let mut held = Vec::new();
    for _ in 0..100 {
        let mut stream = TcpStream::connect(&admin).await.unwrap();
        // What gives way to the next ones breaks off.
        let _ = stream.write_all(unread.as_bytes()).await;
        held.push(stream);
    }
    for path in ["/livez", "/readyz", "/metrics", "/admin/v1/tenants"] {
        let request = client().get(format!("http://{admin}{path}")).send();
        let answer = timeout(SOON, request).await.expect("an answer").unwrap();
        assert_eq!(Answer::of(answer).await.status, 200, "{path}");
    }
}
