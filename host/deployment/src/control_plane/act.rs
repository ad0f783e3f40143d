//! How an act goes: checks, first call, store, requests.

use std::collections::BTreeSet;
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use auricle_capability::RequestScope;
use auricle_runtime::{InstanceLimits, Payer, Revision};
use auricle_speech::{RequestClass, TenantId};
use auricle_tenancy::{
    Actor, Change, DeploymentState, NewRevision, Place, StoreError, StoredRevision,
};

use super::ControlPlane;
use crate::error::DeployError;
use crate::fleet::{Deployed, TenantDeployments};
use crate::part::Part;
use crate::prepare::Plan;
use crate::signature::SignedStatement;
use crate::smoke::SmokeFailure;

/// Longest first call of a component.
const SMOKE_DEADLINE: Duration = Duration::from_secs(10);

/// Settings that a revision may have, and bytes in all of them.
const MAX_SETTINGS: usize = 200;
const MAX_SETTINGS_BYTES: usize = 32 << 10;

/// Who does something with which tenant.
pub(super) struct Act<'a> {
    pub(super) control_plane: &'a ControlPlane,
    pub(super) actor: &'a Actor,
    pub(super) tenant: &'a TenantId,
}

impl Act<'_> {
    pub(super) fn deploy<P: Part>(
        &self,
        new: &NewRevision,
        place: &Place,
    ) -> Result<StoredRevision, DeployError> {
        let parts = &self.control_plane.parts;
        check_settings(new)?;
        check_place(place)?;
        let payer = self.control_plane.payer(self.tenant);
        payer.account.check_deploy()?;
        self.check_graphs(&new.graphs)?;
        let generation = self.check_signature::<P>(new)?;
        let bytes = match &new.component {
            Some(digest) => Some(self.control_plane.content(self.tenant, digest)?),
            None => None,
        };
        let made = parts
            .preparer
            .parts::<P>(plan(new, bytes.as_deref(), &payer)?)?;
        drop(bytes);
        // Numbered when the store has given it one; its first call is not counted as one of its calls.
        let tried = Arc::new(made.numbered(0, Arc::default()));
        self.smoke(Arc::clone(&tried), &payer)?;

        let deployed = parts.fleet.place(self.tenant);
        let gate = deployed.lock();
        self.check_running()?;
        let ready = self.ready(&gate, &deployed);
        let (stored, state) =
            parts
                .store
                .deploy(self.actor, self.tenant, P::ROLE, new, place, generation)?;
        self.count::<P>("set");
        let tally = Arc::default();
        deployed.keep_tally(P::ROLE, stored.number, Arc::clone(&tally));
        let revision = Arc::new(Revision {
            number: stored.number,
            tally,
            digest: tried.digest.clone(),
            configuration: Arc::clone(&tried.configuration),
            graphs: Arc::clone(&tried.graphs),
            limits: tried.limits.clone(),
            component: Arc::clone(&tried.component),
        });
        self.serve::<P>(&gate, &deployed, ready.as_deref(), &state, Some(revision))?;
        self.prune::<P>(&deployed, &payer, &state);
        Ok(stored)
    }

    /// Refuses what a server that was told to stop would change: its client does not hear of it.
    fn check_running(&self) -> Result<(), DeployError> {
        match self.control_plane.parts.preparer.runtime().is_stopping() {
            true => Err(DeployError::Stopping),
            false => Ok(()),
        }
    }

    /// Removes the oldest revisions beyond the tenant's quota. What was deployed stays deployed when that
    /// fails; the next deployment tries again.
    fn prune<P: Part>(&self, deployed: &Deployed, payer: &Payer, state: &DeploymentState) {
        let Some(keep) = payer.account.quotas().max_revisions else {
            return;
        };
        let store = &self.control_plane.parts.store;
        if let Err(error) = store.prune_revisions(self.tenant, P::ROLE, keep) {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, tenant = %self.tenant, "old revisions could not be removed");
        }
        deployed.forget_counts(P::ROLE, keep, state);
    }

    pub(super) fn change<P: Part>(
        &self,
        change: Change,
        reason: &str,
    ) -> Result<DeploymentState, DeployError> {
        let parts = &self.control_plane.parts;
        let deployed = parts
            .fleet
            .deployed(self.tenant)
            .ok_or(StoreError::NothingBefore)?;
        let gate = deployed.lock();
        let ready = self.ready(&gate, &deployed);
        // Made ready before anything is written: what cannot serve any more is not gone back to.
        let back = match change {
            Change::Rollback(Some(number)) if number > 0 => {
                let base = parts.fleet.base(self.tenant);
                let known = ready
                    .as_deref()
                    .and_then(|ready| Deployed::held::<P>(ready, number));
                Some(match known {
                    Some(known) => known,
                    None => {
                        self.control_plane
                            .revision::<P>(self.tenant, &deployed, base, number)?
                    }
                })
            }
            _ => None,
        };
        self.check_running()?;
        let state = parts
            .store
            .change(self.actor, self.tenant, P::ROLE, change, reason)?;
        self.count::<P>(change.verb());
        self.serve::<P>(&gate, &deployed, ready.as_deref(), &state, back)?;
        Ok(state)
    }

    fn count<P: Part>(&self, verb: &'static str) {
        let metrics = auricle_telemetry::metrics();
        metrics.deployment_change(P::ROLE.as_str(), verb, self.actor.is_server());
    }

    /// What serves the tenant now; nothing where that cannot be made ready, which an act may be there
    /// to mend.
    fn ready(
        &self,
        gate: &MutexGuard<'_, ()>,
        deployed: &Deployed,
    ) -> Option<Arc<TenantDeployments>> {
        let fleet = &self.control_plane.parts.fleet;
        let ready = fleet.make_ready_within(gate, self.tenant, deployed);
        if let Err(error) = &ready {
            let error: &dyn std::error::Error = error;
            tracing::warn!(error, tenant = %self.tenant, "what serves cannot be made ready");
        }
        ready.ok()
    }

    /// Has requests meet what the store says: at once, or with the next one where nothing is ready.
    fn serve<P: Part>(
        &self,
        _gate: &MutexGuard<'_, ()>,
        deployed: &Deployed,
        ready: Option<&TenantDeployments>,
        state: &DeploymentState,
        new: Option<Arc<Revision<P>>>,
    ) -> Result<(), DeployError> {
        let Some(ready) = ready else {
            return Ok(());
        };
        let known = |number| {
            let new = new.as_ref().filter(|new| new.number == number).cloned();
            new.or_else(|| Deployed::held::<P>(ready, number))
        };
        self.control_plane
            .put_in_service::<P>(self.tenant, deployed, ready, state, known)
    }

    fn smoke<P: Part>(&self, revision: Arc<Revision<P>>, payer: &Payer) -> Result<(), DeployError> {
        let scope = RequestScope {
            tenant: self.tenant.clone(),
            account: Arc::clone(&payer.account),
            request_id: "first-call".into(),
            deadline: Instant::now() + SMOKE_DEADLINE,
            class: RequestClass::Interactive,
        };
        let call = P::smoke(self.control_plane.parts.guests.clone(), revision, scope);
        let outcome = match tokio::runtime::Handle::try_current() {
            Ok(runtime) => runtime.block_on(call),
            Err(error) => return Err(std::io::Error::other(error).into()),
        };
        outcome.map_err(|failure| match failure {
            SmokeFailure::OverQuota(over) => DeployError::OverQuota(over),
            SmokeFailure::Busy => DeployError::Busy,
            SmokeFailure::Failed(reason) => DeployError::Smoke(reason),
        })
    }

    fn check_graphs(&self, graphs: &BTreeSet<String>) -> Result<(), DeployError> {
        let unknown = graphs
            .iter()
            .find(|name| !(self.control_plane.parts.knows_graph)(name));
        unknown.map_or(Ok(()), |name| {
            Err(DeployError::Graph(name.chars().take(80).collect()))
        })
    }

    /// The generation of the component's signature, where it has one and needs one.
    fn check_signature<P: Part>(&self, new: &NewRevision) -> Result<Option<u64>, DeployError> {
        let Some(digest) = &new.component else {
            return Ok(None);
        };
        let store = &self.control_plane.parts.store;
        let signers = store.signers(self.tenant)?;
        if signers.is_empty() {
            return Ok(None);
        }
        let component = store.component(self.tenant, digest)?;
        let signed = component.signature.map(serde_json::from_value);
        let Some(Ok(signed)) = signed else {
            let advice = "components of this tenant must be signed: sign it with `auricle component \
                          sign` and push it with --signature";
            return Err(DeployError::Signature(advice.to_owned()));
        };
        let signed: SignedStatement = signed;
        signed.check(digest, P::ROLE, &signers)?;
        Ok(Some(signed.statement.generation))
    }
}

