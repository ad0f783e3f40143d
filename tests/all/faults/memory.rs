//! Clients that make the server hold as much as they can: hours of silence in small files, uploads
//! that are kept for seeking, requests that never end.

use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::multipart::{Form, Part};
use serde_json::Value;
use tokio::task::JoinHandle;

use super::victim::Victim;
use crate::guests::{Tenants, VICTIM, get, key, send, transcribe, wasm};
use crate::support::cgroup::MemoryCgroup;
use crate::support::files::flac_of_silence;
use crate::support::upload::client;
use crate::support::{Answer, SOON, Server};

/// Memory of the whole group that the server is in.
const GROUP_BYTES: u64 = 3 << 30;

/// What the host may hold then, by itself or as configured: half.
const HELD_BYTES: u64 = GROUP_BYTES / 2;

/// What the process may take beside it while it decodes: the model and its states are there before,
/// the pool of instances, stacks and the allocator's slack are not.
const BESIDE_BYTES: u64 = 512 << 20;

/// Longest wait for the host to hold as much or as little as it must, with both cores busy.
const LONG: Duration = Duration::from_secs(120);

/// Blocks of 8.19 s: 4 hours.
const FOUR_HOURS: u32 = 1_758;

/// Files of each tenant.
const FILES: usize = 10;

/// What they may be told: can never fit, the tenant's share, the node's limit.
const REFUSALS: [u16; 3] = [413, 429, 503];

/// The admin address that a server has said.
fn admin(server: &Server) -> String {
    let announced = |line: &str| line.strip_prefix("admin on http://").map(str::to_owned);
    let address = server.stdout.find_within(SOON, announced);
    address.expect("an admin address")
}

/// Bytes that the host holds for tenants, of one kind.
async fn held(admin: &str, kind: &str) -> u64 {
    let answer = client().get(format!("http://{admin}/metrics"));
    let text = send(answer).await.body;
    let start = format!("auricle_held_bytes{{kind=\"{kind}\"}} ");
    let value = text.lines().find_map(|line| line.strip_prefix(&start));
    value.unwrap().parse::<f64>().unwrap() as u64
}

