//! What a component may use, and that going over it costs nobody but its own request.
//!
//! One server, the arena, has a tenant for every misdeed; each test has one of them misbehave while
//! the victim is served. A request fails with a status that says whose fault it was: 504 when the
//! component took too long, 502 for everything else it did.

/// Misdeeds of speaker-assigners.
mod assigners;
/// Misdeeds of chunkers.
mod chunkers;
/// Misdeeds of handlers.
mod handlers;
/// Spans that break the contract.
mod lies;
/// All of them at once, and what is left of it afterwards.
mod together;

use std::sync::OnceLock;
use std::time::Duration;

use crate::guests::{TIGHT, Tenants, beside, logged_kind, must_not_name_others, transcribe, wasm};
use crate::support::Server;
use crate::support::upload::Answer;

/// Tenants, by their misdeeds.
const ARENA: [(&str, &str, &[u8]); 19] = [
    ("assigner-lies", "speaker_assigner", wasm::ASSIGNER_LIES),
    ("assigner-panics", "speaker_assigner", wasm::ASSIGNER_PANICS),
    ("chunker-detects", "chunker", wasm::CHUNKER_DETECTS),
    ("chunker-hoards", "chunker", wasm::CHUNKER_HOARDS),
    ("chunker-holds", "chunker", wasm::CHUNKER_HOLDS),
    ("chunker-listens", "chunker", wasm::CHUNKER_LISTENS),
    ("chunker-panics", "chunker", wasm::CHUNKER_PANICS),
    ("chunker-recurses", "chunker", wasm::CHUNKER_RECURSES),
    ("chunker-spins", "chunker", wasm::CHUNKER_SPINS),
    ("chunker-table", "chunker", wasm::CHUNKER_TABLE),
    ("handler-breaks-off", "handler", wasm::HANDLER_BREAKS_OFF),
    ("handler-floods", "handler", wasm::HANDLER_FLOODS),
    ("handler-hoards", "handler", wasm::HANDLER_HOARDS),
    ("handler-holds", "handler", wasm::HANDLER_HOLDS),
    ("handler-panics", "handler", wasm::HANDLER_PANICS),
    ("handler-records", "handler", wasm::HANDLER_RECORDS),
    ("handler-recurses", "handler", wasm::HANDLER_RECURSES),
    ("handler-returns", "handler", wasm::HANDLER_RETURNS),
    ("handler-spins", "handler", wasm::HANDLER_SPINS),
];

/// The server of this module's tests.
fn arena() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| arena_tenants().server().start())
}

fn arena_tenants() -> Tenants {
    // Room for all lines that one instance may write.
    let settings = "[models]\nidle_state_secs = 600\n[log]\nguest_bytes_per_minute = 16777216";
    let tenants = Tenants::new(settings)
        .with(
            "chunker-chatters",
            "chunker",
            wasm::CHUNKER_CHATTERS,
            "limits = { cpu_ms = 60000 }",
        )
        .with("handler-deaf", "handler", wasm::HANDLER_DEAF, "");
    ARENA
        .iter()
        .fold(tenants, |tenants, (tenant, role, component)| {
            tenants.with(tenant, role, component, TIGHT)
        })
}

/// How a component that recurses without end ends: its stack lies partly in its own memory, and
/// either part may be used up first.
const RECURSED: &[&str] = &["stack_overflow", "trapped"];

/// The first-party handler says that another component of the line failed, and no more.
fn must_blame_the_deployment(answer: &Answer) {
    let detail = answer.detail(502);
    assert!(detail.contains("failed"), "{detail}");
    must_not_name_others(answer);
}

/// The tenant's request fails as another component's fault, and the log says why.
async fn fails_in_line(tenant: &str, kinds: &[&str]) {
    let server = arena();
    let since = std::time::Instant::now();
    let answer = beside(server, transcribe(server, tenant)).await;
    assert!(
        since.elapsed() < Duration::from_secs(15),
        "{:?}",
        since.elapsed()
    );
    must_blame_the_deployment(&answer);
    let kind = logged_kind(server, &answer);
    assert!(kinds.contains(&kind.as_str()), "{kind}");
}
