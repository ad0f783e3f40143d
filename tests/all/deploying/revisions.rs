use std::hash::{BuildHasher, Hasher};
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use futures::FutureExt;
use reqwest::Method;
use serde_json::{Value, json};

use super::Tenant;
use crate::guests::wasm;
use crate::tenancy::desk::{Desk, created, data_dir, desk, error};

#[tokio::test]
async fn a_deployed_component_serves_at_once_and_a_rollback_brings_back_what_served() {
    let tenant = Tenant::new(desk(), "rolls").await;
    assert_eq!(tenant.segments().await, 1);
    let nothing = tenant
        .ask(Method::POST, "deployments/chunker/rollback", json!({}))
        .await;
    assert_eq!(error(&nothing, 409)["code"], "nothing_before");

    let status = tenant
        .deploy(wasm::AURICLE_FIXED_CHUNKER, json!({ "fixed-secs": "1" }))
        .await;
    assert_eq!(
        (&status["deployed"], &status["previous"]),
        (&json!(1), &json!(0))
    );
    let fine = tenant.segments().await;
    assert!(fine > 1, "{fine}");
    let status = tenant
        .deploy(wasm::AURICLE_FIXED_CHUNKER, json!({ "fixed-secs": "30" }))
        .await;
    assert_eq!(status["serving"]["number"], 2);
    assert_eq!(tenant.segments().await, 1);
    assert_eq!(tenant.status().await["serving"]["calls"]["succeeded"], 1);

    let back = tenant
        .ask(
            Method::POST,
            "deployments/chunker/rollback",
            json!({ "reason": "too coarse" }),
        )
        .await;
    assert_eq!(back.ok()["serving"]["number"], 1);
    assert_eq!(tenant.segments().await, fine);
    let base = tenant
        .ask(
            Method::POST,
            "deployments/chunker/rollback",
            json!({ "revision": 0 }),
        )
        .await;
    assert_eq!(base.ok()["serving"]["number"], 0);
    assert_eq!(tenant.segments().await, 1);
    let unknown = tenant
        .ask(
            Method::POST,
            "deployments/chunker/rollback",
            json!({ "revision": 9 }),
        )
        .await;
    assert_eq!(error(&unknown, 404)["code"], "revision_not_found");

    assert_eq!(
        tenant.history().await,
        ["set 1", "set 2", "rollback 1", "rollback 0"]
    );
    let history = tenant.get("deployments/chunker/history").await;
    assert_eq!(history["data"][1]["detail"]["reason"], "too coarse");
    let revisions = tenant.get("deployments/chunker/revisions").await;
    assert_eq!(revisions["data"][0]["configuration"]["fixed-secs"], "30");
}

#[tokio::test]
async fn the_first_party_component_can_be_deployed_with_other_settings() {
    let tenant = Tenant::new(desk(), "tunes").await;
    let body = json!({ "configuration": { "max-secs": "2", "voice-activity": "false" } });
    created(&tenant.set(body).await);
    assert!(tenant.segments().await > 1);
    let status = tenant.status().await;
    assert_eq!(status["serving"]["revision"]["component"], Value::Null);
}

#[tokio::test]
async fn a_component_in_use_is_not_removed() {
    let tenant = Tenant::new(desk(), "in-use").await;
    tenant
        .deploy(wasm::AURICLE_FIXED_CHUNKER, json!({ "fixed-secs": "1" }))
        .await;
    let id = tenant.push(wasm::AURICLE_FIXED_CHUNKER).await;
    let refused = tenant
        .ask(Method::DELETE, &format!("components/{id}"), Value::Null)
        .await;
    assert_eq!(error(&refused, 409)["code"], "component_in_use");
    assert!(tenant.segments().await > 1);
}

#[tokio::test]
async fn what_was_deployed_serves_after_a_kill_whenever_it_comes() {
    let mut desk = Desk::start(data_dir(), |server| server);
    let tenant = Tenant::new(&desk, "killed").await;
    let key = tenant.key.clone();
    let component = tenant.push(wasm::AURICLE_FIXED_CHUNKER).await;
    // Odd revisions cut finely, even ones do not.
    let body = |number: u64| {
        let secs = ["30", "1"][usize::from(number % 2 == 1)];
        json!({ "component": component, "configuration": { "fixed-secs": secs } })
    };
    created(&tenant.set(body(1)).await);
    // The first one was compiled.
    let since = Instant::now();
    created(&tenant.set(body(2)).await);
    let takes = since.elapsed();
    let mut random = std::collections::hash_map::RandomState::new().build_hasher();
    let mut known = 2;
    for round in 0..KILLS {
        random.write_u32(round);
        // From before it is sent to after it was answered.
        let after = takes.mul_f64(1.5 * (random.finish() % 1_000) as f64 / 1_000.0);
        let tenant = tenant_of(&desk, &key);
        let set = tenant.set(body(known + 1)).map(|answer| answer.status);
        let answered = tokio::select! {
            status = AssertUnwindSafe(set).catch_unwind() => status.ok(),
            () = tokio::time::sleep(after) => None,
        };
        let Desk { server, dir, .. } = desk;
        drop(server);
        desk = Desk::start(dir, |server| server);
        let tenant = tenant_of(&desk, &key);
        let serves = tenant.status().await["serving"]["number"].as_u64().unwrap();
        println!("killed after {after:?} (answered: {answered:?}): revision {serves}");
        match answered {
            Some(status) => assert_eq!((status, serves), (201, known + 1)),
            None => assert!([known, known + 1].contains(&serves), "{serves}"),
        }
        known = serves;
        assert_eq!(tenant.segments().await > 1, known % 2 == 1, "as it says");
    }
}

/// How often the server is killed.
const KILLS: u32 = 10;

fn tenant_of<'a>(desk: &'a Desk, key: &str) -> Tenant<'a> {
    Tenant {
        desk,
        name: "killed",
        key: key.to_owned(),
    }
}

#[tokio::test]
async fn a_removed_tenant_takes_its_deployments_along() {
    let desk = desk();
    let tenant = Tenant::new(desk, "leaves").await;
    tenant
        .deploy(wasm::AURICLE_FIXED_CHUNKER, json!({ "fixed-secs": "1" }))
        .await;
    desk.ask(Method::DELETE, "tenants/leaves", Value::Null)
        .await
        .ok();
    let gone = tenant.ask(Method::GET, "components", Value::Null).await;
    assert_eq!(error(&gone, 404)["code"], "tenant_not_found");
    let again = Tenant::new(desk, "leaves").await;
    assert_eq!(again.get("components").await["data"], json!([]));
    assert_eq!(again.status().await["serving"]["number"], 0);
    assert_eq!(again.segments().await, 1);
}
