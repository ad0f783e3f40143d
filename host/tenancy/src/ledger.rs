//! What each tenant uses now, against its quotas.
//!
//! Lives in memory and begins empty with the process: a restart gives everybody a full minute. What
//! is running is counted by whoever runs it (the gateway's admission); here is what flows, what the
//! host holds, and what the tenant's components use.

mod deploying;
mod device;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use auricle_speech::TenantId;

use crate::bucket::{Bucket, Standing};
use crate::instances::Holdings;
use crate::memory::{NodeLimits, NodeMemory, TenantHeld};
use crate::quota::Quotas;

/// What "per minute" means.
const MINUTE: Duration = Duration::from_secs(60);

/// Smallest amount of audio that is waited for.
const SOME_AUDIO: f64 = 1.0;

/// Smallest amount of processor time that is waited for, in seconds: what the components of a small
/// request use.
const SOME_CPU: f64 = 0.01;

/// The tenants' accounts.
#[derive(Debug)]
pub struct Ledger {
    defaults: Quotas,
    /// What the host holds for all tenants.
    node: Arc<NodeMemory>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What tenants have of their own.
    own: HashMap<TenantId, Quotas>,
    /// Tenants that have been seen since the start.
    accounts: HashMap<TenantId, Arc<Account>>,
}

impl Ledger {
    /// A ledger in which everybody has `defaults`, on a node without limits.
    #[must_use]
    pub fn new(defaults: Quotas) -> Self {
        Self::on_node(defaults, NodeMemory::new(NodeLimits::UNLIMITED))
    }

    /// A ledger in which everybody has `defaults`; accounts take their memory from `node`.
    #[must_use]
    pub fn on_node(defaults: Quotas, node: Arc<NodeMemory>) -> Self {
        Self {
            defaults,
            node,
            state: Mutex::default(),
        }
    }

    /// A tenant's account.
    #[must_use]
    pub fn account(&self, tenant: &TenantId) -> Arc<Account> {
        let mut state = self.lock();
        if let Some(account) = state.accounts.get(tenant) {
            return Arc::clone(account);
        }
        let own = state.own.get(tenant).cloned().unwrap_or_default();
        let quotas = own.or(&self.defaults);
        let account = Arc::new(Account::on_node(quotas, Arc::clone(&self.node)));
        state.accounts.insert(tenant.clone(), Arc::clone(&account));
        account
    }

