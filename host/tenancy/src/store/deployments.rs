//! What is kept about components and deployments: a trait beside [`Store`](super::Store), in the
//! same file.

use std::collections::HashSet;

use auricle_speech::TenantId;

use super::{Actor, AuditEntry, Listed, Page, StoreError, Versioned};
use crate::deployment::{
    Change, ComponentDigest, DeploymentState, NewRevision, Place, Role, StoredComponent,
    StoredRevision,
};

/// A key that may sign a tenant's components.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Signer {
    /// What it is called in signatures: the first 16 hexadecimal digits of the public key's
    /// SHA-256.
    pub id: String,
    /// 32 bytes of an ed25519 public key, in hexadecimal digits.
    pub public_key: String,
    /// Unix time, in seconds.
    pub created_at: u64,
}

/// What a tenant may keep of components.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ComponentLimits {
    /// How many.
    pub count: usize,
    /// Bytes of all of them.
    pub bytes: u64,
}

/// Keeps components (not their bytes), revisions and what serves. Every method may block for as long
/// as a disk takes. Acts are in the audit log, in the same transaction.
pub trait DeploymentStore: Versioned {
    /// Notes that a tenant has a component; `false` when it had it. A signature replaces an earlier
    /// one.
    ///
    /// # Errors
    /// [`StoreError::NoTenant`]; [`StoreError::TooManyComponents`] and
    /// [`StoreError::TooManyComponentBytes`] when it would have more than `limits`.
    fn put_component(
        &self,
        actor: &Actor,
        tenant: &TenantId,
        component: &StoredComponent,
        limits: ComponentLimits,
    ) -> Result<bool, StoreError>;

    /// Whether [`DeploymentStore::put_component`] would take a component now.
    ///
    /// # Errors
    /// Those of [`DeploymentStore::put_component`].
    fn check_component(
        &self,
        tenant: &TenantId,
        component: &StoredComponent,
        limits: ComponentLimits,
    ) -> Result<(), StoreError>;

    /// The components that tenants have.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn all_components(&self) -> Result<HashSet<ComponentDigest>, StoreError>;

    /// The components that serve a tenant, are tried out, or that a rollback without a number leads to.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn serving_components(&self) -> Result<HashSet<ComponentDigest>, StoreError>;

    /// Removes a role's revisions but the newest `keep`, those that serve or are tried out, and where a
    /// rollback without a number leads. Returns how many.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn prune_revisions(
        &self,
        tenant: &TenantId,
        role: Role,
        keep: u32,
    ) -> Result<usize, StoreError>;

    /// A tenant's component.
    ///
    /// # Errors
    /// [`StoreError::NoComponent`].
    fn component(
        &self,
        tenant: &TenantId,
        digest: &ComponentDigest,
    ) -> Result<StoredComponent, StoreError>;

    /// A tenant's components in the order of their digests.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn components(
        &self,
        tenant: &TenantId,
        page: &Page,
    ) -> Result<Listed<StoredComponent>, StoreError>;

    /// Notes that a tenant no longer has a component; whether another tenant has it.
    ///
    /// # Errors
    /// [`StoreError::NoComponent`]; [`StoreError::ComponentInUse`] while a revision of it serves, is
    /// tried out or is where a rollback leads.
    fn remove_component(
        &self,
        actor: &Actor,
        tenant: &TenantId,
        digest: &ComponentDigest,
    ) -> Result<bool, StoreError>;

    /// Makes a revision and puts it in its place. `generation` is that of the component's signature,
    /// where it has one.
    ///
    /// # Errors
    /// [`StoreError::NoTenant`], [`StoreError::NoComponent`]; [`StoreError::OldGeneration`] when the
    /// role had a component of a later generation.
    fn deploy(
        &self,
        actor: &Actor,
        tenant: &TenantId,
        role: Role,
        new: &NewRevision,
        place: &Place,
        generation: Option<u64>,
    ) -> Result<(StoredRevision, DeploymentState), StoreError>;

    /// Changes what serves. `reason` is for the audit log.
    ///
    /// # Errors
    /// [`StoreError::NoCandidate`], [`StoreError::NoRevision`].
    fn change(
        &self,
        actor: &Actor,
        tenant: &TenantId,
        role: Role,
        change: Change,
        reason: &str,
    ) -> Result<DeploymentState, StoreError>;

    /// What serves a tenant's roles, of those that something was deployed for.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn states(&self, tenant: &TenantId) -> Result<Vec<(Role, DeploymentState)>, StoreError>;

    /// The tenants that something is deployed for.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn deployed_tenants(&self) -> Result<Vec<TenantId>, StoreError>;

    /// One revision.
    ///
    /// # Errors
    /// [`StoreError::NoRevision`].
    fn revision(
        &self,
        tenant: &TenantId,
        role: Role,
        number: u64,
    ) -> Result<StoredRevision, StoreError>;

    /// A role's revisions, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn revisions(
        &self,
        tenant: &TenantId,
        role: Role,
        page: &Page,
    ) -> Result<Listed<StoredRevision>, StoreError>;

    /// What was done with a role, newest first: its lines of the audit log.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn history(
        &self,
        tenant: &TenantId,
        role: Role,
        page: &Page,
    ) -> Result<Listed<AuditEntry>, StoreError>;

    /// The keys of which one must have signed a tenant's components; with none they need no
    /// signature.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn signers(&self, tenant: &TenantId) -> Result<Vec<Signer>, StoreError>;

    /// Adds a key that may sign; one that is there stays as it is.
    ///
    /// # Errors
    /// [`StoreError::NoTenant`].
    fn add_signer(
        &self,
        actor: &Actor,
        tenant: &TenantId,
        signer: &Signer,
    ) -> Result<(), StoreError>;

    /// Removes a key that may sign. What it has signed and serves goes on serving.
    ///
    /// # Errors
    /// [`StoreError::NoSigner`].
    fn remove_signer(&self, actor: &Actor, tenant: &TenantId, id: &str) -> Result<(), StoreError>;
}
