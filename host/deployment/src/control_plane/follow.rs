//! Taking over what another process has written: a second server on the same data directory, or one
//! that was stopped for a while and has missed something.
//!
//! The store is the whole truth and says when it was written. What a tenant's requests
//! meet is then compared with it, role by role, and changed where it differs: within a second, by
//! the same swap as a change of this process's own. Tenants whose components are not in memory need
//! nothing: their next request reads the store.

use std::sync::MutexGuard;

use auricle_speech::TenantId;
use auricle_tenancy::{DeploymentState, Role};

use super::ControlPlane;
use crate::error::DeployError;
use crate::fleet::Deployed;
use crate::part::{Part, for_role};

impl ControlPlane {
    /// Has requests meet what the store says, if it was written since the version `seen`. A tenant that is
    /// being changed is looked at the next time. What cannot be made ready keeps its revision and is tried again the next time; the
    /// other tenants are served as the store says.
    ///
    /// # Errors
    /// The last one met.
    pub(crate) fn follow(&self, seen: &mut Option<u64>) -> Result<(), DeployError> {
        let version = self.parts.store.version()?;
        if *seen == Some(version) {
            return Ok(());
        }
        for tenant in self.parts.store.deployed_tenants()? {
            if self.parts.fleet.deployed(&tenant).is_none() {
                self.parts.fleet.place(&tenant);
            }
        }
        let (mut outcome, mut is_complete) = (Ok(()), true);
        for (tenant, deployed) in self.parts.fleet.all().iter() {
            let Some(gate) = deployed.try_lock() else {
                is_complete = false;
                continue;
            };
            if let Err(error) = self.follow_tenant(&gate, tenant, deployed) {
                outcome = Err(error);
            }
        }
        if outcome.is_ok() && is_complete {
            *seen = Some(version);
        }
        outcome
    }

    fn follow_tenant(
        &self,
        _gate: &MutexGuard<'_, ()>,
        tenant: &TenantId,
        deployed: &Deployed,
    ) -> Result<(), DeployError> {
        if deployed.ready().is_none() {
            return Ok(());
        }
        let states = self.parts.store.states(tenant)?;
        for role in Role::ALL {
            let state = states.iter().find(|(of, _)| *of == role);
            let state = state.map(|(_, state)| state);
            if deployed.served(role).as_ref() != state {
                // Where nothing is deployed any more, the tenant was removed, and made anew.
                let state = state.cloned().unwrap_or_default();
                for_role!(role, P => self.follow_part::<P>(tenant, deployed, &state))?;
                tracing::info!(%tenant, %role, revision = state.stable, "deployed elsewhere");
            }
        }
        Ok(())
    }

    /// Nothing that is in memory is taken over by its number, which a tenant of the same name may
    /// have used before.
    fn follow_part<P: Part>(
        &self,
        tenant: &TenantId,
        deployed: &Deployed,
        state: &DeploymentState,
    ) -> Result<(), DeployError> {
        let Some(ready) = deployed.ready() else {
            return Ok(());
        };
        self.put_in_service::<P>(tenant, deployed, &ready, state, |_| None)
    }
}
