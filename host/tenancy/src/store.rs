//! What is kept: tenants, keys, quotas and the log of who changed what.
//!
//! A [`Store`] is the whole truth; a server holds a copy of it in memory ([`Contents`]) and asks for
//! another when [`Versioned::version`] says that it was written. What a method has answered is
//! on the disk. Every act is written into the audit log in the same transaction, so that there is
//! neither one without the other.
//!
//! The trait is small enough for another store than [`SqliteStore`] (a cluster's). What is kept about
//! deployments has a trait of its own beside it, in the same file: [`deployments`].

pub mod deployments;
mod migrations;
mod sqlite;

use std::path::PathBuf;

use auricle_speech::TenantId;
use serde::{Deserialize, Serialize};

use crate::key::{Key, KeyId, TenantName};
use crate::quota::Quotas;

pub use sqlite::SqliteStore;

/// Most entries that one page of a list has.
pub const MAX_PAGE: usize = 1_000;

/// A tenant as it is kept and shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// Its name.
    pub id: TenantName,
    /// Unix time, in seconds.
    pub created_at: u64,
    /// What it has of its own; `null` is the server's default.
    pub quotas: Quotas,
}

/// Who does something, for the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor(String);

/// What [`Actor::server`] is written down as.
const SERVER: &str = "server";

impl Actor {
    /// Whoever can write the data directory.
    #[must_use]
    pub fn local() -> Self {
        Self("local".to_owned())
    }

    /// The server itself, going by how a revision has done.
    #[must_use]
    pub fn server() -> Self {
        Self(SERVER.to_owned())
    }

    /// Whether it is [`Actor::server`].
    #[must_use]
    pub fn is_server(&self) -> bool {
        self.0 == SERVER
    }

    /// Whoever reaches the admin listener where it asks for no key.
    #[must_use]
    pub fn keyless() -> Self {
        Self("keyless".to_owned())
    }

    /// The holder of a key.
    #[must_use]
    pub fn key(id: &KeyId) -> Self {
        Self(format!("key:{id}"))
    }

    /// As it is written down.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A line of the audit log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Number of the line, rising from 1.
    pub id: u64,
    /// Unix time, in seconds.
    pub at: u64,
    /// Who: `local`, `keyless`, `server` or `key:ID`.
    pub actor: String,
    /// What, as `key.create`.
    pub action: String,
    /// The tenant that it is about, where it is about one.
    pub tenant: Option<String>,
    /// The tenant's name, the key's id, the component's digest, the role.
    pub subject: String,
    /// What it was set to. Never a key's text.
    pub detail: serde_json::Value,
}

/// Which part of a list is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Entries at most; from 1 to [`MAX_PAGE`].
    pub limit: usize,
    /// The entry before the first one: a tenant's name, a key's id, a line's number.
    pub after: Option<String>,
}

impl Page {
    /// The first `limit` entries.
    #[must_use]
    pub fn first(limit: usize) -> Self {
        Self { limit, after: None }
    }
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// The entries.
    pub data: Vec<T>,
    /// Whether more follow.
    pub has_more: bool,
}

impl<T> Listed<T> {
    /// Of `found`, which has one entry more than was asked for where there are more.
    fn of(mut found: Vec<T>, page: &Page) -> Self {
        let has_more = found.len() > page.limit;
        found.truncate(page.limit);
        Self {
            data: found,
            has_more,
        }
    }
}

/// A key and what it is recognised by.
#[derive(Clone, Debug)]
pub struct StoredKey {
    /// What is shown of it.
    pub key: Key,
    /// SHA-256 of its text.
    pub sha256: [u8; 32],
}

/// Everything that a server holds in memory.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// All tenants.
    pub tenants: Vec<Tenant>,
    /// All keys, dead ones too.
    pub keys: Vec<StoredKey>,
}

/// What several processes may write.
pub trait Versioned: Send + Sync {
    /// A number that changes when this process or another one has written.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn version(&self) -> Result<u64, StoreError>;
}

/// Keeps tenants, keys and the audit log. Every method may block for as long as a disk takes, and
/// for 5 s when another process writes.
pub trait Store: Versioned {
    /// Creates a tenant.
    ///
    /// # Errors
    /// [`StoreError::TenantExists`].
    fn create_tenant(
        &self,
        actor: &Actor,
        id: &TenantId,
        quotas: &Quotas,
    ) -> Result<Tenant, StoreError>;

    /// One tenant.
    ///
    /// # Errors
    /// [`StoreError::NoTenant`].
    fn tenant(&self, id: &TenantId) -> Result<Tenant, StoreError>;

    /// Tenants by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn tenants(&self, page: &Page) -> Result<Listed<Tenant>, StoreError>;

    /// Replaces what a tenant has of its own.
    ///
    /// # Errors
    /// [`StoreError::NoTenant`].
    fn set_quotas(
        &self,
        actor: &Actor,
        id: &TenantId,
        quotas: &Quotas,
    ) -> Result<Tenant, StoreError>;

    /// Removes a tenant with all that it has deployed, and revokes its keys, which stay listed. A
    /// later tenant of the same name gets nothing of that back.
    ///
    /// # Errors
    /// [`StoreError::NoTenant`]; [`StoreError::Protected`] for tenant `default`.
    fn delete_tenant(&self, actor: &Actor, id: &TenantId) -> Result<(), StoreError>;

    /// Keeps a new key.
    ///
    /// # Errors
    /// [`StoreError::NoTenant`] when its tenant is not there.
    fn create_key(&self, actor: &Actor, key: &StoredKey) -> Result<(), StoreError>;

