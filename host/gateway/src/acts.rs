//! Requests about deployments: on threads of their own, few of a tenant's at once.
//!
//! An act may compile and wait for a disk, so it runs on a thread that nothing else waits for: changes of
//! tenants, what tenants read, and operators' acts have a pool each. Nothing queues: a request beyond a
//! limit is refused before its body is read. An act goes on when its client has left; until it ends it is
//! counted as running and a drain waits for it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use auricle_runtime::ThreadPool;
use auricle_speech::TenantId;
use http::Method;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::admin::AdminError;
use crate::admission::Busy;
use crate::config::AdmissionLimits;
use crate::rescue::Refusal;

/// Requests of one tenant at once that change nothing.
const MAX_READS_PER_TENANT: usize = 4;

/// Threads for requests of tenants that change nothing.
const READ_THREADS: usize = 16;

/// Threads for operators' requests: fewer than the admin listener has connections, so that one of those
/// can always give way to a probe.
const OPERATOR_THREADS: usize = 32;

/// Components that tenants send at once, one of each tenant's; each is held in memory.
const MAX_PUSHES: usize = 4;

/// When to come back to a node without a free thread.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What a request of a tenant does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ActKind {
    /// It changes something.
    Change,
    /// It reads.
    Read,
}

impl ActKind {
    pub(crate) fn of(method: &Method) -> Self {
        match *method == Method::GET || *method == Method::HEAD {
            true => Self::Read,
            false => Self::Change,
        }
    }
}

/// Counts and runs requests about deployments.
#[derive(Debug)]
pub(crate) struct Acts {
    max_per_tenant: usize,
    tenants: Mutex<HashMap<TenantId, Running>>,
    operators: Arc<AtomicUsize>,
    pushes: Arc<Semaphore>,
    changes: ThreadPool,
    reads: ThreadPool,
    operator_threads: ThreadPool,
}

/// What one tenant has running.
#[derive(Clone, Copy, Debug, Default)]
struct Running {
    changes: usize,
    reads: usize,
    is_pushing: bool,
}

/// A request that is counted until this is dropped.
#[derive(Debug)]
pub(crate) struct ActPermit {
    acts: Arc<Acts>,
    tenant: TenantId,
    kind: ActKind,
}

/// A component that is being sent, until this is dropped.
#[derive(Debug)]
pub(crate) struct PushPermit {
    acts: Arc<Acts>,
    tenant: TenantId,
    _node: OwnedSemaphorePermit,
}

/// An operator's act that is counted until this is dropped.
#[derive(Debug)]
pub(crate) struct OperatorPermit(Arc<AtomicUsize>);

impl Acts {
    pub(crate) fn new(limits: &AdmissionLimits) -> Arc<Self> {
        Arc::new(Self {
            max_per_tenant: limits.max_deploy_acts_per_tenant,
            tenants: Mutex::default(),
            operators: Arc::default(),
            pushes: Arc::new(Semaphore::new(MAX_PUSHES)),
            changes: ThreadPool::new("auricle-act", limits.max_deploy_acts),
            reads: ThreadPool::new("auricle-read", READ_THREADS),
            operator_threads: ThreadPool::new("auricle-admin", OPERATOR_THREADS),
        })
    }

    /// Counts a request of a tenant's, unless it has as many as it may have.
    pub(crate) fn begin(
        self: &Arc<Self>,
        tenant: &TenantId,
        kind: ActKind,
    ) -> Result<ActPermit, AdminError> {
        let mut tenants = self.lock();
        let running = tenants.entry(tenant.clone()).or_default();
        let (count, limit) = match kind {
            ActKind::Change => (&mut running.changes, self.max_per_tenant),
            ActKind::Read => (&mut running.reads, MAX_READS_PER_TENANT),
        };
        if *count >= limit {
            return Err(AdminError::TooManyActs { limit });
        }
        *count += 1;
        Ok(ActPermit {
            acts: Arc::clone(self),
            tenant: tenant.clone(),
            kind,
        })
    }

    /// Counts a component that a tenant is about to send.
    pub(crate) fn begin_push(
        self: &Arc<Self>,
        tenant: &TenantId,
    ) -> Result<PushPermit, AdminError> {
        let node = Arc::clone(&self.pushes).try_acquire_owned();
        let mut tenants = self.lock();
        let running = tenants.entry(tenant.clone()).or_default();
        // Its own limit first, so that a tenant hears that it is the cause.
        if running.is_pushing {
            return Err(AdminError::TooManyActs { limit: 1 });
        }
        let node = node.map_err(|_| AdminError::Pushing)?;
        running.is_pushing = true;
        Ok(PushPermit {
            acts: Arc::clone(self),
            tenant: tenant.clone(),
            _node: node,
        })
    }

    /// Counts an operator's act.
    pub(crate) fn begin_operator(&self) -> OperatorPermit {
        self.operators.fetch_add(1, Ordering::Relaxed);
        OperatorPermit(Arc::clone(&self.operators))
    }

