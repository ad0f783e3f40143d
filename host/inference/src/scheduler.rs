//! The queue of a device and the threads that work on it.

mod queue;
mod worker;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use auricle_speech::{
    CancelFlag, Clip, DecodeOptions, Language, LanguageScore, SAMPLE_RATE, Segment, Span, TenantId,
};
use tokio::sync::oneshot;
use tokio::time::Sleep;

use crate::error::InferenceError;
use crate::registry::Lease;
use queue::{FairQueue, Weighed};

/// Least audio that a job counts for: an encoder pass costs much the same for 1 s as for 5 s.
const MIN_COST_SAMPLES: u64 = 5 * SAMPLE_RATE as u64;

/// Seconds of one core per second of audio, assumed until it has been measured (`base` on a
/// server core of 2024).
const ASSUMED_REAL_TIME_FACTOR: f64 = 0.1;

/// Longest `retry_after`: beyond it an estimate is worth little.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(600);

/// How a device works.
#[derive(Clone, Debug)]
pub struct DeviceConfig {
    /// Worker threads, each with an engine session of its own; at least 1. More than the cores
    /// makes everything slower.
    pub workers: usize,
    /// Audio that may wait, of all tenants together.
    pub max_queued: Duration,
    /// Audio that may wait, of one tenant.
    pub max_tenant_queued: Duration,
    /// Jobs that may wait, of one tenant.
    pub max_tenant_jobs: usize,
    /// How long a worker without work keeps its session, some 100 to 500 MB.
    pub session_idle: Duration,
}

impl Default for DeviceConfig {
    /// One worker per core; 4 h of audio (about 10 minutes of work for `base` on two cores), half
    /// of it for one tenant; 10 s.
    fn default() -> Self {
        Self {
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            max_queued: Duration::from_secs(4 * 3600),
            max_tenant_queued: Duration::from_secs(2 * 3600),
            max_tenant_jobs: 4096,
            session_idle: Duration::from_secs(10),
        }
    }
}

/// What to do with a span.
#[derive(Clone, Debug)]
pub enum Work {
    /// Recognise the speech in it.
    Transcribe {
        /// The spoken language.
        language: Language,
        /// How to decode.
        options: DecodeOptions,
    },
    /// Score the languages on its first 30 s.
    DetectLanguage,
}

/// One span of a clip for an engine.
#[derive(Debug)]
pub struct SpanJob {
    /// Who pays.
    pub tenant: TenantId,
    /// The model, kept loaded until the job is done.
    pub lease: Lease,
    /// The audio.
    pub clip: Clip,
    /// Which part of it; at most the engine's window (30 s).
    pub span: Span,
    /// What to do.
    pub work: Work,
    /// Stops the job, waiting or running. Set when its [`Pending`] is dropped unfinished or when
    /// the deadline passes: jobs that share a flag end together.
    pub cancel: CancelFlag,
    /// When the result is no longer of use.
    pub deadline: Option<Instant>,
}

/// What became of a span.
#[derive(Clone, Debug, PartialEq)]
pub enum SpanResult {
    /// For [`Work::Transcribe`]: times count from the start of the clip, ids from 0 in the span.
    Segments(Vec<Segment>),
    /// For [`Work::DetectLanguage`]: best first.
    Languages(Vec<LanguageScore>),
}

/// What a device is doing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DeviceStats {
    /// Worker threads.
    pub workers: usize,
    /// Workers that compute now.
    pub busy_workers: usize,
    /// Workers that hold an engine session.
    pub sessions: usize,
    /// Jobs that wait.
    pub queued_jobs: usize,
    /// Audio that waits (a job counts for at least 5 s).
    pub queued_audio: Duration,
    /// Jobs done since the start, failed ones included.
    pub jobs: u64,
    /// Audio of the jobs that succeeded since the start.
    pub processed_audio: Duration,
    /// Time that all workers together spent on jobs since the start.
    pub busy: Duration,
}

/// A queued job with the way back to its caller.
#[derive(Debug)]
struct Entry {
    job: SpanJob,
    reply: oneshot::Sender<Result<SpanResult, InferenceError>>,
}

impl Weighed for Entry {
    fn cost_samples(&self) -> u64 {
        self.job.span.len_samples().max(MIN_COST_SAMPLES)
    }
}

