//! Tenants, how they prove who they are, what they may use and what they use.
//!
//! Owns the store of tenants and keys (digests, never keys), the copy of it that requests are
//! answered from, and each tenant's account. [`Tenancy`] is built once and lives as long as the
//! server. It refuses without saying which part was wrong, so that an answer tells nobody whether a
//! key or a tenant exists.
//!
//! # Layout
//! - [`tenancy`]: who sends a request, and may they. [`upkeep`]: what is done beside requests.
//! - [`credential`]: keys in the configuration. [`key`]: keys in the store.
//! - [`deployment`]: what tenants have deployed. [`store`]: what is kept.
//! - [`quota`], [`ledger`]: what may be used and is used; `bucket`. [`instances`]: what components use.
//! - [`memory`], `reservation`: what the host holds for tenants, within the node's limit. [`machine`]:
//!   what there is to hold.
//! - [`throttle`]: failed attempts. [`exposure`]: which addresses may be listened on without keys.
//!
//! # Limits
//! All keys are held in memory and read again when one changes: some ten thousand are no trouble, a
//! million would be. A revoked key ends with the request that it has begun. What is used within a
//! minute is counted by each server for itself.

mod bucket;
pub mod credential;
pub mod deployment;
pub mod exposure;
pub mod instances;
pub mod key;
pub mod ledger;
pub mod machine;
pub mod memory;
pub mod quota;
mod reservation;
pub mod store;
pub mod tenancy;
pub mod throttle;
pub mod upkeep;

pub use bucket::Standing;
pub use credential::{CredentialConfig, Credentials, KeyConfig};
pub use deployment::{
    Change, ComponentDigest, DeploymentState, NewRevision, Place, Role, StoredCandidate,
    StoredComponent, StoredRevision, TrialKind, TrialPlan,
};
pub use exposure::check_exposure;
pub use instances::{LiveInstance, MemoryRefusal};
pub use key::{FreshKey, Key, KeyId, Scope, TenantName};
pub use ledger::{Account, Flowing, Ledger, OverQuota};
pub use memory::{HeldKind, NodeLimits, NodeMemory};
pub use quota::{InvalidQuota, Quotas};
pub use reservation::Reservation;
pub use store::deployments::{ComponentLimits, DeploymentStore, Signer};
pub use store::{
    Actor, AuditEntry, Listed, Page, SqliteStore, Store, StoreError, StoredKey, Tenant, Versioned,
};
pub use tenancy::{Access, Denied, RevokeError, Tenancy};
pub use throttle::ThrottleConfig;
pub use upkeep::Upkeep;

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use auricle_speech::tenant::InvalidTenantId;

/// Why keys or addresses in the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TenancyError {
    /// A key is written down for a name that no tenant can have.
    #[error("key {number} of the configuration has no usable tenant")]
    Tenant {
        /// Position of the key in the configuration, from 1.
        number: usize,
        /// What is wrong with the name.
        #[source]
        source: InvalidTenantId,
    },
    /// A key's digest is not 64 hexadecimal digits.
    #[error(
        "key {number} of the configuration has no usable sha256: write the 64 hexadecimal digits of the key's SHA-256, not the key"
    )]
    Digest {
        /// Position of the key in the configuration, from 1.
        number: usize,
    },
    /// Two entries have one digest.
    #[error("key {number} of the configuration is there twice: give every entry a key of its own")]
    Duplicate {
        /// Position of the later one, from 1.
        number: usize,
    },
    /// A number of the throttle's is 0.
    #[error("{field} under [credentials.throttle] must be at least 1")]
    Throttle {
        /// The field.
        field: &'static str,
    },
    /// A default quota cannot be meant.
    #[error("[quotas] cannot be used")]
    Quota(#[from] InvalidQuota),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Whoever reaches this address could use the server.
    #[error(
        "{address} can be reached from other machines and no key is configured: add a key (auricle key create), listen on 127.0.0.1, or set insecure to serve everybody"
    )]
    Exposed {
        /// The address.
        address: SocketAddr,
    },
}

/// Unix time, in seconds. A clock before 1970 counts as 1970.
#[must_use]
pub fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