    /// One key.
    ///
    /// # Errors
    /// [`StoreError::NoKey`].
    fn key(&self, id: &KeyId) -> Result<Key, StoreError>;

    /// Keys in the order of their creation; of one tenant, or of all.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn keys(&self, tenant: Option<&TenantId>, page: &Page) -> Result<Listed<Key>, StoreError>;

    /// Revokes a key. One that is revoked already stays as it is.
    ///
    /// # Errors
    /// [`StoreError::NoKey`].
    fn revoke_key(&self, actor: &Actor, id: &KeyId) -> Result<Key, StoreError>;

    /// Keeps `replacement` and has the key `id` end at `old_expires_at`, if it does not end earlier.
    ///
    /// # Errors
    /// [`StoreError::NoKey`]; [`StoreError::DeadKey`] when the key has expired or is revoked.
    fn rotate_key(
        &self,
        actor: &Actor,
        id: &KeyId,
        replacement: &StoredKey,
        old_expires_at: u64,
    ) -> Result<(), StoreError>;

    /// Notes when keys were used last. Not an act, and not in the audit log.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn note_use(&self, used: &[(KeyId, u64)]) -> Result<(), StoreError>;

    /// The audit log, newest first; of one tenant, or whole.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn audit(
        &self,
        tenant: Option<&TenantId>,
        page: &Page,
    ) -> Result<Listed<AuditEntry>, StoreError>;

    /// Everything that a server holds in memory.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn contents(&self) -> Result<Contents, StoreError>;

    /// Sees to what has to be seen to about once a minute. Not for requests: it may write a megabyte.
    fn upkeep(&self) {}
}

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is a tenant of this name.
    #[error("tenant '{0}' is there already")]
    TenantExists(String),
    /// There is no tenant of this name.
    #[error("there is no tenant '{0}': create it first")]
    NoTenant(String),
    /// There is no key of this id.
    #[error("there is no key '{0}': list the keys to see their ids")]
    NoKey(String),
    /// The key has expired or is revoked.
    #[error("key '{0}' has expired or is revoked: create a new one instead")]
    DeadKey(String),
    /// The tenant of servers that ask for no key.
    #[error("tenant 'default' cannot be removed: revoke its keys instead")]
    Protected,
    /// The tenant has no such component.
    #[error("there is no component '{0}': push it first")]
    NoComponent(String),
    /// The tenant has as many components as it may have.
    #[error("there are {0} components already, which is the limit: remove one that is not used")]
    TooManyComponents(usize),
    /// The tenant's components have as many bytes as they may.
    #[error(
        "the components would have {bytes} bytes in all, more than the limit of {limit_bytes}: remove some that are not used"
    )]
    TooManyComponentBytes {
        /// With the component that is refused.
        bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// The component serves.
    #[error("the component is in use by the deployment of role '{0}': deploy another one first")]
    ComponentInUse(&'static str),
    /// The role has no such revision.
    #[error("there is no revision {0}: see the history")]
    NoRevision(u64),
    /// Nothing of this number is tried out.
    #[error("no such revision is tried out: see the status")]
    NoCandidate,
    /// Nothing served before.
    #[error("nothing is known to have served before: name the revision to go back to")]
    NothingBefore,
    /// The role had a component of a later generation.
    #[error(
        "the component is of generation {generation}, and the role has had {highest}: sign and push a newer one, or roll back to the revision that is meant"
    )]
    OldGeneration {
        /// Of the component's signature.
        generation: u64,
        /// The highest that the role has had.
        highest: u64,
    },
    /// The tenant has no such signing key.
    #[error("there is no signing key '{0}'")]
    NoSigner(String),
    /// A newer Auricle has written the file.
    #[error(
        "{} was written by a newer Auricle (schema {found}, this one knows {known}): use that one, or another --data-dir", .path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Version of its schema.
        found: u32,
        /// The newest version that this program knows.
        known: u32,
    },
    /// The file is something else.
    #[error(
        "{} is not a store of Auricle's, or its beginning is damaged: restore it from a backup, move it away, or use another --data-dir",
        .0.display()
    )]
    Foreign(PathBuf),
    /// The file is missing or empty, and components that it listed are there.
    #[error(
        "{} is missing or empty, but {} has components: tenants, keys and deployments are lost. Restore the file from a backup, or use an empty --data-dir; to go on without them, remove the components", .path.display(), .components.display()
    )]
    Lost {
        /// The file.
        path: PathBuf,
        /// The directory of components.
        components: PathBuf,
    },
    /// The file is damaged.
    #[error(
        "the store {} is damaged: stop all servers that use it and restore the file from a backup, or move it away to begin without tenants and keys",
        .path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// The file cannot be made or opened.
    #[error("the store {} cannot be opened: give a --data-dir that can be written", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another process wrote for too long.
    #[error("the store is being written by another process: try again")]
    Busy,
    /// There is no room left to write.
    #[error("the disk that the store is on is full: make room, and try again")]
    Full,
    /// The database failed.
    #[error("the store failed")]
    Database(#[source] rusqlite::Error),
    /// What is written in the store cannot be read back.
    #[error("the store has an entry that cannot be read ({0})")]
    Corrupt(&'static str),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked, DiskFull};
        match error.sqlite_error_code() {
            Some(DatabaseBusy | DatabaseLocked) => Self::Busy,
            Some(DiskFull) => Self::Full,
            _ => Self::Database(error),
        }
    }
}