pub(super) fn plan<'a>(
    made_of: &NewRevision,
    component: Option<&'a [u8]>,
    payer: &'a Payer,
) -> Result<Plan<'a>, DeployError> {
    Ok(Plan {
        component,
        of_tenant: Some(payer),
        configuration: made_of.configuration.clone(),
        graphs: made_of.graphs.clone(),
        limits: made_of.limits.as_ref().map(limits).transpose()?,
    })
}

fn limits(value: &serde_json::Value) -> Result<InstanceLimits, DeployError> {
    serde_json::from_value(value.clone())
        .map_err(|error| DeployError::invalid("limits", format!("'limits': {error}")))
}

fn check_settings(new: &NewRevision) -> Result<(), DeployError> {
    let settings = &new.configuration;
    let bytes: usize = settings.iter().map(|(k, v)| k.len() + v.len()).sum();
    if settings.len() > MAX_SETTINGS || bytes > MAX_SETTINGS_BYTES {
        let advice = format!(
            "'configuration' must have at most {MAX_SETTINGS} settings of {MAX_SETTINGS_BYTES} bytes in all"
        );
        return Err(DeployError::invalid("configuration", advice));
    }
    Ok(())
}

fn check_place(place: &Place) -> Result<(), DeployError> {
    let Place::Try(plan) = place else {
        return Ok(());
    };
    if !(1..=100).contains(&plan.percent) {
        let advice = "'percent' must be from 1 to 100";
        return Err(DeployError::invalid("percent", advice));
    }
    Ok(())
}
