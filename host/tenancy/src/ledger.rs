//! What each tenant uses now, against its quotas.
//!
//! Lives in memory and begins empty with the process: a restart gives everybody a full minute. What
//! is running is counted by whoever runs it (the gateway's admission); here is what flows and what
//! the host holds.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use auricle_speech::TenantId;

use crate::bucket::{Bucket, Standing};
use crate::quota::Quotas;

/// What "per minute" means.
const MINUTE: Duration = Duration::from_secs(60);

/// Smallest amount of audio that is waited for.
const SOME_AUDIO: f64 = 1.0;

/// The tenants' accounts.
#[derive(Debug)]
pub struct Ledger {
    defaults: Quotas,
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
    /// A ledger in which everybody has `defaults`.
    #[must_use]
    pub fn new(defaults: Quotas) -> Self {
        Self {
            defaults,
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
        let account = Arc::new(Account::new(own.or(&self.defaults)));
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
    held_bytes: AtomicU64,
}

#[derive(Debug)]
struct Flow {
    requests: Bucket,
    audio: Bucket,
}

/// A tenant has used up what it may within a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverQuota {
    /// Requests.
    Requests {
        /// How many it may begin within a minute.
        limit: u32,
        /// When one more will be let through.
        retry_after: Duration,
    },
    /// Audio.
    Audio {
        /// How many seconds of audio it may have within a minute.
        limit_secs: u32,
        /// When as much as was asked for will be let through.
        retry_after: Duration,
    },
}

impl OverQuota {
    /// When the same will be let through.
    #[must_use]
    pub fn retry_after(&self) -> Duration {
        match self {
            Self::Requests { retry_after, .. } | Self::Audio { retry_after, .. } => *retry_after,
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
}

impl Account {
    /// An account with these quotas.
    #[must_use]
    pub fn new(quotas: Quotas) -> Self {
        let now = Instant::now();
        Self {
            quotas: ArcSwap::from_pointee(quotas),
            flow: Mutex::new(Flow {
                requests: Bucket::new(now),
                audio: Bucket::new(now),
            }),
            held_bytes: AtomicU64::new(0),
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

    /// Counts one request. Refused too is a tenant whose audio is used up, before it uploads more.
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
        if let Some(limit) = quotas.requests_per_minute {
            let taken = flow.requests.take(1.0, limit, MINUTE, now);
            taken.map_err(|retry_after| OverQuota::Requests { limit, retry_after })?;
        }
        Ok(())
    }

    /// Counts audio that is about to be given to the models.
    ///
    /// # Errors
    /// [`OverQuota::Audio`]; nothing is counted then.
    pub fn use_audio(&self, audio: Duration) -> Result<(), OverQuota> {
        let Some(limit_secs) = self.quotas.load().audio_secs_per_minute else {
            return Ok(());
        };
        let mut flow = self.lock();
        let taken = flow
            .audio
            .take(audio.as_secs_f64(), limit_secs, MINUTE, Instant::now());
        taken.map_err(|retry_after| OverQuota::Audio {
            limit_secs,
            retry_after,
        })
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
        }
    }

    /// Bytes that the host may still hold for the tenant.
    #[must_use]
    pub fn left_bytes(&self) -> u64 {
        let limit = self.quotas.load().max_host_bytes.unwrap_or(u64::MAX);
        limit.saturating_sub(self.held_bytes.load(Ordering::Relaxed))
    }

    /// The host is about to hold so many bytes more for the tenant; whether it may. Given back with
    /// [`Account::release_bytes`].
    #[must_use]
    pub fn hold_bytes(&self, more: u64) -> bool {
        let limit = self.quotas.load().max_host_bytes.unwrap_or(u64::MAX);
        let fits = |held: u64| held.checked_add(more).filter(|sum| *sum <= limit);
        self.held_bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .is_ok()
    }

    /// The host holds so many bytes less.
    pub fn release_bytes(&self, less: u64) {
        self.held_bytes.fetch_sub(less, Ordering::Relaxed);
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
    fn held_bytes_are_bounded_and_given_back() {
        let account = Account::new(Quotas {
            max_host_bytes: Some(100),
            ..Quotas::default()
        });
        assert!(account.hold_bytes(60) && !account.hold_bytes(41));
        assert_eq!(account.left_bytes(), 40);
        account.release_bytes(60);
        assert!(account.hold_bytes(100) && !account.hold_bytes(u64::MAX));
    }
}
