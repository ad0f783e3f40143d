//! The queue of a device and the threads that work on it.
//!
//! A [`Device`] does jobs of one kind: [`Scheduler`] spans for Whisper, [`GraphScheduler`] pieces of
//! sound for the second engine. What a job is stands in its [`Job`].

mod graph;
mod job;
mod queue;
mod worker;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use auricle_speech::{CancelFlag, RequestClass, TenantId};
use tokio::sync::oneshot;
use tokio::time::Sleep;

use crate::error::InferenceError;
use queue::{FairQueue, Rate, Weighed};

pub use graph::GraphJob;
pub use job::{DeviceMeter, Job, SpanJob, SpanResult, Work};
pub use queue::Fairness;

/// Seconds of one core per second of audio, assumed until it has been measured (`base` on a
/// server core of 2024).
const ASSUMED_REAL_TIME_FACTOR: f64 = 0.1;

/// The same as what jobs are charged by in the queue until they are done.
const ASSUMED_RATE: Rate = Rate {
    real_time_factor: ASSUMED_REAL_TIME_FACTOR,
};

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
    /// Audio that may wait, of one tenant; a job may say otherwise for its own.
    pub max_tenant_queued: Duration,
    /// Jobs that may wait, of one tenant.
    pub max_tenant_jobs: usize,
    /// How its time is shared.
    pub fairness: Fairness,
    /// How long a worker without work keeps its sessions, some 100 to 500 MB of Whisper's.
    pub session_idle: Duration,
    /// Sessions of different engines that one worker keeps; at least 1. A Whisper session is too
    /// large for more than one, those of graphs are a few megabytes and take turns.
    pub sessions_per_worker: usize,
    /// Begins the threads' names: `auricle-dev` makes `auricle-dev-0`, ….
    pub thread_name: &'static str,
}

impl Default for DeviceConfig {
    /// One worker per core; 4 h of audio (about 10 minutes of work for `base` on two cores), half
    /// of it for one tenant; 10 s; one session each.
    fn default() -> Self {
        Self {
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            max_queued: Duration::from_secs(4 * 3600),
            max_tenant_queued: Duration::from_secs(2 * 3600),
            max_tenant_jobs: 4096,
            fairness: Fairness::default(),
            session_idle: Duration::from_secs(10),
            sessions_per_worker: 1,
            thread_name: "auricle-dev",
        }
    }
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
struct Entry<J: Job> {
    job: J,
    reply: oneshot::Sender<Result<J::Output, InferenceError>>,
    queued: Instant,
    /// How many jobs had been taken from the queue when this one came to it.
    taken_before: u64,
}

impl<J: Job> Weighed for Entry<J> {
    fn cost_samples(&self) -> u64 {
        self.job.cost_samples()
    }
}

/// What the lock guards. It is never held while an engine computes.
struct State<J: Job> {
    queue: FairQueue<Entry<J>>,
    /// Jobs that a worker has taken from the queue, since the start.
    taken: u64,
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

impl<J: Job> State<J> {
    fn new(config: &DeviceConfig) -> Self {
        Self {
            queue: FairQueue::new(&config.fairness, ASSUMED_RATE),
            taken: 0,
            closed: false,
            busy_workers: 0,
            sessions: 0,
            running: vec![None; config.workers],
            jobs: 0,
            processed_samples: 0,
            busy: Duration::ZERO,
            real_time_factor: None,
        }
    }
}

struct Shared<J: Job> {
    state: Mutex<State<J>>,
    work: Condvar,
    config: DeviceConfig,
}

impl<J: Job> Shared<J> {
    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A device: its queue and its threads.
pub struct Device<J: Job> {
    shared: Arc<Shared<J>>,
    threads: Vec<JoinHandle<()>>,
}

/// The device that recognises speech.
pub type Scheduler = Device<SpanJob>;

/// The device that runs graphs: voice activity and its like.
pub type GraphScheduler = Device<GraphJob>;

impl<J: Job> std::fmt::Debug for Device<J> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Device")
            .field("stats", &self.stats())
            .finish()
    }
}

impl<J: Job> Device<J> {
    /// Starts the worker threads.
    ///
    /// # Errors
    /// [`InferenceError::Threads`] when the system gives no thread.
    pub fn start(mut config: DeviceConfig) -> Result<Self, InferenceError> {
        config.workers = config.workers.max(1);
        config.sessions_per_worker = config.sessions_per_worker.max(1);
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new(&config)),
            work: Condvar::new(),
            config,
        });
        let mut device = Self {
            shared: Arc::clone(&shared),
            threads: Vec::new(),
        };
        for index in 0..shared.config.workers {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new()
                .name(format!("{}-{index}", shared.config.thread_name))
                .stack_size(STACK_BYTES)
                .spawn(move || worker::run(&shared, index))
                .map_err(|source| InferenceError::Threads {
                    source: Arc::new(source),
                })?;
            device.threads.push(thread);
        }
        Ok(device)
    }

    /// Queues a job, if there is room. Submit the spans of a long clip a few at a time (some twice
    /// [`DeviceStats::workers`]): all at once they may exceed the tenant's share.
    ///
    /// # Errors
    /// [`InferenceError::TenantFull`], [`InferenceError::Full`], [`InferenceError::Draining`].
    pub fn submit(&self, job: J) -> Result<Pending<J>, InferenceError> {
        let (reply, receiver) = oneshot::channel();
        let queued = Instant::now();
        let (tenant, cancel) = (job.tenant().clone(), job.cancel().clone());
        let (class, deadline) = (job.class(), job.deadline());
        let mut entry = Entry {
            job,
            reply,
            queued,
            taken_before: 0,
        };
        let ticket = {
            let mut state = self.shared.lock();
            entry.taken_before = state.taken;
            admit(&state, &self.shared.config, &entry)?;
            state.queue.push(&tenant, class, entry)
        };
        self.shared.work.notify_one();
        Ok(Pending {
            receiver,
            shared: Arc::clone(&self.shared),
            tenant,
            class,
            ticket,
            cancel,
            deadline,
            timer: None,
            finished: false,
        })
    }

    /// Its threads' name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.shared.config.thread_name
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

