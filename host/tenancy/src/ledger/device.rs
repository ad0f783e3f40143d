//! Device time of one tenant. It is counted when it has been used, because what work costs is not known
//! before; new work is refused while more has been used than the quota has earned.

use std::time::{Duration, Instant};

use super::{Account, Flow, MINUTE, OverQuota};
use crate::quota::Quotas;

/// Smallest amount of device time that is waited for, in seconds: a short clip on a fast device.
const SOME_DEVICE: f64 = 0.1;

impl Flow {
    /// Refuses new work of a tenant whose device time is used up.
    pub(super) fn check_device(&mut self, quotas: &Quotas, now: Instant) -> Result<(), OverQuota> {
        let Some(limit_secs) = quotas.device_secs_per_minute else {
            return Ok(());
        };
        match self.device.wait(SOME_DEVICE, limit_secs, MINUTE, now) {
            None => Ok(()),
            Some(retry_after) => Err(OverQuota::Device {
                limit_secs,
                retry_after,
            }),
        }
    }
}

impl Account {
    /// Counts device time that the tenant's work has taken.
    pub fn use_device(&self, time: Duration) {
        if let Some(limit_secs) = self.quotas.load().device_secs_per_minute {
            let (secs, now) = (time.as_secs_f64(), Instant::now());
            self.lock().device.spend(secs, limit_secs, MINUTE, now);
        }
    }

    /// Refuses new work of a tenant whose device time is used up. [`Account::begin_request`] and
    /// [`Account::use_audio`] do so too.
    ///
    /// # Errors
    /// [`OverQuota::Device`].
    pub fn check_device(&self) -> Result<(), OverQuota> {
        let (quotas, now) = (self.quotas.load(), Instant::now());
        self.lock().check_device(&quotas, now)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use super::*;

    #[test]
    fn used_device_time_refuses_new_work_until_it_is_earned() {
        let account = Account::new(Quotas {
            device_secs_per_minute: Some(6),
            ..Quotas::default()
        });
        account.use_audio(Duration::from_secs(3600)).unwrap();
        account.use_device(Duration::from_secs(9));
        assert_eq!(account.flowing().device_secs.unwrap().remaining, 0);
        for refused in [
            account.begin_request(),
            account.use_audio(Duration::ZERO),
            account.check_device(),
        ] {
            let Err(OverQuota::Device { retry_after, .. }) = refused else {
                panic!("{refused:?}");
            };
            // 3.1 s are missing, of which one comes in 10 s.
            assert!(
                (30.0..=31.1).contains(&retry_after.as_secs_f64()),
                "{retry_after:?}"
            );
        }
    }

    #[test]
    fn device_time_without_a_quota_refuses_nothing() {
        let account = Account::new(Quotas::default());
        account.use_device(Duration::from_secs(9_000));
        account.begin_request().unwrap();
        account.check_device().unwrap();
        assert_eq!(account.flowing().device_secs, None);
    }
}
