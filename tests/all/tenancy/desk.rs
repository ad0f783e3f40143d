//! A server with an admin listener and a data directory of its own, and ways to administer it.

use std::path::Path;
use std::process::Output;
use std::sync::OnceLock;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::guests::{beginning, send};
use crate::support::program::{command, scratch};
use crate::support::server::Builder;
use crate::support::upload::client;
use crate::support::{Answer, SOON, Server, Upload, shared};

/// A server that is administered.
pub struct Desk {
    pub server: Server,
    /// The admin listener, as `127.0.0.1:PORT`.
    pub admin: String,
    /// The key with scope `admin`, where there is one.
    pub key: Option<String>,
    pub dir: TempDir,
}

/// The desk of tests that work on tenants of their own; it asks for a key with scope `admin`.
pub fn desk() -> &'static Desk {
    static DESK: OnceLock<Desk> = OnceLock::new();
    DESK.get_or_init(|| {
        let dir = data_dir();
        let key = stdout(&auricle(dir.path(), &["key", "create", "--scope", "admin"]));
        Desk {
            key: Some(key.trim().to_owned()),
            ..Desk::start(dir, |server| server)
        }
    })
}

/// A new data directory in which the first-party components are compiled already.
pub fn data_dir() -> TempDir {
    shared();
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (
        scratch().join("data/components"),
        dir.path().join("components"),
    );
    std::fs::create_dir(&to).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&to, private).unwrap();
    for file in from.read_dir().unwrap().flatten() {
        // What another server is just writing has another name by now.
        let _ = std::fs::copy(file.path(), to.join(file.file_name()));
    }
    dir
}

/// Runs `auricle` on a data directory.
pub fn auricle(dir: &Path, args: &[&str]) -> Output {
    let mut command = command();
    command.args(args).arg("--data-dir").arg(dir);
    command.output().unwrap()
}

/// What a command printed that succeeded.
pub fn stdout(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

impl Desk {
    /// Starts a server on `dir` that asks for no admin key.
    pub fn start(dir: TempDir, more: impl FnOnce(Builder) -> Builder) -> Self {
        let builder = Server::builder()
            .data_dir(dir.path())
            .arg("--admin-listen")
            .arg("127.0.0.1:0");
        let server = more(builder).start();
        let announced = |line: &str| line.strip_prefix("admin on http://").map(str::to_owned);
        let admin = server.stdout.find_within(SOON, announced);
        Self {
            server,
            admin: admin.expect("an admin address"),
            key: None,
            dir,
        }
    }

    /// A request to the admin API, with the key if there is one.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("http://{}/admin/v1/{path}", self.admin);
        let request = client().request(method, url);
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    /// Asks the admin API.
    pub async fn ask(&self, method: Method, path: &str, body: Value) -> Answer {
        let request = self.request(method.clone(), path);
        match method {
            Method::GET | Method::DELETE => send(request).await,
            _ => send(request.json(&body)).await,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, Value::Null).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::POST, path, body).await
    }

    /// A new tenant with these quotas, and a key of its.
    pub async fn tenant(&self, name: &str, quotas: Value) -> String {
        let body = json!({ "id": name, "quotas": quotas });
        created(&self.post("tenants", body).await);
        let key = self.post("keys", json!({ "tenant": name })).await;
        secret(&created(&key))
    }

    /// A request of whoever has `key` to the API, which its handler answers with 404.
    pub async fn knock(&self, key: &str) -> Answer {
        send(
            client()
                .get(self.server.url("/nothing-here"))
                .bearer_auth(key),
        )
        .await
    }

    /// Has the beginning of a recording transcribed at OpenAI's path.
    pub async fn transcribe(&self, key: &str, secs: usize) -> Answer {
        let form = Upload::wav(&beginning(secs))
            .field("model", "whisper-1")
            .field("language", "en");
        let request = form.request(&self.server, "/v1/audio/transcriptions");
        send(request.bearer_auth(key)).await
    }
}

/// What was made.
pub fn created(answer: &Answer) -> Value {
    assert_eq!(answer.status, 201, "{}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

/// The text of a key that was made.
pub fn secret(key: &Value) -> String {
    key["secret"].as_str().expect("a key's text").to_owned()
}

/// The error of an answer, once it has been checked for OpenAI's shape.
pub fn error(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.header("content-type"), "application/json");
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    let error = &body["error"];
    for field in ["message", "type", "code"] {
        assert!(error[field].is_string(), "{body}");
    }
    assert!(error.as_object().unwrap().contains_key("param"), "{body}");
    error.clone()
}

/// A `Retry-After` of seconds.
pub fn retry_after(answer: &Answer) -> u32 {
    let secs = answer.header("retry-after").parse();
    secs.unwrap_or_else(|_| panic!("{answer:?}"))
}
