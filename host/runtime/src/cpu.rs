//! The CPU budget of an instance.
//!
//! wasmtime's epochs count wall-clock time and only while somebody looks: a guest that waits in a
//! host call would be charged for the wait, one that is scheduled away for its neighbour. So the
//! time is read from the thread's CPU clock around every poll of the guest's future (`clock`); the epoch
//! callback only looks whether the budget, or the tenant's minute, is used up, and whose turn it is
//! (`cores`).

mod clock;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use auricle_speech::TenantId;
use auricle_tenancy::{Account, OverQuota};

use crate::cores::Seat;
use clock::ThreadClock;

/// Something that an instance waits for before it computes on.
pub(crate) type Pause = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Counts the CPU time of one instance, and charges it to its tenant.
pub struct CpuMeter {
    account: Arc<Account>,
    seat: Seat,
    finished_nanos: AtomicU64,
    poll_began_nanos: AtomicU64,
    earned_nanos: AtomicU64,
    born: Instant,
    /// Of the time since then, what it has waited for something.
    idle_nanos: AtomicU64,
    /// When its last poll ended, in nanoseconds since then.
    left_nanos: AtomicU64,
    /// Whether that poll ended because others had to have a turn, and not because it waits.
    ticked: AtomicBool,
}

impl CpuMeter {
    /// Nothing used yet; `account`, which is the tenant's, pays.
    #[must_use]
    pub fn new(account: Arc<Account>, tenant: TenantId) -> Self {
        Self {
            account,
            seat: Seat::new(tenant),
            finished_nanos: AtomicU64::new(0),
            poll_began_nanos: AtomicU64::new(0),
            earned_nanos: AtomicU64::new(0),
            born: Instant::now(),
            idle_nanos: AtomicU64::new(0),
            left_nanos: AtomicU64::new(0),
            ticked: AtomicBool::new(false),
        }
    }

    /// CPU time used so far. Exact when called on the thread that is polling the guest, else up to
    /// the end of the last poll.
    #[must_use]
    pub fn used(&self) -> Duration {
        let finished = self.finished_nanos.load(Ordering::Relaxed);
        let running = match self.poll_began_nanos.load(Ordering::Relaxed) {
            0 => 0,
            began => clock::read_nanos().saturating_sub(began),
        };
        Duration::from_nanos(finished.saturating_add(running))
    }

    /// How long it has waited: for bytes, for the device, for its next call. Not for a core: a guest
    /// that computes on a busy machine does not wait, however slowly it gets on.
    #[must_use]
    pub fn idle(&self) -> Duration {
        Duration::from_nanos(self.idle_nanos.load(Ordering::Relaxed))
    }

    /// The instance stops at a tick of the epoch clock, to go on when others have had a turn.
    pub(crate) fn tick(&self) {
        self.ticked.store(true, Ordering::Relaxed);
    }

    /// Waits for a core to compute on, if the instance has none. Whoever is known to compute for long
    /// does so before it begins; the others at their first tick.
    pub async fn take_core(&self) {
        let mut turn = pin!(self.seat.take());
        std::future::poll_fn(|context| {
            let polled = turn.as_mut().poll(context);
            if polled.is_pending() {
                // To wait for a core is not to be idle.
                self.tick();
            }
            polled
        })
        .await;
    }

    /// What the instance waits for before it computes on, at a tick: its turn.
    pub(crate) fn pause(self: &Arc<Self>) -> Option<Pause> {
        let due = self.seat.is_due();
        if !due && self.seat.has_or_takes() {
            return None;
        }
        let meter = Arc::clone(self);
        Some(Box::pin(async move {
            if due {
                meter.seat.leave();
            }
            meter.take_core().await;
        }))
    }

    fn age_nanos(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Whether the tenant's components have used so much that the instance must end.
    #[must_use]
    pub fn overdrawn(&self) -> Option<OverQuota> {
        self.account.guest_cpu_overdrawn()
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

    fn poll<R>(&self, work: impl FnOnce() -> Poll<R>) -> Poll<R> {
        let left = self.left_nanos.load(Ordering::Relaxed);
        let away = self.age_nanos().saturating_sub(left);
        if !self.ticked.swap(false, Ordering::Relaxed) {
            self.idle_nanos.fetch_add(away, Ordering::Relaxed);
        }
        let clock = ThreadClock::start();
        let began = clock.began_nanos().max(1);
        self.poll_began_nanos.store(began, Ordering::Relaxed);
        let result = work();
        self.poll_began_nanos.store(0, Ordering::Relaxed);
        let spent = clock.spent_nanos();
        self.finished_nanos.fetch_add(spent, Ordering::Relaxed);
        self.account.use_guest_cpu(Duration::from_nanos(spent));
        self.left_nanos.store(self.age_nanos(), Ordering::Relaxed);
        if result.is_ready() || !self.ticked.load(Ordering::Relaxed) {
            // It has ended, or waits for something: others may compute meanwhile.
            self.seat.leave();
        }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn who_waits_is_idle_and_who_was_stopped_at_a_tick_is_not() {
        let tenant = TenantId::new("acme").unwrap();
        let meter = CpuMeter::new(Account::unlimited(), tenant);
        let tick = || {
            meter.tick();
            Poll::<()>::Pending
        };
        let wait = || Poll::<()>::Pending;
        let pause = Duration::from_millis(20);
        let _ = meter.poll(wait);
        std::thread::sleep(pause);
        let _ = meter.poll(tick);
        let idle = meter.idle();
        assert!(idle >= pause, "{idle:?}");
        std::thread::sleep(pause);
        let _ = meter.poll(tick);
        assert_eq!(meter.idle(), idle);
        std::thread::sleep(pause);
        let _ = meter.poll(wait);
        std::thread::sleep(pause);
        let _ = meter.poll(wait);
        assert!(meter.idle() >= idle + pause);
    }
}
