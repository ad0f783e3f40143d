//! The long form: the table again and again for as many minutes as `AURICLE_SOAK_MINUTES` says, beside
//! honest work of another tenant's, and a report of it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::victim::{Victim, percentile};
use super::{FAULTS, Fared, clients, leaks, round, slowest};
use crate::guests::{beginning, key, send, transcribe_at};
use crate::support::audio::{RATE, speech};
use crate::support::program::{command, repository};
use crate::support::server::OpenFiles;
use crate::support::{SOON, Server, Upload};

/// Whose honest work goes on beside the faults.
pub const REGULAR: &str = "regular";

/// Handles that are guessed in each round.
const GUESSES: u32 = 1_000;

/// Requests and sessions of honest work after which the server has all that such work takes: both
/// Whisper states came within 44, and from then on its memory stayed within 3 MiB.
const WARM: usize = 100;

/// Begins the honest work of the long form and waits until the server holds what it takes; nothing in
/// the short form.
pub async fn load(server: &'static Server) -> Option<Load> {
    let minutes = std::env::var("AURICLE_SOAK_MINUTES").ok()?;
    let minutes = minutes.parse().expect("AURICLE_SOAK_MINUTES is a number");
    let load = Load::begin(server, minutes);
    while load.works.load(Ordering::Relaxed) < WARM {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Some(load)
}

/// The table once, or for as long as the load is meant to last; how often it was.
pub async fn rounds(
    server: &'static Server,
    victim: &Victim,
    fared: &mut BTreeMap<usize, Fared>,
    since: Instant,
    load: Option<Load>,
) -> usize {
    let Some(load) = load else {
        round(server, victim, fared).await;
        return 1;
    };
    let mut marks = vec![Mark::of(server, since)];
    while since.elapsed() < Duration::from_secs(load.minutes * 60) {
        round(server, victim, fared).await;
        clients::leave_times(server, 5).await;
        let first = GUESSES * marks.len() as u32;
        for handles in (first..first + GUESSES).collect::<Vec<_>>().chunks(32) {
            leaks::guesses(server, handles).await;
        }
        marks.push(Mark::of(server, since));
    }
    let honest = load.end().await;
    report(fared, &marks, victim.errors(), &honest);
    assert_eq!(honest.errors, 0, "errors of honest requests");
    marks.len() - 1
}

/// What the server has at a moment.
struct Mark {
    at: Duration,
    private_bytes: u64,
    open: OpenFiles,
}

impl Mark {
    fn of(server: &Server, since: Instant) -> Self {
        Self {
            at: since.elapsed(),
            private_bytes: server.private_bytes(),
            open: server.open_files(),
        }
    }
}

/// Honest work: files, streams of events, live sessions.
pub struct Load {
    minutes: u64,
    over: Arc<AtomicBool>,
    works: Arc<AtomicUsize>,
    errors: Arc<AtomicUsize>,
    tasks: Vec<JoinHandle<()>>,
}

impl Load {
    fn begin(server: &'static Server, minutes: u64) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (works, errors) = (Arc::default(), Arc::default());
        let mut load = Self {
            minutes,
            over,
            works,
            errors,
            tasks: Vec::new(),
        };
        load.repeat(move || async move {
            let answer = transcribe_at(&server.address, REGULAR, beginning(3)).await;
            answer.status == 200
        });
        load.repeat(move || async move {
            let form = Upload::wav(&beginning(4))
                .field("model", "whisper-1")
                .field("stream", "true");
            let request = form.request(server, "/v1/audio/transcriptions");
            let answer = send(request.bearer_auth(key(REGULAR))).await;
            answer.status == 200 && answer.body.contains("transcript.text.done")
        });
        load.repeat(move || live(server));
        load
    }

    fn repeat<F: Future<Output = bool> + Send>(
        &mut self,
        work: impl Fn() -> F + Send + Sync + 'static,
    ) {
        let (over, works) = (Arc::clone(&self.over), Arc::clone(&self.works));
        let errors = Arc::clone(&self.errors);
        self.tasks.push(tokio::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                let counter = if work().await { &works } else { &errors };
                counter.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }));
    }

    /// Lets it end.
    async fn end(self) -> Honest {
        self.over.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.expect("honest work does not panic");
        }
        Honest {
            works: self.works.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
        }
    }
}

/// What has become of honest work.
struct Honest {
    works: usize,
    errors: usize,
}

