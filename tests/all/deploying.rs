//! Tenants bring components: pushed, deployed, tried out, taken back.

/// What deploying may use, and what it leaves on the disk.
mod accounts;
/// The verbs of the command line.
mod cli;
/// What is pushed, and what is refused.
mod components;
/// What another server on the same data directory deploys.
mod elsewhere;
/// Compilers and acts when the server ends.
mod ending;
/// A disk that a tenant has filled.
mod full;
/// Handlers of live sessions, swapped and failing.
mod live;
/// Components in an OCI registry.
mod registry;
/// Deployed, rolled back, kept over a kill.
mod revisions;
/// What handlers see of a request's credentials, and what is logged of them.
mod secrets;
/// Who answers for a component.
mod signatures;
/// Swaps without end under load.
mod storm;
/// Canaries, shadows, and what is taken back by itself.
mod trials;

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::guests::{beginning, send};
use crate::support::upload::client;
use crate::support::{Answer, Server, Upload};
use crate::tenancy::desk::{Desk, created, secret};

/// A tenant that deploys.
pub struct Tenant<'a> {
    desk: &'a Desk,
    name: &'static str,
    /// Opens the API.
    key: String,
}

impl<'a> Tenant<'a> {
    /// A new tenant of this desk.
    pub async fn new(desk: &'a Desk, name: &'static str) -> Self {
        let key = desk.tenant(name, json!({})).await;
        Self { desk, name, key }
    }

    fn path(&self, path: &str) -> String {
        format!("tenants/{}/{path}", self.name)
    }

    /// Asks the admin API about this tenant.
    async fn ask(&self, method: Method, path: &str, body: Value) -> Answer {
        self.desk.ask(method, &self.path(path), body).await
    }

    async fn get(&self, path: &str) -> Value {
        self.ask(Method::GET, path, Value::Null).await.ok()
    }

    /// Sends bytes as a component.
    async fn send(&self, bytes: &[u8]) -> Answer {
        let request = self.desk.request(Method::POST, &self.path("components"));
        let request = request.header("content-type", "application/wasm");
        send(request.body(bytes.to_vec())).await
    }

    /// Pushes a component and gives its digest.
    async fn push(&self, bytes: &[u8]) -> String {
        let pushed = self.send(bytes).await;
        assert!([200, 201].contains(&pushed.status), "{pushed:?}");
        let pushed: Value = serde_json::from_str(&pushed.body).unwrap();
        pushed["id"].as_str().unwrap().to_owned()
    }

    /// Has a component serve as handler with these settings.
    async fn deploy_handler(&self, bytes: &[u8], configuration: Value) {
        let component = self.push(bytes).await;
        let body = json!({ "component": component, "configuration": configuration });
        let path = "deployments/handler/revisions";
        created(&self.ask(Method::POST, path, body).await);
    }

    /// Asks for a revision of the chunker.
    pub async fn set(&self, body: Value) -> Answer {
        self.ask(Method::POST, "deployments/chunker/revisions", body)
            .await
    }

    /// Has a component serve as chunker with these settings; the status after it.
    pub async fn deploy(&self, bytes: &[u8], configuration: Value) -> Value {
        let component = self.push(bytes).await;
        let body = json!({ "component": component, "configuration": configuration });
        created(&self.set(body).await)
    }

    async fn status(&self) -> Value {
        self.get("deployments/chunker").await
    }

    /// What was done with the chunker, oldest first, as `action revision`.
    async fn history(&self) -> Vec<String> {
        let entries = self.get("deployments/chunker/history").await;
        let entries = entries["data"].as_array().unwrap().iter().rev();
        entries
            .map(|entry| {
                let action = entry["action"].as_str().unwrap();
                let action = action.strip_prefix("deployment.").unwrap();
                format!("{action} {}", entry["detail"]["revision"])
            })
            .collect()
    }

    /// Transcribes so many seconds under a request id.
    async fn transcribe_as(&self, id: &str, secs: usize) -> Answer {
        self.transcribe_on(&self.desk.server, id, secs).await
    }

    /// The same on this server.
    async fn transcribe_on(&self, server: &Server, id: &str, secs: usize) -> Answer {
        let form = Upload::wav(&beginning(secs)).field("language", "en");
        let request = form.request(server, "/transcribe");
        send(request.bearer_auth(&self.key).header("x-request-id", id)).await
    }

    /// In how many segments at least the first 4 s come, which is how the chunkers are told apart:
    /// the first-party one makes one span of them.
    pub async fn segments(&self) -> usize {
        let answer = self.transcribe_as("any", 4).await.ok();
        answer["segments"].as_array().unwrap().len()
    }

    /// A key with scope `deploy`.
    async fn deploy_key(&self) -> String {
        let body = json!({ "tenant": self.name, "scopes": ["deploy"] });
        secret(&created(&self.desk.post("keys", body).await))
    }

    /// A request of the tenant's own to its deployments.
    async fn own(&self, key: &str, method: Method, path: &str, body: Value) -> Answer {
        let url = self.desk.server.url(&format!("/deploy/v1/{path}"));
        let request = client().request(method.clone(), url).bearer_auth(key);
        match method {
            Method::GET | Method::DELETE => send(request).await,
            _ => send(request.json(&body)).await,
        }
    }
}

/// Waits until `found` finds something, for at most 20 s.
async fn eventually<T>(what: &str, mut found: impl AsyncFnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(value) = found().await {
            return value;
        }
        assert!(since.elapsed() < Duration::from_secs(20), "never: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