impl<J: Job> Drop for Device<J> {
    /// As [`Device::shutdown`], without waiting.
    fn drop(&mut self) {
        self.close();
    }
}

/// Stack of a worker: whisper.cpp's tokenizer recurses per character of a prompt.
const STACK_BYTES: usize = 8 << 20;

/// Whether there is room for `entry`.
fn admit<J: Job>(
    state: &State<J>,
    config: &DeviceConfig,
    entry: &Entry<J>,
) -> Result<(), InferenceError> {
    if state.closed {
        return Err(InferenceError::Draining);
    }
    let cost = entry.cost_samples();
    let tenant = entry.job.tenant();
    let (jobs, queued) = state.queue.of(tenant);
    let max_queued = entry.job.max_queued().unwrap_or(config.max_tenant_queued);
    if jobs >= config.max_tenant_jobs || exceeds(queued, cost, max_queued) {
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
fn retry_after<J: Job>(state: &State<J>, config: &DeviceConfig, queued: u64) -> Duration {
    let factor = state.real_time_factor.unwrap_or(ASSUMED_REAL_TIME_FACTOR);
    let secs = duration(queued).as_secs_f64() * factor / config.workers as f64 / 10.0;
    Duration::from_secs_f64(secs.ceil().clamp(1.0, MAX_RETRY_AFTER.as_secs_f64()))
}

fn duration(samples: u64) -> Duration {
    auricle_speech::audio::samples_to_duration(samples)
}

/// The result of a job, in time. Dropping it before it is ready cancels the job.
pub struct Pending<J: Job = SpanJob> {
    receiver: oneshot::Receiver<Result<J::Output, InferenceError>>,
    shared: Arc<Shared<J>>,
    tenant: TenantId,
    class: RequestClass,
    ticket: u64,
    cancel: CancelFlag,
    deadline: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    finished: bool,
}

impl<J: Job> std::fmt::Debug for Pending<J> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending")
            .field("tenant", &self.tenant)
            .field("finished", &self.finished)
            .finish()
    }
}

impl<J: Job> Pending<J> {
    /// Stops the job wherever it is.
    fn abandon(&mut self) {
        self.finished = true;
        self.cancel.cancel();
        // Taken out under the lock, dropped after it: a lease's end may unload a model.
        let mut state = self.shared.lock();
        let removed = state.queue.remove(&self.tenant, self.class, self.ticket);
        drop(state);
        drop(removed);
    }
}

impl<J: Job> Future for Pending<J> {
    type Output = Result<J::Output, InferenceError>;

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

impl<J: Job> Drop for Pending<J> {
    fn drop(&mut self) {
        if !self.finished {
            self.abandon();
        }
    }
}