/// A live session of 6 s; whether its last answer came.
async fn live(server: &Server) -> bool {
    let url = format!("ws://{}/ws/transcribe?language=en", server.address);
    let mut request = url.into_client_request().unwrap();
    let value = format!("Bearer {}", key(REGULAR)).parse().unwrap();
    request.headers_mut().insert("authorization", value);
    let Ok((mut socket, _)) = tokio_tungstenite::connect_async(request).await else {
        return false;
    };
    for piece in speech().samples[..6 * RATE].chunks(RATE / 10) {
        let pcm: Vec<u8> = piece.iter().flat_map(|s| s.to_le_bytes()).collect();
        if socket.send(Message::binary(pcm)).await.is_err() {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let _ = socket.send(Message::binary(Vec::new())).await;
    // One piece of 5 s and the rest.
    let mut texts = 0;
    while let Ok(Some(Ok(message))) = tokio::time::timeout(SOON, socket.next()).await {
        if let Message::Text(text) = message {
            texts += usize::from(text.contains("\"is_final\":true"));
            if texts == 2 {
                return true;
            }
            if text.contains("\"detail\"") {
                return false;
            }
        }
    }
    false
}

/// Writes `docs/benchmarks/soak.md`.
fn report(fared: &BTreeMap<usize, Fared>, marks: &[Mark], errors: usize, honest: &Honest) {
    let text = [
        summary(fared, marks, errors, honest),
        over_time(marks),
        by_fault(fared),
        made(),
    ]
    .join("\n");
    std::fs::write(repository().join("docs/benchmarks/soak.md"), text).unwrap();
}

fn summary(
    fared: &BTreeMap<usize, Fared>,
    marks: &[Mark],
    errors: usize,
    honest: &Honest,
) -> String {
    let (quiet, beside) = slowest(fared);
    let requests: usize = fared.values().map(|f| f.quiet.len() + f.beside.len()).sum();
    let rounds = marks.len() - 1;
    let minutes = marks.last().map_or(0, |mark| mark.at.as_secs() / 60);
    let Honest {
        works,
        errors: failed,
    } = honest;
    format!(
        "# Hostile tenants for {minutes} minutes\n\n\
         Every fault of [isolation.md](../isolation.md) that needs no server of its own, {rounds} times \
         each, beside a victim that has one second of speech transcribed again and again, and a tenant \
         with files, streams and live sessions. \"Alone\" is without a fault, with that tenant.\n\n\
         - the victim: {requests} requests, {errors} errors; 99 percent took at most {} ms alone, \
         {} ms while a fault happened ({:.2} times)\n\
         - the other tenant: {works} requests and sessions, {failed} errors\n",
        quiet.as_millis(),
        beside.as_millis(),
        beside.as_secs_f64() / quiet.as_secs_f64(),
    )
}

/// What the server had, at some dozen moments.
fn over_time(marks: &[Mark]) -> String {
    let mut text =
        "| minute | memory of its own, MiB | files and sockets | unnamed temporary files |\n\
                    |---|---|---|---|\n"
            .to_owned();
    let (step, last) = (marks.len().div_ceil(12), marks.len() - 1);
    for (number, mark) in marks.iter().enumerate() {
        if number % step == 0 || number == last {
            let (minute, open) = (mark.at.as_secs_f64() / 60.0, mark.open);
            let mib = mark.private_bytes >> 20;
            let (all, temporary) = (open.all, open.temporary);
            writeln!(text, "| {minute:.1} | {mib} | {all} | {temporary} |").unwrap();
        }
    }
    text
}

fn by_fault(fared: &BTreeMap<usize, Fared>) -> String {
    let mut text = "| fault | | times | the victim's median alone, ms | beside it, ms |\n\
                    |---|---|---|---|---|\n"
        .to_owned();
    for (place, fared) in fared {
        let (number, what) = (FAULTS[*place].number, FAULTS[*place].what);
        let median = |of: &[Duration]| percentile(of, 50).as_millis();
        let (alone, beside) = (median(&fared.quiet), median(&fared.beside));
        let times = fared.happened;
        writeln!(text, "| {number} | {what} | {times} | {alone} | {beside} |").unwrap();
    }
    text
}

/// With what, when and where.
fn made() -> String {
    let said = |program: &mut Command| {
        let output = program.output().expect("it runs").stdout;
        String::from_utf8_lossy(&output).trim().to_owned()
    };
    let version = said(command().arg("--version"));
    let date = said(Command::new("date").args(["-u", "+%F"]));
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let cpu = cpu.unwrap_or_default().trim_start_matches(['\t', ' ', ':']);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!("Made by `make soak` on {date}. Machine: {cpu}, {cores} cores. {version}, `tiny.en`.\n")
}
