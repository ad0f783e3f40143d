//! What one tenant could find of another's: handles, names, memory, the models' state, tensors.

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use serde_json::Value;

use super::clients::CLIENT;
use crate::guests::{
    Tenants, VICTIM, beginning, get, key, logged_kind, must_not_name_others, send, wasm,
};
use crate::nn::graph::{File, linear};
use crate::support::{Server, Upload};

/// Numbers that handles could be: small ones, as tables begin with, and large ones.
const HANDLES: [u32; 12] = [0, 1, 2, 3, 4, 7, 12, 100, 255, 1_000, 65_535, u32::MAX];

/// 12: a handle that an instance was not given is none, whatever its number; nor is a name one.
pub fn guessed_handles(server: &'static Server) -> BoxFuture<'static, ()> {
    guesses(server, &HANDLES).boxed()
}

/// As [`guessed_handles`], with these numbers.
pub async fn guesses(server: &'static Server, handles: &[u32]) {
    for kind in ["clip", "recorder", "form"] {
        let asked = handles.iter().map(|handle| async move {
            let path = format!("/?kind={kind}&handle={handle}");
            send(get(server, "fault-guesses", &path)).await
        });
        for answer in join_all(asked).await {
            assert_eq!(answer.status, 502, "{kind}: {}", answer.body);
            must_not_name_others(&answer);
            let kind = logged_kind(server, &answer);
            assert!(
                ["trapped", "limit_exceeded"].contains(&kind.as_str()),
                "{kind}"
            );
        }
    }
    for path in [
        "/v1/models/victim",
        "/v1/audio/transcriptions/1",
        "/v1/files/file-1",
        "/admin/v1/tenants/victim",
        "/admin/v1/keys",
        "/victim",
        "/..%2fvictim",
    ] {
        let answer = send(get(server, CLIENT, path)).await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.body);
        if !path.starts_with("/v1/models/") {
            must_not_name_others(&answer);
        }
    }
}

/// 13: memory that an instance is given is empty, whoever had it before.
pub fn scanned_memory(server: &'static Server) -> BoxFuture<'static, ()> {
    async move {
        for _ in 0..4 {
            for tenant in ["fault-scans-a", "fault-scans-b"] {
                let answer = send(get(server, tenant, "/")).await;
                assert_eq!(
                    (answer.status, answer.body.as_str()),
                    (200, "0 0"),
                    "{tenant}"
                );
            }
        }
    }
    .boxed()
}

/// A transcript with everything that the model says about it.
async fn transcribe(server: &Server, tenant: &str, fields: &[(&str, &str)]) -> Value {
    let mut form = Upload::wav(&beginning(8))
        .field("model", "whisper-1")
        .field("language", "en")
        .field("response_format", "verbose_json")
        .field("timestamp_granularities[]", "word")
        .field("timestamp_granularities[]", "segment");
    for (name, value) in fields {
        form = form.field(name, value);
    }
    let request = form.request(server, "/v1/audio/transcriptions");
    send(request.bearer_auth(key(tenant))).await.ok()
}

#[tokio::test]
async fn what_one_tenant_tells_the_model_is_not_in_anothers_transcript() {
    // One worker: both have the same session, one after the other.
    let tenants = Tenants::new("[models]\nworkers = 1\ngraph_workers = 1").with_key(CLIENT);
    let server = tenants.server().start();
    let before = transcribe(&server, VICTIM, &[]).await;
    let prompt = "The password of the Kalahari vault is Zanzibar seventeen. Fellow Canadians, ";
    let told = transcribe(&server, CLIENT, &[("prompt", prompt)]).await;
    assert_ne!(
        told["segments"], before["segments"],
        "the prompt does something"
    );
    for _ in 0..2 {
        let after = transcribe(&server, VICTIM, &[]).await;
        assert_eq!(after, before, "to the last probability");
    }
}

#[tokio::test]
async fn what_one_tenant_computes_is_not_in_anothers_tensors() {
    const SECRET: &str = "4242.5,-4242.5,4242.5";
    let product = File::new(
        "leak",
        &linear(&[&[1.0, 0.0], &[0.0, 1.0], &[1.0, 1.0]], &[0.5, 0.0]),
    );
    let settings = format!(
        "[models]\ngraph_workers = 1\n[models.graphs]\n{}",
        product.line("product")
    );
    let tenants = ["computes-a", "computes-b"]
        .into_iter()
        .fold(Tenants::new(&settings), |tenants, tenant| {
            tenants.with(tenant, "handler", wasm::HANDLER_INFERS, "nn = ['product']")
        });
    let server = tenants.server().start();
    let compute = async |tenant: &str, numbers: &str| {
        let path = format!("/infer?case=numbers&graph=product&x={numbers}");
        send(get(&server, tenant, &path)).await.body
    };
    assert_eq!(compute("computes-a", SECRET).await, "[8485.5, 0.0]");
    for _ in 0..5 {
        assert_eq!(compute("computes-b", "0,0,0").await, "[0.5, 0.0]");
        assert_eq!(compute("computes-b", "1,2,3").await, "[4.5, 5.0]");
        // Fewer numbers than the other's are refused and not filled up with the other's.
        let fewer = compute("computes-b", "1,2").await;
        assert!(fewer.starts_with("invalid-argument"), "{fewer}");
        assert!(!fewer.contains("4242"), "{fewer}");
        compute("computes-a", SECRET).await;
    }
}
