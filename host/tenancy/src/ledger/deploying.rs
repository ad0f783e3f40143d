//! What deploying uses: changes within a minute, and processor time for compiling.

use std::time::{Duration, Instant};

use super::{Account, MINUTE, OverQuota, SOME_CPU};

impl Account {
    /// Counts one request about deployments. Unlike [`Account::begin_request`] it does not look at audio
    /// and processor time: a tenant that has used up its minute may still roll back what used it up.
    ///
    /// # Errors
    /// [`OverQuota::Requests`]; nothing is counted then.
    pub fn begin_deploy_request(&self) -> Result<(), OverQuota> {
        let Some(limit) = self.quotas.load().requests_per_minute else {
            return Ok(());
        };
        let taken = self
            .lock()
            .requests
            .take(1.0, limit, MINUTE, Instant::now());
        taken.map_err(|retry_after| OverQuota::Requests { limit, retry_after })
    }

    /// Counts one change of the tenant's components or deployments.
    ///
    /// # Errors
    /// [`OverQuota::DeployActs`]; nothing is counted then.
    pub fn begin_deploy_act(&self) -> Result<(), OverQuota> {
        let Some(limit) = self.quotas.load().deploy_acts_per_minute else {
            return Ok(());
        };
        let taken = self
            .lock()
            .deploy_acts
            .take(1.0, limit, MINUTE, Instant::now());
        taken.map_err(|retry_after| OverQuota::DeployActs { limit, retry_after })
    }

    /// Refuses a tenant that has used up its processor time for compiling, or for its components, of which
    /// a deployment calls one.
    ///
    /// # Errors
    /// [`OverQuota::Compile`], [`OverQuota::GuestCpu`].
    pub fn check_deploy(&self) -> Result<(), OverQuota> {
        let (quotas, now, mut flow) = (self.quotas.load(), Instant::now(), self.lock());
        if let Some(limit_secs) = quotas.compile_secs_per_minute
            && let Some(retry_after) = flow.compile.wait(SOME_CPU, limit_secs, MINUTE, now)
        {
            return Err(OverQuota::Compile {
                limit_secs,
                retry_after,
            });
        }
        if let Some(limit_secs) = quotas.guest_cpu_secs_per_minute
            && let Some(retry_after) = flow.guest_cpu.wait(SOME_CPU, limit_secs, MINUTE, now)
        {
            return Err(OverQuota::GuestCpu {
                limit_secs,
                retry_after,
            });
        }
        Ok(())
    }

    /// The compiler has computed for so long on a component of the tenant's.
    pub fn use_compile(&self, time: Duration) {
        if let Some(limit_secs) = self.quotas.load().compile_secs_per_minute {
            let (secs, now) = (time.as_secs_f64(), Instant::now());
            self.lock().compile.spend(secs, limit_secs, MINUTE, now);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use super::*;
    use crate::quota::Quotas;

    #[test]
    fn changes_are_counted_by_the_minute_and_other_requests_are_not_changes() {
        let account = Account::new(Quotas {
            deploy_acts_per_minute: Some(2),
            ..Quotas::default()
        });
        for _ in 0..2 {
            account.begin_deploy_act().unwrap();
        }
        let refused = account.begin_deploy_act().unwrap_err();
        assert!(
            matches!(refused, OverQuota::DeployActs { limit: 2, .. }),
            "{refused:?}"
        );
        assert!(refused.retry_after() > Duration::from_secs(25));
        account.begin_deploy_request().unwrap();
        account.begin_request().unwrap();
    }

    #[test]
    fn compiling_may_overdraw_a_minute_and_is_paid_for_later() {
        let account = Account::new(Quotas {
            compile_secs_per_minute: Some(10),
            ..Quotas::default()
        });
        account.check_deploy().unwrap();
        account.use_compile(Duration::from_secs(20));
        let refused = account.check_deploy().unwrap_err();
        assert!(
            matches!(refused, OverQuota::Compile { limit_secs: 10, .. }),
            "{refused:?}"
        );
        assert!(refused.retry_after() > Duration::from_secs(55));
    }

    #[test]
    fn a_tenant_without_processor_time_may_roll_back_and_not_deploy() {
        let account = Account::new(Quotas {
            guest_cpu_secs_per_minute: Some(1),
            ..Quotas::default()
        });
        account.use_guest_cpu(Duration::from_secs(5));
        assert!(account.begin_request().is_err());
        account.begin_deploy_request().unwrap();
        account.begin_deploy_act().unwrap();
        assert!(account.check_deploy().is_err());
    }
}
