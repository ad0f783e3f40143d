//! What requests ask: the deployments of a tenant.
//!
//! Three layers, the first that has a role serves it: what the tenant has deployed, what the
//! configuration names for the tenant, the first-party component. The first is made ready with the
//! tenant's first request and forgotten when it has sent none for a while; counts of how a revision
//! has done outlive that.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use auricle_capability::{AssignerComponent, ChunkerComponent, DecoderComponent, HandlerComponent};
use auricle_runtime::{Counts, Deployment, Revision, Serving, Tally, ThreadPool};
use auricle_speech::TenantId;
use auricle_tenancy::{DeploymentState, Role};

use crate::error::DeployError;
use crate::part::{Part, for_role};
use crate::shadow::ShadowReport;

/// Tenants whose components are loaded at once; more are told to come back.
const MAX_LOADING: usize = 64;

/// One tenant's deployments, one for each role.
#[derive(Clone)]
pub struct TenantDeployments {
    /// Answers requests.
    pub handler: Arc<Deployment<HandlerComponent>>,
    /// Turns files into clips.
    pub decoder: Arc<Deployment<DecoderComponent>>,
    /// Cuts clips.
    pub chunker: Arc<Deployment<ChunkerComponent>>,
    /// Gives segments their speakers.
    pub assigner: Arc<Deployment<AssignerComponent>>,
}

/// Makes a tenant's deployments ready. Blocking.
pub trait Loader: Send + Sync {
    /// All roles of a tenant that has deployed something.
    ///
    /// # Errors
    /// When the store or a component cannot be read.
    fn load(
        &self,
        tenant: &TenantId,
        deployed: &Deployed,
        base: &TenantDeployments,
    ) -> Result<TenantDeployments, DeployError>;
}

/// The deployments of all tenants.
pub struct Deployments {
    first_party: Arc<TenantDeployments>,
    configured: HashMap<TenantId, Arc<TenantDeployments>>,
    deployed: ArcSwap<HashMap<TenantId, Arc<Deployed>>>,
    loader: std::sync::OnceLock<Arc<dyn Loader>>,
    /// Loads tenants' components, which may be compiled for it.
    threads: ThreadPool,
    started: Instant,
}

/// What a tenant has deployed.
#[derive(Default)]
pub struct Deployed {
    ready: ArcSwapOption<TenantDeployments>,
    /// Held while something is made ready or changed.
    gate: Mutex<()>,
    /// Held by the request that has it made ready: the others wait without a thread.
    loading: tokio::sync::Mutex<()>,
    /// Milliseconds from the start to the last request.
    used_ms: AtomicU64,
    tallies: Mutex<HashMap<(Role, u64), Arc<Tally>>>,
    reports: Mutex<HashMap<(Role, u64), ShadowReport>>,
    served: Mutex<HashMap<Role, Served>>,
}

/// What serves a role.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    pub(crate) state: DeploymentState,
    /// What the revision that serves had done when this began.
    pub(crate) before: Counts,
}

impl Deployments {
    /// `first_party` serves every tenant that is not among `configured` and has deployed nothing.
    #[must_use]
    pub fn new(
        first_party: TenantDeployments,
        configured: HashMap<TenantId, TenantDeployments>,
    ) -> Self {
        let configured = configured.into_iter();
        Self {
            first_party: Arc::new(first_party),
            configured: configured
                .map(|(tenant, own)| (tenant, Arc::new(own)))
                .collect(),
            deployed: ArcSwap::default(),
            loader: std::sync::OnceLock::new(),
            threads: ThreadPool::new("auricle-load", MAX_LOADING),
            started: Instant::now(),
        }
    }

    /// The deployments that serve a tenant; waits while they are made ready for its first request.
    ///
    /// # Errors
    /// [`DeployError`] when they cannot be made ready.
    pub async fn of(
        self: &Arc<Self>,
        tenant: &TenantId,
    ) -> Result<Arc<TenantDeployments>, DeployError> {
        let Some(deployed) = self.deployed(tenant) else {
            return Ok(Arc::clone(self.base(tenant)));
        };
        deployed.touch(self.started);
        if let Some(ready) = deployed.ready.load_full() {
            return Ok(ready);
        }
        let _turn = deployed.loading.lock().await;
        if let Some(ready) = deployed.ready.load_full() {
            return Ok(ready);
        }
        let (fleet, tenant, place) = (Arc::clone(self), tenant.clone(), Arc::clone(&deployed));
        let made = self
            .threads
            .run(move || fleet.make_ready(&tenant, &place))?;
        made.await
            .unwrap_or_else(|error| Err(std::io::Error::other(error).into()))
    }