    /// Takes over what tenants have of their own. What runs goes on; what has been used stays used.
    pub fn set(&self, own: HashMap<TenantId, Quotas>) {
        let mut state = self.lock();
        for (tenant, account) in &state.accounts {
            let quotas = own.get(tenant).cloned().unwrap_or_default();
            account.quotas.store(Arc::new(quotas.or(&self.defaults)));
        }
        state.own = own;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one tenant may use and uses.
#[derive(Debug)]
pub struct Account {
    quotas: ArcSwap<Quotas>,
    flow: Mutex<Flow>,
    node: Arc<NodeMemory>,
    held: TenantHeld,
    holdings: Mutex<Holdings>,
}

#[derive(Debug)]
struct Flow {
    requests: Bucket,
    audio: Bucket,
    device: Bucket,
    guest_cpu: Bucket,
    deploy_acts: Bucket,
    compile: Bucket,
}

/// A tenant has used up what it may use within a minute, or at once. The texts are fit to be shown to
/// the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverQuota {
    /// Requests.
    #[error("over the limit of {limit} requests per minute: try again in {} s", secs(.retry_after))]
    Requests {
        /// How many it may begin within a minute.
        limit: u32,
        /// When one more will be let through.
        retry_after: Duration,
    },
    /// Audio.
    #[error(
        "over the limit of {limit_secs} seconds of audio per minute: try again in {} s", secs(.retry_after)
    )]
    Audio {
        /// How many seconds of audio it may have within a minute.
        limit_secs: u32,
        /// When as much as was asked for will be let through.
        retry_after: Duration,
    },
    /// Device time.
    #[error(
        "over the limit of {limit_secs} seconds of device time per minute: try again in {} s", secs(.retry_after)
    )]
    Device {
        /// Device time that the tenant may use within a minute, in seconds.
        limit_secs: u32,
        /// When new work will be let through.
        retry_after: Duration,
    },
    /// Processor time of its components.
    #[error(
        "over the limit of {limit_secs} seconds of components' processor time per minute: try again in {} s",
        secs(.retry_after)
    )]
    GuestCpu {
        /// How many seconds it may have within a minute.
        limit_secs: u32,
        /// When a request will be let through.
        retry_after: Duration,
    },
    /// Changes of its deployments.
    #[error(
        "over the limit of {limit} changes of components and deployments per minute: try again in {} s",
        secs(.retry_after)
    )]
    DeployActs {
        /// How many it may begin within a minute.
        limit: u32,
        /// When one more will be let through.
        retry_after: Duration,
    },
    /// Processor time for compiling its components.
    #[error(
        "over the limit of {limit_secs} seconds of compiling per minute: try again in {} s",
        secs(.retry_after)
    )]
    Compile {
        /// How many seconds it may have within a minute.
        limit_secs: u32,
        /// When a component will be compiled.
        retry_after: Duration,
    },
    /// Memory of its components.
    #[error(
        "your running requests' components hold {limit_bytes} bytes of memory, as much as they may: try again in {} s",
        secs(.retry_after)
    )]
    GuestMemory {
        /// How many bytes they may hold.
        limit_bytes: u64,
        /// When one of them will probably have ended.
        retry_after: Duration,
    },
    /// Instances of its components.
    #[error(
        "your running requests have as many components at work as there is room for: try again in {} s",
        secs(.retry_after)
    )]
    Instances {
        /// When one of them will probably have ended.
        retry_after: Duration,
    },
    /// Memory that the host holds for it: its share of the node's, or its quota.
    #[error("your running requests hold all the memory they may: try again in {} s", secs(.retry_after))]
    HeldMemory {
        /// When one of them will probably have ended.
        retry_after: Duration,
    },
}

/// Whole seconds, rounded up: an early retry is refused again.
fn secs(wait: &Duration) -> u128 {
    wait.as_millis().div_ceil(1000).max(1)
}

impl OverQuota {
    /// When the same will be let through.
    #[must_use]
    pub fn retry_after(&self) -> Duration {
        match self {
            Self::Requests { retry_after, .. }
            | Self::Audio { retry_after, .. }
            | Self::Device { retry_after, .. }
            | Self::GuestCpu { retry_after, .. }
            | Self::DeployActs { retry_after, .. }
            | Self::Compile { retry_after, .. }
            | Self::GuestMemory { retry_after, .. }
            | Self::Instances { retry_after }
            | Self::HeldMemory { retry_after } => *retry_after,
        }
    }
}

/// How a tenant stands within its minute; nothing where it has no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Flowing {
    /// Requests.
    pub requests: Option<Standing>,
    /// Seconds of audio.
    pub audio_secs: Option<Standing>,
    /// Seconds of device time.
    pub device_secs: Option<Standing>,
}

impl Account {
    /// An account with these quotas, on a node of its own without limits.
    #[must_use]
    pub fn new(quotas: Quotas) -> Self {
        Self::on_node(quotas, NodeMemory::new(NodeLimits::UNLIMITED))
    }

    /// An account with these quotas that takes its memory from `node`.
    #[must_use]
    pub fn on_node(quotas: Quotas, node: Arc<NodeMemory>) -> Self {
        let now = Instant::now();
        Self {
            quotas: ArcSwap::from_pointee(quotas),
            flow: Mutex::new(Flow {
                requests: Bucket::new(now),
                audio: Bucket::new(now),
                device: Bucket::new(now),
                guest_cpu: Bucket::new(now),
                deploy_acts: Bucket::new(now),
                compile: Bucket::new(now),
            }),
            node,
            held: TenantHeld::default(),
            holdings: Mutex::default(),
        }
    }