    /// Operators' acts that are running.
    pub(crate) fn running_of_operators(&self) -> usize {
        self.operators.load(Ordering::Relaxed)
    }

    /// Runs a tenant's request on a thread, and waits for what it gives.
    pub(crate) async fn run<R: Send + 'static>(
        &self,
        kind: ActKind,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, Refusal> {
        let pool = match kind {
            ActKind::Change => &self.changes,
            ActKind::Read => &self.reads,
        };
        run_on(pool, work).await
    }

    /// The same for an operator's.
    pub(crate) async fn run_operator<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, Refusal> {
        run_on(&self.operator_threads, work).await
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TenantId, Running>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, tenant: &TenantId, end: impl FnOnce(&mut Running)) {
        let mut tenants = self.lock();
        if let Some(running) = tenants.get_mut(tenant) {
            end(running);
            if running.changes == 0 && running.reads == 0 && !running.is_pushing {
                tenants.remove(tenant);
            }
        }
    }
}

async fn run_on<R: Send + 'static>(
    pool: &ThreadPool,
    work: impl FnOnce() -> R + Send + 'static,
) -> Result<R, Refusal> {
    let runtime = Handle::current();
    let running = pool.run(move || {
        // A first call of a component needs its timers.
        let _entered = runtime.enter();
        work()
    });
    let running = running.map_err(|_| {
        let retry_after = RETRY_AFTER;
        Refusal::Busy(Busy::Node { retry_after })
    })?;
    running.await.map_err(|_| Refusal::Panic)
}

impl Drop for ActPermit {
    fn drop(&mut self) {
        self.acts.end(&self.tenant, |running| match self.kind {
            ActKind::Change => running.changes -= 1,
            ActKind::Read => running.reads -= 1,
        });
    }
}

impl Drop for PushPermit {
    fn drop(&mut self) {
        self.acts
            .end(&self.tenant, |running| running.is_pushing = false);
    }
}

impl Drop for OperatorPermit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn tenant(name: &str) -> TenantId {
        TenantId::new(name).unwrap()
    }

    fn acts() -> Arc<Acts> {
        Acts::new(&AdmissionLimits {
            max_deploy_acts_per_tenant: 2,
            max_deploy_acts: 3,
            ..AdmissionLimits::default()
        })
    }

    #[test]
    fn a_tenants_changes_are_limited_apart_from_what_it_reads_and_from_others() {
        let acts = acts();
        let held = [(); 2].map(|()| acts.begin(&tenant("noisy"), ActKind::Change).unwrap());
        let refused = acts.begin(&tenant("noisy"), ActKind::Change).unwrap_err();
        assert!(matches!(refused, AdminError::TooManyActs { limit: 2 }));
        acts.begin(&tenant("noisy"), ActKind::Read).unwrap();
        acts.begin(&tenant("quiet"), ActKind::Change).unwrap();
        drop(held);
        acts.begin(&tenant("noisy"), ActKind::Change).unwrap();
        assert!(acts.lock().is_empty(), "idle tenants are forgotten");
    }

    #[test]
    fn one_tenant_cannot_take_all_room_for_components() {
        let acts = acts();
        let held = acts.begin_push(&tenant("a")).unwrap();
        let refused = acts.begin_push(&tenant("a")).unwrap_err();
        assert!(matches!(refused, AdminError::TooManyActs { limit: 1 }));
        let others = ["b", "c", "d"].map(|name| acts.begin_push(&tenant(name)).unwrap());
        let refused = acts.begin_push(&tenant("e")).unwrap_err();
        assert!(matches!(refused, AdminError::Pushing));
        let refused = acts.begin_push(&tenant("a")).unwrap_err();
        assert!(matches!(refused, AdminError::TooManyActs { .. }));
        drop((held, others));
        acts.begin_push(&tenant("e")).unwrap();
    }

    #[tokio::test]
    async fn changes_that_take_all_threads_leave_reading_and_operators_theirs() {
        let acts = acts();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let wait = Arc::new(Mutex::new(wait));
        let mut running = Vec::new();
        for _ in 0..3 {
            let wait = Arc::clone(&wait);
            let blocks = move || {
                // Ends with the sender.
                let _ = wait.lock().unwrap().recv();
            };
            let mut started = Box::pin(acts.run(ActKind::Change, blocks));
            assert!(futures::poll!(&mut started).is_pending());
            running.push(started);
        }
        let refused = acts.run(ActKind::Change, || ()).await.unwrap_err();
        assert!(matches!(refused, Refusal::Busy(Busy::Node { .. })));
        assert_eq!(acts.run(ActKind::Read, || 1).await.unwrap(), 1);
        let counted = acts.begin_operator();
        assert_eq!(acts.running_of_operators(), 1);
        assert_eq!(acts.run_operator(|| 2).await.unwrap(), 2);
        drop((counted, go));
        for running in running {
            running.await.unwrap();
        }
        assert_eq!(acts.running_of_operators(), 0);
    }
}
