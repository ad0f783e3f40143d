//! Web pages that reach a server of this machine which asks for no key: by DNS rebinding, and from
//! other origins.

use reqwest::Method;

use crate::support::audio::speech;
use crate::support::socket::Live;
use crate::support::upload::client;
use crate::support::{Answer, SOON, Server, Upload, shared};

async fn ask(method: Method, url: String, host: &str, origin: Option<&str>) -> Answer {
    let mut request = client().request(method, url).header("host", host);
    if let Some(origin) = origin {
        request = request.header("origin", origin);
    }
    Answer::of(request.send().await.unwrap()).await
}

#[tokio::test]
async fn a_rebound_page_reads_nothing_of_any_listener() {
    let server = Server::builder()
        .arg("--admin-listen")
        .arg("127.0.0.1:0")
        .start();
    let announced = |line: &str| line.strip_prefix("admin on http://").map(str::to_owned);
    let admin = server.stdout.find_within(SOON, announced).unwrap();
    let api = ["/v1/models", "/health", "/", "/docs"].map(|path| server.url(path));
    let operators = ["/metrics", "/health", "/admin/v1/tenants"];
    let operators = operators.map(|path| format!("http://{admin}{path}"));
    for url in api.into_iter().chain(operators) {
        let evil = Some("http://evil.example");
        let answer = ask(Method::GET, url.clone(), "evil.example", evil).await;
        assert_eq!(answer.status, 421, "{url}: {}", answer.body);
        assert!(answer.body.contains("allowed_hosts"), "{}", answer.body);
        let answer = ask(Method::GET, url.clone(), "localhost", None).await;
        assert_eq!(answer.status, 200, "{url}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_page_of_another_origin_transcribes_nothing() {
    let form = |origin: &'static str| async move {
        let request = Upload::wav(&speech().wav()).request(shared(), "/transcribe");
        Answer::of(request.header("origin", origin).send().await.unwrap()).await
    };
    for origin in ["http://evil.example", "null", "http://localhost:1"] {
        let answer = form(origin).await;
        assert_eq!(answer.status, 403, "{origin}: {}", answer.body);
        assert!(Live::open_from(shared(), origin).await.is_err(), "{origin}");
    }
    let own: &'static str = format!("http://{}", shared().address).leak();
    speech().must_be(&form(own).await.transcript());
    assert!(Live::open_from(shared(), own).await.is_ok());
}

#[tokio::test]
async fn a_name_that_is_configured_is_answered() {
    let config = "[server]\nallowed_hosts = [\"auricle.example\"]\n";
    let server = Server::builder().config(config).start();
    let url = server.url("/v1/models");
    let answer = ask(Method::GET, url.clone(), "auricle.example:8000", None).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let answer = ask(Method::GET, url, "other.example", None).await;
    assert_eq!(answer.status, 421, "{}", answer.body);
}