    /// What serves a tenant, if it is ready. Does not wait.
    #[must_use]
    pub fn now(&self, tenant: &TenantId) -> Option<Arc<TenantDeployments>> {
        match self.deployed(tenant) {
            Some(deployed) => deployed.ready.load_full(),
            None => Some(Arc::clone(self.base(tenant))),
        }
    }

    /// The deployments of a tenant that has deployed nothing.
    #[must_use]
    pub fn base(&self, tenant: &TenantId) -> &Arc<TenantDeployments> {
        self.configured.get(tenant).unwrap_or(&self.first_party)
    }

    /// What a tenant has deployed, where it has something.
    #[must_use]
    pub fn deployed(&self, tenant: &TenantId) -> Option<Arc<Deployed>> {
        self.deployed.load().get(tenant).cloned()
    }

    /// All tenants that have deployed something.
    pub(crate) fn all(&self) -> Arc<HashMap<TenantId, Arc<Deployed>>> {
        self.deployed.load_full()
    }

    /// What a revision has done; 0 is the base's.
    pub(crate) fn counts(&self, tenant: &TenantId, role: Role, number: u64) -> Counts {
        if number == 0 {
            let base = self.base(tenant);
            return for_role!(role, P => P::of(base).current().tally.counts());
        }
        let deployed = self.deployed(tenant);
        deployed.map_or_else(Counts::default, |deployed| {
            deployed.tally(role, number).counts()
        })
    }

    /// Sets what makes deployments ready, and the tenants that have some. Once.
    pub(crate) fn begin(&self, loader: Arc<dyn Loader>, tenants: Vec<TenantId>) {
        // A second loader would serve the same store.
        let _ = self.loader.set(loader);
        let all = tenants
            .into_iter()
            .map(|tenant| (tenant, Arc::new(Deployed::default())));
        self.deployed.store(Arc::new(all.collect()));
    }

    /// The tenant's place, made where there is none.
    pub(crate) fn place(&self, tenant: &TenantId) -> Arc<Deployed> {
        let mut place = None;
        self.deployed.rcu(|all| {
            let mut all = HashMap::clone(all);
            let entry = all.entry(tenant.clone()).or_default();
            place = Some(Arc::clone(entry));
            all
        });
        place.unwrap_or_default()
    }

    /// Forgets a tenant that is gone.
    pub(crate) fn forget(&self, tenant: &TenantId) {
        self.deployed.rcu(|all| {
            let mut all = HashMap::clone(all);
            all.remove(tenant);
            all
        });
    }

    /// Makes a tenant's deployments ready unless they are. Blocking.
    pub(crate) fn make_ready(
        &self,
        tenant: &TenantId,
        deployed: &Deployed,
    ) -> Result<Arc<TenantDeployments>, DeployError> {
        let gate = deployed.lock();
        self.make_ready_within(&gate, tenant, deployed)
    }

    /// The same for whoever holds the gate.
    pub(crate) fn make_ready_within(
        &self,
        _gate: &MutexGuard<'_, ()>,
        tenant: &TenantId,
        deployed: &Deployed,
    ) -> Result<Arc<TenantDeployments>, DeployError> {
        if let Some(ready) = deployed.ready.load_full() {
            return Ok(ready);
        }
        let base = self.base(tenant);
        let ready = match self.loader.get() {
            Some(loader) => Arc::new(loader.load(tenant, deployed, base)?),
            None => Arc::clone(base),
        };
        deployed.ready.store(Some(Arc::clone(&ready)));
        deployed.touch(self.started);
        Ok(ready)
    }

    /// Serves a role as `serving` says. For whoever holds the gate.
    pub(crate) fn set<P: Part>(
        &self,
        tenant: &TenantId,
        deployed: &Deployed,
        ready: &TenantDeployments,
        serving: Serving<P>,
    ) {
        let base = P::of(self.base(tenant));
        if !Arc::ptr_eq(P::of(ready), base) {
            P::of(ready).set(serving);
            return;
        }
        let mut own = ready.clone();
        *P::of_mut(&mut own) = Arc::new(Deployment::new(serving));
        deployed.ready.store(Some(Arc::new(own)));
    }

    /// Has quiet tenants' components leave memory: those that sent nothing for `idle` and have
    /// nothing under way. Gives how many.
    pub fn sweep(&self, idle: Duration) -> usize {
        let now = self.started.elapsed();
        let mut swept = 0;
        for deployed in self.deployed.load().values() {
            let used = Duration::from_millis(deployed.used_ms.load(Ordering::Relaxed));
            if deployed.ready.load().is_none() || now.saturating_sub(used) < idle {
                continue;
            }
            if deployed.running() == 0 {
                deployed.ready.store(None);
                swept += 1;
            }
        }
        swept
    }
}

