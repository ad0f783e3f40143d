use reqwest::Method;
use serde_json::{Value, json};

use super::Tenant;
use crate::guests::{Tenants, VICTIM, beside, send, wasm};
use crate::support::upload::client;
use crate::tenancy::desk::{Desk, data_dir, desk, error};

#[tokio::test]
async fn a_component_is_kept_once_under_its_digest_and_comes_back_as_it_was() {
    let tenant = Tenant::new(desk(), "keeps").await;
    let first = tenant.send(wasm::AURICLE_FIXED_CHUNKER).await;
    assert_eq!(first.status, 201, "{}", first.body);
    let second = tenant.send(wasm::AURICLE_FIXED_CHUNKER).await;
    let (first, second) = (
        serde_json::from_str::<Value>(&first.body).unwrap(),
        second.ok(),
    );
    assert_eq!(first["id"], second["id"]);
    let id = first["id"].as_str().unwrap();
    let expected = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(
        wasm::AURICLE_FIXED_CHUNKER,
    ));
    assert_eq!(id, expected);
    let request = tenant.desk.request(
        Method::GET,
        &tenant.path(&format!("components/{id}/content")),
    );
    let content = request.send().await.unwrap();
    assert_eq!(content.headers()["content-type"], "application/wasm");
    assert!(content.bytes().await.unwrap() == wasm::AURICLE_FIXED_CHUNKER);
    assert_eq!(tenant.get("components").await["data"][0]["id"], id);
    let gone = tenant
        .ask(Method::DELETE, &format!("components/{id}"), Value::Null)
        .await;
    assert_eq!(gone.ok()["deleted"], true);
    let missing = tenant
        .ask(Method::GET, &format!("components/{id}"), Value::Null)
        .await;
    assert_eq!(error(&missing, 404)["code"], "component_not_found");
}

#[tokio::test]
async fn what_is_no_component_is_refused_and_not_kept() {
    let tenant = Tenant::new(desk(), "sends-junk").await;
    let text = wat::parse_str("(component)").unwrap();
    for junk in [
        b"".as_slice(),
        b"(component)",
        b"\0asm\x01\0\0\0",
        // ELF: what wasmtime's own compiled components are.
        b"\x7fELF\x02\x01\x01\0\0\0\0\0",
        &text[..7],
    ] {
        let answer = tenant.send(junk).await;
        assert!(
            error(&answer, 400)["message"]
                .as_str()
                .unwrap()
                .contains("component")
        );
    }
    let request = tenant
        .desk
        .request(Method::POST, &tenant.path("components"))
        .header("content-type", "text/plain");
    error(&send(request.body("x")).await, 415);
    let mut broken = wasm::AURICLE_FIXED_CHUNKER.to_vec();
    broken.truncate(broken.len() / 2);
    let component = tenant.push(&broken).await;
    let answer = tenant.set(json!({ "component": component })).await;
    assert_eq!(error(&answer, 422)["code"], "invalid_component");
    assert_eq!(tenant.history().await, [""; 0]);
}

#[tokio::test]
async fn a_component_that_does_not_fit_is_refused_with_what_is_missing_and_extra() {
    let tenant = Tenant::new(desk(), "misfits").await;
    let answer = tenant
        .set(json!({ "component": tenant.push(wasm::WRONG_WORLD).await }))
        .await;
    let wrong = error(&answer, 422);
    assert_eq!(wrong["code"], "wrong_world");
    let message = wrong["message"].as_str().unwrap();
    assert!(
        message.contains("does not export auricle:pipeline/chunker"),
        "{message}"
    );
    // A handler imports what a chunker has not.
    let answer = tenant
        .set(json!({ "component": tenant.push(wasm::HANDLER_WAITS).await }))
        .await;
    let wrong = error(&answer, 422);
    let message = wrong["message"].as_str().unwrap();
    assert!(message.contains("wasi:http/types"), "{message}");
    assert!(message.contains("which the role has not"), "{message}");
    let nn = tenant.push(wasm::AURICLE_NN_VOICE_CHUNKER).await;
    let answer = tenant.set(json!({ "component": nn })).await;
    assert_eq!(error(&answer, 422)["code"], "import_not_granted");
    let answer = tenant
        .set(json!({ "component": nn, "graphs": ["no-such-graph"] }))
        .await;
    assert_eq!(error(&answer, 422)["code"], "graph_not_found");
    let answer = tenant
        .set(json!({ "component": tenant.push(wasm::CHUNKER_PANICS).await }))
        .await;
    let first_call = error(&answer, 422);
    assert_eq!(first_call["code"], "first_call_failed");
    assert_eq!(tenant.history().await, [""; 0]);
    assert_eq!(tenant.status().await["serving"]["number"], 0);
    assert_eq!(tenant.segments().await, 1);
}

