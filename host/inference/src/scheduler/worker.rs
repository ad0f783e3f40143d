//! The loop of a device thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use auricle_speech::{Engine, EngineSession, SAMPLE_RATE, Segment};

use super::{Entry, Shared, SpanJob, SpanResult, State, Work};
use crate::error::{InferenceError, panic_message};

/// Weight of the newest job in the smoothed real-time factor.
const SMOOTHING: f64 = 0.1;

/// A session and the engine that it belongs to.
struct Held {
    engine: Arc<dyn Engine>,
    session: Box<dyn EngineSession>,
}

/// What a worker found to do.
enum Next {
    Job(Entry),
    /// Nothing for as long as a session may be idle.
    Idle,
    Closed,
}

/// Works until the scheduler is closed.
pub(super) fn run(shared: &Shared, index: usize) {
    let mut held: Option<Held> = None;
    loop {
        match next(shared, held.is_some()) {
            Next::Closed => break,
            Next::Idle => {
                drop_session(&mut held);
                shared.lock().sessions -= 1;
            }
            Next::Job(entry) => work(shared, index, entry, &mut held),
        }
    }
    drop_session(&mut held);
}

/// Waits for a job.
fn next(shared: &Shared, holds_session: bool) -> Next {
    let idle_since = Instant::now();
    let mut state = shared.lock();
    loop {
        if state.closed {
            return Next::Closed;
        }
        if let Some(entry) = state.queue.pop() {
            return Next::Job(entry);
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

/// Does one job and answers it.
fn work(shared: &Shared, index: usize, entry: Entry, held: &mut Option<Held>) {
    let Entry { job, reply } = entry;
    if let Some(error) = refusal(&job, reply.is_closed()) {
        let _ = reply.send(Err(error));
        return;
    }
    set_running(shared, index, Some(&job));
    let sessions_before = usize::from(held.is_some());
    let started = Instant::now();
    let result = compute(&job, held);
    let took = started.elapsed();
    {
        let mut state = shared.lock();
        state.sessions = state.sessions + usize::from(held.is_some()) - sessions_before;
        book(&mut state, &job, result.is_ok(), took);
    }
    set_running(shared, index, None);
    // The job, and with it the lease, ends before the caller hears of it.
    drop(job);
    let _ = reply.send(result);
}

/// Why a job is not worth starting.
fn refusal(job: &SpanJob, unheard: bool) -> Option<InferenceError> {
    if unheard || job.cancel.is_cancelled() {
        Some(InferenceError::Cancelled)
    } else if job.deadline.is_some_and(|at| Instant::now() >= at) {
        Some(InferenceError::Deadline)
    } else {
        None
    }
}

/// Notes that a worker begins or ends a job.
fn set_running(shared: &Shared, index: usize, job: Option<&SpanJob>) {
    let mut state = shared.lock();
    match job {
        Some(job) => {
            state.busy_workers += 1;
            if state.closed {
                job.cancel.cancel();
            }
        }
        None => state.busy_workers -= 1,
    }
    if let Some(running) = state.running.get_mut(index) {
        *running = job.map(|job| job.cancel.clone());
    }
}

/// Counts a job that is done.
fn book(state: &mut State, job: &SpanJob, succeeded: bool, took: Duration) {
    state.jobs += 1;
    state.busy += took;
    let samples = job.span.len_samples();
    if !succeeded || samples == 0 {
        return;
    }
    state.processed_samples += samples;
    let factor = took.as_secs_f64() * f64::from(SAMPLE_RATE) / samples as f64;
    state.real_time_factor = Some(match state.real_time_factor {
        Some(smoothed) => smoothed + SMOOTHING * (factor - smoothed),
        None => factor,
    });
}

/// Runs a job on a session of its engine. A panic costs the session.
fn compute(job: &SpanJob, held: &mut Option<Held>) -> Result<SpanResult, InferenceError> {
    let engine = job.lease.engine();
    if held
        .as_ref()
        .is_some_and(|held| !same(&held.engine, engine))
    {
        drop_session(held);
    }
    let attempt = catch_unwind(AssertUnwindSafe(|| {
        let session = match held {
            Some(held) => &mut held.session,
            None => {
                let session = engine.open_session()?;
                &mut held
                    .insert(Held {
                        engine: Arc::clone(engine),
                        session,
                    })
                    .session
            }
        };
        run_on(session.as_mut(), job)
    }));
    attempt.unwrap_or_else(|panic| {
        drop_session(held);
        let message = panic_message(panic.as_ref());
        tracing::error!(message, model = job.lease.model(), "an engine panicked");
        Err(InferenceError::Panicked { message })
    })
}

/// Whether two handles lead to one engine.
fn same(a: &Arc<dyn Engine>, b: &Arc<dyn Engine>) -> bool {
    std::ptr::addr_eq(Arc::as_ptr(a), Arc::as_ptr(b))
}

/// Drops a session; one that panics on the way is forgotten.
fn drop_session(held: &mut Option<Held>) {
    let held = held.take();
    if let Err(panic) = catch_unwind(AssertUnwindSafe(move || drop(held))) {
        let message = panic_message(panic.as_ref());
        tracing::error!(message, "an engine panicked while its session was closed");
    }
}

fn run_on(session: &mut dyn EngineSession, job: &SpanJob) -> Result<SpanResult, InferenceError> {
    let samples = job.clip.slice(job.span);
    match &job.work {
        Work::Transcribe { language, options } => {
            let mut segments = session.transcribe(samples, *language, options, &job.cancel)?;
            shift(&mut segments, job.span.start_secs());
            Ok(SpanResult::Segments(segments))
        }
        Work::DetectLanguage => Ok(SpanResult::Languages(
            session.detect_language(samples, &job.cancel)?,
        )),
    }
}

/// Makes times count from the start of the clip.
fn shift(segments: &mut [Segment], by_secs: f64) {
    for segment in segments {
        segment.start += by_secs;
        segment.end += by_secs;
        for word in &mut segment.words {
            word.start += by_secs;
            word.end += by_secs;
        }
    }
}
