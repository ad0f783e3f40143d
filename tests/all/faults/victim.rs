//! A tenant that has done nothing wrong, and how it fares.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::guests::{VICTIM, beginning, get, send, transcribe_at};
use crate::support::{Answer, Server};

/// Between two of its requests.
const PAUSE: Duration = Duration::from_millis(100);

/// One of its requests.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub began: Instant,
    pub took: Duration,
}

/// The victim at work. It asks again and again for the same second of speech and for something small.
pub struct Victim {
    over: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

/// What has become of its requests.
#[derive(Debug, Default)]
pub struct Seen {
    pub samples: Vec<Sample>,
    pub errors: Vec<String>,
}

impl Victim {
    /// Lets it begin.
    pub async fn begin(server: &'static Server) -> Self {
        let expected = transcribe_at(&server.address, VICTIM, beginning(1)).await;
        let expected = expected.transcript();
        let (over, seen) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let task = tokio::spawn(work(server, expected, Arc::clone(&over), Arc::clone(&seen)));
        Self { over, seen, task }
    }

    /// Its requests that began and ended within this time.
    pub fn within(&self, from: Instant, to: Instant) -> Vec<Duration> {
        let seen = self.seen.lock().unwrap();
        let within = |s: &&Sample| s.began >= from && s.began + s.took <= to;
        seen.samples.iter().filter(within).map(|s| s.took).collect()
    }

    /// How many errors it has seen so far.
    pub fn errors(&self) -> usize {
        self.seen.lock().unwrap().errors.len()
    }

    /// Lets it end; what it has seen.
    pub async fn end(self) -> Seen {
        self.over.store(true, Ordering::Relaxed);
        self.task.await.expect("the victim does not panic");
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

async fn work(
    server: &'static Server,
    expected: String,
    over: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
) {
    while !over.load(Ordering::Relaxed) {
        let began = Instant::now();
        let answer = transcribe_at(&server.address, VICTIM, beginning(1)).await;
        let took = began.elapsed();
        let small = send(get(server, VICTIM, "/nothing-here")).await;
        seen.lock()
            .unwrap()
            .note(Sample { began, took }, &answer, &small, &expected);
        tokio::time::sleep(PAUSE).await;
    }
}

impl Seen {
    /// What came of one transcription, and of one small request.
    fn note(&mut self, sample: Sample, answer: &Answer, small: &Answer, expected: &str) {
        self.samples.push(sample);
        if answer.status != 200 || answer.transcript() != expected {
            self.errors
                .push(format!("{}: {}", answer.status, answer.body));
        }
        if small.status != 404 {
            self.errors
                .push(format!("{}: {}", small.status, small.body));
        }
    }
}

/// The value that so many percent do not exceed.
pub fn percentile(values: &[Duration], percent: usize) -> Duration {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let last = sorted.len().saturating_sub(1);
    sorted
        .get(last * percent / 100)
        .copied()
        .unwrap_or_default()
}
