use std::path::PathBuf;

use futures::future::join_all;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::components::bomb;
use super::ending::compilers;
use super::{Tenant, eventually};
use crate::guests::{Tenants, VICTIM, beside, send, wasm};
use crate::support::Answer;
use crate::support::upload::client;
use crate::tenancy::desk::{Desk, created, data_dir, desk, error, retry_after};

/// Bytes that are taken for a component until they are compiled.
fn junk(bytes: usize, kind: u8) -> Vec<u8> {
    let mut junk = b"\0asm\x0d\0\x01\0".to_vec();
    junk.resize(bytes, kind);
    junk
}

/// Files of the data directory with this ending.
fn files(desk: &Desk, dir: &str, ending: &str) -> Vec<PathBuf> {
    let entries = desk.dir.path().join(dir).read_dir().unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect()
}

/// A tenant with these quotas, and a key of its that deploys.
async fn tenant<'a>(desk: &'a Desk, name: &'static str, quotas: Value) -> (Tenant<'a>, String) {
    let key = desk.tenant(name, quotas).await;
    let tenant = Tenant { desk, name, key };
    let deploys = tenant.deploy_key().await;
    (tenant, deploys)
}

async fn push_own(desk: &Desk, key: &str, bytes: &[u8]) -> Answer {
    let request = client()
        .post(desk.server.url("/deploy/v1/components"))
        .header("content-type", "application/wasm");
    send(request.bearer_auth(key).body(bytes.to_vec())).await
}

#[tokio::test]
async fn a_component_over_a_quota_leaves_nothing_on_the_disk() {
    let few = "[deployments]\nmax_components_per_tenant = 2";
    let desk = Desk::start(data_dir(), |server| server.config(few));
    let quotas = json!({ "max_stored_component_bytes": 10_000 });
    let (_, key) = tenant(&desk, "small", quotas).await;
    let large = push_own(&desk, &key, &junk(10_001, 1)).await;
    let refused = error(&large, 409);
    assert_eq!(refused["code"], "component_storage_full");
    assert!(
        refused["message"].as_str().unwrap().contains("10000"),
        "{refused}"
    );
    assert!(files(&desk, "wasm", ".wasm").is_empty());
    for kind in [1, 2] {
        assert_eq!(push_own(&desk, &key, &junk(5_000, kind)).await.status, 201);
    }
    let bytes = push_own(&desk, &key, &junk(100, 3)).await;
    assert_eq!(error(&bytes, 409)["code"], "too_many_components");
    assert_eq!(files(&desk, "wasm", ".wasm").len(), 2);
    // What is there already is no more of it.
    assert_eq!(push_own(&desk, &key, &junk(5_000, 1)).await.status, 200);
    let quotas = json!({ "quotas": { "max_stored_component_bytes": 20_000 } });
    desk.ask(Method::PATCH, "tenants/small", quotas).await.ok();
    let still = push_own(&desk, &key, &junk(100, 3)).await;
    assert_eq!(error(&still, 409)["code"], "too_many_components");
}

#[tokio::test]
async fn files_go_with_the_last_tenant_that_has_the_component() {
    let desk = Desk::start(data_dir(), |server| server);
    let (one, _) = tenant(&desk, "one", json!({})).await;
    let (other, _) = tenant(&desk, "other", json!({})).await;
    let component = one.push(wasm::AURICLE_FIXED_CHUNKER).await;
    let body = json!({ "component": component });
    created(&one.set(body).await);
    other.push(wasm::AURICLE_FIXED_CHUNKER).await;
    let both = |desk: &Desk| {
        let wasm = files(desk, "wasm", ".wasm").len();
        (wasm, files(desk, "components", ".tenant.cwasm").len())
    };
    assert_eq!(both(&desk), (1, 1));
    desk.ask(Method::DELETE, "tenants/one", Value::Null)
        .await
        .ok();
    assert_eq!(both(&desk), (1, 1), "the other one has it");
    let path = format!("components/{component}");
    other.ask(Method::DELETE, &path, Value::Null).await.ok();
    assert_eq!(both(&desk), (0, 0));
}