    /// An account without limits, for work that is nobody's request.
    #[must_use]
    pub fn unlimited() -> Arc<Self> {
        Arc::new(Self::new(Quotas::default()))
    }

    /// What the tenant may use now.
    #[must_use]
    pub fn quotas(&self) -> Arc<Quotas> {
        self.quotas.load_full()
    }

    /// Counts one request. Refused too is a tenant whose audio, device time or processor time is used
    /// up, before it uploads more.
    ///
    /// # Errors
    /// [`OverQuota`]; nothing is counted then.
    pub fn begin_request(&self) -> Result<(), OverQuota> {
        let (quotas, now, mut flow) = (self.quotas.load(), Instant::now(), self.lock());
        if let Some(limit_secs) = quotas.audio_secs_per_minute
            && let Some(retry_after) = flow.audio.wait(SOME_AUDIO, limit_secs, MINUTE, now)
        {
            return Err(OverQuota::Audio {
                limit_secs,
                retry_after,
            });
        }
        flow.check_device(&quotas, now)?;
        if let Some(limit_secs) = quotas.guest_cpu_secs_per_minute
            && let Some(retry_after) = flow.guest_cpu.wait(SOME_CPU, limit_secs, MINUTE, now)
        {
            return Err(OverQuota::GuestCpu {
                limit_secs,
                retry_after,
            });
        }
        if let Some(limit) = quotas.requests_per_minute {
            let taken = flow.requests.take(1.0, limit, MINUTE, now);
            taken.map_err(|retry_after| OverQuota::Requests { limit, retry_after })?;
        }
        Ok(())
    }

    /// Counts audio that is about to be given to the models. Refused too is work of a tenant whose
    /// device time is used up: what it costs is known only when it is done.
    ///
    /// # Errors
    /// [`OverQuota::Audio`] or [`OverQuota::Device`]; nothing is counted then.
    pub fn use_audio(&self, audio: Duration) -> Result<(), OverQuota> {
        let (quotas, now, mut flow) = (self.quotas.load(), Instant::now(), self.lock());
        flow.check_device(&quotas, now)?;
        let Some(limit_secs) = quotas.audio_secs_per_minute else {
            return Ok(());
        };
        let taken = flow
            .audio
            .take(audio.as_secs_f64(), limit_secs, MINUTE, now);
        taken.map_err(|retry_after| OverQuota::Audio {
            limit_secs,
            retry_after,
        })
    }

    /// A component of the tenant's has computed for so long.
    pub fn use_guest_cpu(&self, time: Duration) {
        if let Some(limit_secs) = self.quotas.load().guest_cpu_secs_per_minute {
            let (secs, now) = (time.as_secs_f64(), Instant::now());
            self.lock().guest_cpu.spend(secs, limit_secs, MINUTE, now);
        }
    }

    /// Whether the tenant's components have used so much processor time that even those which have
    /// begun must end: another minute's worth beyond its limit.
    #[must_use]
    pub fn guest_cpu_overdrawn(&self) -> Option<OverQuota> {
        let limit_secs = self.quotas.load().guest_cpu_secs_per_minute?;
        let (now, mut flow) = (Instant::now(), self.lock());
        if !flow.guest_cpu.is_overdrawn(limit_secs, MINUTE, now) {
            return None;
        }
        let wait = flow.guest_cpu.wait(SOME_CPU, limit_secs, MINUTE, now);
        Some(OverQuota::GuestCpu {
            limit_secs,
            retry_after: wait.unwrap_or_default(),
        })
    }

