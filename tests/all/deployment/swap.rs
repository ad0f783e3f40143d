use std::ops::RangeInclusive;
use std::sync::{Arc, Weak};
use std::time::Duration;

use auricle_runtime::Serving;
use futures::future::join_all;
use serde_json::Value;

use crate::guests::{Tenants, VICTIM, beginning, transcribe_at, wasm};
use crate::inside::Inside;

/// Clients that ask at once, until there have been so many swaps. Each asks at least and, should
/// swaps stand still, at most so often.
const CLIENTS: usize = 3;
const SWAPS: u64 = 50;
const REQUESTS: RangeInclusive<usize> = 7..=200;

/// Time between two swaps: several in every request.
const PAUSE: Duration = Duration::from_millis(60);

/// Seconds of audio, and the lengths of the spans that the two revisions cut it into.
const AUDIO_SECS: usize = 4;
const REVISIONS: [&str; 2] = ["2", "4"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_under_swaps_is_of_exactly_one_revision_and_none_fails() {
    let server = Arc::new(Inside::start(Tenants::new("").toml()).await);
    let mut expected = Vec::new();
    for secs in REVISIONS {
        swap_to(
            &server,
            wasm::AURICLE_FIXED_CHUNKER,
            &[("fixed-secs", secs)],
        )
        .await;
        expected.push(segments(&server).await);
    }
    assert_ne!(expected[0], expected[1], "the revisions can be told apart");

    let swaps = tokio::spawn(swap_without_end(Arc::clone(&server)));
    let clients = (0..CLIENTS).map(|_| async {
        let mut answers = Vec::new();
        let chunker = &server.deployments(VICTIM).chunker;
        while answers.len() < *REQUESTS.start()
            || (chunker.current().number <= SWAPS && answers.len() < *REQUESTS.end())
        {
            answers.push(segments(&server).await);
        }
        answers
    });
    let answers: Vec<Value> = join_all(clients).await.into_iter().flatten().collect();
    swaps.abort();
    let (first, second) = (count(&answers, &expected[0]), count(&answers, &expected[1]));
    let number = server.deployments(VICTIM).chunker.current().number;
    println!("{first} answers of one revision, {second} of the other, {number} revisions");
    assert_eq!(
        first + second,
        answers.len(),
        "an answer of neither revision: {answers:#?}"
    );
    assert!(first > 0 && second > 0, "{first} and {second}");
    assert!(number > SWAPS, "{number} revisions");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_ends_on_the_revision_it_began_on_and_the_next_one_has_the_new() {
    let server = Arc::new(Inside::start(Tenants::new("").toml()).await);
    let before = Arc::downgrade(&server.deployments(VICTIM).chunker.current());
    let running = tokio::spawn({
        let server = Arc::clone(&server);
        async move { transcribe_at(&server.address, VICTIM, beginning(8)).await }
    });
    let at_work = || {
        let stats = server.node.scheduler.stats();
        stats.busy_workers > 0 || stats.jobs > 0
    };
    while !at_work() && !running.is_finished() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    swap_to(&server, wasm::CHUNKER_PANICS, &[]).await;
    running.await.unwrap().ok();
    transcribe_at(&server.address, VICTIM, beginning(1))
        .await
        .detail(502);
    swap_to(&server, wasm::AURICLE_FIXED_CHUNKER, &[]).await;
    transcribe_at(&server.address, VICTIM, beginning(1))
        .await
        .ok();
    assert!(before.upgrade().is_none(), "the first revision is freed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_revisions_are_freed_with_their_last_request() {
    let server = Inside::start(Tenants::new("").toml()).await;
    let mut old: Vec<Weak<_>> = Vec::new();
    for round in 0..6 {
        let running = transcribe_at(&server.address, VICTIM, beginning(1));
        let swapping = async {
            let secs = (round % 3 + 1).to_string();
            old.push(Arc::downgrade(
                &server.deployments(VICTIM).chunker.current(),
            ));
            swap_to(
                &server,
                wasm::AURICLE_FIXED_CHUNKER,
                &[("fixed-secs", &secs)],
            )
            .await;
        };
        let (answer, ()) = tokio::join!(running, swapping);
        answer.ok();
    }
    let mut held = old.len();
    for _ in 0..50 {
        held = old
            .iter()
            .filter(|revision| revision.upgrade().is_some())
            .count();
        if held == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(held, 0, "of {} old revisions", old.len());
    assert_eq!(server.deployments(VICTIM).chunker.current().number, 6);
}

async fn swap_without_end(server: Arc<Inside>) {
    for secs in REVISIONS.iter().cycle() {
        swap_to(
            &server,
            wasm::AURICLE_FIXED_CHUNKER,
            &[("fixed-secs", secs)],
        )
        .await;
        tokio::time::sleep(PAUSE).await;
    }
}

/// Gives the victim another chunker.
async fn swap_to(server: &Inside, bytes: &'static [u8], configuration: &[(&str, &str)]) {
    let parts = server.chunker(bytes, configuration).await.unwrap();
    let chunker = &server.deployments(VICTIM).chunker;
    let number = chunker.current().number + 1;
    chunker.set(Serving::only(parts.numbered(number, Arc::default())));
}

/// What was said when, as the answer's segments.
async fn segments(server: &Inside) -> Value {
    let answer = transcribe_at(&server.address, VICTIM, beginning(AUDIO_SECS)).await;
    answer.ok()["segments"].clone()
}

fn count(answers: &[Value], expected: &Value) -> usize {
    answers.iter().filter(|answer| *answer == expected).count()
}
