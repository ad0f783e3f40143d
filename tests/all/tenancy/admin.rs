//! The admin API and the verbs that use it.

use std::process::Output;

use reqwest::Method;
use serde_json::{Value, json};

use super::desk::{Desk, auricle, created, data_dir, desk, error, secret, stdout};
use crate::guests::send;
use crate::support::Server;
use crate::support::program::command;
use crate::support::upload::client;

#[tokio::test]
async fn a_tenant_lives_from_its_creation_to_its_removal() {
    let desk = desk();
    let body = json!({ "id": "lives", "quotas": { "max_requests": 7, "models": ["base"] } });
    let tenant = created(&desk.post("tenants", body.clone()).await);
    assert_eq!(
        (&tenant["id"], &tenant["quotas"]["max_requests"]),
        (&json!("lives"), &json!(7))
    );
    assert_eq!(
        error(&desk.post("tenants", body).await, 409)["code"],
        "tenant_exists"
    );
    // A patch changes what it names; null gives the default back.
    let patch = json!({ "quotas": { "max_sessions": 2, "models": null } });
    let patched = desk.ask(Method::PATCH, "tenants/lives", patch).await.ok();
    let quotas = &patched["quotas"];
    assert_eq!(
        (
            &quotas["max_requests"],
            &quotas["max_sessions"],
            &quotas["models"]
        ),
        (&json!(7), &json!(2), &Value::Null)
    );
    // What is put is all there is, however often.
    for _ in 0..2 {
        let put = json!({ "quotas": { "max_host_bytes": 1 } });
        let whole = desk.ask(Method::PUT, "tenants/lives", put).await.ok();
        assert_eq!(whole["quotas"]["max_requests"], Value::Null);
    }
    let listed = desk.get("tenants?limit=1&after=liver").await.ok();
    assert_eq!(listed["data"][0]["id"], "lives");
    let key = secret(&created(
        &desk.post("keys", json!({ "tenant": "lives" })).await,
    ));
    let removed = desk.ask(Method::DELETE, "tenants/lives", Value::Null).await;
    assert_eq!(removed.ok()["deleted"], true);
    assert_eq!(desk.knock(&key).await.status, 401);
    for method in [Method::GET, Method::DELETE, Method::PATCH] {
        let gone = desk.ask(method, "tenants/lives", json!({})).await;
        assert_eq!(error(&gone, 404)["code"], "tenant_not_found");
    }
    let acts = desk.get("audit?tenant=lives").await.ok();
    let acts: Vec<_> = acts["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|act| act["action"].clone())
        .collect();
    assert_eq!(
        acts,
        [
            "tenant.delete",
            "key.create",
            "tenant.set",
            "tenant.set",
            "tenant.set",
            "tenant.create"
        ]
    );
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_advice_and_changes_nothing() {
    let desk = desk();
    let acts = async || desk.get("audit?tenant=senseless").await.ok()["data"].clone();
    desk.tenant("senseless", json!({})).await;
    let before = acts().await;
    for (path, body, param) in [
        ("tenants", json!({ "id": "No Tenant" }), Value::Null),
        (
            "tenants",
            json!({ "id": "senseless2", "quotas": { "max_requests": 0 } }),
            json!("max_requests"),
        ),
        (
            "tenants",
            json!({ "id": "senseless2", "quotas": { "max_reqs": 1 } }),
            Value::Null,
        ),
        (
            "tenants",
            json!({ "id": "senseless2", "more": 1 }),
            Value::Null,
        ),
        ("tenants", json!([]), Value::Null),
        (
            "keys",
            json!({ "tenant": "senseless", "scopes": [] }),
            json!("scopes"),
        ),
        (
            "keys",
            json!({ "tenant": "senseless", "scopes": ["all"] }),
            Value::Null,
        ),
        (
            "keys",
            json!({ "tenant": "senseless", "scopes": ["admin"] }),
            json!("tenant"),
        ),
        (
            "keys",
            json!({ "scopes": ["admin", "deploy"] }),
            json!("scopes"),
        ),
        (
            "keys",
            json!({ "tenant": "senseless", "expires_in_secs": 0 }),
            json!("expires_in_secs"),
        ),
        (
            "keys",
            json!({ "tenant": "senseless", "name": "a\nb" }),
            json!("name"),
        ),
    ] {
        let answer = desk.post(path, body.clone()).await;
        assert_eq!(error(&answer, 400)["param"], param, "{body}");
    }
    for (path, code) in [
        ("tenants/nobody", "tenant_not_found"),
        ("tenants/%2Fetc", "tenant_not_found"),
        ("keys/00000000", "key_not_found"),
        ("keys/no-key", "key_not_found"),
        ("deployments", "not_found"),
        ("audit/1", "not_found"),
    ] {
        assert_eq!(error(&desk.get(path).await, 404)["code"], code, "{path}");
    }
    let nobodys = desk.post("keys", json!({ "tenant": "nobody" })).await;
    assert_eq!(error(&nobodys, 404)["code"], "tenant_not_found");
    for query in ["limit=0", "limit=1001", "limit=x", "colour=red"] {
        error(&desk.get(&format!("keys?{query}")).await, 400);
    }
    let protected = desk
        .ask(Method::DELETE, "tenants/default", Value::Null)
        .await;
    error(&protected, 409);
    let method = desk.ask(Method::PUT, "keys", json!({})).await;
    error(&method, 405);
    assert_eq!(method.header("allow"), "GET, POST");
    let large = json!({ "id": "x".repeat(70_000) });
    error(&desk.post("tenants", large).await, 413);
    let form = desk.request(Method::POST, "tenants").body("id=senseless2");
    error(
        &send(form.header("content-type", "application/x-www-form-urlencoded")).await,
        415,
    );
    assert_eq!(acts().await, before);
    error(&desk.get("tenants/senseless2").await, 404);
}

#[tokio::test]
async fn the_document_of_the_admin_api_has_the_paths_and_methods_that_there_are() {
    let desk = desk();
    desk.tenant("documented", json!({})).await;
    let body = json!({ "tenant": "documented", "scopes": ["deploy"] });
    let deploy_key = secret(&created(&desk.post("keys", body).await));
    let document = desk.get("openapi.json").await.ok();
    assert_eq!(document["openapi"], "3.1.0");
    let zeros = "0".repeat(64);
    let examples = [
        ("{tenant}", "documented"),
        ("{role}", "chunker"),
        ("{digest}", zeros.as_str()),
        ("{key}", "00000000"),
        ("{id}", "00"),
    ];
    let mut paths = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let methods = item.as_object().unwrap().keys();
        let mut documented: Vec<String> = methods
            .filter(|name| *name != "parameters")
            .map(|name| name.to_uppercase())
            .collect();
        documented.sort();
        let path = examples.iter().fold(path.clone(), |path, (name, value)| {
            path.replace(name, value)
        });
        let (base, key) = match path.starts_with("/deploy/") {
            true => (&desk.server.address, &deploy_key),
            false => (&desk.admin, desk.key.as_ref().unwrap()),
        };
        let url = format!("http://{base}{path}");
        let request = client().request(Method::OPTIONS, url).bearer_auth(key);
        let answer = send(request.header("content-type", "application/json")).await;
        let mut allowed: Vec<_> = answer.header("allow").split(", ").collect();
        allowed.sort_unstable();
        assert_eq!(allowed, documented, "{path}: {answer:?}");
        paths += 1;
    }
    assert!(paths > 20, "{paths}");
}

#[tokio::test]
async fn only_a_key_with_scope_admin_administers_once_there_is_one() {
    let desk = desk();
    let tenants_key = desk.tenant("curious", json!({})).await;
    let url = format!("http://{}/admin/v1/tenants", desk.admin);
    let without = send(client().get(&url)).await;
    error(&without, 401);
    assert_eq!(without.header("www-authenticate"), "Bearer");
    let theirs = send(client().get(&url).bearer_auth(&tenants_key)).await;
    assert_eq!(error(&theirs, 403)["code"], "missing_scope");
    assert!(!theirs.body.contains("curious"));
    // Nor does the API's own listener administer anybody.
    let key = desk.key.as_ref().unwrap();
    let api = client().get(desk.server.url("/admin/v1/tenants"));
    assert_eq!(send(api.bearer_auth(&tenants_key)).await.status, 404);
    assert_eq!(send(client().get(&url).bearer_auth(key)).await.status, 200);
    let page = send(
        client()
            .get(&url)
            .bearer_auth(key)
            .header("origin", "http://evil.example"),
    )
    .await;
    error(&page, 403);
    // Metrics of loopback are everybody's.
    let metrics = send(client().get(format!("http://{}/metrics", desk.admin))).await;
    assert_eq!(metrics.status, 200);
}

#[tokio::test]
async fn without_keys_a_web_page_cannot_administer_through_somebodys_browser() {
    let desk = Desk::start(data_dir(), |server| server);
    let post = || {
        desk.request(Method::POST, "tenants")
            .json(&json!({ "id": "made" }))
    };
    error(&send(post().header("origin", "null")).await, 403);
    error(&send(post().header("host", "evil.example")).await, 421);
    error(
        &send(
            desk.request(Method::POST, "tenants")
                .body("{\"id\": \"made\"}"),
        )
        .await,
        415,
    );
    error(&desk.get("tenants/made").await, 404);
    created(&send(post()).await);
}

#[test]
fn an_admin_address_for_other_machines_needs_a_key_for_metrics_too() {
    let dir = data_dir();
    let listen = "[admin]\nlisten = \"0.0.0.0:0\"\n";
    let refused = Server::builder()
        .data_dir(dir.path())
        .config(listen)
        .try_start();
    let refusal = refused.err().expect("it does not start");
    assert!(
        refusal.stderr.contains("auricle key create --scope admin"),
        "{}",
        refusal.stderr
    );
    let key = stdout(&auricle(dir.path(), &["key", "create", "--scope", "admin"]));
    let server = Server::builder()
        .data_dir(dir.path())
        .config(listen)
        .start();
    let announced = |line: &str| line.strip_prefix("admin on http://").map(str::to_owned);
    let admin = server
        .stdout
        .find_within(crate::support::SOON, announced)
        .unwrap();
    let admin = admin.replace("0.0.0.0", "127.0.0.1");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        for path in ["metrics", "admin/v1/tenants"] {
            let url = format!("http://{admin}/{path}");
            assert_eq!(send(client().get(&url)).await.status, 401, "{path}");
            let with = send(client().get(&url).bearer_auth(key.trim())).await;
            assert_eq!(with.status, 200, "{path}");
        }
        let health = send(client().get(format!("http://{admin}/livez"))).await;
        assert_eq!(health.status, 200);
    });
}

