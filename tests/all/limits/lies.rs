use super::must_blame_the_deployment;
use crate::guests::{Tenants, beginning, transcribe_at, wasm};
use crate::inside::Inside;

/// Everything that [`wasm::CHUNKER_LIES`] can be told to say.
const LIES: [&str; 8] = [
    "beyond",
    "overlap",
    "descending",
    "empty",
    "reversed",
    "too-long",
    "huge",
    "many",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_span_that_breaks_the_contract_reaches_the_device() {
    let tenants = LIES.iter().fold(Tenants::new(""), |tenants, lie| {
        let configuration = format!("configuration = {{ lie = '{lie}' }}");
        tenants.with(
            &format!("says-{lie}"),
            "chunker",
            wasm::CHUNKER_LIES,
            &configuration,
        )
    });
    let server = Inside::start(tenants.toml()).await;
    for lie in LIES {
        let answer = transcribe_at(&server.address, &format!("says-{lie}"), beginning(1)).await;
        println!("{lie}: {}", answer.body);
        must_blame_the_deployment(&answer);
    }
    assert_eq!(server.node.scheduler.stats().jobs, 0);
    transcribe_at(&server.address, crate::guests::VICTIM, beginning(1))
        .await
        .ok();
    assert_eq!(server.node.scheduler.stats().jobs, 1);
}
