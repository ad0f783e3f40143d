//! The CPU budget of an instance.
//!
//! wasmtime's epochs count wall-clock time and only while somebody looks: a guest that waits in a
//! host call would be charged for the wait, one that is scheduled away for its neighbour. So the
//! time is read from the thread's CPU clock around every poll of the guest's future; the epoch
//! callback only looks whether the budget is used up.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Counts the CPU time of one instance.
#[derive(Debug, Default)]
pub struct CpuMeter {
    finished_nanos: AtomicU64,
    poll_began_nanos: AtomicU64,
    earned_nanos: AtomicU64,
}

impl CpuMeter {
    /// Nothing used yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// CPU time used so far. Exact when called on the thread that is polling the guest, else up to
    /// the end of the last poll.
    #[must_use]
    pub fn used(&self) -> Duration {
        let finished = self.finished_nanos.load(Ordering::Relaxed);
        let running = match self.poll_began_nanos.load(Ordering::Relaxed) {
            0 => 0,
            began => thread_cpu_nanos().saturating_sub(began),
        };
        Duration::from_nanos(finished.saturating_add(running))
    }

    /// Adds to what may be used, beside the budget.
    pub fn earn(&self, more: Duration) {
        let nanos = u64::try_from(more.as_nanos()).unwrap_or(u64::MAX);
        self.earned_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// What was added to the budget.
    #[must_use]
    pub fn earned(&self) -> Duration {
        Duration::from_nanos(self.earned_nanos.load(Ordering::Relaxed))
    }

    fn poll<R>(&self, work: impl FnOnce() -> R) -> R {
        let began = thread_cpu_nanos().max(1);
        self.poll_began_nanos.store(began, Ordering::Relaxed);
        let result = work();
        self.poll_began_nanos.store(0, Ordering::Relaxed);
        let spent = thread_cpu_nanos().saturating_sub(began);
        self.finished_nanos.fetch_add(spent, Ordering::Relaxed);
        result
    }
}

/// Runs a guest's future and charges the CPU time of every poll to `meter`.
pub async fn metered<F: Future>(meter: &CpuMeter, future: F) -> F::Output {
    let mut future = pin!(future);
    std::future::poll_fn(|context| -> Poll<F::Output> {
        meter.poll(|| future.as_mut().poll(context))
    })
    .await
}

/// The instance used up its CPU budget.
#[derive(Debug, thiserror::Error)]
#[error("the component used up its CPU budget")]
pub struct CpuExhausted;

fn thread_cpu_nanos() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    (time.tv_sec as u64)
        .saturating_mul(1_000_000_000)
        .saturating_add(time.tv_nsec as u64)
}
