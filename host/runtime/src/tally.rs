//! How a revision has done: what whoever promotes it or rolls it back goes by.
//!
//! Counted where the guest is called, so that every role is counted alike. A call that nobody waited
//! for to its end is neither a success nor a failure.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::failure::GuestFailure;

/// Upper bounds of the classes of latency double from 1 ms; the last class is everything from about
/// an hour on.
const CLASSES: usize = 23;

/// Counts of one revision.
#[derive(Debug, Default)]
pub struct Tally {
    begun: AtomicU64,
    ended: AtomicU64,
    succeeded: AtomicU64,
    failed: AtomicU64,
    latency: [AtomicU64; CLASSES],
}

/// What a [`Tally`] said at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls that have begun.
    pub begun: u64,
    /// Calls that go on.
    pub running: u64,
    /// Calls that ended well.
    pub succeeded: u64,
    /// Calls in which the component trapped, went over a limit, broke its contract, or answered 500.
    pub failed: u64,
    latency: [u64; CLASSES],
}

impl Tally {
    /// A call begins.
    #[must_use]
    pub fn begin(self: &Arc<Self>) -> Attempt {
        self.begun.fetch_add(1, Ordering::Relaxed);
        Attempt {
            tally: Arc::clone(self),
            since: Instant::now(),
            spent: None,
        }
    }

    /// A call that was counted as a success has failed after all: within its answer's body.
    pub fn failed_late(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.succeeded.fetch_sub(1, Ordering::Relaxed);
    }

    /// What it says now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        // Ended before begun: the difference never goes below what runs.
        let ended = self.ended.load(Ordering::Acquire);
        let begun = self.begun.load(Ordering::Acquire);
        Counts {
            begun,
            running: begun.saturating_sub(ended),
            succeeded: self.succeeded.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            latency: std::array::from_fn(|class| {
                self.latency
                    .get(class)
                    .map_or(0, |count| count.load(Ordering::Relaxed))
            }),
        }
    }
}

impl Counts {
    /// Calls whose outcome is known.
    #[must_use]
    pub fn judged(&self) -> u64 {
        self.succeeded + self.failed
    }

    /// The share of them that failed, 0.0..=1.0.
    #[must_use]
    pub fn failure_ratio(&self) -> f64 {
        match self.judged() {
            0 => 0.0,
            judged => self.failed as f64 / judged as f64,
        }
    }

    /// The time that 95 of 100 successful calls did not take longer than, rounded up to a power of
    /// two of milliseconds; nothing while there is none.
    #[must_use]
    pub fn p95(&self) -> Option<Duration> {
        let all: u64 = self.latency.iter().sum();
        let mut left = (all * 95).div_ceil(100);
        for (class, count) in self.latency.iter().enumerate() {
            if *count >= left {
                return (all > 0).then(|| Duration::from_millis(1 << class));
            }
            left -= count;
        }
        None
    }

    /// What was counted since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            begun: self.begun.saturating_sub(earlier.begun),
            running: self.running,
            succeeded: self.succeeded.saturating_sub(earlier.succeeded),
            failed: self.failed.saturating_sub(earlier.failed),
            latency: std::array::from_fn(|class| {
                let of = |counts: &Self| counts.latency.get(class).copied().unwrap_or(0);
                of(self).saturating_sub(of(earlier))
            }),
        }
    }
}

/// One call. Dropping it without an outcome counts it as ended and nothing else.
#[derive(Debug)]
pub struct Attempt {
    tally: Arc<Tally>,
    since: Instant,
    /// Time in calls, where they are less than its life.
    spent: Option<Duration>,
}

impl Attempt {
    /// It ended as `outcome` says. That no instance was free is not the component's fault.
    ///
    /// # Errors
    /// Those of `outcome`.
    pub fn judge<T>(self, outcome: Result<T, GuestFailure>) -> Result<T, GuestFailure> {
        match &outcome {
            Ok(_) => self.succeeded(),
            Err(GuestFailure::PoolExhausted) => {}
            Err(_) => self.failed(),
        }
        outcome
    }

    /// It ended well.
    pub fn succeeded(self) {
        let took = self.spent.unwrap_or_else(|| self.since.elapsed());
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        // Class n holds what took at most 2^n ms.
        let class = u64::BITS - millis.saturating_sub(1).leading_zeros();
        let class = match millis {
            0 | 1 => 0,
            _ => class as usize,
        };
        if let Some(count) = self.tally.latency.get(class.min(CLASSES - 1)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.tally.succeeded.fetch_add(1, Ordering::Relaxed);
    }

    /// It ended well after a time that says nothing: a session that lasted as long as its client
    /// wanted.
    pub fn succeeded_untimed(self) {
        self.tally.succeeded.fetch_add(1, Ordering::Relaxed);
    }

    /// The component failed.
    pub fn failed(self) {
        self.tally.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Adds time that the component was called; then its life does not count.
    pub fn spend(&mut self, time: Duration) {
        *self.spent.get_or_insert_default() += time;
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.tally.ended.fetch_add(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn outcomes_are_counted_and_a_call_that_nobody_waited_for_is_none() {
        let tally = Arc::new(Tally::default());
        tally.begin().succeeded();
        tally.begin().failed();
        drop(tally.begin());
        let running = tally.begin();
        let counts = tally.counts();
        assert_eq!((counts.begun, counts.running), (4, 1));
        assert_eq!((counts.succeeded, counts.failed), (1, 1));
        assert!((counts.failure_ratio() - 0.5).abs() < 1e-9);
        drop(running);
        assert_eq!(tally.counts().running, 0);
    }

    #[test]
    fn the_95th_of_100_latencies_is_rounded_up_to_a_power_of_two() {
        let tally = Arc::new(Tally::default());
        for millis in 1..=100_u64 {
            let mut attempt = tally.begin();
            attempt.spend(Duration::from_millis(millis));
            attempt.succeeded();
        }
        let counts = tally.counts();
        assert_eq!(counts.p95(), Some(Duration::from_millis(128)));
        for _ in 0..10_000 {
            let mut attempt = tally.begin();
            attempt.spend(Duration::from_millis(5));
            attempt.succeeded();
        }
        assert_eq!(tally.counts().p95(), Some(Duration::from_millis(8)));
        let later = tally.counts().since(&counts);
        assert_eq!(later.succeeded, 10_000);
        assert_eq!(later.p95(), Some(Duration::from_millis(8)));
    }
}