impl Deployed {
    fn touch(&self, started: Instant) {
        let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.used_ms.store(millis, Ordering::Relaxed);
    }

    /// Waits for whoever makes ready or changes what this tenant has.
    pub(crate) fn lock(&self) -> MutexGuard<'_, ()> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same unless something is made ready or changed now.
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, ()>> {
        match self.gate.try_lock() {
            Ok(gate) => Some(gate),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Forgets the counts and comparisons of revisions older than the newest `keep`, but of those that
    /// `state` names.
    pub(crate) fn forget_counts(&self, role: Role, keep: u32, state: &DeploymentState) {
        let candidate = state.candidate.as_ref().map(|candidate| candidate.number);
        let named = [Some(state.stable), state.previous, candidate];
        let newest = named.iter().flatten().max().copied().unwrap_or_default();
        let oldest = newest.saturating_sub(u64::from(keep));
        let stays = |(of, number): &(Role, u64)| {
            *of != role || *number > oldest || named.contains(&Some(*number))
        };
        self.tallies()
            .retain(|key, tally| stays(key) || tally.counts().running > 0);
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        reports.retain(|key, _| stays(key));
    }

    /// The counts of a revision, begun where there are none.
    #[must_use]
    pub fn tally(&self, role: Role, number: u64) -> Arc<Tally> {
        Arc::clone(self.tallies().entry((role, number)).or_default())
    }

    /// Counts that were begun before the revision had its number.
    pub(crate) fn keep_tally(&self, role: Role, number: u64, tally: Arc<Tally>) {
        self.tallies().insert((role, number), tally);
    }

    /// The revisions of a role that something was counted of, by number.
    #[must_use]
    pub fn counted(&self, role: Role) -> Vec<(u64, Arc<Tally>)> {
        let tallies = self.tallies();
        let of_role = tallies.iter().filter(|((of, _), _)| *of == role);
        let mut found: Vec<_> = of_role
            .map(|((_, number), tally)| (*number, Arc::clone(tally)))
            .collect();
        found.sort_by_key(|(number, _)| *number);
        found
    }

    /// What is in memory.
    pub(crate) fn ready(&self) -> Option<Arc<TenantDeployments>> {
        self.ready.load_full()
    }

    /// Notes what serves a role from now on; `before` is what the serving revision has done so far.
    pub(crate) fn note_served(&self, role: Role, state: &DeploymentState, before: Counts) {
        let state = state.clone();
        self.all_served().insert(role, Served { state, before });
    }

    /// What serves a role, where something was deployed for it.
    pub(crate) fn served(&self, role: Role) -> Option<DeploymentState> {
        let served = self.all_served();
        served.get(&role).map(|served| served.state.clone())
    }

    /// The roles that something is tried out for, or that came to be served by something else.
    pub(crate) fn watched(&self) -> Vec<(Role, Served)> {
        let served = self.all_served();
        let watched = served.iter().filter(|(_, served)| {
            served.state.candidate.is_some() || served.state.previous.is_some()
        });
        watched
            .map(|(role, state)| (*role, state.clone()))
            .collect()
    }

    fn all_served(&self) -> MutexGuard<'_, HashMap<Role, Served>> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> u64 {
        let tallies = self.tallies();
        tallies.values().map(|tally| tally.counts().running).sum()
    }

    fn tallies(&self) -> MutexGuard<'_, HashMap<(Role, u64), Arc<Tally>>> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds to what is known of a shadow.
    pub fn report(&self, role: Role, number: u64, add: impl FnOnce(&mut ShadowReport)) {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        add(reports.entry((role, number)).or_default());
    }

    /// What is known of a shadow.
    #[must_use]
    pub fn shadow_report(&self, role: Role, number: u64) -> ShadowReport {
        let reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        reports.get(&(role, number)).cloned().unwrap_or_default()
    }

    /// The revision of this number, if it serves or is tried out now.
    pub(crate) fn held<P: Part>(
        ready: &TenantDeployments,
        number: u64,
    ) -> Option<Arc<Revision<P>>> {
        let serving = P::of(ready).serving();
        if serving.stable.number == number {
            return Some(Arc::clone(&serving.stable));
        }
        let candidate = serving.candidate.as_ref()?;
        (candidate.revision.number == number).then(|| Arc::clone(&candidate.revision))
    }
}
