//! Many requests at once and large ones: memory, queues, honest refusals.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use reqwest::Body;
use reqwest::multipart::Part;
use tokio::time::sleep;

use crate::support::audio::{silence, speech, wav, wav_header};
use crate::support::upload::get;
use crate::support::{Server, Upload};

const MB: u64 = 1 << 20;

/// A refusal that says honestly when to come back.
fn is_honest_refusal(answer: &crate::support::Answer) -> bool {
    let retry_after = answer.header("retry-after").parse::<u32>();
    matches!(answer.status, 429 | 503) && retry_after.is_ok_and(|secs| (1..=3600).contains(&secs))
}

#[tokio::test]
async fn a_hundred_megabytes_pass_through_less_than_sixteen_of_guest_memory() {
    let server = Server::builder().start();
    Upload::wav(&wav(&silence(1.0)))
        .transcribe(&server)
        .await
        .ok();
    let before = server.peak_bytes();
    // Eight channels of studio quality: many bytes for few seconds.
    let total = 100 * MB;
    let header = wav_header(1, 8, 192_000, 32, u32::try_from(total).unwrap());
    let chunk = Bytes::from(vec![0; MB as usize]);
    let chunks = stream::iter(std::iter::once(Bytes::from(header)))
        .chain(stream::iter(std::iter::repeat_n(chunk, 100)))
        .map(Ok::<_, std::convert::Infallible>);
    let part = Part::stream(Body::wrap_stream(chunks)).file_name("studio.wav");
    let answer = Upload::empty().part("file", part).transcribe(&server).await;
    let secs = answer.ok()["audio_duration"].as_f64().unwrap();
    assert!(
        (secs - total as f64 / (8.0 * 4.0 * 192_000.0)).abs() < 0.1,
        "{secs}"
    );
    let instances = server.usage(answer.request_id(), 4);
    let mut roles: Vec<_> = instances.iter().map(|i| i.component.as_str()).collect();
    roles.sort_unstable();
    assert_eq!(roles, ["chunker", "decoder", "handler", "speaker-assigner"]);
    for instance in instances {
        assert!(instance.peak_memory_bytes < 16 * MB, "{instance:?}");
    }
    let grown = server.peak_bytes() - before;
    assert!(
        grown < 64 * MB,
        "the host's memory grew by {} MB",
        grown / MB
    );
}

#[tokio::test]
async fn two_hundred_requests_sixteen_at_once_are_all_served_and_leave_no_memory() {
    let server = Server::builder()
        .config("[models]\nidle_state_secs = 1\n")
        .start();
    let file = wav(&speech().samples[..2 * 16_000]);
    let run = async |count: usize| {
        let requests = (0..count).map(|_| Upload::wav(&file).transcribe(&server));
        stream::iter(requests)
            .buffer_unordered(16)
            .collect::<Vec<_>>()
            .await
    };
    run(16).await;
    let base = resting_bytes(&server).await;
    let answers = run(200).await;
    let served = answers.iter().filter(|answer| answer.status == 200).count();
    for answer in &answers {
        assert!(
            answer.status == 200 || is_honest_refusal(answer),
            "{answer:?}"
        );
    }
    assert!(served >= 100, "only {served} of 200 were served");
    let texts: std::collections::BTreeSet<_> = answers
        .iter()
        .filter(|a| a.status == 200)
        .map(|a| a.transcript())
        .collect();
    assert_eq!(texts.len(), 1, "the same audio, the same words: {texts:?}");
    let after = resting_bytes(&server).await;
    assert!(
        after < base + 16 * MB,
        "{} MB became {} MB",
        base / MB,
        after / MB
    );
}

/// The private memory once the workers have given theirs back.
async fn resting_bytes(server: &Server) -> u64 {
    sleep(Duration::from_millis(2500)).await;
    server.private_bytes()
}

#[tokio::test]
async fn more_requests_than_a_tenant_may_have_are_429_and_health_stays() {
    let config = "[server.admission]\nmax_requests_per_tenant = 2\n[models]\nworkers = 1\n";
    let server = Server::builder().config(config).start();
    let file = wav(&speech().samples);
    let requests = (0..6).map(|_| Upload::wav(&file).transcribe(&server));
    let (answers, health) =
        futures::join!(futures::future::join_all(requests), get(&server, "/health"));
    assert_eq!(health.status, 200);
    let served = answers.iter().filter(|answer| answer.status == 200).count();
    let refused = answers.iter().filter(|answer| answer.status == 429).count();
    assert!(
        served >= 2 && served + refused == 6,
        "{served} served, {refused} refused"
    );
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        assert!(is_honest_refusal(answer), "{answer:?}");
        answer.detail(429);
    }
}

/// How many requests are refused, with what, when the queue holds a minute of audio.
async fn refusals(config: &str, status: u16) {
    let server = Server::builder()
        .config(&format!("[models]\nworkers = 1\n{config}"))
        .start();
    let file = wav(&speech().samples.repeat(2));
    let requests = (0..12).map(|_| Upload::wav(&file).transcribe(&server));
    let answers = futures::future::join_all(requests).await;
    let refused: Vec<_> = answers
        .iter()
        .filter(|answer| answer.status != 200)
        .collect();
    assert!(
        !refused.is_empty() && refused.len() < 11,
        "{} refused",
        refused.len()
    );
    for answer in refused {
        answer.detail(status);
        assert!(is_honest_refusal(answer), "{answer:?}");
    }
}

#[tokio::test]
async fn a_full_queue_is_503_with_a_time_to_come_back() {
    refusals("max_queued_minutes = 1\n", 503).await;
}

#[tokio::test]
async fn a_tenants_full_queue_is_429_with_a_time_to_come_back() {
    refusals("max_tenant_queued_minutes = 1\n", 429).await;
}
