//! Programs that other people wrote, against a real server with real audio: OpenAI's client libraries
//! in Python and JavaScript, two parsers of subtitles, and a generator of requests (`tests/clients`);
//! and the pages that the server brings along for browsers.
//!
//! `scripts/packages.sh` installs them once; a suite whose program is not there is skipped with a line
//! (node), or fails (Python, which the set-up installs).

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

use crate::guests::{Tenants, VICTIM, key};
use crate::support::audio::{evaluation, silence, speech, two_speakers, wav};
use crate::support::program::{repository, scratch};
use crate::support::server::{shared, shared_multilingual};
use crate::support::upload::{client, get};
use crate::support::{Answer, Server};

/// Where the packages are that tests use, by the names that the script has for them.
pub fn packages() -> &'static HashMap<String, PathBuf> {
    static PACKAGES: OnceLock<HashMap<String, PathBuf>> = OnceLock::new();
    PACKAGES.get_or_init(|| {
        let script = repository().join("scripts/packages.sh");
        let output = Command::new(script)
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(output.status.success(), "scripts/packages.sh failed");
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text.lines().map(|line| line.split_once('=').unwrap());
        lines
            .map(|(name, dir)| (name.to_owned(), PathBuf::from(dir)))
            .collect()
    })
}

fn clients(file: &str) -> PathBuf {
    repository()
        .canonicalize()
        .unwrap()
        .join("tests/clients")
        .join(file)
}

/// A WAV file for programs that want one.
fn file(name: &str, samples: &[i16]) -> PathBuf {
    let dir = scratch().join("clients");
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join(name);
    // In one step, because suites run at once.
    let part = tempfile::NamedTempFile::new_in(&dir).unwrap();
    std::fs::write(part.path(), wav(samples)).unwrap();
    part.persist(&path).unwrap();
    path
}

/// A server that asks for a key.
fn keyed() -> &'static Server {
    static KEYED: OnceLock<Server> = OnceLock::new();
    KEYED.get_or_init(|| Tenants::new("").server().start())
}

/// A suite's program, told where servers and audio are.
fn suite(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(scratch())
        .env("AURICLE_URL", shared().url(""))
        .env("AURICLE_MULTILINGUAL_URL", shared_multilingual().url(""))
        .env("AURICLE_KEYED_URL", keyed().url(""))
        .env("AURICLE_KEY", key(VICTIM))
        .env("AURICLE_SPEECH", file("speech.wav", &speech().samples))
        .env("AURICLE_SPEECH_TEXT", speech().text)
        .env("AURICLE_CALL", file("call.wav", &two_speakers()))
        .env("AURICLE_SILENCE", file("silence.wav", &silence(2.0)))
        .env("AURICLE_EVAL_DATA", evaluation("").unwrap_or_default())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONPATH", &packages()["AURICLE_PYTHON_PATH"])
        .env("NO_PROXY", "127.0.0.1");
    command
}

/// Runs a suite to its end; its output is shown when it fails.
fn must_pass(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
    println!("{said}");
}

#[test]
fn openais_python_library_and_subtitle_parsers_are_content_with_every_answer() {
    must_pass(
        suite("python3")
            .args(["-m", "pytest", "-q", "-rfEs", "--strict-markers"])
            .args(["-p", "no:cacheprovider"])
            .arg(clients("python")),
    );
}

#[test]
fn openais_javascript_library_and_the_pages_scripts_are_content() {
    let Some(modules) = packages().get("AURICLE_NODE_MODULES") else {
        return;
    };
    must_pass(
        suite("node")
            .arg("--test")
            .args(["openai", "page"].map(|name| clients(&format!("node/{name}.test.mjs"))))
            .env("AURICLE_NODE_MODULES", modules),
    );
}

#[test]
fn generated_requests_get_documented_answers_and_no_server_error() {
    let program: &Path = &packages()["AURICLE_PYTHON_PATH"].join("bin/schemathesis");
    must_pass(
        suite("python3")
            .arg(program)
            .arg("--config-file")
            .arg(clients("schemathesis.toml"))
            .args(["run", &shared().url("/openapi.json")])
            .env("SCHEMATHESIS_HOOKS", clients("python/generated.py")),
    );
}

#[tokio::test]
async fn pages_need_no_key_and_load_nothing_from_elsewhere() {
    for path in ["/", "/docs"] {
        let answer = get(keyed(), path).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(!policy.contains("script-src 'self' "), "{policy}");
        assert!(!policy.contains("http"), "{policy}");
    }
    let answer = get(keyed(), "/openapi.json").await;
    let document: Value = answer.ok();
    assert_eq!(document["openapi"], "3.1.0");
    let known = client()
        .get(keyed().url("/openapi.json"))
        .header("if-none-match", answer.header("etag"));
    assert_eq!(Answer::of(known.send().await.unwrap()).await.status, 304);
}

#[tokio::test]
async fn the_pages_can_be_left_to_handlers() {
    let server = Server::builder().config("[server]\npages = false").start();
    get(&server, "/").await.detail(404);
    get(&server, "/docs").await.detail(404);
    assert_eq!(get(&server, "/health").await.status, 200);
}
