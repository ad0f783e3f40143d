//! Promotion and rollback by themselves.
//!
//! A thread looks at every revision that is tried out, and at every one that came to serve not long
//! ago, and compares it with what served before: by the share of calls that failed and by the 95th
//! percentile of the time of those that did not. What is worse is taken back; a candidate that has
//! lasted as long as was asked is promoted. The same thread takes over what another process has
//! deployed, has quiet tenants' components leave memory, and removes files that nothing refers to.
//!
//! Not by requests' statuses: a server that is overloaded would take back what is innocent.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use auricle_runtime::Counts;
use auricle_speech::TenantId;
use auricle_tenancy::{Actor, Change, Role, StoredCandidate, TrialKind, unix_now};

use crate::config::DeploymentConfig;
use crate::control_plane::ControlPlane;
use crate::fleet::{Deployed, Served};

/// How often it looks.
const LOOK: Duration = Duration::from_millis(250);

/// Looks between two sweeps for quiet tenants.
const LOOKS_PER_SWEEP: u32 = 20;

/// Looks between two sweeps for files that nothing refers to: ten minutes.
const LOOKS_PER_REMOVAL: u32 = 2_400;

/// Looks between two on what another process has done: one second.
const LOOKS_PER_FOLLOW: u32 = 4;

/// So many calls are enough to see that almost all fail.
const FEW_CALLS: u64 = 5;

/// What "almost all" is: this much larger a share of failures than before.
const GLARING_EXCESS: f64 = 0.5;

/// Times below this are never too slow: they are counted in powers of two.
const FAST: Duration = Duration::from_millis(50);

/// The thread that looks; dropping this ends it.
pub struct RolloutMonitor {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl RolloutMonitor {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(control_plane: Arc<ControlPlane>) -> std::io::Result<Self> {
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new()
            .name("auricle-rollout".to_owned())
            .spawn(move || {
                let mut looks = 0_u32;
                let mut seen = None;
                control_plane.sweep();
                while stopped.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                    if looks.is_multiple_of(LOOKS_PER_FOLLOW)
                        && let Err(error) = control_plane.follow(&mut seen)
                    {
                        let error: &dyn std::error::Error = &error;
                        tracing::warn!(error, "deployments may be out of date");
                    }
                    look(&control_plane);
                    looks = looks.wrapping_add(1);
                    if looks.is_multiple_of(LOOKS_PER_SWEEP) {
                        let idle = Duration::from_secs(control_plane.config().idle_secs);
                        control_plane.fleet().sweep(idle);
                    }
                    if looks.is_multiple_of(LOOKS_PER_REMOVAL) {
                        control_plane.sweep();
                    }
                }
            })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for RolloutMonitor {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported; here it changes nothing.
            let _ = thread.join();
        }
    }
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Verdict {
    change: Change,
    reason: String,
}

fn look(control_plane: &ControlPlane) {
    for (tenant, deployed) in control_plane.fleet().all().iter() {
        // One that is being changed, which may take as long as compiling, keeps no other one waiting.
        if deployed.try_lock().is_none() {
            continue;
        }
        for (role, served) in deployed.watched() {
            let Some(verdict) = judge(control_plane, tenant, deployed, role, &served) else {
                continue;
            };
            let Verdict { change, reason } = verdict;
            let done = control_plane.change(&Actor::server(), tenant, role, change, &reason);
            let action = change.verb();
            match done {
                Ok(_) => tracing::warn!(%tenant, %role, action, reason, "by itself"),
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(error, %tenant, %role, action, "could not be done by itself");
                }
            }
        }
    }
}

fn judge(
    control_plane: &ControlPlane,
    tenant: &TenantId,
    deployed: &Deployed,
    role: Role,
    served: &Served,
) -> Option<Verdict> {
    let (fleet, config, state) = (control_plane.fleet(), control_plane.config(), &served.state);
    let counts = |number| fleet.counts(tenant, role, number);
    if let Some(candidate) = &state.candidate {
        let new = counts(candidate.number);
        let old = counts(state.stable).since(&served.before);
        if let Some(reason) = worse(&new, &old, config) {
            let change = Change::Abandon(candidate.number);
            return Some(Verdict { change, reason });
        }
        return lasted(
            candidate,
            &new,
            || deployed.shadow_report(role, candidate.number),
            config,
        );
    }
    let previous = state.previous?;
    if state.since.saturating_add(config.watch_secs) < unix_now() {
        return None;
    }
    let reason = worse(&counts(state.stable), &counts(previous), config)?;
    let change = Change::Rollback(Some(previous));
    Some(Verdict { change, reason })
}

