use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use rustix::process::Signal;
use serde_json::json;

use super::components::bomb;
use super::{Tenant, eventually};
use crate::support::Server;
use crate::support::upload::client;
use crate::tenancy::desk::{Desk, data_dir};

/// Compiles for minutes unless it is ended.
const PATIENT: &str = "[runtime.compile]\ncpu_secs = 200\ntimeout_secs = 250\n\
                       [server]\ndrain_timeout_ms = 1000";

/// Longest wait for a process's end, on a busy machine.
const MINUTE: Duration = Duration::from_secs(60);

/// Fields of a process's status, by name.
fn status(process: u32, field: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    Some(line.trim_start_matches(':').trim().to_owned())
}

/// Threads of a server.
pub(super) fn threads(server: &Server) -> usize {
    let threads = status(server.pid(), "Threads");
    threads.unwrap().parse().unwrap()
}

/// Compilers of a server that run.
pub(super) fn compilers(server: &Server) -> Vec<u32> {
    let server = server.pid().to_string();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    numbers
        .filter(|process| is_compiler(*process, &server))
        .collect()
}

fn is_compiler(process: u32, parent: &str) -> bool {
    let command = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    let command = String::from_utf8_lossy(&command);
    command.contains("compile-component") && status(process, "PPid").as_deref() == Some(parent)
}

/// A deployment that compiles; its client leaves with the returned task.
async fn begin(desk: &Desk, name: &'static str) -> (u32, tokio::task::JoinHandle<()>) {
    let tenant = Tenant::new(desk, name).await;
    let key = tenant.deploy_key().await;
    let component = tenant.push(&bomb()).await;
    let url = desk.server.url("/deploy/v1/deployments/chunker/revisions");
    let request = client().request(Method::POST, url).bearer_auth(key);
    let request = request.json(&json!({ "component": component }));
    let task = tokio::spawn(async move {
        // It may be cut off.
        let _ = request.send().await;
    });
    let found = eventually("a compiler runs", async || compilers(&desk.server).pop());
    (found.await, task)
}

async fn must_end(process: u32) {
    let path = format!("/proc/{process}");
    eventually("the compiler has ended", async || {
        (!Path::new(&path).exists()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_drain_ends_compilers_and_commits_nothing_that_it_cut_off() {
    let desk = Desk::start(data_dir(), |server| server.config(PATIENT));
    let (compiler, client) = begin(&desk, "drained").await;
    // The act goes on without its client, and is counted all the same.
    client.abort();
    let _ = client.await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    desk.server.terminate();
    let ended = desk.server.exit_within(MINUTE);
    assert_eq!(ended.expect("it ends").code(), Some(0));
    must_end(compiler).await;
    let line = desk
        .server
        .log_line(|line| line["fields"]["message"] == "drained");
    let fields = &line["fields"];
    assert_eq!(
        (&fields["in_flight"], &fields["cut_off"]),
        (&json!(1), &json!(1)),
        "{line}"
    );
    let Desk { server, dir, .. } = desk;
    drop(server);
    let desk = Desk::start(dir, |server| server);
    let history = desk.get("tenants/drained/deployments/chunker/history");
    assert_eq!(history.await.ok()["data"], json!([]));
}

#[tokio::test]
async fn an_operators_act_is_drained_as_others_are() {
    let desk = Desk::start(data_dir(), |server| server.config(PATIENT));
    let tenant = Tenant::new(&desk, "operated").await;
    let component = tenant.push(&bomb()).await;
    let body = json!({ "component": component });
    let request = desk.request(
        Method::POST,
        "tenants/operated/deployments/chunker/revisions",
    );
    let client = tokio::spawn(async move {
        let _ = request.json(&body).send().await;
    });
    let found = eventually("a compiler runs", async || compilers(&desk.server).pop());
    let compiler = found.await;
    desk.server.terminate();
    assert!(desk.server.exit_within(MINUTE).is_some(), "it ends");
    must_end(compiler).await;
    let line = desk
        .server
        .log_line(|line| line["fields"]["message"] == "drained");
    assert_eq!(line["fields"]["cut_off"], 1, "{line}");
    client.abort();
}

#[tokio::test]
async fn no_compiler_outlives_a_killed_server() {
    let desk = Desk::start(data_dir(), |server| server.config(PATIENT));
    let (compiler, client) = begin(&desk, "killed").await;
    desk.server.signal(Signal::KILL);
    assert!(desk.server.exit_within(MINUTE).is_some());
    must_end(compiler).await;
    client.abort();
}

#[tokio::test]
async fn a_compiler_has_no_rights() {
    let desk = Desk::start(data_dir(), |server| server.config(PATIENT));
    let (compiler, client) = begin(&desk, "confined").await;
    eventually("the compiler is confined", async || {
        (status(compiler, "Seccomp").as_deref() == Some("2")).then_some(())
    })
    .await;
    assert_eq!(status(compiler, "NoNewPrivs").as_deref(), Some("1"));
    assert_eq!(
        status(compiler, "CapEff").as_deref(),
        Some("0000000000000000")
    );
    if rustix::process::geteuid().is_root() {
        let user = status(compiler, "Uid").unwrap();
        assert!(user.starts_with("65534"), "{user}");
    }
    client.abort();
}
