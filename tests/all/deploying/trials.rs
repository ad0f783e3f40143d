use serde_json::json;

use super::{Tenant, eventually};
use crate::guests::wasm;
use crate::tenancy::desk::{Desk, created, data_dir, desk, error};

#[tokio::test]
async fn a_canary_answers_its_share_of_requests_and_the_same_ones_again() {
    let tenant = Tenant::new(desk(), "canary").await;
    let component = tenant.push(wasm::AURICLE_FIXED_CHUNKER).await;
    let body = json!({
        "component": component,
        "configuration": { "fixed-secs": "1" },
        "trial": { "kind": "canary", "percent": 50 },
    });
    let status = created(&tenant.set(body).await);
    assert_eq!(status["serving"]["number"], 0);
    assert_eq!(status["candidate"]["number"], 1);
    let mut taken = 0;
    for number in 0..12 {
        let id = format!("req-{number}");
        let first = tenant.transcribe_as(&id, 4).await.ok();
        let again = tenant.transcribe_as(&id, 4).await.ok();
        assert_eq!(first["segments"], again["segments"], "{id}");
        taken += usize::from(first["segments"].as_array().unwrap().len() > 1);
    }
    assert!((1..12).contains(&taken), "{taken} of 12");
    let status = tenant.status().await;
    let calls = &status["candidate"]["status"]["calls"];
    assert_eq!(calls["succeeded"], 2 * taken);
    let promoted = tenant
        .ask(
            reqwest::Method::POST,
            "deployments/chunker/promote",
            json!({}),
        )
        .await;
    assert_eq!(promoted.ok()["serving"]["number"], 1);
    assert!(tenant.segments().await > 1);
    assert_eq!(tenant.history().await, ["set 1", "promote 1"]);
    let none = tenant
        .ask(
            reqwest::Method::POST,
            "deployments/chunker/promote",
            json!({}),
        )
        .await;
    assert_eq!(error(&none, 409)["code"], "no_candidate");
}

#[tokio::test]
async fn a_shadow_answers_nobody_and_its_answers_are_compared() {
    // Comparisons take one place of the node, which no other test is to hold.
    let desk = Desk::start(data_dir(), |server| server);
    let tenant = Tenant::new(&desk, "shadow").await;
    let component = tenant.push(wasm::AURICLE_FIXED_CHUNKER).await;
    let shadow = |secs: &str| {
        json!({
            "component": component,
            "configuration": { "fixed-secs": secs },
            "trial": { "kind": "shadow", "percent": 100 },
        })
    };
    created(&tenant.set(shadow("1")).await);
    assert_eq!(tenant.segments().await, 1);
    let report = eventually("a comparison", async || {
        let report = tenant.status().await["candidate"]["report"].clone();
        (report["compared"] == 1).then_some(report)
    })
    .await;
    assert_eq!(
        (&report["same"], &report["times_differ"]),
        (&json!(0), &json!(1))
    );
    assert_eq!(report["requests"][0]["request_id"], "any");
    // Nothing of what was said is in it.
    assert!(!report.to_string().contains("fellow"), "{report}");

    // What cuts as the first-party chunker does, answers as it does.
    let body = json!({ "trial": { "kind": "shadow", "percent": 100 } });
    created(&tenant.set(body).await);
    assert_eq!(tenant.segments().await, 1);
    let report = eventually("a comparison", async || {
        let report = tenant.status().await["candidate"]["report"].clone();
        (report["compared"] == 1).then_some(report)
    })
    .await;
    assert_eq!(report["same"], 1, "{report}");
}

#[tokio::test]
async fn a_decoder_as_shadow_gets_the_file_again_and_its_clip_is_compared() {
    let desk = Desk::start(data_dir(), |server| server);
    let tenant = Tenant::new(&desk, "shadow-decoder").await;
    let path = "deployments/decoder/revisions";
    let report_of = async |mut body: serde_json::Value| {
        body["trial"] = json!({ "kind": "shadow", "percent": 100 });
        created(&tenant.ask(reqwest::Method::POST, path, body).await);
        let heard = tenant.transcribe_as("any", 4).await.transcript();
        assert!(heard.contains("fellow"), "{heard}");
        eventually("a comparison", async || {
            let status = tenant.get("deployments/decoder").await;
            let report = status["candidate"]["report"].clone();
            (report["compared"] == 1 || report["failed"] == 1).then_some(report)
        })
        .await
    };
    // The first-party decoder beside itself.
    let report = report_of(json!({})).await;
    assert_eq!(report["same"], 1, "{report}");
    let component = tenant.push(wasm::DECODER_MISBEHAVES).await;
    // It gives one second that is not in the file.
    let lies = json!({ "component": component, "configuration": { "misdeed": "lies" } });
    let report = report_of(lies).await;
    let differs = &report["requests"][0]["differs"];
    assert_eq!(differs, &json!(["times", "audio"]), "{report}");
    // Its first call's file is shorter than a real one, which it cannot take in.
    let cramped = json!({ "limits": { "call_bytes": 60_000 } });
    let report = report_of(cramped).await;
    assert_eq!(
        (&report["failed"], &report["compared"]),
        (&json!(1), &json!(0))
    );
}

