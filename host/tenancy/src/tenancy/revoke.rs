//! Taking rights away: in memory first, then in the store.
//!
//! A key that is revoked is refused by this process before the store is written, and stays so when that
//! fails: a full disk or a locked store must not keep a leaked key alive. Such a key is refused until the
//! store says the same, or the process ends; the caller is told.

use std::collections::HashSet;

use arc_swap::ArcSwap;
use auricle_speech::TenantId;

use super::{Keyring, Tenancy};
use crate::key::{Key, KeyId, TenantName};
use crate::store::{Actor, Store, StoreError};

/// Keys that are refused whatever the store says.
#[derive(Debug, Default)]
pub(super) struct RefusedKeys(ArcSwap<HashSet<KeyId>>);

impl RefusedKeys {
    pub(super) fn has(&self, id: &KeyId) -> bool {
        self.0.load().contains(id)
    }

    fn add(&self, ids: &[KeyId]) {
        self.0.rcu(|all| {
            let mut all = HashSet::clone(all);
            all.extend(ids.iter().cloned());
            all
        });
    }

    fn keep(&self, stays: impl Fn(&KeyId) -> bool) {
        if self.0.load().is_empty() {
            return;
        }
        self.0.rcu(|all| {
            let all = all.iter().filter(|id| stays(id));
            all.cloned().collect::<HashSet<_>>()
        });
    }

    /// Forgets those that the store, too, says are revoked.
    pub(super) fn forget_written(&self, keyring: &Keyring) {
        let is_written = |id: &KeyId| {
            let held = keyring.keys.get(id);
            held.is_none_or(|held| held.key.revoked_at.is_some())
        };
        self.keep(|id| !is_written(id));
    }
}

/// Why something was not revoked, or not for good.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// Nothing has changed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys are refused by this process from now on, and the store does not say so yet.
    #[error(
        "this server refuses the key from now on, but that is not written down and a restart would undo it ({0}): revoke it again"
    )]
    NotWritten(#[source] StoreError),
}

impl Tenancy {
    /// Revokes a key: at once for requests of this process, then in the store.
    ///
    /// # Errors
    /// [`RevokeError`].
    pub fn revoke_key(
        &self,
        store: &dyn Store,
        actor: &Actor,
        id: &KeyId,
    ) -> Result<Key, RevokeError> {
        let ids = [id.clone()];
        // What is not there is an error before anything is refused.
        store.key(id)?;
        self.refuse_first(&ids, || store.revoke_key(actor, id))
    }

    /// Removes a tenant: its keys are refused at once, then all is removed from the store.
    ///
    /// # Errors
    /// [`RevokeError`].
    pub fn delete_tenant(
        &self,
        store: &dyn Store,
        actor: &Actor,
        id: &TenantId,
    ) -> Result<(), RevokeError> {
        if *id == TenantId::default_tenant() {
            return Err(StoreError::Protected.into());
        }
        let keyring = self.keyring.load();
        let held = keyring.keys.values();
        let of_tenant = held.filter(|held| {
            let tenant = held.key.tenant.as_ref();
            tenant.is_some_and(|TenantName(tenant)| tenant == id)
        });
        let ids: Vec<KeyId> = of_tenant.map(|held| held.key.id.clone()).collect();
        self.refuse_first(&ids, || store.delete_tenant(actor, id))
    }

    fn refuse_first<R>(
        &self,
        ids: &[KeyId],
        write: impl FnOnce() -> Result<R, StoreError>,
    ) -> Result<R, RevokeError> {
        self.refused.add(ids);
        write().map_err(|error| match error {
            StoreError::NoKey(_) | StoreError::NoTenant(_) => {
                self.refused.keep(|id| !ids.contains(id));
                error.into()
            }
            error => RevokeError::NotWritten(error),
        })
    }
}
