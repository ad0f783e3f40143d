//! Who sends a request, and whether they may.
//!
//! Keys come from the configuration and from the store. Requests are answered from a copy of the
//! store's keys in memory, which is exchanged as a whole when something has changed: at once by an
//! act of this process, within a second by one of another.
//!
//! A key is looked up by its public name and compared by its SHA-256 in constant time; a name that
//! is not there is compared too, so that the time says no more than the answer.

mod revoke;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use auricle_speech::TenantId;
use subtle::ConstantTimeEq;

use crate::credential::{CredentialConfig, Credentials};
use crate::key::{Key, KeyId, Scope, TenantName, digest};
use crate::ledger::{Account, Ledger};
use crate::memory::{NodeLimits, NodeMemory};
use crate::quota::Quotas;
use crate::store::{Actor, Store, StoreError};
use crate::throttle::Throttle;
use crate::{TenancyError, unix_now};
use revoke::RefusedKeys;
pub use revoke::RevokeError;

/// Tenants, keys and accounts of a server.
pub struct Tenancy {
    configured: Credentials,
    /// A key is asked for whether or not there is one.
    required: bool,
    store: Option<Arc<dyn Store>>,
    keyring: ArcSwap<Keyring>,
    /// Keys that are refused whatever the store says.
    refused: RefusedKeys,
    /// Whether the keyring could not be read anew when it should have been. Locked while it is read,
    /// so that an older one never replaces a newer.
    stale: Mutex<bool>,
    throttle: Throttle,
    ledger: Ledger,
}

/// The store's keys, in memory.
#[derive(Default)]
struct Keyring {
    keys: HashMap<KeyId, Arc<HeldKey>>,
    /// Whether there has ever been a key with scope `admin`.
    has_admin: bool,
    /// Whether there has ever been any other.
    has_tenants: bool,
}

struct HeldKey {
    key: Key,
    sha256: [u8; 32],
    /// Unix time, in seconds; carried on from keyring to keyring.
    used_at: Arc<AtomicU64>,
}

/// Whose request it is.
#[derive(Clone, Debug)]
pub struct Access {
    /// The tenant.
    pub tenant: TenantId,
    /// The key's public name, for the log; nothing where no key was asked for.
    pub key: Option<String>,
    /// What the tenant uses.
    pub account: Arc<Account>,
}

/// Why a request was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// There is no key in the request: 401.
    #[error("no key was sent: send it as 'Authorization: Bearer KEY'")]
    Missing,
    /// The key is not one of ours: 401.
    #[error("the key is not valid here: check it, or ask whoever runs this server for one")]
    Wrong,
    /// The key is right and was revoked: 401.
    #[error("the key has been revoked: ask whoever runs this server for another")]
    Revoked,
    /// The key is right and has expired: 401.
    #[error("the key has expired: ask whoever runs this server for another")]
    Expired,
    /// The key is right and may not do this: 403.
    #[error(
        "the key may not do that, it has no scope '{0}': use another, or ask whoever runs this server"
    )]
    Scope(Scope),
    /// There were too many wrong keys: 429.
    #[error("too many wrong keys: check the key, and try again in {} s", .retry_after.as_millis().div_ceil(1000))]
    Throttled {
        /// When the next failure will be answered again.
        retry_after: Duration,
    },
}

impl Tenancy {
    /// No keys and no store: everything belongs to tenant `default`.
    #[must_use]
    pub fn open() -> Arc<Self> {
        Arc::new(Self::of(
            Credentials::none(),
            &CredentialConfig::default(),
            None,
            Ledger::new(Quotas::default()),
        ))
    }

    /// Checks the configuration and reads the store. `defaults` is what tenants may use that have
    /// no quota of their own.
    ///
    /// # Errors
    /// [`TenancyError`] when the configuration or the store cannot be used.
    pub fn new(
        config: &CredentialConfig,
        store: Option<Arc<dyn Store>>,
        defaults: Quotas,
    ) -> Result<Arc<Self>, TenancyError> {
        let node = NodeMemory::new(NodeLimits::UNLIMITED);
        Self::on_node(config, store, defaults, node)
    }

