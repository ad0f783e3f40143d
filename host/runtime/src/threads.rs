//! A bounded pool of threads for one kind of blocking work.
//!
//! Work that may block for seconds (decoders, acts on deployments) has a pool of its own, so that one kind
//! cannot take the threads that another kind waits for. There is no queue: work is refused when all
//! threads are busy, and the caller says so to the client. Idle threads end after 10 s without work.
//!
//! # Limits
//! The process does not wait for the threads when it ends.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

/// How long a thread waits for more work before it ends.
const IDLE: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce() + Send>;

/// Threads for one kind of blocking work.
#[derive(Debug)]
pub struct ThreadPool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    name: &'static str,
    max_threads: usize,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    threads: usize,
    idle: usize,
    /// Never longer than `idle`.
    jobs: VecDeque<Job>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("threads", &self.threads)
            .field("idle", &self.idle)
            .finish_non_exhaustive()
    }
}

/// All threads of the pool are busy, or the system gives no more threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("all threads for this work are busy")]
pub struct PoolBusy;

impl ThreadPool {
    /// A pool of at most `max_threads` threads called `name`. Threads are started when needed.
    #[must_use]
    pub fn new(name: &'static str, max_threads: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                name,
                max_threads,
                state: Mutex::default(),
                work: Condvar::new(),
            }),
        }
    }

    /// Runs `work` on a thread of the pool. The receiver fails when `work` panics; dropping it does not
    /// stop the work.
    ///
    /// # Errors
    /// [`PoolBusy`]; `work` does not run then.
    pub fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Result<oneshot::Receiver<R>, PoolBusy> {
        let (sender, receiver) = oneshot::channel();
        let job = Box::new(move || {
            // The caller may have left.
            let _ = sender.send(work());
        });
        let mut state = self.shared.lock();
        if state.jobs.len() < state.idle {
            state.jobs.push_back(job);
            drop(state);
            self.shared.work.notify_one();
            return Ok(receiver);
        }
        if state.threads >= self.shared.max_threads {
            return Err(PoolBusy);
        }
        let shared = Arc::clone(&self.shared);
        std::thread::Builder::new()
            .name(self.shared.name.to_owned())
            .spawn(move || shared.serve(job))
            .map_err(|error| {
                tracing::error!(%error, pool = self.shared.name, "a thread cannot be started");
                PoolBusy
            })?;
        state.threads += 1;
        Ok(receiver)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One thread: its first job, and others until it has been idle for [`IDLE`].
    fn serve(&self, first: Job) {
        let mut job = first;
        loop {
            // The panic has been reported by the hook; the receiver fails.
            let _ = catch_unwind(AssertUnwindSafe(job));
            let mut state = self.lock();
            state.idle += 1;
            let (mut state, _) = self
                .work
                .wait_timeout_while(state, IDLE, |state| state.jobs.is_empty())
                .unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
            let Some(next) = state.jobs.pop_front() else {
                state.threads -= 1;
                return;
            };
            job = next;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use std::sync::mpsc;

    use super::*;

    /// Runs `work` once a thread is idle again.
    fn run_soon<R: Send + 'static>(
        pool: &ThreadPool,
        work: impl Fn() -> R + Send + Clone + 'static,
    ) -> R {
        loop {
            if let Ok(receiver) = pool.run(work.clone()) {
                return receiver.blocking_recv().unwrap();
            }
            std::thread::yield_now();
        }
    }

    #[test]
    fn work_beyond_the_last_thread_is_refused_until_one_is_free() {
        let pool = ThreadPool::new("test", 2);
        let (go, wait) = mpsc::channel::<()>();
        let wait = Arc::new(Mutex::new(wait));
        let block = {
            let wait = Arc::clone(&wait);
            move || wait.lock().unwrap().recv().unwrap()
        };
        let held = [(); 2].map(|()| pool.run(block.clone()).unwrap());
        assert_eq!(pool.run(|| ()).unwrap_err(), PoolBusy);
        go.send(()).unwrap();
        go.send(()).unwrap();
        for held in held {
            held.blocking_recv().unwrap();
        }
        assert_eq!(run_soon(&pool, || 7), 7);
        assert!(pool.shared.lock().threads <= 2);
    }

    #[test]
    fn threads_are_used_again() {
        let pool = ThreadPool::new("test", 1);
        let id = || std::thread::current().id();
        let first = run_soon(&pool, id);
        for _ in 0..20 {
            assert_eq!(run_soon(&pool, id), first);
        }
    }

    #[test]
    fn a_panic_costs_its_caller_and_no_thread() {
        let pool = ThreadPool::new("test", 1);
        let panics = pool.run(|| panic!("on purpose")).unwrap();
        assert!(panics.blocking_recv().is_err());
        assert_eq!(run_soon(&pool, || 1), 1);
    }
}
