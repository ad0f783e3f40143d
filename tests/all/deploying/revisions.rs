use std::time::Instant;

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
    let dir = data_dir();
    let mut desk = Desk::start(dir, |server| server);
    let tenant = Tenant::new(&desk, "killed").await;
    tenant
        .deploy(wasm::AURICLE_FIXED_CHUNKER, json!({ "fixed-secs": "1" }))
        .await;
    let (fine, key) = (tenant.segments().await, tenant.key.clone());
    // Killed at four points of another deployment, from before it is sent to after it was answered.
    for millis in [0, 5, 40, 400] {
        let tenant = Tenant {
            desk: &desk,
            name: "killed",
            key: key.clone(),
        };
        let set = async {
            let component = tenant.send(wasm::AURICLE_FIXED_CHUNKER).await;
            let id: Value = serde_json::from_str(&component.body).unwrap();
            let body = json!({ "component": id["id"], "configuration": { "fixed-secs": "1" } });
            tenant.set(body).await.status
        };
        let kill = tokio::time::sleep(std::time::Duration::from_millis(millis));
        let answered = tokio::select! {
            status = futures::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(set)) => status.ok(),
            () = kill => None,
        };
        let since = Instant::now();
        let Desk { server, dir, .. } = desk;
        drop(server);
        desk = Desk::start(dir, |server| server);
        let tenant = Tenant {
            desk: &desk,
            name: "killed",
            key: key.clone(),
        };
        assert_eq!(tenant.segments().await, fine, "killed after {millis} ms");
        let status = tenant.status().await;
        println!(
            "killed after {millis} ms (answered: {answered:?}), back after {:?}: revision {}",
            since.elapsed(),
            status["serving"]["number"]
        );
        assert!(status["serving"]["number"].as_u64().unwrap() >= 1);
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
