//! The store as a file, and a tenancy that rests on it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod full;
mod keep;
mod keys;
mod store;
mod waits;

use std::collections::BTreeSet;
use std::path::Path;

use auricle_speech::TenantId;
use auricle_tenancy::{
    Actor, FreshKey, Key, Quotas, Scope, SqliteStore, Store, StoredKey, TenantName, unix_now,
};

/// A store with tenant `acme`.
fn store(dir: &Path) -> SqliteStore {
    let store = SqliteStore::open(dir).unwrap();
    let quotas = Quotas::default();
    store
        .create_tenant(&Actor::local(), &tenant("acme"), &quotas)
        .unwrap();
    store
}

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

/// A key of `acme`, or of nobody for `admin`, that is not in any store yet; and its text.
fn fresh(scope: Scope) -> (StoredKey, String) {
    let fresh = FreshKey::generate().unwrap();
    let key = Key {
        id: fresh.id,
        tenant: (scope != Scope::Admin).then(|| TenantName(tenant("acme"))),
        name: "a test's".to_owned(),
        scopes: BTreeSet::from([scope]),
        created_at: unix_now(),
        expires_at: None,
        revoked_at: None,
        last_used_at: None,
        replaced_by: None,
    };
    let stored = StoredKey {
        key,
        sha256: fresh.sha256,
    };
    (stored, fresh.text)
}