#[tokio::test]
async fn what_a_killed_server_left_is_removed_when_it_is_old() {
    let desk = Desk::start(data_dir(), |server| server);
    let (tenant, _) = tenant(&desk, "stays", json!({})).await;
    tenant.push(wasm::AURICLE_FIXED_CHUNKER).await;
    let Desk { server, dir, .. } = desk;
    drop(server);
    let left = [
        format!("wasm/{}.wasm", "0".repeat(64)),
        "wasm/.tmpOld".to_owned(),
        format!("components/{}-01.tenant.cwasm", "0".repeat(64)),
        "components/.tmpOld".to_owned(),
    ];
    let left = left.map(|name| dir.path().join(name));
    let hour = std::time::Duration::from_secs(3_600);
    for path in &left {
        let file = std::fs::File::create(path).unwrap();
        file.set_modified(std::time::SystemTime::now() - hour)
            .unwrap();
    }
    let fresh = dir.path().join("wasm/.tmpNew");
    std::fs::write(&fresh, "another server is writing this").unwrap();
    let desk = Desk::start(dir, |server| server);
    eventually("the files are removed", async || {
        left.iter().all(|path| !path.exists()).then_some(())
    })
    .await;
    assert!(fresh.exists());
    assert_eq!(files(&desk, "wasm", ".wasm").len(), 1);
}

#[tokio::test]
async fn changes_beyond_a_minutes_worth_are_refused_and_reading_is_not() {
    let desk = desk();
    let quotas = json!({ "deploy_acts_per_minute": 3 });
    let (tenant, key) = tenant(desk, "hurried", quotas).await;
    for kind in 1..=3 {
        assert_eq!(push_own(desk, &key, &junk(100, kind)).await.status, 201);
    }
    let refused = push_own(desk, &key, &junk(100, 4)).await;
    let said = error(&refused, 429);
    assert_eq!(said["code"], "rate_limit_exceeded");
    assert!((1..=20).contains(&retry_after(&refused)), "{refused:?}");
    let listed = tenant.own(&key, Method::GET, "components", Value::Null);
    assert_eq!(listed.await.ok()["data"].as_array().unwrap().len(), 3);
    // The operator is not the tenant.
    tenant.push(&junk(100, 4)).await;
}

#[tokio::test]
async fn requests_about_deployments_are_requests_of_the_tenant() {
    let desk = desk();
    let quotas = json!({ "requests_per_minute": 3 });
    let (tenant, key) = tenant(desk, "counted", quotas).await;
    for _ in 0..3 {
        let listed = tenant.own(&key, Method::GET, "components", Value::Null);
        listed.await.ok();
    }
    let refused = tenant.own(&key, Method::GET, "components", Value::Null);
    let refused = refused.await;
    error(&refused, 429);
    assert!((1..=60).contains(&retry_after(&refused)), "{refused:?}");
    assert_eq!(desk.knock(&tenant.key).await.status, 429);
}

