//! Starting and stopping: readiness, configuration, CORS, HTTP versions, drain.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use reqwest::Method;
use tokio::time::sleep;

use crate::support::audio::{silence, speech, wav};
use crate::support::program::repository;
use crate::support::server::Builder;
use crate::support::upload::{builder, client, get};
use crate::support::{Answer, SOON, Server, Upload, shared};

async fn model(server: &Server) -> String {
    get(server, "/health").await.ok()["model"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// What a server says that does not start, once its status is 1.
fn refusal(builder: Builder) -> String {
    match builder.try_start() {
        Ok(server) => panic!("it listens on {}", server.address),
        Err(refusal) => {
            assert_eq!(
                refusal.status.and_then(|s| s.code()),
                Some(1),
                "{}",
                refusal.stderr
            );
            refusal.stderr
        }
    }
}

#[tokio::test]
async fn the_first_start_of_all_needs_nothing_but_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("not/there/yet");
    for _ in 0..2 {
        let server = Server::builder().data_dir(&data_dir).start();
        let answer = Upload::wav(&wav(&silence(1.0))).transcribe(&server).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

#[tokio::test]
async fn every_address_is_printed_and_served() {
    let server = Server::builder().arg("--listen").arg("127.0.0.1:0").start();
    let second = |line: &str| {
        let address = line.strip_prefix("listening on http://")?;
        (address != server.address).then(|| address.to_owned())
    };
    let second = server
        .stdout
        .find_within(SOON, second)
        .expect("a second address");
    for address in [&server.address, &second] {
        let answer = client()
            .get(format!("http://{address}/readyz"))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
    }
}

#[tokio::test]
async fn flags_win_over_variables_over_the_file_over_the_defaults() {
    let file = "[models]\ndefault = \"tiny.en\"\n[server]\nlisten = [\"127.0.0.1:0\"]\n";
    let quiet = || Server::builder().no_model_flag().config(file);
    assert_eq!(model(&quiet().no_listen_flag().start()).await, "tiny.en");
    assert_eq!(
        model(&quiet().env("AURICLE_MODEL", "base").start()).await,
        "base"
    );
    let both = quiet().env("AURICLE_MODEL", "base").model("tiny.en");
    assert_eq!(model(&both.start()).await, "tiny.en");
    let alias = Server::builder()
        .no_model_flag()
        .env("WHISPER_MODEL", "tiny.en");
    let listen = alias.no_listen_flag().env("AURICLE_LISTEN", "127.0.0.1:0");
    assert_eq!(model(&listen.start()).await, "tiny.en");
}

#[tokio::test]
async fn the_example_configuration_is_accepted() {
    let path = repository().join("docs/auricle.example.toml");
    let example = std::fs::read_to_string(path).unwrap();
    let server = Server::builder().config(&example).start();
    assert_eq!(get(&server, "/health").await.status, 200);
}

#[test]
fn what_is_wrong_with_a_configuration_is_said_before_a_port_opens() {
    let with = |toml: &str| refusal(Server::builder().config(toml));
    let said = with("[server.limits]\nmax_boddy_bytes = 1\n");
    assert!(said.contains("max_boddy_bytes"), "{said}");
    let said = with("[server.limits]\nrequest_timeout_ms = 0\n");
    assert!(said.contains("request_timeout_ms"), "{said}");
    let said = with("[models]\nworkers = 0\n");
    assert!(said.contains("workers"), "{said}");
    let said = with("this is no TOML");
    assert!(said.contains("configuration"), "{said}");
    let said = refusal(
        Server::builder()
            .arg("--config")
            .arg("/does/not/exist.toml"),
    );
    assert!(said.contains("/does/not/exist.toml"), "{said}");
}

#[test]
fn a_model_that_is_not_there_is_named_with_what_to_do() {
    let said = refusal(Server::builder().model("large-v2"));
    assert!(
        said.contains("large-v2") && said.contains("auricle models pull"),
        "{said}"
    );
    let said = refusal(Server::builder().model("enormous"));
    assert!(said.contains("enormous"), "{said}");
}

#[test]
fn an_address_in_use_or_open_to_all_without_keys_is_refused() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = refusal(Server::builder().arg("--listen").arg(address.clone()));
    assert!(said.contains(&address), "{said}");
    let said = refusal(Server::builder().arg("--listen").arg("0.0.0.0:0"));
    assert!(said.contains("insecure"), "{said}");
    drop(
        Server::builder()
            .arg("--listen")
            .arg("0.0.0.0:0")
            .arg("--insecure")
            .start(),
    );
}

#[tokio::test]
async fn sigterm_lets_requests_end_and_takes_no_new_ones() {
    let server = Server::builder().config("[models]\nworkers = 1\n").start();
    let file = wav(&speech().samples.repeat(4));
    let transcribe = Upload::wav(&file).transcribe(&server);
    let stop = async {
        sleep(Duration::from_millis(700)).await;
        server.terminate();
        let since = Instant::now();
        while client()
            .get(server.url("/readyz"))
            .send()
            .await
            .is_ok_and(|a| a.status() == 200)
        {
            assert!(since.elapsed() < SOON, "it still takes requests");
            sleep(Duration::from_millis(20)).await;
        }
    };
    let (answer, ()) = futures::join!(transcribe, stop);
    assert!(answer.transcript().len() > 100, "{answer:?}");
    let status = server.exit_within(SOON).expect("it ends");
    assert_eq!(status.code(), Some(0));
    let line = server.log_line(|line| line["fields"]["message"] == "drained");
    assert_eq!(line["fields"]["cut_off"], 0, "{line}");
}

#[tokio::test]
async fn a_drain_ends_in_time_whatever_still_runs() {
    let config = "[models]\nworkers = 1\n[server]\ndrain_timeout_ms = 500\n";
    let server = Server::builder().config(config).start();
    let file = wav(&speech().samples.repeat(30));
    let request = Upload::wav(&file).request(&server, "/transcribe").send();
    let stop = async {
        sleep(Duration::from_millis(1000)).await;
        server.terminate();
        Instant::now()
    };
    let (answer, stopped) = futures::join!(request, stop);
    let answer = Answer::of(answer.unwrap()).await;
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(!answer.header("retry-after").is_empty());
    let line = server.request_line(answer.header("x-request-id"));
    assert_eq!(line["fields"]["status"], 503, "{line}");
    let line = server.log_line(|line| line["fields"]["message"] == "drained");
    assert_eq!(line["fields"]["cut_off"], 1, "{line}");
    assert!(
        server
            .exit_within(SOON)
            .is_some_and(|status| status.code() == Some(0))
    );
    assert!(
        stopped.elapsed() < Duration::from_secs(4),
        "{:?}",
        stopped.elapsed()
    );
}

#[tokio::test]
async fn a_second_signal_stops_at_once() {
    let server = Server::builder().config("[models]\nworkers = 1\n").start();
    let file = wav(&speech().samples.repeat(30));
    let request = Upload::wav(&file).request(&server, "/transcribe").send();
    let stop = async {
        sleep(Duration::from_millis(1000)).await;
        server.terminate();
        server.log_line(|line| line.to_string().contains("draining"));
        server.terminate();
        assert_eq!(
            server.exit_within(SOON).and_then(|status| status.code()),
            Some(1)
        );
    };
    let (answer, ()) = futures::join!(request, stop);
    assert!(answer.is_err());
}

#[tokio::test]
async fn http_2_without_tls_is_served_too() {
    let http2 = builder().http2_prior_knowledge().build().unwrap();
    let request = Upload::wav(&speech().wav())
        .request(shared(), "/transcribe")
        .build()
        .unwrap();
    let response = http2.execute(request).await.unwrap();
    assert_eq!(response.version(), reqwest::Version::HTTP_2);
    speech().must_be(&Answer::of(response).await.transcript());
}

#[tokio::test]
async fn pages_may_call_from_the_configured_origins_and_no_others() {
    let config = "[server.cors]\nallowed_origins = [\"https://app.example\"]\n";
    let server = Server::builder().config(config).start();
    let ask = async |server: &Server, method: Method, origin: &str| {
        let request = client()
            .request(method, server.url("/transcribe"))
            .header("origin", origin);
        let request = request.header("access-control-request-method", "POST");
        let request = request.header("access-control-request-headers", "x-custom");
        Answer::of(request.send().await.unwrap()).await
    };
    let preflight = ask(&server, Method::OPTIONS, "https://app.example").await;
    assert!(preflight.status < 300, "{preflight:?}");
    assert_eq!(
        preflight.header("access-control-allow-origin"),
        "https://app.example"
    );
    assert!(
        preflight
            .header("access-control-allow-methods")
            .contains("POST")
    );
    assert_eq!(preflight.header("access-control-allow-headers"), "x-custom");
    // Errors too: a page must be able to read why.
    let answer = ask(&server, Method::POST, "https://app.example").await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.header("access-control-allow-origin"),
        "https://app.example"
    );
    for (server, origin) in [
        (&server, "https://evil.example"),
        (shared(), "https://app.example"),
    ] {
        let answer = ask(server, Method::POST, origin).await;
        assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");
    }
}