/// Waits until the host holds as much of a kind as is wanted.
async fn until_held(admin: &str, kind: &str, is_wanted: impl Fn(u64) -> bool) {
    let since = Instant::now();
    loop {
        let bytes = held(admin, kind).await;
        if is_wanted(bytes) {
            return;
        }
        assert!(since.elapsed() < LONG, "{bytes} bytes of {kind}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Has a tenant transcribe a file, however long that takes.
async fn upload(server: &Server, tenant: &str, path: &str, name: &str, file: Vec<u8>) -> Answer {
    let part = Part::bytes(file).file_name(name.to_owned());
    let form = Form::new().part("file", part).text("model", "tiny.en");
    let request = client().post(server.url(path)).multipart(form);
    Answer::of(request.bearer_auth(key(tenant)).send().await.unwrap()).await
}

/// A refusal says when to come back, or that it is of no use and what the limit is.
fn must_be_refused(answer: &Answer) {
    assert!(REFUSALS.contains(&answer.status), "{answer:?}");
    let detail = answer.detail(answer.status);
    match answer.status {
        413 => assert!(detail.contains("longer than"), "{detail}"),
        _ => {
            let wait = answer.header("retry-after").parse::<u32>();
            assert!(
                wait.is_ok_and(|secs| (1..=60).contains(&secs)),
                "{answer:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hours_of_silence_from_two_tenants_cost_a_third_nothing() {
    let group = MemoryCgroup::new(GROUP_BYTES);
    let settings = match &group {
        Some(_) => String::new(),
        None => format!("[memory]\nmax_held_bytes = {HELD_BYTES}"),
    };
    let tenants = Tenants::new(&settings)
        .with_key("silent")
        .with_key("silent-too");
    let builder = tenants.server().arg("--admin-listen").arg("127.0.0.1:0");
    let server = match &group {
        Some(group) => builder.within(&group.entrance()).start(),
        None => builder.start(),
    };
    println!(
        "memory is limited by {}",
        match &group {
            Some(_) => "a control group of 3 GiB, and the default that follows from it",
            None => "max_held_bytes alone: no control group can be made here",
        }
    );
    let limits = server.log_line(|line| line["fields"]["message"] == "memory limits");
    assert_eq!(limits["fields"]["max_held_bytes"], Value::from(HELD_BYTES));
    // Lives as long as the process: the victim's task has it.
    let server: &'static Server = Box::leak(Box::new(server));
    let victim = Victim::begin(server).await;
    let before = server.peak_bytes();
    let flac = flac_of_silence(FOUR_HOURS, u64::from(FOUR_HOURS) * 65_535);
    println!("{} bytes for 4 h", flac.len());
    let files = (0..2 * FILES).map(|number| {
        let tenant = ["silent", "silent-too"][number % 2];
        upload(server, tenant, "/transcribe", "a.flac", flac.clone())
    });
    let answers = join_all(files).await;
    let seen = victim.end().await;
    let grown = server.peak_bytes().saturating_sub(before);
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    println!(
        "{statuses:?}; {} requests of the victim's; the server's memory grew by {} MiB",
        seen.samples.len(),
        grown >> 20
    );
    answers.iter().for_each(must_be_refused);
    assert!(seen.errors.is_empty(), "{:?}", seen.errors);
    assert!(!seen.samples.is_empty());
    assert!(grown < HELD_BYTES + BESIDE_BYTES, "{grown} bytes");
    if let Some(group) = &group {
        assert_eq!(group.kills(), 0);
    }
    // It was all given back, and the tenants are served again.
    until_held(&admin(server), "clip", |bytes| bytes == 0).await;
    transcribe(server, "silent").await.ok();
    server.signal(rustix::process::Signal::KILL);
    server.exit_within(SOON);
}

/// Requests of a tenant that never end, as many as are let in, and the refusal of the next.
async fn hold_all(
    server: &'static Server,
    admin: &str,
    tenant: &'static str,
) -> (Vec<JoinHandle<Answer>>, Answer) {
    let mut holding = Vec::new();
    loop {
        let before = held(admin, "buffer").await;
        let request = get(server, tenant, "/").send();
        let request = tokio::spawn(async { Answer::of(request.await.unwrap()).await });
        let since = Instant::now();
        while !request.is_finished() && held(admin, "buffer").await <= before {
            assert!(since.elapsed() < LONG, "neither let in nor refused");
        }
        // One that is let in may still be refused its component's memory.
        tokio::time::sleep(Duration::from_millis(200)).await;
        if request.is_finished() {
            return (holding, request.await.unwrap());
        }
        holding.push(request);
        assert!(holding.len() < 64, "no limit");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_never_fits_is_413_and_what_fits_later_is_429_or_503() {
    let holders = ["holds-1", "holds-2", "holds-3", "holds-4", "holds-5"];
    let settings = "[memory]\nmax_held_bytes = 67108864";
    let tenants = holders.iter().fold(Tenants::new(settings), |all, tenant| {
        all.with(tenant, "handler", wasm::HANDLER_WAITS, "")
    });
    let builder = tenants.server().arg("--admin-listen").arg("127.0.0.1:0");
    let server: &'static Server = Box::leak(Box::new(builder.start()));
    let admin = admin(server);
    // Half of the 64 MiB, less 16 for the request's components, are 262 s of audio.
    let twenty_minutes = || flac_of_silence(150, 0);
    let tutorial = upload(server, VICTIM, "/transcribe", "a.flac", twenty_minutes()).await;
    let detail = tutorial.detail(413);
    assert!(detail.contains("262 s"), "{detail}");
    let path = "/v1/audio/transcriptions";
    let openai = upload(server, VICTIM, path, "a.flac", twenty_minutes()).await;
    assert_eq!(openai.status, 413, "{openai:?}");
    let error: Value = serde_json::from_str(&openai.body).unwrap();
    let message = error["error"]["message"].as_str().unwrap();
    assert!(message.contains("262 s"), "{message}");
    // Its requests hold a tenant's share; another one's are let in all the same, until the node is full.
    let (mut held_requests, mut refusals) = (Vec::new(), Vec::new());
    for tenant in holders {
        let (holding, refused) = hold_all(server, &admin, tenant).await;
        println!(
            "{tenant} holds {} requests: {}",
            holding.len(),
            refused.status
        );
        let wait = refused.header("retry-after").parse::<u32>();
        assert!(wait.is_ok_and(|secs| secs >= 1), "{refused:?}");
        if refusals.is_empty() {
            assert!(!holding.is_empty());
            transcribe(server, VICTIM).await.ok();
        }
        held_requests.extend(holding);
        refusals.push(refused.status);
        if refused.status == 503 {
            break;
        }
    }
    let (last, earlier) = refusals.split_last().unwrap();
    assert!(!earlier.is_empty(), "{refusals:?}");
    assert!(earlier.iter().all(|status| *status == 429), "{refusals:?}");
    assert_eq!(*last, 503, "{refusals:?}");
    let full = transcribe(server, VICTIM).await;
    full.detail(503);
    assert!(full.header("retry-after").parse::<u32>().is_ok());
    for request in held_requests {
        request.abort();
    }
    until_held(&admin, "buffer", |bytes| bytes == 0).await;
    transcribe(server, VICTIM).await.ok();
    server.signal(rustix::process::Signal::KILL);
    server.exit_within(SOON);
}

/// The beginning of an MP4 whose index would come after `data_bytes` of sound.
fn mp4_without_index(data_bytes: u32) -> Vec<u8> {
    let mut file = b"\0\0\0\x14ftypM4A \0\0\0\0isom".to_vec();
    file.extend((data_bytes + 8).to_be_bytes());
    file.extend(b"mdat");
    file
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_kept_for_seeking_are_bounded_and_go_with_their_client() {
    let settings = "[memory]\nmax_spool_bytes = 41943040";
    let builder = Tenants::new(settings).with_key("drips").server();
    let builder = builder.arg("--admin-listen").arg("127.0.0.1:0");
    let server: &'static Server = Box::leak(Box::new(builder.start()));
    let (admin, open) = (admin(server), server.open_files().temporary);
    let whole = |bytes: u32| {
        let mut file = mp4_without_index(bytes);
        file.resize(file.len() + bytes as usize, 0);
        file
    };
    // Alone over half of the 40 MiB: never.
    let never = upload(server, "drips", "/transcribe", "a.m4a", whole(21 << 20)).await;
    never.detail(413);
    // Two of 12 MiB that go on to send: the first is kept, and a second beside it is too much.
    let drip = |bytes: usize| {
        let mut file = mp4_without_index(200 << 20);
        file.resize(bytes, 0);
        let first = futures::stream::once(async { Ok::<_, std::io::Error>(file) });
        let rest = futures::stream::pending();
        let body = reqwest::Body::wrap_stream(futures::StreamExt::chain(first, rest));
        let part = Part::stream(body).file_name("a.m4a");
        let form = Form::new().part("file", part);
        let request = client().post(server.url("/transcribe")).multipart(form);
        let request = request.bearer_auth(key("drips"));
        tokio::spawn(async move { Answer::of(request.send().await.unwrap()).await })
    };
    let kept = drip(12 << 20);
    until_held(&admin, "spool_file", |bytes| bytes >= 12 << 20).await;
    assert_eq!(server.open_files().temporary, open + 1);
    let second = drip(12 << 20);
    let refused = tokio::time::timeout(SOON, second).await.unwrap().unwrap();
    must_be_refused(&refused);
    assert_eq!(refused.status, 429, "{refused:?}");
    // Another tenant's small files need no spool on disk, and its larger ones fit beside it.
    transcribe(server, VICTIM).await.ok();
    let other = upload(server, VICTIM, "/transcribe", "a.m4a", whole(5 << 20)).await;
    assert_eq!(other.status, 422, "{other:?}");
    kept.abort();
    until_held(&admin, "spool_file", |bytes| bytes == 0).await;
    assert_eq!(server.open_files().temporary, open);
    server.signal(rustix::process::Signal::KILL);
    server.exit_within(SOON);
}