#[tokio::test]
async fn a_first_call_is_on_the_tenants_account() {
    let desk = Desk::start(data_dir(), |server| {
        server.config("[limits.chunker]\ncpu_ms = 2500")
    });
    let quotas = json!({ "guest_cpu_secs_per_minute": 1 });
    let (tenant, key) = tenant(&desk, "spends", quotas).await;
    let component = tenant.push(wasm::CHUNKER_SPINS).await;
    let body = json!({ "component": component });
    let path = "deployments/chunker/revisions";
    let mut tries = 0;
    // On a busy machine a call may end at its deadline before it has used much.
    while tenant
        .own(&key, Method::POST, path, body.clone())
        .await
        .status
        != 429
    {
        tries += 1;
        assert!(tries < 20, "its processor time is not counted");
    }
    let before = desk.server.cpu_time();
    for _ in 0..5 {
        let refused = tenant.own(&key, Method::POST, path, body.clone()).await;
        let said = error(&refused, 429);
        assert!(
            said["message"].as_str().unwrap().contains("processor time"),
            "{said}"
        );
        assert!(retry_after(&refused) >= 1);
    }
    let used = desk.server.cpu_time() - before;
    assert!(used < std::time::Duration::from_secs(2), "{used:?}");
    assert_eq!(desk.knock(&tenant.key).await.status, 429);
    // It may look at what it has, and go back.
    let status = tenant.own(&key, Method::GET, "deployments/chunker", Value::Null);
    assert_eq!(status.await.ok()["serving"]["number"], 0);
    let back = json!({ "revision": 0 });
    let back = tenant.own(&key, Method::POST, "deployments/chunker/rollback", back);
    assert_eq!(error(&back.await, 409)["code"], "nothing_before");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_is_sent_in_pieces_as_its_client_takes_them() {
    const BYTES: usize = 48 << 20;
    let desk = Desk::start(data_dir(), |server| server);
    let (tenant, key) = tenant(&desk, "downloads", json!({})).await;
    let large = junk(BYTES, 7);
    let component = tenant.push(&large).await;
    let url = desk
        .server
        .url(&format!("/deploy/v1/components/{component}/content"));
    let ask = async || client().get(&url).bearer_auth(&key).send().await.unwrap();
    let whole = ask().await;
    assert_eq!(whole.headers()["content-length"], BYTES.to_string());
    assert!(whole.bytes().await.unwrap() == large);

    let before = desk.server.private_bytes();
    let held: Vec<Response> = join_all((0..4).map(|_| ask())).await;
    assert!(held.iter().all(|answer| answer.status() == 200));
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let grown = desk.server.private_bytes().saturating_sub(before);
    println!("4 answers of 48 MiB that are not read: {} KiB", grown >> 10);
    assert!(grown < (BYTES as u64) / 2, "{grown} bytes");
    for answer in held {
        assert_eq!(answer.bytes().await.unwrap().len(), BYTES);
    }
    // A file that is damaged is not sent.
    let file = files(&desk, "wasm", ".wasm").pop().unwrap();
    std::fs::write(file, b"damaged").unwrap();
    let damaged = Answer::of(ask().await).await;
    assert_eq!(error(&damaged, 409)["code"], "component_damaged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_component_is_compiled_at_a_time_and_others_are_told_to_come_back() {
    let config = "[runtime.compile]\nwait_secs = 1\ncpu_secs = 4\ntimeout_secs = 50";
    let tenants = Tenants::new(config);
    let desk = Desk::start(data_dir(), |server| server.config(tenants.toml()));
    let (slow, _) = tenant(&desk, "slow", json!({})).await;
    let (other, key) = tenant(&desk, "other", json!({})).await;
    let bomb = slow.push(&bomb()).await;
    let body = json!({ "component": bomb });
    let compiles = slow.set(body.clone());
    let meanwhile = async {
        eventually("a compiler runs", async || compilers(&desk.server).pop()).await;
        let component = other.push(wasm::AURICLE_FIXED_CHUNKER).await;
        let body = json!({ "component": component });
        let path = "deployments/chunker/revisions";
        let refused = other.own(&key, Method::POST, path, body).await;
        assert_eq!(compilers(&desk.server).len(), 1);
        assert_eq!(error(&refused, 503)["code"], "overloaded");
        assert!(retry_after(&refused) >= 1);
        assert!(!refused.body.contains("slow") && !refused.body.contains(VICTIM));
    };
    let both = async { futures::join!(compiles, meanwhile) };
    let (compiled, ()) = beside(&desk.server, both).await;
    assert_eq!(error(&compiled, 422)["code"], "component_over_limit");
    // That was more than a minute's worth for a tenant with this quota.
    let quotas = json!({ "quotas": { "compile_secs_per_minute": 1 } });
    desk.ask(Method::PATCH, "tenants/slow", quotas).await.ok();
    let refused = slow.set(body).await;
    let said = error(&refused, 429);
    assert!(
        said["message"].as_str().unwrap().contains("compiling"),
        "{said}"
    );
    other.deploy(wasm::AURICLE_FIXED_CHUNKER, json!({})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_changes_two_things_at_once_and_a_third_waits_outside() {
    let config = "[runtime.compile]\ncpu_secs = 3\ntimeout_secs = 25";
    let desk = Desk::start(data_dir(), |server| server.config(config));
    let (tenant, key) = tenant(&desk, "busy", json!({})).await;
    let component = tenant.push(&bomb()).await;
    let body = json!({ "component": component });
    let act = |role: &str| {
        let path = format!("deployments/{role}/revisions");
        let (tenant, key, body) = (&tenant, &key, body.clone());
        async move { tenant.own(key, Method::POST, &path, body).await }
    };
    let third = async {
        eventually("a compiler runs", async || compilers(&desk.server).pop()).await;
        // The other one waits for it.
        let refused = eventually("a third is refused", async || {
            let answer = act("handler").await;
            (answer.status == 429).then_some(answer)
        });
        let refused = refused.await;
        assert_eq!(error(&refused, 429)["code"], "rate_limit_exceeded");
        assert!(retry_after(&refused) >= 1);
        let status = tenant.own(&key, Method::GET, "deployments", Value::Null);
        status.await.ok();
    };
    let (first, second, ()) = futures::join!(act("chunker"), act("decoder"), third);
    for answer in [first, second] {
        assert_eq!(error(&answer, 422)["code"], "component_over_limit");
    }
}

#[tokio::test]
async fn old_revisions_go_and_what_serves_stays() {
    let desk = desk();
    let quotas = json!({ "max_revisions": 3 });
    let (tenant, _) = tenant(desk, "forgets", quotas).await;
    let body = |secs: &str| json!({ "configuration": { "max-secs": secs } });
    for secs in ["2", "3", "4", "5", "6"] {
        created(&tenant.set(body(secs)).await);
    }
    let revisions = tenant.get("deployments/chunker/revisions").await;
    let numbers: Vec<_> = revisions["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| &r["number"])
        .collect();
    assert_eq!(json!(numbers), json!([5, 4, 3]));
    let gone = json!({ "revision": 1 });
    let gone = tenant.ask(Method::POST, "deployments/chunker/rollback", gone);
    assert_eq!(error(&gone.await, 404)["code"], "revision_not_found");
    let back = tenant.ask(Method::POST, "deployments/chunker/rollback", json!({}));
    assert_eq!(back.await.ok()["serving"]["number"], 4);
    assert_eq!(tenant.history().await.len(), 6, "the history is whole");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_deployments_takes_no_thread_from_others() {
    let tenants = Tenants::new("[limits.chunker]\ncpu_ms = 500");
    let desk = Desk::start(data_dir(), |server| server.config(tenants.toml()));
    let (tenant, key) = tenant(&desk, "floods", json!({})).await;
    let component = tenant.push(wasm::CHUNKER_SPINS).await;
    let body = json!({ "component": component });
    let act = || {
        let (tenant, key, body) = (&tenant, &key, body.clone());
        async move {
            let path = "deployments/chunker/revisions";
            tenant.own(key, Method::POST, path, body).await
        }
    };
    let flood = join_all((0..200).map(|_| act()));
    let threads = async {
        let mut most = 0;
        for _ in 0..20 {
            most = most.max(super::ending::threads(&desk.server));
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        most
    };
    let both = async { futures::join!(flood, threads) };
    let (answers, most) = beside(&desk.server, both).await;
    println!("{most} threads at most");
    assert!(most < 100, "{most} threads");
    let refused = answers.iter().filter(|answer| answer.status == 429).count();
    assert!(refused > 100, "{refused} of 200 were refused");
    for answer in &answers {
        assert!([422, 429, 503].contains(&answer.status), "{answer:?}");
    }
}