/// Whether a candidate is to be promoted.
fn lasted(
    candidate: &StoredCandidate,
    counts: &Counts,
    report: impl FnOnce() -> crate::ShadowReport,
    config: &DeploymentConfig,
) -> Option<Verdict> {
    let after = candidate.plan.promote_after_secs?;
    if unix_now() < candidate.since.saturating_add(after) || counts.judged() < config.judge_calls {
        return None;
    }
    let reason = match candidate.plan.kind {
        TrialKind::Canary => format!(
            "{} calls in {after} s were no worse than before",
            counts.judged()
        ),
        TrialKind::Shadow => {
            let report = report();
            let same = report.same == report.compared && report.failed == 0;
            if !same || report.compared < config.judge_calls {
                return None;
            }
            format!("{} answers in {after} s were the same", report.compared)
        }
    };
    let change = Change::Promote(candidate.number);
    Some(Verdict { change, reason })
}

/// Why `new` does worse than `old`, if it does.
fn worse(new: &Counts, old: &Counts, config: &DeploymentConfig) -> Option<String> {
    let excess = new.failure_ratio() - old.failure_ratio();
    let (failed, judged) = (new.failed, new.judged());
    let few = judged >= FEW_CALLS && excess > GLARING_EXCESS;
    // One failure alone is nobody's pattern.
    let many = judged >= config.judge_calls && failed > 1 && excess > config.max_failure_excess;
    if few || many {
        return Some(format!(
            "{failed} of {judged} calls failed, {} of {} before",
            old.failed,
            old.judged()
        ));
    }
    let enough = new.succeeded >= config.judge_calls && old.succeeded >= config.judge_calls;
    let (new, old) = (new.p95()?, old.p95()?);
    let slow = enough && new > FAST && new.as_secs_f64() > old.as_secs_f64() * config.max_slowdown;
    slow.then(|| {
        let (new, old) = (new.as_millis(), old.as_millis());
        format!("95 of 100 calls took up to {new} ms, {old} ms before")
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use auricle_runtime::Tally;

    fn counts(succeeded: u64, failed: u64, millis: u64) -> Counts {
        let tally = Arc::new(Tally::default());
        for _ in 0..succeeded {
            let mut attempt = tally.begin();
            attempt.spend(Duration::from_millis(millis));
            attempt.succeeded();
        }
        for _ in 0..failed {
            tally.begin().failed();
        }
        tally.counts()
    }

    fn says(new: Counts, old: Counts) -> Option<String> {
        worse(&new, &old, &DeploymentConfig::default())
    }

    #[test]
    fn failures_count_from_few_calls_when_almost_all_fail_and_from_many_otherwise() {
        let good = || counts(100, 0, 1);
        assert_eq!(says(counts(0, 4, 1), good()), None);
        assert!(says(counts(0, 5, 1), good()).is_some());
        assert_eq!(says(counts(15, 3, 1), good()), None);
        assert!(says(counts(17, 3, 1), good()).is_some());
        assert_eq!(says(counts(19, 1, 1), good()), None);
        let reason = says(counts(17, 3, 1), good()).unwrap();
        assert_eq!(reason, "3 of 20 calls failed, 0 of 100 before");
    }

    #[test]
    fn what_failed_before_as_often_is_not_taken_back() {
        assert_eq!(says(counts(10, 10, 1), counts(10, 10, 1)), None);
        assert_eq!(says(counts(0, 50, 1), counts(0, 50, 1)), None);
    }

    #[test]
    fn slower_is_worse_from_a_factor_on_and_never_below_50_ms() {
        let old = || counts(50, 0, 30);
        assert_eq!(says(counts(50, 0, 100), old()), None);
        assert!(says(counts(50, 0, 300), old()).unwrap().contains("512 ms"));
        assert_eq!(says(counts(50, 0, 30), counts(50, 0, 1)), None);
        assert_eq!(says(counts(10, 0, 300), old()), None);
    }

    #[test]
    fn a_candidate_is_promoted_when_it_has_lasted_and_was_called_enough() {
        let candidate = |since, kind| StoredCandidate {
            number: 2,
            since,
            plan: auricle_tenancy::TrialPlan {
                kind,
                percent: 10,
                promote_after_secs: Some(60),
            },
        };
        let config = DeploymentConfig::default();
        let report = |compared, same| crate::ShadowReport {
            compared,
            same,
            ..Default::default()
        };
        let ask = |since, kind, calls, same| {
            let counts = counts(calls, 0, 1);
            lasted(
                &candidate(since, kind),
                &counts,
                || report(calls, same),
                &config,
            )
            .map(|verdict| verdict.change)
        };
        let canary = TrialKind::Canary;
        assert_eq!(ask(0, canary, 20, 0), Some(Change::Promote(2)));
        assert_eq!(ask(0, canary, 19, 0), None);
        assert_eq!(ask(unix_now(), canary, 20, 0), None);
        let shadow = TrialKind::Shadow;
        assert_eq!(ask(0, shadow, 20, 20), Some(Change::Promote(2)));
        assert_eq!(ask(0, shadow, 20, 19), None);
    }
}
