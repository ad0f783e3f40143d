//! Guests that misbehave, and servers some of whose tenants have deployed them.
//!
//! Every tenant's key is made of its name. One tenant, [`VICTIM`], uses nothing but what the server
//! brings along and wants to be served while the others misbehave.

use std::fmt::Write;
use std::future::Future;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use reqwest::RequestBuilder;
use reqwest::multipart::{Form, Part};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use tokio_util::sync::CancellationToken;

use crate::support::Server;
use crate::support::audio::{RATE, speech, wav};
use crate::support::program::scratch;
use crate::support::server::Builder;
use crate::support::upload::{Answer, client};

/// The components' bytes: what each does stands at the head of its source, in `guest/hostile`.
pub mod wasm {
    include!(concat!(env!("OUT_DIR"), "/guests.rs"));
}

/// The tenant that has done nothing wrong.
pub const VICTIM: &str = "victim";

/// Enough for every sound guest here, and soon used up.
pub const TIGHT: &str = "limits = { cpu_ms = 300, memory_bytes = 16777216, host_bytes = 33554432 }";

/// Longest wait for an answer, with both cores busy.
const ANSWER: Duration = Duration::from_secs(60);

/// How often the victim asks for something small.
const PROBE_PAUSE: Duration = Duration::from_millis(150);

/// A configuration as it grows.
pub struct Tenants {
    toml: String,
}

impl Tenants {
    /// The victim alone, beneath the tables `settings`.
    pub fn new(settings: &str) -> Self {
        Self {
            toml: format!("{settings}\n"),
        }
        .with_key(VICTIM)
    }

    /// One more tenant, which has a key and no component.
    pub fn with_key(mut self, tenant: &str) -> Self {
        let digest = hex::encode(Sha256::digest(key(tenant)));
        writeln!(
            self.toml,
            "[[credentials.keys]]\ntenant = '{tenant}'\nsha256 = '{digest}'"
        )
        .unwrap();
        self
    }

    /// One more tenant with a component in one role; `rest` are the deployment's other keys.
    pub fn with(self, tenant: &str, role: &str, component: &[u8], rest: &str) -> Self {
        self.with_key(tenant)
            .component(tenant, role, component, rest)
    }

    /// A component of a tenant that has its key, or needs none.
    pub fn component(mut self, tenant: &str, role: &str, component: &[u8], rest: &str) -> Self {
        let path = file(component);
        writeln!(
            self.toml,
            "[tenants.{tenant}.{role}]\npath = '{}'\n{rest}",
            path.display()
        )
        .unwrap();
        self
    }

    /// The configuration file's text.
    pub fn toml(&self) -> &str {
        &self.toml
    }

    /// A server with this configuration.
    pub fn server(&self) -> Builder {
        Server::builder().config(&self.toml)
    }
}

/// The key of a tenant.
pub fn key(tenant: &str) -> String {
    format!("key-of-{tenant}")
}

/// A component as a file, named by its digest: tests that run at once share it.
pub fn file(component: &[u8]) -> PathBuf {
    let dir = scratch().join("guests");
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join(format!("{}.wasm", hex::encode(Sha256::digest(component))));
    if !path.exists() {
        let file = NamedTempFile::new_in(&dir).unwrap();
        std::fs::write(file.path(), component).unwrap();
        file.persist(&path).unwrap();
    }
    path
}

/// The first seconds of the recording that every server understands.
pub fn beginning(secs: usize) -> Vec<u8> {
    wav(&speech().samples[..secs * RATE])
}

/// A request of a tenant.
pub fn get(server: &Server, tenant: &str, path: &str) -> RequestBuilder {
    client().get(server.url(path)).bearer_auth(key(tenant))
}

/// Sends a request and takes the whole answer.
pub async fn send(request: RequestBuilder) -> Answer {
    Answer::of(
        request
            .timeout(ANSWER)
            .send()
            .await
            .expect("an answer in time"),
    )
    .await
}

/// Has a tenant transcribe 1 s: the least that takes every component of the line.
pub async fn transcribe(server: &Server, tenant: &str) -> Answer {
    transcribe_at(&server.address, tenant, beginning(1)).await
}

/// Has a tenant of the server at this address transcribe a file.
pub async fn transcribe_at(address: &str, tenant: &str, file: Vec<u8>) -> Answer {
    let file = Part::bytes(file).file_name("speech.wav");
    let form = Form::new().part("file", file).text("language", "en");
    let request = client()
        .post(format!("http://{address}/transcribe"))
        .multipart(form);
    send(request.bearer_auth(key(tenant))).await
}

/// Lets the misdeed happen while the victim is served, and fails if the victim sees any of it.
pub fn beside<'a, T: 'a>(
    server: &'a Server,
    misdeed: impl Future<Output = T> + 'a,
) -> LocalBoxFuture<'a, T> {
    serve_victim(server, Box::pin(misdeed)).boxed_local()
}

async fn serve_victim<T>(server: &Server, misdeed: impl Future<Output = T>) -> T {
    let expected = transcribe(server, VICTIM).await.transcript();
    let over = CancellationToken::new();
    let misdeed = async {
        let outcome = misdeed.await;
        over.cancel();
        outcome
    };
    let small = async {
        let mut slowest = Duration::ZERO;
        while !over.is_cancelled() {
            let since = Instant::now();
            let answer = send(get(server, VICTIM, "/nothing-here")).await;
            assert_eq!(answer.detail(404), "Not Found");
            slowest = slowest.max(since.elapsed());
            tokio::time::sleep(PROBE_PAUSE).await;
        }
        slowest
    };
    let whole = async {
        loop {
            assert_eq!(transcribe(server, VICTIM).await.transcript(), expected);
            if over.is_cancelled() {
                break;
            }
        }
    };
    let (outcome, slowest, ()) = tokio::join!(misdeed, small, whole);
    // Seconds would mean that somebody else's guest was waited for.
    assert!(
        slowest < Duration::from_secs(5),
        "a small request took {slowest:?}"
    );
    outcome
}

/// What the operator's log says of the component that ended a request.
pub fn logged_kind(server: &Server, answer: &Answer) -> String {
    let id = answer.request_id();
    let kind = |line: &str| {
        // Most lines are others', and reading them costs more than looking.
        let line: Value = serde_json::from_str(Some(line).filter(|l| l.contains(id))?).ok()?;
        let fields = &line["fields"];
        let kind = fields["kind"].as_str()?.to_owned();
        (fields["request_id"] == id).then_some(kind)
    };
    let kind = server.log.find_within(crate::support::SOON, kind);
    kind.expect("a line that says why")
}

/// Fails if an error tells of anybody but the one who asked.
pub fn must_not_name_others(answer: &Answer) {
    let body = answer.body.to_lowercase();
    for secret in [
        VICTIM, "tenant", "chunker-", "handler-", ".wasm", "/guests/", "key-of",
    ] {
        assert!(!body.contains(secret), "{secret} in {body}");
    }
}
