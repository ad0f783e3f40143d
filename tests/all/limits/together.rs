use std::time::Duration;

use futures::future::join_all;

use super::{ARENA, arena_tenants};
use crate::guests::{VICTIM, beside, get, transcribe};
use crate::support::Server;

/// Memory that may be kept after all: the allocator's, and the pool's warm slots.
const KEPT_BYTES: u64 = 48 << 20;

/// How often each misbehaves.
const ROUNDS: usize = 4;

#[tokio::test]
async fn after_all_misdeeds_at_once_the_server_is_as_it_was() {
    let server = arena_tenants().server().start();
    round(&server).await;
    let before = server.private_bytes();
    beside(&server, async {
        for _ in 0..ROUNDS {
            round(&server).await;
        }
    })
    .await;
    transcribe(&server, VICTIM).await.ok();
    let mut grown = u64::MAX;
    for _ in 0..20 {
        grown = server.private_bytes().saturating_sub(before);
        if grown < KEPT_BYTES {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!(
        "private memory: {} MiB before, {} MiB more after",
        before >> 20,
        grown >> 20
    );
    assert!(grown < KEPT_BYTES, "{grown} bytes more than before");
}

/// Everybody misbehaves at once, those that do not end by themselves for a while.
async fn round(server: &Server) {
    let all = ARENA.iter().map(|(tenant, _, _)| async move {
        let bounded = tenant.starts_with("handler-floods") || tenant.ends_with("breaks-off");
        if bounded {
            if let Ok(mut answer) = get(server, tenant, "/").send().await {
                let _ = answer.chunk().await;
            }
        } else {
            let answer = transcribe(server, tenant).await;
            assert!(
                [502, 504].contains(&answer.status),
                "{tenant}: {}",
                answer.body
            );
        }
    });
    join_all(all).await;
}
