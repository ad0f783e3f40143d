//! Keeping the bytes of components, and removing those that no tenant has any more.

use std::fs::File;

use auricle_speech::TenantId;
use auricle_tenancy::store::MAX_PAGE;
use auricle_tenancy::{Actor, ComponentDigest, ComponentLimits, Page, StoredComponent};

use super::ControlPlane;
use crate::error::DeployError;

impl ControlPlane {
    /// Keeps a component unless the tenant has too much; `true` when the tenant had it not. What is refused
    /// leaves nothing behind.
    pub(super) fn keep(
        &self,
        actor: &Actor,
        tenant: &TenantId,
        component: &StoredComponent,
        bytes: &[u8],
    ) -> Result<bool, DeployError> {
        let quotas = self.payer(tenant).account.quotas();
        let limits = ComponentLimits {
            count: self.parts.config.max_components_per_tenant,
            bytes: quotas.max_stored_component_bytes.unwrap_or(u64::MAX),
        };
        let store = &self.parts.store;
        // Before the bytes are written, so that a full quota costs no disk.
        store.check_component(tenant, component, limits)?;
        let kept = self.blobs.put(&component.digest, bytes, || {
            // The file first: a row without a file could not serve.
            let put = store.put_component(actor, tenant, component, limits);
            put.map_err(DeployError::from)
        });
        if kept.is_err() {
            self.discard(std::slice::from_ref(&component.digest));
        }
        kept
    }

    /// The bytes of a tenant's component.
    ///
    /// # Errors
    /// [`DeployError::Store`], also for another tenant's; [`DeployError::Damaged`].
    pub fn content(
        &self,
        tenant: &TenantId,
        digest: &ComponentDigest,
    ) -> Result<Vec<u8>, DeployError> {
        self.parts.store.component(tenant, digest)?;
        let bytes = self.blobs.get(digest)?;
        bytes.ok_or_else(|| DeployError::Damaged(digest.to_string()))
    }

    /// The file of a tenant's component, to be read from its beginning, and its length in bytes.
    ///
    /// # Errors
    /// As [`ControlPlane::content`].
    pub fn content_file(
        &self,
        tenant: &TenantId,
        digest: &ComponentDigest,
    ) -> Result<(File, u64), DeployError> {
        self.parts.store.component(tenant, digest)?;
        let file = self.blobs.file(digest)?;
        file.ok_or_else(|| DeployError::Damaged(digest.to_string()))
    }

    /// Removes a component that is not in use.
    ///
    /// # Errors
    /// [`DeployError::Store`].
    pub fn remove(
        &self,
        actor: &Actor,
        tenant: &TenantId,
        digest: &ComponentDigest,
    ) -> Result<(), DeployError> {
        self.parts.store.remove_component(actor, tenant, digest)?;
        self.discard(std::slice::from_ref(digest));
        Ok(())
    }

    /// The digests of all of a tenant's components.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn digests(&self, tenant: &TenantId) -> Result<Vec<ComponentDigest>, DeployError> {
        let mut page = Page::first(MAX_PAGE);
        let mut found = Vec::new();
        loop {
            let listed = self.parts.store.components(tenant, &page)?;
            found.extend(listed.data.into_iter().map(|component| component.digest));
            page.after = found.last().map(ToString::to_string);
            if !listed.has_more {
                return Ok(found);
            }
        }
    }

    /// Forgets what a tenant that is gone has deployed; `had` are the components that it had.
    pub fn forget(&self, tenant: &TenantId, had: &[ComponentDigest]) {
        self.parts.fleet.forget(tenant);
        self.discard(had);
    }

    /// Removes the files of components that no tenant has any more. A failure is logged: the next sweep
    /// tries again.
    fn discard(&self, digests: &[ComponentDigest]) {
        let used = || Ok(self.parts.store.all_components()?);
        let removed = self.blobs.remove_unused::<DeployError>(digests, used);
        let removed = removed.unwrap_or_else(|error| {
            report(&error);
            Vec::new()
        });
        let Some(cache) = self.parts.preparer.runtime().cache() else {
            return;
        };
        for digest in removed {
            if let Err(error) = cache.forget(digest.as_str()) {
                report(&error);
            }
        }
    }

    /// Removes components that no tenant has, and compiled code that nothing serves. Safe beside other
    /// servers on the same data directory.
    pub(crate) fn sweep(&self) {
        let store = &self.parts.store;
        let swept = self
            .blobs
            .sweep::<DeployError>(|| Ok(store.all_components()?));
        let serving = store.serving_components();
        match (&swept, &serving) {
            (Err(error), _) => report(error),
            (_, Err(error)) => report(error),
            (Ok(files), Ok(_)) if *files > 0 => tracing::info!(files, "unused components removed"),
            _ => {}
        }
        if let (Ok(serving), Some(cache)) = (serving, self.parts.preparer.runtime().cache()) {
            let is_used = |name: &str| {
                ComponentDigest::parse(name).is_some_and(|digest| serving.contains(&digest))
            };
            match cache.sweep(is_used) {
                Err(error) => report(&error),
                Ok(files) if files > 0 => tracing::info!(files, "unused compiled code removed"),
                Ok(_) => {}
            }
        }
    }
}

fn report(error: &(dyn std::error::Error + 'static)) {
    tracing::warn!(error, "unused files could not be removed");
}
