//! How many requests run at once.
//!
//! A request is admitted before its body is read, or refused with a number: nothing waits here, so
//! there is no queue to grow. A permit lives as long as its request: to the last byte of the
//! answer, or to a WebSocket's end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use auricle_speech::TenantId;

use crate::config::AdmissionLimits;

/// Longest time that a refused client is told to wait: by then the guess is worth nothing.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// Weight of the latest request in the mean duration, as a divisor: the mean follows a change of
/// load within some ten requests.
const MEAN_WEIGHT: u32 = 8;

/// Counts running requests.
#[derive(Debug)]
pub(crate) struct Admission {
    limits: AdmissionLimits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    /// Tenants with something running, and how much.
    tenants: HashMap<TenantId, usize>,
    /// Moving average of how long a request holds its permit.
    mean: Duration,
}

/// Why a request is not admitted, and when a place will probably be free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Busy {
    /// The tenant has as many as it may have.
    Tenant { retry_after: Duration },
    /// The node has as many as it may have.
    Node { retry_after: Duration },
}

/// The right to run one request; given back by dropping it.
#[derive(Debug)]
pub(crate) struct Permit {
    admission: Arc<Admission>,
    tenant: TenantId,
    since: Instant,
}

impl Admission {
    pub(crate) fn new(limits: AdmissionLimits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            state: Mutex::default(),
        })
    }

    /// Admits a request of `tenant`, or says when to come back. The tenant's own limit is looked at
    /// first: whoever fills the node hears that it is them.
    pub(crate) fn admit(self: &Arc<Self>, tenant: &TenantId) -> Result<Permit, Busy> {
        let mut state = self.lock();
        let of_tenant = state.tenants.get(tenant).copied().unwrap_or(0);
        if of_tenant >= self.limits.max_requests_per_tenant {
            let retry_after = state.next_free(of_tenant);
            return Err(Busy::Tenant { retry_after });
        }
        if state.running >= self.limits.max_requests {
            let retry_after = state.next_free(state.running);
            return Err(Busy::Node { retry_after });
        }
        state.running += 1;
        *state.tenants.entry(tenant.clone()).or_default() += 1;
        drop(state);
        Ok(Permit {
            admission: Arc::clone(self),
            tenant: tenant.clone(),
            since: Instant::now(),
        })
    }

    /// Requests running now.
    pub(crate) fn running(&self) -> usize {
        self.lock().running
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// When one of `running` requests of mean duration will have ended, if they end evenly.
    fn next_free(&self, running: usize) -> Duration {
        let running = u32::try_from(running).unwrap_or(u32::MAX).max(1);
        (self.mean / running).clamp(Duration::from_secs(1), MAX_RETRY_AFTER)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let took = self.since.elapsed();
        let mut state = self.admission.lock();
        state.running = state.running.saturating_sub(1);
        state.mean = state.mean.saturating_sub(state.mean / MEAN_WEIGHT) + took / MEAN_WEIGHT;
        if let Some(count) = state.tenants.get_mut(&self.tenant) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                state.tenants.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "tests"
    )]

    use super::*;

    fn tenant(name: &str) -> TenantId {
        TenantId::new(name).unwrap()
    }

    fn admission(per_tenant: usize, node: usize) -> Arc<Admission> {
        Admission::new(AdmissionLimits {
            max_requests_per_tenant: per_tenant,
            max_requests: node,
        })
    }

    #[test]
    fn a_tenant_over_its_limit_does_not_stop_another() {
        let admission = admission(2, 10);
        let held = [(); 2].map(|()| admission.admit(&tenant("noisy")).unwrap());
        let refused = admission.admit(&tenant("noisy")).unwrap_err();
        assert!(matches!(refused, Busy::Tenant { .. }), "{refused:?}");
        admission.admit(&tenant("quiet")).unwrap();
        drop(held);
        admission.admit(&tenant("noisy")).unwrap();
    }

    #[test]
    fn a_full_node_refuses_everybody_until_something_ends() {
        let admission = admission(2, 3);
        let mut held = ["a", "b", "c"].map(|name| Some(admission.admit(&tenant(name)).unwrap()));
        let refused = admission.admit(&tenant("d")).unwrap_err();
        assert!(matches!(refused, Busy::Node { .. }), "{refused:?}");
        held[0] = None;
        admission.admit(&tenant("d")).unwrap();
        drop(held);
        assert_eq!(admission.running(), 0);
        assert!(
            admission.lock().tenants.is_empty(),
            "idle tenants are forgotten"
        );
    }

    #[test]
    fn the_wait_follows_how_long_requests_take() {
        let state = |secs| State {
            mean: Duration::from_secs(secs),
            ..State::default()
        };
        assert_eq!(state(0).next_free(4), Duration::from_secs(1));
        assert_eq!(state(40).next_free(4), Duration::from_secs(10));
        assert_eq!(state(4000).next_free(4), MAX_RETRY_AFTER);
    }
}
