use std::io::Read;
use std::process::{Output, Stdio};

use super::{Tenant, eventually};
use crate::guests::{file, wasm};
use crate::support::program::{Kept, command};
use crate::tenancy::desk::{desk, stdout};

/// Runs a verb for a tenant, as its operator.
fn operator(tenant: &Tenant<'_>, args: &[&str]) -> Output {
    let mut command = command();
    let url = format!("http://{}", tenant.desk.admin);
    command
        .args(args)
        .args(["--admin-url", &url, "--tenant", tenant.name]);
    command.env("AURICLE_ADMIN_KEY", tenant.desk.key.as_ref().unwrap());
    command.output().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_verbs_push_deploy_show_and_roll_back() {
    let tenant = Tenant::new(desk(), "typist").await;
    let chunker = file(wasm::AURICLE_FIXED_CHUNKER);
    let chunker = chunker.to_str().unwrap();
    let digest = stdout(&operator(&tenant, &["component", "push", chunker]));
    let digest = digest.trim();
    assert_eq!(digest.len(), 64, "{digest}");
    let listed = stdout(&operator(&tenant, &["component", "list"]));
    assert!(listed.contains(digest), "{listed}");
    let set = [
        "deploy",
        "set",
        "--role",
        "chunker",
        "--component",
        digest,
        "--config",
        "fixed-secs=1",
    ];
    let set = stdout(&operator(&tenant, &set));
    assert!(set.contains("revision 1"), "{set}");
    assert!(tenant.segments().await > 1);
    // A file is pushed first; a candidate does not serve yet.
    let canary = [
        "deploy",
        "set",
        "--role",
        "chunker",
        "--component",
        chunker,
        "--canary",
        "1%",
    ];
    let canary = stdout(&operator(&tenant, &canary));
    assert!(canary.contains("canary 1%"), "{canary}");
    let abandoned = [
        "deploy", "abandon", "--role", "chunker", "--reason", "a test",
    ];
    stdout(&operator(&tenant, &abandoned));
    let back = ["deploy", "rollback", "--role", "chunker", "--revision", "0"];
    let back = stdout(&operator(&tenant, &back));
    assert!(back.contains("as configured"), "{back}");
    let history = stdout(&operator(
        &tenant,
        &["deploy", "history", "--role", "chunker"],
    ));
    assert!(
        history.contains("deployment.rollback") && history.contains("a test"),
        "{history}"
    );
    let all = stdout(&operator(&tenant, &["deploy", "status"]));
    for role in ["handler", "decoder", "chunker", "speaker-assigner"] {
        assert!(all.contains(role), "{all}");
    }
    let pulled = tempfile::NamedTempFile::new().unwrap();
    let path = pulled.path().to_str().unwrap();
    stdout(&operator(
        &tenant,
        &["component", "pull", digest, "--output", path],
    ));
    assert!(std::fs::read(path).unwrap() == wasm::AURICLE_FIXED_CHUNKER);

    let refused = file(wasm::CHUNKER_PANICS);
    let refused = [
        "deploy",
        "set",
        "--role",
        "chunker",
        "--component",
        refused.to_str().unwrap(),
    ];
    let refused = operator(&tenant, &refused);
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("first call"), "{said}");
    let nowhere = command().args(["deploy", "status"]).output().unwrap();
    assert_eq!(nowhere.status.code(), Some(2));
    let said = String::from_utf8_lossy(&nowhere.stderr);
    assert!(said.contains("--admin-url"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watched_file_is_live_soon_after_it_changes() {
    let tenant = Tenant::new(desk(), "watches").await;
    let key = tenant.deploy_key().await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chunker.wasm");
    std::fs::write(&path, wasm::AURICLE_FIXED_CHUNKER).unwrap();
    let mut command = command();
    command
        .args([
            "deploy",
            "set",
            "--role",
            "chunker",
            "--watch",
            "--config",
            "fixed-secs=1",
        ])
        .arg("--component")
        .arg(&path)
        .args(["--server", &tenant.desk.server.url("")])
        .env("AURICLE_KEY", &key)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut watching = Kept::spawn(&mut command);
    let number = async || tenant.status().await["serving"]["number"].as_u64().unwrap();
    eventually("the first", async || (number().await == 1).then_some(())).await;
    assert!(tenant.segments().await > 1);
    // Half a file is refused and waited for.
    let half = &wasm::AURICLE_FIXED_CHUNKER[..wasm::AURICLE_FIXED_CHUNKER.len() / 2];
    std::fs::write(&path, half).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    assert_eq!(number().await, 1);
    std::fs::write(&path, wasm::AURICLE_FIXED_CHUNKER).unwrap();
    eventually("the second", async || (number().await == 2).then_some(())).await;
    watching.child.kill().unwrap();
    let mut said = String::new();
    let mut stdout = watching.child.stdout.take().unwrap();
    stdout.read_to_string(&mut said).unwrap();
    println!("{said}");
    assert!(said.contains("revision 2 serves after"), "{said}");
}
