//! A token bucket: so much within a minute, and all of it at once after a quiet one.

use std::time::{Duration, Instant};

/// What is missing by the rounding of times alone.
const ROUNDING: f64 = 1e-6;

/// A bucket that is full at first. Its size is given with every call, because quotas change while
/// it lives; what has been used of it stays used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    used: f64,
    updated: Instant,
}

/// How a bucket stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// What a full bucket holds.
    pub limit: u32,
    /// What may be used now, rounded down.
    pub remaining: u32,
    /// Until it is full again, when nothing more is used.
    pub reset: Duration,
}

impl Bucket {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            used: 0.0,
            updated: now,
        }
    }

    /// Gives back what the time since the last call has earned: the whole size in `period`.
    fn refill(&mut self, size: u32, period: Duration, now: Instant) {
        let passed = now.saturating_duration_since(self.updated).as_secs_f64();
        let earned = f64::from(size) * passed / period.as_secs_f64();
        self.used = (self.used - earned).max(0.0);
        self.updated = now;
    }

    /// Uses `amount`, when there is as much or the bucket is full. A full bucket gives more than it
    /// holds and stays empty for as long as that takes to earn.
    ///
    /// # Errors
    /// How long it takes until the same call succeeds, if nobody else uses the bucket.
    pub(crate) fn take(
        &mut self,
        amount: f64,
        size: u32,
        period: Duration,
        now: Instant,
    ) -> Result<(), Duration> {
        let missing = self.missing(amount, size, period, now);
        if missing > ROUNDING {
            return Err(time(missing, size, period));
        }
        self.used += amount;
        Ok(())
    }

    /// Uses `amount` that cannot be refused any more.
    pub(crate) fn spend(&mut self, amount: f64, size: u32, period: Duration, now: Instant) {
        self.refill(size, period, now);
        self.used += amount;
    }

    /// Whether more than another bucketful has been used beyond what it holds.
    pub(crate) fn is_overdrawn(&mut self, size: u32, period: Duration, now: Instant) -> bool {
        self.refill(size, period, now);
        self.used > 2.0 * f64::from(size)
    }

    /// How long until `amount` can be used.
    pub(crate) fn wait(
        &mut self,
        amount: f64,
        size: u32,
        period: Duration,
        now: Instant,
    ) -> Option<Duration> {
        let missing = self.missing(amount, size, period, now);
        (missing > ROUNDING).then(|| time(missing, size, period))
    }

    fn missing(&mut self, amount: f64, size: u32, period: Duration, now: Instant) -> f64 {
        self.refill(size, period, now);
        let size = f64::from(size);
        amount.min(size) - (size - self.used)
    }

    /// How it stands.
    pub(crate) fn standing(&mut self, size: u32, period: Duration, now: Instant) -> Standing {
        self.refill(size, period, now);
        let remaining = (f64::from(size) - self.used + ROUNDING).max(0.0);
        Standing {
            limit: size,
            remaining: remaining as u32,
            reset: time(self.used, size, period),
        }
    }

    /// Whether nothing is used, so that forgetting it changes nothing.
    pub(crate) fn is_full(&mut self, size: u32, period: Duration, now: Instant) -> bool {
        self.refill(size, period, now);
        self.used <= 0.0
    }
}

/// How long a bucket of `size` takes to earn `amount`.
fn time(amount: f64, size: u32, period: Duration) -> Duration {
    let secs = amount.max(0.0) / f64::from(size.max(1)) * period.as_secs_f64();
    Duration::try_from_secs_f64(secs).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn secs(duration: Duration) -> f64 {
        (duration.as_secs_f64() * 100.0).round() / 100.0
    }

    #[test]
    fn a_minutes_worth_goes_at_once_and_comes_back_evenly() {
        let begin = Instant::now();
        let mut bucket = Bucket::new(begin);
        for _ in 0..6 {
            bucket.take(1.0, 6, MINUTE, begin).unwrap();
        }
        let wait = bucket.take(1.0, 6, MINUTE, begin).unwrap_err();
        assert_eq!(secs(wait), 10.0);
        let almost = begin + Duration::from_millis(9_900);
        assert!(bucket.take(1.0, 6, MINUTE, almost).is_err());
        bucket.take(1.0, 6, MINUTE, begin + wait).unwrap();
    }

    #[test]
    fn more_than_a_bucketful_is_given_when_it_is_full_and_paid_for_later() {
        let begin = Instant::now();
        let mut bucket = Bucket::new(begin);
        bucket.take(90.0, 30, MINUTE, begin).unwrap();
        let wait = bucket.take(1.0, 30, MINUTE, begin).unwrap_err();
        assert_eq!(secs(wait), 122.0);
        assert_eq!(bucket.standing(30, MINUTE, begin).remaining, 0);
        let later = begin + wait;
        assert_eq!(bucket.standing(30, MINUTE, later).remaining, 1);
        assert!(bucket.wait(31.0, 30, MINUTE, later).is_some());
        bucket.take(1.0, 30, MINUTE, later).unwrap();
    }

    #[test]
    fn what_is_spent_may_overdraw_and_is_paid_for() {
        let begin = Instant::now();
        let mut bucket = Bucket::new(begin);
        bucket.spend(20.0, 10, MINUTE, begin);
        assert!(!bucket.is_overdrawn(10, MINUTE, begin));
        bucket.spend(0.5, 10, MINUTE, begin);
        assert!(bucket.is_overdrawn(10, MINUTE, begin));
        let wait = bucket.wait(1.0, 10, MINUTE, begin).unwrap();
        assert_eq!(secs(wait), 69.0);
        assert!(bucket.wait(1.0, 10, MINUTE, begin + wait).is_none());
    }

    #[test]
    fn a_smaller_size_does_not_forget_what_was_used() {
        let begin = Instant::now();
        let mut bucket = Bucket::new(begin);
        bucket.take(50.0, 100, MINUTE, begin).unwrap();
        assert!(bucket.take(1.0, 10, MINUTE, begin).is_err());
        assert_eq!(bucket.standing(100, MINUTE, begin).remaining, 50);
        assert!(!bucket.is_full(100, MINUTE, begin + Duration::from_secs(29)));
        assert!(bucket.is_full(100, MINUTE, begin + Duration::from_secs(31)));
    }
}
