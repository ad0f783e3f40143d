//! The admin listener and what it tells.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::json;

use crate::deploying::Tenant;
use crate::guests::wasm;
use crate::support::audio::speech;
use crate::support::program::repository;
use crate::support::upload::client;
use crate::support::{Answer, SOON, Server, Upload, socket};
use crate::tenancy::desk::{Desk, data_dir};

/// A server with an admin listener, and that one's address.
fn observed() -> (Server, String) {
    let server = Server::builder()
        .arg("--admin-listen")
        .arg("127.0.0.1:0")
        .start();
    let announced = |line: &str| line.strip_prefix("admin on http://").map(str::to_owned);
    let admin = server.stdout.find_within(SOON, announced);
    (server, admin.expect("an admin address"))
}

async fn ask(method: Method, address: &str, path: &str) -> Answer {
    let request = client().request(method, format!("http://{address}{path}"));
    Answer::of(request.send().await.unwrap()).await
}

async fn metrics(admin: &str) -> String {
    let answer = ask(Method::GET, admin, "/metrics").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(
        answer
            .header("content-type")
            .starts_with("application/openmetrics-text")
    );
    answer.body
}

/// The sum of all series whose line begins with `start`.
fn sum(text: &str, start: &str) -> f64 {
    let values = text.lines().filter(|line| line.starts_with(start));
    values
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum()
}

/// Names as `# TYPE` lines have them, with the `_total` of a counter.
fn served(text: &str) -> BTreeSet<String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types
        .map(|line| match line.split_once(' ').unwrap() {
            (name, "counter") => format!("{name}_total"),
            (name, _) => name.to_owned(),
        })
        .collect()
}

/// Names in the table of the documentation.
fn documented() -> BTreeSet<String> {
    let text = std::fs::read_to_string(repository().join("docs/metrics.md")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| row.split_once('`').unwrap().0.to_owned())
        .collect()
}

#[tokio::test]
async fn every_metric_is_documented_and_every_documented_one_is_served() {
    let desk = Desk::start(data_dir(), |server| server);
    // What has no value is not served: a deployment, one request, and one that is refused.
    let tenant = Tenant::new(&desk, "measured").await;
    tenant.deploy(wasm::AURICLE_FIXED_CHUNKER, json!({})).await;
    assert_eq!(tenant.segments().await, 1);
    let refused = ask(Method::POST, &desk.server.address, "/health").await;
    assert_eq!(refused.status, 405);
    let served = served(&metrics(&desk.admin).await);
    assert!(served.len() > 10, "{served:?}");
    assert_eq!(served, documented());
}

#[tokio::test]
async fn a_transcription_leaves_its_numbers() {
    let (server, admin) = observed();
    let audio = speech().wav();
    speech().must_be(&Upload::wav(&audio).transcribe(&server).await.transcript());
    Upload::wav(b"").transcribe(&server).await.detail(400);
    let text = metrics(&admin).await;
    let request =
        "auricle_requests_total{route=\"/transcribe\",status=\"200\",tenant=\"default\"} 1";
    assert!(text.contains(request), "{text}");
    assert_eq!(
        sum(
            &text,
            "auricle_requests_total{route=\"/transcribe\",status=\"400\""
        ),
        1.0
    );
    assert_eq!(
        sum(
            &text,
            "auricle_request_duration_seconds_count{route=\"/transcribe\"}"
        ),
        2.0
    );
    let device = "{device=\"auricle-dev\"";
    assert!(sum(&text, &format!("auricle_audio_seconds_total{device}")) >= 5.0);
    assert!(sum(&text, &format!("auricle_real_time_factor_sum{device}")) > 0.0);
    assert!(sum(&text, &format!("auricle_queue_wait_seconds_count{device}")) >= 1.0);
    assert_eq!(sum(&text, &format!("auricle_queued_jobs{device}")), 0.0);
    for role in ["handler", "decoder", "chunker", "speaker-assigner"] {
        let label = format!("{{role=\"{role}\"");
        assert!(sum(&text, &format!("auricle_guest_cpu_seconds_total{label}")) > 0.0);
        assert!(
            sum(
                &text,
                &format!("auricle_guest_peak_memory_bytes_sum{label}")
            ) > 65_536.0
        );
    }
    assert!(sum(&text, "auricle_model_bytes{model=\"tiny.en") > 1e6);
    assert!(sum(&text, "auricle_process_resident_memory_bytes") > 1e7);
    assert_eq!(sum(&text, "auricle_guest_failures_total"), 0.0);
}