    /// As [`Tenancy::new`]; what the host holds for tenants is taken from `node`.
    ///
    /// # Errors
    /// As [`Tenancy::new`].
    pub fn on_node(
        config: &CredentialConfig,
        store: Option<Arc<dyn Store>>,
        defaults: Quotas,
        node: Arc<NodeMemory>,
    ) -> Result<Arc<Self>, TenancyError> {
        let throttle = &config.throttle;
        for (field, value) in [
            ("max_failures", throttle.max_failures as usize),
            ("window_secs", throttle.window_secs as usize),
            ("max_tracked", throttle.max_tracked),
        ] {
            if value == 0 {
                return Err(TenancyError::Throttle { field });
            }
        }
        defaults.check()?;
        let ledger = Ledger::on_node(defaults.or(&Quotas::built_in()), node);
        let tenancy = Self::of(Credentials::new(config)?, config, store, ledger);
        tenancy.refresh()?;
        Ok(Arc::new(tenancy))
    }

    fn of(
        configured: Credentials,
        config: &CredentialConfig,
        store: Option<Arc<dyn Store>>,
        ledger: Ledger,
    ) -> Self {
        Self {
            configured,
            required: config.required,
            store,
            keyring: ArcSwap::default(),
            refused: RefusedKeys::default(),
            stale: Mutex::default(),
            throttle: Throttle::new(config.throttle.clone()),
            ledger,
        }
    }

    /// What tenants use.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What is kept; nothing in a server that has no data directory.
    #[must_use]
    pub fn store(&self) -> Option<&dyn Store> {
        self.store.as_deref()
    }

    /// Whether a request must carry a key: it must where a key is configured, or was ever in the
    /// store. A dead key counts, so that revoking the last one does not open the server.
    #[must_use]
    pub fn asks_for_keys(&self) -> bool {
        self.required || !self.configured.is_empty() || self.keyring.load().has_tenants
    }

    /// The same of admin acts and keys with scope `admin`.
    #[must_use]
    pub fn asks_for_admin_keys(&self) -> bool {
        self.keyring.load().has_admin
    }