#[tokio::test]
async fn a_handler_as_shadow_gets_the_request_again_and_answers_nobody() {
    let desk = Desk::start(data_dir(), |server| server);
    let tenant = Tenant::new(&desk, "shadow-handler").await;
    let path = "deployments/handler/revisions";
    let report_of = async |component: Option<&[u8]>| {
        let mut body = json!({ "trial": { "kind": "shadow", "percent": 100 } });
        if let Some(bytes) = component {
            body["component"] = json!(tenant.push(bytes).await);
        }
        created(&tenant.ask(reqwest::Method::POST, path, body).await);
        let heard = tenant.transcribe_as("any", 4).await.transcript();
        assert!(heard.contains("fellow"), "{heard}");
        eventually("a comparison", async || {
            let status = tenant.get("deployments/handler").await;
            let report = status["candidate"]["report"].clone();
            (report["compared"] == 1 || report["failed"] == 1).then_some(report)
        })
        .await
    };
    // The first-party handler beside itself.
    let report = report_of(None).await;
    assert_eq!(report["same"], 1, "{report}");
    assert!(report["words"].as_u64().unwrap() > 2, "{report}");
    let report = report_of(Some(wasm::AURICLE_GREETING_HANDLER)).await;
    let differs = &report["requests"][0]["differs"];
    assert_eq!(differs, &json!(["text", "times", "speakers"]), "{report}");
    let report = report_of(Some(wasm::HANDLER_BREAKS_OFF)).await;
    assert_eq!(report["failed"], 1, "{report}");
}

#[tokio::test]
async fn a_candidate_that_fails_is_abandoned_by_itself() {
    let tenant = Tenant::new(desk(), "bad-canary").await;
    let component = tenant.push(wasm::CHUNKER_TURNS).await;
    let body = json!({ "component": component, "trial": { "kind": "canary", "percent": 100 } });
    created(&tenant.set(body).await);
    let mut failed = 0;
    eventually("abandoned", async || {
        failed += usize::from(tenant.transcribe_as("any", 1).await.status == 502);
        tenant.status().await["candidate"].is_null().then_some(())
    })
    .await;
    assert!(failed >= 5, "{failed}");
    tenant.transcribe_as("any", 1).await.ok();
    assert_eq!(tenant.history().await, ["set 1", "abandon 1"]);
}

#[tokio::test]
async fn a_revision_that_is_much_slower_is_rolled_back_by_itself() {
    let desk = Desk::start(data_dir(), |server| server);
    let tenant = Tenant::new(&desk, "slow-release").await;
    let quick = tenant
        .deploy(wasm::CHUNKER_DAWDLES, json!({ "steps": "0" }))
        .await;
    assert_eq!(quick["serving"]["number"], 1);
    // So many calls of each must be known.
    for _ in 0..20 {
        tenant.transcribe_as("any", 1).await.ok();
    }
    tenant
        .deploy(wasm::CHUNKER_DAWDLES, json!({ "steps": "200" }))
        .await;
    let mut answered = 0;
    while tenant.status().await["serving"]["number"] == 2 {
        tenant.transcribe_as("any", 1).await.ok();
        answered += 1;
        assert!(answered < 100, "not rolled back");
    }
    assert!(answered >= 20, "{answered}");
    let history = tenant.get("deployments/chunker/history").await;
    let reason = history["data"][0]["detail"]["reason"].as_str().unwrap();
    assert!(reason.contains("ms"), "{reason}");
}

#[tokio::test]
async fn a_revision_that_still_has_calls_under_way_is_shown_as_draining() {
    let tenant = Tenant::new(desk(), "drains").await;
    tenant
        .deploy(wasm::CHUNKER_DAWDLES, json!({ "steps": "2000" }))
        .await;
    let long = tenant.transcribe_as("long", 1);
    let swap = async {
        eventually("a call", async || {
            let status = tenant.status().await;
            (status["serving"]["calls"]["running"] == 1).then_some(())
        })
        .await;
        let body = json!({ "configuration": {} });
        let status = created(&tenant.set(body).await);
        assert_eq!(status["serving"]["number"], 2);
        assert_eq!(status["draining"][0]["number"], 1, "{status}");
    };
    let (long, ()) = tokio::join!(long, swap);
    long.ok();
    let status = tenant.status().await;
    assert_eq!(status["draining"], json!([]));
}

#[tokio::test]
async fn a_revision_that_fails_in_service_is_rolled_back_by_itself() {
    let tenant = Tenant::new(desk(), "bad-release").await;
    tenant
        .deploy(wasm::AURICLE_FIXED_CHUNKER, json!({ "fixed-secs": "1" }))
        .await;
    let fine = tenant.segments().await;
    let status = tenant.deploy(wasm::CHUNKER_TURNS, json!({})).await;
    assert_eq!(status["serving"]["number"], 2);
    eventually("rolled back", async || {
        tenant.transcribe_as("any", 1).await;
        (tenant.status().await["serving"]["number"] == 1).then_some(())
    })
    .await;
    assert_eq!(tenant.segments().await, fine);
    let history = tenant.get("deployments/chunker/history").await;
    let last = &history["data"][0];
    assert_eq!(
        (&last["actor"], &last["action"]),
        (&json!("server"), &json!("deployment.rollback"))
    );
    let reason = last["detail"]["reason"].as_str().unwrap();
    assert!(reason.contains("calls failed"), "{reason}");
}

#[tokio::test]
async fn a_candidate_that_does_well_is_promoted_by_itself_when_it_has_lasted() {
    let desk = Desk::start(data_dir(), |server| {
        server.config("[deployments]\njudge_calls = 3")
    });
    let tenant = Tenant::new(&desk, "good-canary").await;
    let component = tenant.push(wasm::AURICLE_FIXED_CHUNKER).await;
    let body = json!({
        "component": component,
        "configuration": { "fixed-secs": "1" },
        "trial": { "kind": "canary", "percent": 100, "promote_after_secs": 1 },
    });
    created(&tenant.set(body).await);
    eventually("promoted", async || {
        tenant.transcribe_as("any", 1).await.ok();
        (tenant.status().await["serving"]["number"] == 1).then_some(())
    })
    .await;
    assert_eq!(tenant.history().await, ["set 1", "promote 1"]);
}