#[tokio::test]
async fn each_revision_tells_its_share_of_the_requests_and_how_it_has_done() {
    let desk = Desk::start(data_dir(), |server| server);
    let tenant = Tenant::new(&desk, "watched").await;
    let shares = async || {
        let text = metrics(&desk.admin).await;
        let shares = text.lines().filter(|line| {
            line.starts_with("auricle_revision_request_share{tenant=\"watched\",role=\"chunker\"")
        });
        let shares = shares.map(|line| line.split_once("revision=").unwrap().1.to_owned());
        let shares: BTreeSet<String> = shares.collect();
        (shares.into_iter().collect::<Vec<_>>(), text)
    };
    tenant.deploy(wasm::AURICLE_FIXED_CHUNKER, json!({})).await;
    tenant.segments().await;
    tenant.segments().await;
    let (share, text) = shares().await;
    assert_eq!(share, ["\"1\",trial=\"stable\"} 1.0"]);
    let calls = "auricle_revision_calls_total{tenant=\"watched\",role=\"chunker\"";
    assert_eq!(
        sum(
            &text,
            &format!("{calls},revision=\"1\",outcome=\"succeeded\"")
        ),
        2.0
    );
    assert_eq!(
        sum(&text, &format!("{calls},revision=\"1\",outcome=\"failed\"")),
        0.0
    );

    let canary = json!({ "trial": { "kind": "canary", "percent": 25 } });
    assert_eq!(tenant.set(canary).await.status, 201);
    let (share, text) = shares().await;
    assert_eq!(
        share,
        [
            "\"1\",trial=\"stable\"} 0.75",
            "\"2\",trial=\"canary\"} 0.25"
        ]
    );
    let changes = "auricle_deployment_changes_total{role=\"chunker\",action=\"set\"";
    assert_eq!(sum(&text, &format!("{changes},by=\"operator\"}}")), 2.0);
    assert_eq!(sum(&text, &format!("{changes},by=\"server\"}}")), 0.0);
}

#[tokio::test]
async fn a_client_cannot_make_up_labels() {
    let (server, admin) = observed();
    for number in 0..50 {
        let path = format!("/made/up/{number}");
        ask(Method::GET, &server.address, &path).await;
    }
    let text = metrics(&admin).await;
    assert!(!text.contains("made"), "{text}");
    assert_eq!(sum(&text, "auricle_requests_total{route=\"other\""), 50.0);
}

#[tokio::test]
async fn an_open_socket_is_counted_until_it_closes() {
    let (server, admin) = observed();
    let open = socket::Live::open(&server, "").await;
    // The handshake is answered before the session's task runs.
    sockets_become(&admin, 1.0).await;
    drop(open);
    sockets_become(&admin, 0.0).await;
}

async fn sockets_become(admin: &str, wanted: f64) {
    for _ in 0..200 {
        let text = metrics(admin).await;
        if sum(&text, "auricle_open_connections{kind=\"websocket\"}") == wanted {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the open sockets are not {wanted}");
}

#[tokio::test]
async fn the_admin_listener_has_health_and_nothing_else() {
    let (server, admin) = observed();
    for path in ["/livez", "/readyz", "/health"] {
        assert_eq!(ask(Method::GET, &admin, path).await.status, 200, "{path}");
    }
    assert_eq!(ask(Method::POST, &admin, "/metrics").await.status, 405);
    assert_eq!(ask(Method::GET, &admin, "/transcribe").await.status, 404);
    // And the API's own address has no metrics.
    assert_eq!(
        ask(Method::GET, &server.address, "/metrics").await.status,
        404
    );
    // It has no admin listener that nobody asked for.
    let quiet = Server::builder().start();
    assert!(!quiet.stdout.all().join("\n").contains("admin on"));
}

#[tokio::test]
async fn an_admin_address_that_others_can_reach_is_refused_unless_allowed() {
    let config = |more: &str| format!("[admin]\nlisten = \"0.0.0.0:0\"\n{more}");
    let refusal = Server::builder().config(&config("")).try_start();
    let Err(refusal) = refusal else {
        panic!("it listens");
    };
    assert!(
        refusal.stderr.contains("allow_remote"),
        "{}",
        refusal.stderr
    );
    Server::builder()
        .config(&config("allow_remote = true\n"))
        .start();
}
