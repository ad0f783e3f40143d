//! How many requests run at once.
//!
//! A request is admitted before its body is read, or refused with a number: nothing waits here, so
//! there is no queue to grow. A permit lives as long as its request: to the last byte of the
//! answer, or to a WebSocket's end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use auricle_speech::TenantId;
use auricle_tenancy::{Access, OverQuota};

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
    tenants: HashMap<TenantId, Running>,
    /// Moving average of how long a request holds its permit.
    mean: Duration,
}

/// What one tenant has running.
#[derive(Clone, Copy, Debug, Default)]
struct Running {
    /// WebSockets included.
    requests: usize,
    sessions: usize,
}

/// What is to be admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A request that is answered.
    Request,
    /// A WebSocket, which is a request too.
    Session,
    /// A request about deployments.
    Deployment,
}

/// Why a request is not admitted, and when a place will probably be free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Busy {
    /// The tenant has as many as it may have.
    Tenant { retry_after: Duration },
    /// The tenant has as many WebSockets as it may have.
    Sessions { retry_after: Duration },
    /// The tenant has used up its minute.
    Flow(OverQuota),
    /// The node has as many as it may have.
    Node { retry_after: Duration },
}

/// The right to run one request; given back by dropping it.
#[derive(Debug)]
pub(crate) struct Permit {
    admission: Arc<Admission>,
    tenant: TenantId,
    kind: Kind,
    since: Instant,
}

impl Admission {
    pub(crate) fn new(limits: AdmissionLimits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            state: Mutex::default(),
        })
    }

    /// Admits something of a tenant, or says when to come back. The tenant's own limits are looked at
    /// first: whoever fills the node hears that it is them. Only what is let in is counted against
    /// the tenant's minute.
    pub(crate) fn admit(self: &Arc<Self>, access: &Access, kind: Kind) -> Result<Permit, Busy> {
        let quotas = access.account.quotas();
        let limit = |own: Option<u32>| {
            own.and_then(|limit| usize::try_from(limit).ok())
                .unwrap_or(self.limits.max_requests_per_tenant)
        };
        let mut state = self.lock();
        let running = state
            .tenants
            .get(&access.tenant)
            .copied()
            .unwrap_or_default();
        if running.requests >= limit(quotas.max_requests) {
            let retry_after = state.next_free(running.requests);
            return Err(Busy::Tenant { retry_after });
        }
        if kind == Kind::Session && running.sessions >= limit(quotas.max_sessions) {
            let retry_after = state.next_free(running.sessions);
            return Err(Busy::Sessions { retry_after });
        }
        if state.running >= self.limits.max_requests {
            let retry_after = state.next_free(state.running);
            return Err(Busy::Node { retry_after });
        }
        let counted = match kind {
            Kind::Deployment => access.account.begin_deploy_request(),
            Kind::Request | Kind::Session => access.account.begin_request(),
        };
        counted.map_err(Busy::Flow)?;
        state.count(&access.tenant, kind);
        drop(state);
        Ok(Permit {
            admission: Arc::clone(self),
            tenant: access.tenant.clone(),
            kind,
            since: Instant::now(),
        })
    }

    /// Requests running now, acts on deployments whose client has left among them.
    pub(crate) fn running(&self) -> usize {
        self.lock().running
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn count(&mut self, tenant: &TenantId, kind: Kind) {
        self.running += 1;
        let running = self.tenants.entry(tenant.clone()).or_default();
        running.requests += 1;
        running.sessions += usize::from(kind == Kind::Session);
    }

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
        if let Some(running) = state.tenants.get_mut(&self.tenant) {
            running.requests = running.requests.saturating_sub(1);
            let session = usize::from(self.kind == Kind::Session);
            running.sessions = running.sessions.saturating_sub(session);
            if running.requests == 0 {
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

    use auricle_tenancy::{Account, Quotas};

    use super::*;

    fn tenant(name: &str) -> Access {
        with(name, Quotas::default())
    }

    fn with(name: &str, quotas: Quotas) -> Access {
        Access {
            tenant: TenantId::new(name).unwrap(),
            key: None,
            account: Arc::new(Account::new(quotas)),
        }
    }

    fn admission(per_tenant: usize, node: usize) -> Arc<Admission> {
        Admission::new(AdmissionLimits {
            max_requests_per_tenant: per_tenant,
            max_requests: node,
            ..AdmissionLimits::default()
        })
    }

    #[test]
    fn a_tenant_over_its_limit_does_not_stop_another() {
        let admission = admission(2, 10);
        let held = [(); 2].map(|()| admission.admit(&tenant("noisy"), Kind::Request).unwrap());
        let refused = admission
            .admit(&tenant("noisy"), Kind::Request)
            .unwrap_err();
        assert!(matches!(refused, Busy::Tenant { .. }), "{refused:?}");
        admission.admit(&tenant("quiet"), Kind::Request).unwrap();
        drop(held);
        admission.admit(&tenant("noisy"), Kind::Request).unwrap();
    }

    #[test]
    fn a_full_node_refuses_everybody_until_something_ends() {
        let admission = admission(2, 3);
        let mut held = ["a", "b", "c"]
            .map(|name| Some(admission.admit(&tenant(name), Kind::Request).unwrap()));
        let refused = admission.admit(&tenant("d"), Kind::Request).unwrap_err();
        assert!(matches!(refused, Busy::Node { .. }), "{refused:?}");
        held[0] = None;
        admission.admit(&tenant("d"), Kind::Request).unwrap();
        drop(held);
        assert_eq!(admission.running(), 0);
        assert!(
            admission.lock().tenants.is_empty(),
            "idle tenants are forgotten"
        );
    }

    #[test]
    fn a_tenants_own_limits_win_over_the_nodes() {
        let admission = admission(1, 10);
        let own = with(
            "large",
            Quotas {
                max_requests: Some(3),
                max_sessions: Some(1),
                ..Quotas::default()
            },
        );
        let _session = admission.admit(&own, Kind::Session).unwrap();
        let refused = admission.admit(&own, Kind::Session).unwrap_err();
        assert!(matches!(refused, Busy::Sessions { .. }), "{refused:?}");
        let _held = [(); 2].map(|()| admission.admit(&own, Kind::Request).unwrap());
        let refused = admission.admit(&own, Kind::Request).unwrap_err();
        assert!(matches!(refused, Busy::Tenant { .. }), "{refused:?}");
    }

    #[test]
    fn what_is_refused_is_not_counted_against_the_minute() {
        let admission = admission(1, 10);
        let own = with(
            "slow",
            Quotas {
                requests_per_minute: Some(2),
                ..Quotas::default()
            },
        );
        let held = admission.admit(&own, Kind::Request).unwrap();
        for _ in 0..5 {
            admission.admit(&own, Kind::Request).unwrap_err();
        }
        drop(held);
        drop(admission.admit(&own, Kind::Request).unwrap());
        let refused = admission.admit(&own, Kind::Request).unwrap_err();
        assert!(matches!(refused, Busy::Flow(_)), "{refused:?}");
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
