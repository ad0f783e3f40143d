//! The CPU time of this thread, read as seldom as that can be done honestly.
//!
//! To ask the kernel for it takes a microsecond on some machines, which is much beside a call of twenty;
//! the time of day costs a fortieth of that. Between two readings a thread cannot have computed for longer
//! than time has passed. So what was over within [`SHORT`] is taken to have computed all the time, and a
//! reading that is no older than [`FRESH`] is gone on from as if the thread had computed since.
//!
//! # Limits
//! A poll that was over within [`SHORT`] and scheduled away meanwhile counts for up to that much more than
//! it has computed; a longer one for up to [`FRESH`] less.

use std::cell::Cell;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// What is measured by the time of day alone: half of a tick of the epoch clock.
const SHORT: Duration = Duration::from_millis(1);

/// The age up to which a reading is gone on from.
const FRESH: Duration = Duration::from_micros(100);

thread_local! {
    /// The last reading of this thread's, and when that was.
    static LAST: Cell<Option<(Instant, u64)>> = const { Cell::new(None) };
}

/// A stretch of computing on one thread.
pub(super) struct ThreadClock {
    since: Instant,
    began_nanos: u64,
}

impl ThreadClock {
    /// The stretch begins.
    pub(super) fn start() -> Self {
        let since = Instant::now();
        let fresh = LAST.get().and_then(|(when, nanos)| {
            let age = since.saturating_duration_since(when);
            (age <= FRESH).then(|| nanos.saturating_add(nanos_of(age)))
        });
        Self {
            since,
            began_nanos: fresh.unwrap_or_else(|| read_at(since)),
        }
    }

    /// What the thread's clock was when it began, in nanoseconds.
    pub(super) fn began_nanos(&self) -> u64 {
        self.began_nanos
    }

    /// What the thread has computed since, in nanoseconds. On the same thread.
    pub(super) fn spent_nanos(&self) -> u64 {
        let now = Instant::now();
        let passed = now.saturating_duration_since(self.since);
        if passed <= SHORT {
            return nanos_of(passed);
        }
        read_at(now).saturating_sub(self.began_nanos)
    }
}

/// The thread's clock, in nanoseconds.
pub(super) fn read_nanos() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    (time.tv_sec as u64)
        .saturating_mul(1_000_000_000)
        .saturating_add(time.tv_nsec as u64)
}

fn read_at(now: Instant) -> u64 {
    let nanos = read_nanos();
    LAST.set(Some((now, nanos)));
    nanos
}

fn nanos_of(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compute_for(time: Duration) {
        let began = read_nanos();
        while read_nanos() - began < nanos_of(time) {
            std::hint::spin_loop();
        }
    }

    /// What a stretch is charged, and what it should be.
    fn charged(work: impl FnOnce()) -> (u64, u64) {
        let began = read_nanos();
        let clock = ThreadClock::start();
        work();
        let charged = clock.spent_nanos();
        (charged, read_nanos() - began)
    }

    #[test]
    fn a_long_stretch_is_charged_what_it_computed_and_not_what_it_waited() {
        let (charged, computed) = charged(|| {
            compute_for(Duration::from_millis(10));
            std::thread::sleep(Duration::from_millis(50));
        });
        assert!(charged <= computed, "{charged} of {computed}");
        assert!(
            computed - charged <= nanos_of(FRESH) + 100_000,
            "{charged} of {computed}"
        );
    }

    #[test]
    fn a_thread_that_has_waited_is_not_charged_less_for_that() {
        compute_for(Duration::from_micros(10));
        std::thread::sleep(Duration::from_millis(20));
        let (charged, computed) = charged(|| compute_for(Duration::from_millis(5)));
        assert!(
            computed - charged.min(computed) <= nanos_of(FRESH) + 100_000,
            "{charged} of {computed}"
        );
    }

    #[test]
    fn many_short_stretches_are_charged_at_least_what_they_computed() {
        let began = read_nanos();
        let charged: u64 = (0..1_000)
            .map(|_| {
                let clock = ThreadClock::start();
                compute_for(Duration::from_micros(20));
                clock.spent_nanos()
            })
            .sum();
        // What the loop takes beside them is little.
        let computed = read_nanos() - began;
        assert!(charged >= computed / 10 * 8, "{charged} of {computed}");
    }
}
