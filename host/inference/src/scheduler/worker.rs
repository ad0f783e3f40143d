//! The loop of a device thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use auricle_speech::SAMPLE_RATE;

use super::queue::{Charge, Rate};
use super::{Entry, Job, Shared, State};
use crate::error::{InferenceError, panic_message};

/// Weight of the newest job in the smoothed real-time factor.
const SMOOTHING: f64 = 0.1;

/// A session and the engine that it belongs to.
struct Held<J: Job> {
    engine: Arc<J::Engine>,
    session: Box<J::Session>,
}

/// The sessions of a worker, the one used last at the end.
type Sessions<J> = Vec<Held<J>>;

/// What a worker found to do.
enum Next<J: Job> {
    Job(Entry<J>, Charge),
    /// Nothing for as long as a session may be idle.
    Idle,
    Closed,
}

/// Works until the scheduler is closed.
pub(super) fn run<J: Job>(shared: &Shared<J>, index: usize) {
    let mut held: Sessions<J> = Vec::new();
    loop {
        match next(shared, !held.is_empty()) {
            Next::Closed => break,
            Next::Idle => {
                let count = held.len();
                drop_sessions(held.drain(..));
                shared.lock().sessions -= count;
            }
            Next::Job(entry, charge) => work(shared, index, entry, charge, &mut held),
        }
    }
    drop_sessions(held.drain(..));
}

/// Waits for a job.
fn next<J: Job>(shared: &Shared<J>, holds_session: bool) -> Next<J> {
    let idle_since = Instant::now();
    let mut state = shared.lock();
    loop {
        if state.closed {
            return Next::Closed;
        }
        if let Some((entry, charge)) = state.queue.pop() {
            let passed = state.taken - entry.taken_before;
            state.taken += 1;
            drop(state);
            waited(shared.config.thread_name, &entry, passed);
            return Next::Job(entry, charge);
        }
        if !holds_session {
            state = shared
                .work
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        let left = shared
            .config
            .session_idle
            .saturating_sub(idle_since.elapsed());
        if left.is_zero() {
            return Next::Idle;
        }
        state = shared
            .work
            .wait_timeout(state, left)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
    }
}

/// Says how long a job has waited, in time and in `passed` jobs that came after it or before it and
/// were begun meanwhile.
fn waited<J: Job>(device: &'static str, entry: &Entry<J>, passed: u64) {
    let (class, waited) = (entry.job.class().as_str(), entry.queued.elapsed());
    auricle_telemetry::metrics().queue_wait(device, class, waited);
    tracing::debug!(
        target: "auricle::queue",
        device,
        tenant = %entry.job.tenant(),
        class,
        passed,
        waited_ms = waited.as_millis() as u64,
        audio_ms = super::duration(entry.job.audio_samples()).as_millis() as u64,
        "a job begins"
    );
}

/// Does one job and answers it.
fn work<J: Job>(
    shared: &Shared<J>,
    index: usize,
    entry: Entry<J>,
    charge: Charge,
    held: &mut Sessions<J>,
) {
    let Entry { job, reply, .. } = entry;
    let device = shared.config.thread_name;
    if let Some(error) = refusal(&job, reply.is_closed()) {
        let mut state = shared.lock();
        state.queue.settle(job.tenant(), charge, Duration::ZERO);
        drop(state);
        let _ = reply.send(Err(error));
        return;
    }
    set_running(shared, index, Some(&job));
    let sessions_before = held.len();
    let started = Instant::now();
    let result = compute(&job, held, shared.config.sessions_per_worker);
    let took = started.elapsed();
    {
        let mut state = shared.lock();
        state.sessions = state.sessions + held.len() - sessions_before;
        state.queue.settle(job.tenant(), charge, took);
        book(&mut state, &job, result.is_ok(), took);
    }
    if let Some(meter) = job.meter() {
        meter.charge(took);
    }
    if result.is_ok() && job.audio_samples() > 0 {
        let audio = super::duration(job.audio_samples());
        auricle_telemetry::metrics().computed(device, job.tenant().as_str(), audio, took);
    }
    set_running(shared, index, None);
    // The job, and with it the lease, ends before the caller hears of it.
    drop(job);
    let _ = reply.send(result);
}

/// Why a job is not worth starting.
fn refusal<J: Job>(job: &J, unheard: bool) -> Option<InferenceError> {
    if unheard || job.cancel().is_cancelled() {
        Some(InferenceError::Cancelled)
    } else if job.deadline().is_some_and(|at| Instant::now() >= at) {
        Some(InferenceError::Deadline)
    } else {
        None
    }
}

/// Notes that a worker begins or ends a job.
fn set_running<J: Job>(shared: &Shared<J>, index: usize, job: Option<&J>) {
    let mut state = shared.lock();
    match job {
        Some(job) => {
            state.busy_workers += 1;
            if state.closed {
                job.cancel().cancel();
            }
        }
        None => state.busy_workers -= 1,
    }
    if let Some(running) = state.running.get_mut(index) {
        *running = job.map(|job| job.cancel().clone());
    }
}

/// Counts a job that is done.
fn book<J: Job>(state: &mut State<J>, job: &J, succeeded: bool, took: Duration) {
    state.jobs += 1;
    state.busy += took;
    let samples = job.audio_samples();
    if !succeeded || samples == 0 {
        return;
    }
    state.processed_samples += samples;
    let factor = took.as_secs_f64() * f64::from(SAMPLE_RATE) / samples as f64;
    let smoothed = match state.real_time_factor {
        Some(smoothed) => smoothed + SMOOTHING * (factor - smoothed),
        None => factor,
    };
    state.real_time_factor = Some(smoothed);
    state.queue.set_rate(Rate {
        real_time_factor: smoothed,
    });
}

/// Runs a job on a session of its engine. A panic costs the session.
fn compute<J: Job>(
    job: &J,
    held: &mut Sessions<J>,
    most: usize,
) -> Result<J::Output, InferenceError> {
    let engine = job.lease().engine();
    let found = held.iter().position(|held| same(&held.engine, engine));
    let mut own = found.map(|at| held.remove(at));
    if own.is_none() {
        // Room first: two of Whisper's sessions may not fit.
        let surplus = (held.len() + 1).saturating_sub(most);
        drop_sessions(held.drain(..surplus));
    }
    let attempt = catch_unwind(AssertUnwindSafe(|| {
        let session = match &mut own {
            Some(own) => &mut own.session,
            None => {
                let session = J::open(engine)?;
                let engine = Arc::clone(engine);
                &mut own.insert(Held { engine, session }).session
            }
        };
        job.run(session)
    }));
    attempt
        .inspect(|_| held.extend(own.take()))
        .unwrap_or_else(|panic| {
            drop_sessions(own.take().into_iter());
            let message = panic_message(panic.as_ref());
            tracing::error!(message, model = job.lease().model(), "an engine panicked");
            Err(InferenceError::Panicked { message })
        })
}

/// Whether two handles lead to one engine.
fn same<E: ?Sized>(a: &Arc<E>, b: &Arc<E>) -> bool {
    std::ptr::addr_eq(Arc::as_ptr(a), Arc::as_ptr(b))
}

/// Drops sessions; one that panics on the way is forgotten.
fn drop_sessions<J: Job>(sessions: impl Iterator<Item = Held<J>>) {
    for held in sessions {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(move || drop(held))) {
            let message = panic_message(panic.as_ref());
            tracing::error!(message, "an engine panicked while its session was closed");
        }
    }
}
