use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::json;

use super::Tenant;
use crate::guests::wasm;
use crate::tenancy::desk::{Desk, created, data_dir};

/// Swaps: `AURICLE_STORM_SWAPS`, or so many.
const SWAPS: usize = 40;

/// Between two swaps: with what a swap takes some 200 in 30 s.
const PAUSE: Duration = Duration::from_millis(120);

/// Clients that ask at once.
const CLIENTS: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swaps_under_load_fail_no_request_and_nothing_grows() {
    let swaps = std::env::var("AURICLE_STORM_SWAPS").ok();
    let swaps = swaps.map_or(SWAPS, |text| text.parse().unwrap());
    let desk = Desk::start(data_dir(), |server| server);
    let tenant = Tenant::new(&desk, "storm").await;
    let component = tenant.push(wasm::AURICLE_FIXED_CHUNKER).await;
    let body =
        |secs: &str| json!({ "component": component, "configuration": { "fixed-secs": secs } });
    let mut expected = Vec::new();
    for secs in ["1", "2"] {
        created(&tenant.set(body(secs)).await);
        expected.push(tenant.transcribe_as("first", 4).await.ok()["segments"].clone());
    }
    assert_ne!(expected[0], expected[1], "the revisions can be told apart");
    let (over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let clients = join_all((0..CLIENTS).map(async |client| {
        while !over.load(Ordering::Relaxed) {
            let id = format!("storm-{client}");
            let segments = tenant.transcribe_as(&id, 4).await.ok()["segments"].clone();
            assert!(expected.contains(&segments), "of no revision: {segments}");
            answered.fetch_add(1, Ordering::Relaxed);
        }
    }));
    // On a busy machine until every client has had some answers.
    let all = swaps * 4 * CLIENTS;
    let done = |swap: usize| (swap * 4 * CLIENTS).min(answered.load(Ordering::Relaxed) * swaps);
    let storm = async {
        let mut slowest = Duration::ZERO;
        let mut held = Vec::new();
        let mut swap = 0;
        while done(swap) < all {
            if done(swap) >= all * (held.len() + 1) / 3 {
                held.push(desk.server.private_bytes());
            }
            let since = Instant::now();
            created(&tenant.set(body(["1", "2"][swap % 2])).await);
            slowest = slowest.max(since.elapsed());
            swap += 1;
            tokio::time::sleep(PAUSE).await;
        }
        over.store(true, Ordering::Relaxed);
        (slowest, held, swap)
    };
    let (_, (slowest, mut held, swaps)) = tokio::join!(clients, storm);
    held.push(desk.server.private_bytes());
    // What is kept of every swap grows in each third; a worker's memory for a harder window comes once.
    let grown = held.windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
    let grown = grown.min().unwrap();
    println!(
        "{swaps} swaps, the slowest in {slowest:?}; {} answers, none failed; at least {} KiB more with each third",
        answered.load(Ordering::Relaxed),
        grown >> 10
    );
    assert!(held.len() >= 3, "{held:?}");
    let status = tenant.status().await;
    assert_eq!(status["serving"]["number"], swaps as u64 + 2);
    assert_eq!(status["draining"], json!([]));
    assert!(grown < 8 << 20, "{held:?}");
}