/// Runs `auricle` in one of two ways.
type Run<'a> = dyn Fn(&[&str]) -> Output + 'a;

#[test]
fn the_verbs_do_the_same_on_the_data_directory_and_over_the_network() {
    let desk = desk();
    let remote = |args: &[&str]| {
        let mut command = command();
        command
            .args(args)
            .arg("--admin-url")
            .arg(format!("http://{}", desk.admin));
        command.env("AURICLE_ADMIN_KEY", desk.key.as_ref().unwrap());
        command.output().unwrap()
    };
    let local = |args: &[&str]| auricle(desk.dir.path(), args);
    let (local, remote): (&Run<'_>, &Run<'_>) = (&local, &remote);
    for (tenant, auricle) in [("verbs-local", local), ("verbs-remote", remote)] {
        let made = auricle(&[
            "tenant",
            "create",
            tenant,
            "--max-requests",
            "3",
            "--models",
            "",
        ]);
        assert!(stdout(&made).contains("max_requests"), "{tenant}");
        assert_eq!(
            auricle(&["tenant", "create", tenant]).status.code(),
            Some(5)
        );
        stdout(&auricle(&[
            "tenant",
            "set",
            tenant,
            "--max-requests",
            "default",
        ]));
        let shown = stdout(&auricle(&["tenant", "show", tenant, "--json"]));
        let shown: Value = serde_json::from_str(&shown).unwrap();
        let quotas = &shown["quotas"];
        assert_eq!(
            (&quotas["max_requests"], &quotas["models"]),
            (&Value::Null, &json!([]))
        );
        let key = stdout(&auricle(&[
            "key",
            "create",
            "--tenant",
            tenant,
            "--expires",
            "90d",
        ]));
        assert!(key.starts_with("sk-") && key.lines().count() == 1, "{key}");
        let id = key.split('-').nth(1).unwrap();
        let new = stdout(&auricle(&[
            "key",
            "rotate",
            id,
            "--overlap",
            "24h",
            "--json",
        ]));
        let new: Value = serde_json::from_str(&new).unwrap();
        assert!(new["secret"].is_string());
        stdout(&auricle(&["key", "revoke", id]));
        let listed = stdout(&auricle(&["key", "list", "--tenant", tenant]));
        assert!(
            listed.contains(id) && listed.contains("revoked"),
            "{listed}"
        );
        assert!(!listed.contains(key.trim()));
        assert!(stdout(&auricle(&["tenant", "list"])).contains(tenant));
        stdout(&auricle(&["tenant", "remove", tenant]));
        assert_eq!(auricle(&["tenant", "show", tenant]).status.code(), Some(4));
        assert_eq!(
            auricle(&["key", "revoke", "00000000"]).status.code(),
            Some(4)
        );
        let whole_key = key.trim();
        for wrong in [
            ["tenant", "create", "No Name"],
            ["tenant", "show", "../keys"],
            ["key", "revoke", whole_key],
        ] {
            let output = auricle(&wrong);
            assert_eq!(output.status.code(), Some(2), "{wrong:?}");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!said.contains(whole_key), "{said}");
        }
    }
    let mut stranger = command();
    stranger
        .args(["tenant", "list", "--admin-url"])
        .arg(format!("http://{}", desk.admin));
    assert_eq!(stranger.output().unwrap().status.code(), Some(5));
    let nobody = auricle(
        desk.dir.path(),
        &["tenant", "list", "--admin-url", "http://127.0.0.1:1"],
    );
    assert_eq!(nobody.status.code(), Some(1));
    let said = String::from_utf8_lossy(&nobody.stderr).into_owned();
    assert!(said.contains("--admin-listen"), "{said}");
}

#[tokio::test]
async fn a_key_made_beside_a_running_server_opens_it_within_seconds() {
    let desk = desk();
    let key = stdout(&auricle(desk.dir.path(), &["key", "create"]));
    let since = std::time::Instant::now();
    while desk.knock(key.trim()).await.status != 404 {
        assert!(since.elapsed() < std::time::Duration::from_secs(10));
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}