#[tokio::test]
async fn what_another_tenant_has_is_not_there() {
    let (owner, other) = (
        Tenant::new(desk(), "owner").await,
        Tenant::new(desk(), "other").await,
    );
    let id = owner.push(wasm::AURICLE_FIXED_CHUNKER).await;
    let key = other.deploy_key().await;
    for path in [
        format!("components/{id}"),
        format!("components/{id}/content"),
    ] {
        let answer = other.own(&key, Method::GET, &path, Value::Null).await;
        assert_eq!(error(&answer, 404)["code"], "component_not_found");
    }
    let body = json!({ "component": id });
    let path = "deployments/chunker/revisions";
    let answer = other.own(&key, Method::POST, path, body).await;
    assert_eq!(error(&answer, 404)["code"], "component_not_found");
    assert!(!answer.body.contains("owner"));
    let listed = other
        .own(&key, Method::GET, "components", Value::Null)
        .await;
    assert_eq!(listed.ok()["data"], json!([]));
}

#[tokio::test]
async fn a_tenant_deploys_for_itself_with_the_scope_for_it_and_nothing_more() {
    let tenant = Tenant::new(desk(), "self-made").await;
    let key = tenant.deploy_key().await;
    let url = tenant.desk.server.url("/deploy/v1/components");
    let push = || {
        client()
            .post(&url)
            .header("content-type", "application/wasm")
            .body(wasm::AURICLE_FIXED_CHUNKER)
    };
    error(&send(push()).await, 401);
    let wrong_scope = send(push().bearer_auth(&tenant.key)).await;
    assert_eq!(error(&wrong_scope, 403)["code"], "missing_scope");
    let page = push()
        .bearer_auth(&key)
        .header("origin", "http://evil.example");
    error(&send(page).await, 403);
    let pushed = send(push().bearer_auth(&key)).await;
    assert_eq!(pushed.status, 201, "{}", pushed.body);
    let pushed: Value = serde_json::from_str(&pushed.body).unwrap();
    let path = "deployments/chunker/revisions";
    let body = json!({ "component": pushed["id"], "configuration": { "fixed-secs": "1" } });
    let set = tenant.own(&key, Method::POST, path, body).await;
    assert_eq!(set.status, 201, "{}", set.body);
    assert!(tenant.segments().await > 1);
    // More than the role's limits, and who may sign, is for whoever runs the server.
    let body = json!({ "component": pushed["id"], "limits": { "cpu_ms": 1_000_000 } });
    let more = tenant.own(&key, Method::POST, path, body).await;
    assert_eq!(error(&more, 403)["code"], "operator_only");
    let body = json!({ "public_key": "00" });
    let signer = tenant.own(&key, Method::POST, "signers", body).await;
    assert_eq!(error(&signer, 403)["code"], "operator_only");
    // The key for deploying does not open the API.
    assert_eq!(tenant.desk.knock(&key).await.status, 403);
    let audit = tenant.desk.get("audit?tenant=self-made").await.ok();
    let actor = audit["data"][0]["actor"].as_str().unwrap();
    assert!(key.contains(actor.strip_prefix("key:").unwrap()), "{actor}");
}

#[tokio::test]
async fn a_component_that_takes_too_much_to_compile_costs_nobody_else() {
    let tenants = Tenants::new("[runtime.compile]\ncpu_secs = 2\ntimeout_secs = 20");
    let desk = Desk::start(data_dir(), |server| server.config(tenants.toml()));
    let tenant = Tenant::new(&desk, "bomber").await;
    let component = tenant.push(&bomb()).await;
    let body = json!({ "component": component });
    let answer = beside(&desk.server, tenant.set(body)).await;
    assert_eq!(error(&answer, 422)["code"], "component_over_limit");
    assert!(!answer.body.contains(VICTIM));
    tenant
        .deploy(wasm::AURICLE_FIXED_CHUNKER, json!({ "fixed-secs": "1" }))
        .await;
}

/// A component of one function with so many branches that Cranelift has minutes of work.
pub(super) fn bomb() -> Vec<u8> {
    use std::fmt::Write;
    let mut body = String::new();
    for i in 0..60_000 {
        write!(
            body,
            "(if (i32.lt_u (local.get 0) (i32.const {i})) (then \
             (local.set 0 (i32.add (i32.mul (local.get 0) (i32.const {i})) (local.get 1))) \
             (local.set 1 (i32.xor (local.get 0) (local.get 1)))))"
        )
        .unwrap();
    }
    let functions: String = (0..4)
        .map(|_| format!("(func (param i32 i32) (result i32) {body} (local.get 0))"))
        .collect();
    wat::parse_str(format!("(component (core module {functions}))")).unwrap()
}