/// What the lock guards. It is never held while an engine computes.
#[derive(Debug, Default)]
struct State {
    queue: FairQueue<Entry>,
    closed: bool,
    busy_workers: usize,
    sessions: usize,
    /// Flags of the jobs that run, by worker.
    running: Vec<Option<CancelFlag>>,
    jobs: u64,
    processed_samples: u64,
    busy: Duration,
    /// Smoothed core seconds per second of audio.
    real_time_factor: Option<f64>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    work: Condvar,
    config: DeviceConfig,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A device: its queue and its threads.
#[derive(Debug)]
pub struct Scheduler {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Scheduler {
    /// Starts the worker threads (`auricle-dev-0`, …).
    ///
    /// # Errors
    /// [`InferenceError::Threads`] when the system gives no thread.
    pub fn start(mut config: DeviceConfig) -> Result<Self, InferenceError> {
        config.workers = config.workers.max(1);
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                running: vec![None; config.workers],
                ..State::default()
            }),
            work: Condvar::new(),
            config,
        });
        let mut scheduler = Self {
            shared: Arc::clone(&shared),
            threads: Vec::new(),
        };
        for index in 0..shared.config.workers {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new()
                .name(format!("auricle-dev-{index}"))
                .stack_size(STACK_BYTES)
                .spawn(move || worker::run(&shared, index))
                .map_err(|source| InferenceError::Threads {
                    source: Arc::new(source),
                })?;
            scheduler.threads.push(thread);
        }
        Ok(scheduler)
    }

    /// Queues a job, if there is room. Submit the spans of a long clip a few at a time (some twice
    /// [`DeviceStats::workers`]): all at once they may exceed the tenant's share.
    ///
    /// # Errors
    /// [`InferenceError::TenantFull`], [`InferenceError::Full`], [`InferenceError::Draining`].
    pub fn submit(&self, job: SpanJob) -> Result<Pending, InferenceError> {
        let (reply, receiver) = oneshot::channel();
        let entry = Entry { job, reply };
        let (tenant, cancel) = (entry.job.tenant.clone(), entry.job.cancel.clone());
        let deadline = entry.job.deadline;
        let ticket = {
            let mut state = self.shared.lock();
            admit(&state, &self.shared.config, &entry)?;
            state.queue.push(&tenant, entry)
        };
        self.shared.work.notify_one();
        Ok(Pending {
            receiver,
            shared: Arc::clone(&self.shared),
            tenant,
            ticket,
            cancel,
            deadline,
            timer: None,
            finished: false,
        })
    }

    /// What the device is doing now.
    #[must_use]
    pub fn stats(&self) -> DeviceStats {
        let state = self.shared.lock();
        DeviceStats {
            workers: self.shared.config.workers,
            busy_workers: state.busy_workers,
            sessions: state.sessions,
            queued_jobs: state.queue.len(),
            queued_audio: duration(state.queue.queued_samples()),
            jobs: state.jobs,
            processed_audio: duration(state.processed_samples),
            busy: state.busy,
        }
    }

    /// Refuses new jobs, gives back the waiting ones ([`InferenceError::Draining`]), stops the
    /// running ones and waits for the threads. Blocks for as long as an engine takes to notice.
    pub fn shutdown(mut self) {
        self.close();
        for thread in self.threads.drain(..) {
            // A worker catches panics; if one got through, its thread is gone all the same.
            let _ = thread.join();
        }
    }

    fn close(&self) {
        let waiting = {
            let mut state = self.shared.lock();
            state.closed = true;
            for flag in state.running.iter().flatten() {
                flag.cancel();
            }
            state.queue.drain()
        };
        self.shared.work.notify_all();
        for entry in waiting {
            let _ = entry.reply.send(Err(InferenceError::Draining));
        }
    }
}

impl Drop for Scheduler {
    /// As [`Scheduler::shutdown`], without waiting.
    fn drop(&mut self) {
        self.close();
    }
}

/// Stack of a worker: whisper.cpp's tokenizer recurses per character of a prompt.
const STACK_BYTES: usize = 8 << 20;

/// Whether there is room for `entry`.
fn admit(state: &State, config: &DeviceConfig, entry: &Entry) -> Result<(), InferenceError> {
    if state.closed {
        return Err(InferenceError::Draining);
    }
    let cost = entry.cost_samples();
    let tenant = &entry.job.tenant;
    let (jobs, queued) = state.queue.of(tenant);
    if jobs >= config.max_tenant_jobs || exceeds(queued, cost, config.max_tenant_queued) {
        return Err(InferenceError::TenantFull {
            tenant: tenant.clone(),
            retry_after: retry_after(state, config, queued),
        });
    }
    let all = state.queue.queued_samples();
    if exceeds(all, cost, config.max_queued) {
        return Err(InferenceError::Full {
            retry_after: retry_after(state, config, all),
        });
    }
    Ok(())
}

/// Whether `cost` more than `queued` is too much. An empty queue always takes one job.
fn exceeds(queued: u64, cost: u64, limit: Duration) -> bool {
    queued > 0 && duration(queued.saturating_add(cost)) > limit
}

/// How long a tenth of `queued` takes at the measured speed: room enough for new work.
fn retry_after(state: &State, config: &DeviceConfig, queued: u64) -> Duration {
    let factor = state.real_time_factor.unwrap_or(ASSUMED_REAL_TIME_FACTOR);
    let secs = duration(queued).as_secs_f64() * factor / config.workers as f64 / 10.0;
    Duration::from_secs_f64(secs.ceil().clamp(1.0, MAX_RETRY_AFTER.as_secs_f64()))
}

fn duration(samples: u64) -> Duration {
    auricle_speech::audio::samples_to_duration(samples)
}

/// The result of a job, in time. Dropping it before it is ready cancels the job.
#[derive(Debug)]
pub struct Pending {
    receiver: oneshot::Receiver<Result<SpanResult, InferenceError>>,
    shared: Arc<Shared>,
    tenant: TenantId,
    ticket: u64,
    cancel: CancelFlag,
    deadline: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    finished: bool,
}

impl Pending {
    /// Stops the job wherever it is.
    fn abandon(&mut self) {
        self.finished = true;
        self.cancel.cancel();
        // Taken out under the lock, dropped after it: a lease's end may unload a model.
        let removed = self.shared.lock().queue.remove(&self.tenant, self.ticket);
        drop(removed);
    }
}

impl Future for Pending {
    type Output = Result<SpanResult, InferenceError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(reply) = Pin::new(&mut self.receiver).poll(context) {
            self.finished = true;
            // The sender is only dropped unused when a worker thread was lost.
            return Poll::Ready(reply.unwrap_or_else(|_| {
                Err(InferenceError::Panicked {
                    message: "a device thread was lost".to_owned(),
                })
            }));
        }
        let Some(deadline) = self.deadline else {
            return Poll::Pending;
        };
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline.into())));
        if timer.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.abandon();
        Poll::Ready(Err(InferenceError::Deadline))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.finished {
            self.abandon();
        }
    }
}
