use std::sync::Arc;

use auricle::assemble::Node;

use crate::guests::{Tenants, VICTIM, beginning, transcribe_at, wasm};
use crate::inside::{Inside, config};

/// The smallest core module: sound WebAssembly, and no component.
const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";

#[test]
fn a_component_of_the_wrong_world_is_refused_at_the_start_by_role() {
    let cases: [(&str, &[u8], &str); 5] = [
        (
            "handler",
            wasm::WRONG_WORLD,
            "does not fit the role 'handler'",
        ),
        (
            "chunker",
            wasm::WRONG_WORLD,
            "does not fit the role 'chunker'",
        ),
        (
            "speaker_assigner",
            wasm::WRONG_WORLD,
            "does not fit the role 'speaker-assigner'",
        ),
        (
            "chunker",
            wasm::HANDLER_WAITS,
            "does not fit the role 'chunker'",
        ),
        (
            "handler",
            wasm::CHUNKER_LIES,
            "does not fit the role 'handler'",
        ),
    ];
    for (role, bytes, expected) in cases {
        let error = refusal(role, bytes, "");
        assert!(error.contains(expected), "{error}");
        assert!(error.contains("tenant 'acme'"), "{error}");
    }
}

#[test]
fn a_component_that_could_end_the_process_is_refused_at_the_start() {
    let error = refusal("chunker", wasm::CHUNKER_EXITS, "");
    assert!(error.contains("wasi:cli/exit"), "{error}");
}

#[test]
fn what_is_no_component_is_refused_at_the_start() {
    for bytes in [
        b"not WebAssembly".as_slice(),
        b"",
        CORE_MODULE,
        &wasm::CHUNKER_LIES[..100],
    ] {
        let error = refusal("chunker", bytes, "");
        assert!(
            error.contains("not a component that this server runs"),
            "{error}"
        );
        assert!(error.contains("tenant 'acme'"), "{error}");
    }
}

#[test]
fn a_component_over_the_size_limit_is_refused_with_both_numbers() {
    let limit = auricle_first_party_max();
    let mut large = wasm::CHUNKER_LIES.to_vec();
    large.resize(limit + 1, 0);
    let error = refusal(
        "chunker",
        &large,
        &format!("[runtime]\nmax_component_bytes = {limit}"),
    );
    assert!(
        error.contains(&format!("{} bytes; the limit is {limit}", limit + 1)),
        "{error}"
    );
}

#[test]
fn a_component_that_is_not_there_is_refused_by_path() {
    let toml = "[tenants.acme.chunker]\npath = '/nowhere/acme.wasm'";
    let error = format!("{:#}", Node::assemble(&config(toml)).err().unwrap());
    assert!(
        error.contains("/nowhere/acme.wasm cannot be read"),
        "{error}"
    );
}

#[test]
fn the_program_ends_with_the_refusal_and_never_listens() {
    let tenants = Tenants::new("").with("acme", "chunker", wasm::WRONG_WORLD, "");
    let refusal = tenants
        .server()
        .try_start()
        .err()
        .expect("it does not start");
    assert_eq!(refusal.status.and_then(|status| status.code()), Some(1));
    assert!(
        refusal.stderr.contains("does not fit the role 'chunker'"),
        "{}",
        refusal.stderr
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_swap_changes_nothing() {
    let server = Inside::start(Tenants::new("").toml()).await;
    let deployment = &server.deployments(VICTIM).chunker;
    let before = Arc::downgrade(&deployment.current());
    for bytes in [
        wasm::WRONG_WORLD,
        CORE_MODULE,
        wasm::HANDLER_WAITS,
        b"not WebAssembly",
    ] {
        assert!(server.chunker(bytes, &[]).await.is_err());
    }
    assert!(Arc::ptr_eq(
        &deployment.current(),
        &before.upgrade().unwrap()
    ));
    transcribe_at(&server.address, VICTIM, beginning(1))
        .await
        .ok();
}

/// Why a server whose tenant `acme` has this component does not start.
fn refusal(role: &str, bytes: &[u8], settings: &str) -> String {
    let tenants = Tenants::new(settings).with("acme", role, bytes, "");
    format!(
        "{:#}",
        Node::assemble(&config(tenants.toml()))
            .err()
            .expect("a refusal")
    )
}

/// A limit that the first-party components keep.
fn auricle_first_party_max() -> usize {
    4 << 20
}