    /// Whose request it is, by the value of its `Authorization` header and where it comes from.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn admit(&self, authorization: Option<&[u8]>, source: IpAddr) -> Result<Access, Denied> {
        let access = |tenant: TenantId, key| Access {
            account: self.ledger.account(&tenant),
            tenant,
            key,
        };
        if !self.asks_for_keys() {
            return Ok(access(TenantId::default_tenant(), None));
        }
        let secret = bearer(authorization).ok_or(Denied::Missing)?;
        if let Some((number, tenant)) = self.configured.find(secret) {
            return Ok(access(tenant, Some(format!("config-{number}"))));
        }
        let key = self.check(secret, source, Scope::Transcribe)?;
        match &key.tenant {
            Some(TenantName(tenant)) => Ok(access(tenant.clone(), Some(key.id.to_string()))),
            // A key with a scope for tenants belongs to one: the store's doors see to it.
            None => Err(Denied::Scope(Scope::Transcribe)),
        }
    }

    /// Who sends an admin act.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn admit_admin(
        &self,
        authorization: Option<&[u8]>,
        source: IpAddr,
    ) -> Result<Actor, Denied> {
        let secret = bearer(authorization).ok_or(Denied::Missing)?;
        if self.configured.find(secret).is_some() {
            return Err(Denied::Scope(Scope::Admin));
        }
        let key = self.check(secret, source, Scope::Admin)?;
        Ok(Actor::key(&key.id))
    }

    /// Whose deployments somebody may change, and who it is. Always by a key of the store.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn admit_deploy(
        &self,
        authorization: Option<&[u8]>,
        source: IpAddr,
    ) -> Result<(Access, Actor), Denied> {
        let secret = bearer(authorization).ok_or(Denied::Missing)?;
        if self.configured.find(secret).is_some() {
            return Err(Denied::Scope(Scope::Deploy));
        }
        let key = self.check(secret, source, Scope::Deploy)?;
        match &key.tenant {
            Some(TenantName(tenant)) => {
                let access = Access {
                    account: self.ledger.account(tenant),
                    tenant: tenant.clone(),
                    key: Some(key.id.to_string()),
                };
                Ok((access, Actor::key(&key.id)))
            }
            None => Err(Denied::Scope(Scope::Deploy)),
        }
    }

    /// Whether what let somebody in ([`Access::key`]) still would: a key of the store until it is
    /// revoked or expires, everything else as long as the process lives.
    #[must_use]
    pub fn is_good(&self, key: Option<&str>) -> bool {
        let Some(id) = key.and_then(KeyId::parse) else {
            return true;
        };
        let keyring = self.keyring.load();
        let is_live = |held: &Arc<HeldKey>| held.key.is_live(unix_now());
        keyring.keys.get(&id).is_some_and(is_live) && !self.refused.has(&id)
    }

    /// The store's key that `secret` is, if it may be used for `scope` now.
    fn check(&self, secret: &[u8], source: IpAddr, scope: Scope) -> Result<Key, Denied> {
        let keyring = self.keyring.load();
        let held = KeyId::of_key(secret).and_then(|id| keyring.keys.get(&id));
        let expected = held.map_or(&[0; 32], |held| &held.sha256);
        let equal = bool::from(expected.ct_eq(&digest(secret)));
        let now = unix_now();
        let failure = match held.filter(|_| equal) {
            None => Denied::Wrong,
            Some(held) if held.key.revoked_at.is_some() || self.refused.has(&held.key.id) => {
                Denied::Revoked
            }
            Some(held) if !held.key.is_live(now) => Denied::Expired,
            Some(held) => {
                held.used_at.store(now, Ordering::Relaxed);
                if !held.key.scopes.contains(&scope) {
                    return Err(Denied::Scope(scope));
                }
                return Ok(held.key.clone());
            }
        };
        let id = held.map(|held| &held.key.id);
        let throttled = self.throttle.failed(source, id, Instant::now());
        // What is throttled is a flood, which the log need not follow.
        match throttled {
            None => {
                let key = id.map_or("unknown", KeyId::as_str);
                tracing::warn!(key, %source, reason = %failure, "a key was refused");
                Err(failure)
            }
            Some(retry_after) => Err(Denied::Throttled { retry_after }),
        }
    }

    /// Reads the store's keys and quotas anew.
    ///
    /// # Errors
    /// When the store cannot be read; what was known before holds on then.
    pub fn refresh(&self) -> Result<(), StoreError> {
        let Some(store) = &self.store else {
            return Ok(());
        };
        let mut stale = self.stale.lock().unwrap_or_else(PoisonError::into_inner);
        *stale = true;
        let contents = store.contents()?;
        let old = self.keyring.load();
        let mut keyring = Keyring::default();
        for stored in contents.keys {
            let admin = stored.key.scopes.contains(&Scope::Admin);
            keyring.has_admin |= admin;
            keyring.has_tenants |= !admin;
            let used_at = old
                .keys
                .get(&stored.key.id)
                .map_or_else(Arc::default, |held| Arc::clone(&held.used_at));
            let held = HeldKey {
                used_at,
                sha256: stored.sha256,
                key: stored.key,
            };
            keyring.keys.insert(held.key.id.clone(), Arc::new(held));
        }
        self.refused.forget_written(&keyring);
        self.keyring.store(Arc::new(keyring));
        let tenants = contents.tenants.into_iter();
        self.ledger
            .set(tenants.map(|tenant| (tenant.id.0, tenant.quotas)).collect());
        *stale = false;
        Ok(())
    }

    /// Whether the last [`Tenancy::refresh`] failed.
    pub(crate) fn is_stale(&self) -> bool {
        *self.stale.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keys that were used later than is written down by more than `coarse`.
    pub(crate) fn used_keys(&self, coarse: Duration) -> Vec<(KeyId, u64)> {
        let keyring = self.keyring.load();
        let used = keyring.keys.values().filter_map(|held| {
            let at = held.used_at.load(Ordering::Relaxed);
            let written = held.key.last_used_at.unwrap_or(0);
            (at > written.saturating_add(coarse.as_secs())).then(|| (held.key.id.clone(), at))
        });
        used.collect()
    }
}

impl std::fmt::Debug for Tenancy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tenancy")
            .field("configured", &self.configured)
            .field("keys", &self.keyring.load().keys.len())
            .finish_non_exhaustive()
    }
}

/// The key in `Bearer KEY`; the scheme's name may be in any case (RFC 9110, 11.1).
fn bearer(authorization: Option<&[u8]>) -> Option<&[u8]> {
    let (scheme, rest) = authorization?.split_at_checked("Bearer ".len())?;
    let secret = rest.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"Bearer ") && !secret.is_empty()).then_some(secret)
}
