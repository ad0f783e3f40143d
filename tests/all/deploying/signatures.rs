use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use super::Tenant;
use crate::guests::{file, send, wasm};
use crate::support::Answer;
use crate::support::program::command;
use crate::tenancy::desk::{desk, error, stdout};

fn auricle(args: &[&str]) -> String {
    let mut command = command();
    stdout(&command.args(args).output().unwrap())
        .trim()
        .to_owned()
}

/// Signs the example chunker.
fn sign(dir: &Path, generation: u32, role: &str) -> String {
    let (component, key) = (file(wasm::AURICLE_FIXED_CHUNKER), dir.join("key"));
    let output = dir.join(format!("{role}-{generation}.sig"));
    let generation = generation.to_string();
    let (component, key) = (component.to_str().unwrap(), key.to_str().unwrap());
    auricle(&[
        "component",
        "sign",
        component,
        "--key",
        key,
        "--role",
        role,
        "--generation",
        &generation,
        "--output",
        output.to_str().unwrap(),
    ]);
    std::fs::read_to_string(output).unwrap().trim().to_owned()
}

async fn push(tenant: &Tenant<'_>, signature: &str) -> Answer {
    let request = tenant
        .desk
        .request(Method::POST, &tenant.path("components"));
    let request = request.header("content-type", "application/wasm");
    let request = request.header("x-auricle-signature", signature);
    send(request.body(wasm::AURICLE_FIXED_CHUNKER)).await
}

#[tokio::test]
async fn where_a_signature_is_asked_for_nothing_else_is_deployed_and_nothing_older() {
    let tenant = Tenant::new(desk(), "signs").await;
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    let public = auricle(&["component", "keygen", key.to_str().unwrap()]);
    let mode = std::os::unix::fs::PermissionsExt::mode(&key.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let signer = tenant
        .ask(Method::POST, "signers", json!({ "public_key": public }))
        .await;
    assert_eq!(signer.status, 201, "{}", signer.body);

    let component = tenant.push(wasm::AURICLE_FIXED_CHUNKER).await;
    let body = json!({ "component": component });
    let unsigned = tenant.set(body.clone()).await;
    let unsigned = error(&unsigned, 422);
    assert_eq!(unsigned["code"], "signature_refused");
    assert!(
        unsigned["message"]
            .as_str()
            .unwrap()
            .contains("component sign")
    );

    assert_eq!(
        push(&tenant, &sign(dir.path(), 2, "chunker")).await.status,
        200
    );
    assert_eq!(tenant.set(body.clone()).await.status, 201);
    // An older one, though it was signed, and one for another role.
    assert_eq!(
        push(&tenant, &sign(dir.path(), 1, "chunker")).await.status,
        200
    );
    let older = tenant.set(body.clone()).await;
    assert_eq!(error(&older, 409)["code"], "old_generation");
    assert_eq!(
        push(&tenant, &sign(dir.path(), 3, "handler")).await.status,
        200
    );
    let other = tenant.set(body.clone()).await;
    assert!(
        error(&other, 422)["message"]
            .as_str()
            .unwrap()
            .contains("role 'handler'")
    );
    // What was changed behind the signature, and what is none.
    let forged = sign(dir.path(), 3, "chunker").replace("\"generation\":3", "\"generation\":4");
    assert_eq!(
        error(&push(&tenant, &forged).await, 422)["code"],
        "signature_refused"
    );
    error(&push(&tenant, "{}").await, 400);
    assert_eq!(tenant.status().await["serving"]["number"], 1);
    assert_eq!(tenant.history().await, ["set 1"]);

    let signers = tenant.get("signers").await;
    let id = signers["data"][0]["id"].as_str().unwrap();
    let removed = tenant
        .ask(Method::DELETE, &format!("signers/{id}"), Value::Null)
        .await;
    assert_eq!(removed.ok()["deleted"], true);
    assert_eq!(tenant.set(body).await.status, 201);
}