    /// What the tenant's instances hold.
    pub(crate) fn holdings(&self) -> MutexGuard<'_, Holdings> {
        self.holdings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the tenant stands.
    #[must_use]
    pub fn flowing(&self) -> Flowing {
        let (quotas, now, mut flow) = (self.quotas.load(), Instant::now(), self.lock());
        Flowing {
            requests: quotas
                .requests_per_minute
                .map(|limit| flow.requests.standing(limit, MINUTE, now)),
            audio_secs: quotas
                .audio_secs_per_minute
                .map(|limit| flow.audio.standing(limit, MINUTE, now)),
            device_secs: quotas
                .device_secs_per_minute
                .map(|limit| flow.device.standing(limit, MINUTE, now)),
        }
    }

    /// The node's memory ledger.
    #[must_use]
    pub fn node(&self) -> &Arc<NodeMemory> {
        &self.node
    }

    /// What the host holds for the tenant.
    pub(crate) fn held(&self) -> &TenantHeld {
        &self.held
    }

    /// When one of the tenant's instances will probably have ended.
    pub(crate) fn next_end(&self) -> Duration {
        self.holdings().next_end()
    }

    fn lock(&self) -> MutexGuard<'_, Flow> {
        self.flow.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use super::*;

    fn tenant(name: &str) -> TenantId {
        TenantId::new(name).unwrap()
    }

    #[test]
    fn one_tenants_use_is_not_anothers() {
        let ledger = Ledger::new(Quotas {
            requests_per_minute: Some(2),
            ..Quotas::default()
        });
        let (noisy, quiet) = (
            ledger.account(&tenant("noisy")),
            ledger.account(&tenant("quiet")),
        );
        noisy.begin_request().unwrap();
        noisy.begin_request().unwrap();
        let refused = noisy.begin_request().unwrap_err();
        assert!(
            matches!(refused, OverQuota::Requests { limit: 2, .. }),
            "{refused:?}"
        );
        quiet.begin_request().unwrap();
        assert_eq!(quiet.flowing().requests.unwrap().remaining, 1);
        assert_eq!(quiet.flowing().audio_secs, None);
    }

    #[test]
    fn a_changed_quota_holds_for_an_account_that_is_in_use() {
        let ledger = Ledger::new(Quotas::default());
        let account = ledger.account(&tenant("acme"));
        account.begin_request().unwrap();
        let own = Quotas {
            requests_per_minute: Some(1),
            ..Quotas::default()
        };
        ledger.set(HashMap::from([(tenant("acme"), own)]));
        account.begin_request().unwrap();
        assert!(account.begin_request().is_err());
        ledger.set(HashMap::new());
        account.begin_request().unwrap();
    }

    #[test]
    fn a_tenant_in_debt_of_audio_begins_no_request() {
        let account = Account::new(Quotas {
            audio_secs_per_minute: Some(10),
            ..Quotas::default()
        });
        account.begin_request().unwrap();
        account.use_audio(Duration::from_secs(25)).unwrap();
        let refused = account.begin_request().unwrap_err();
        let OverQuota::Audio { retry_after, .. } = refused else {
            panic!("{refused:?}");
        };
        assert!(
            (95.0..=96.0).contains(&retry_after.as_secs_f64()),
            "{retry_after:?}"
        );
        assert!(account.use_audio(Duration::from_millis(100)).is_err());
    }

    #[test]
    fn components_may_overdraw_a_minute_and_then_must_end() {
        let account = Account::new(Quotas {
            guest_cpu_secs_per_minute: Some(2),
            ..Quotas::default()
        });
        account.use_guest_cpu(Duration::from_millis(1_900));
        account.begin_request().unwrap();
        account.use_guest_cpu(Duration::from_secs(2));
        assert_eq!(account.guest_cpu_overdrawn(), None);
        let refused = account.begin_request().unwrap_err();
        let OverQuota::GuestCpu { retry_after, .. } = refused else {
            panic!("{refused:?}");
        };
        // 1.91 s are missing, of which one comes in 30 s.
        assert!(
            (57.0..=57.4).contains(&retry_after.as_secs_f64()),
            "{retry_after:?}"
        );
        account.use_guest_cpu(Duration::from_secs(1));
        assert!(account.guest_cpu_overdrawn().is_some());
    }
}
