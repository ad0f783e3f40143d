//! What operators and tenants ask: push a component, have it serve, try it out, roll back.
//!
//! Every act is one transaction of the store, and reaches requests when that is on the disk; what a
//! process did not get to tell its requests is what it serves after the next start. Acts on one
//! tenant wait for each other, requests for none of them. Blocking: an act may compile for seconds.
//! How an act goes stands in `act`; what another process has done is taken over in `follow`.

mod act;
mod follow;
mod keep;

use std::path::Path;
use std::sync::Arc;

use auricle_capability::Guests;
use auricle_runtime::{Candidate, Deployment, Payer, Revision, Serving, Trial};
use auricle_speech::TenantId;
use auricle_tenancy::{
    Account, Actor, Change, DeploymentState, DeploymentStore, Listed, NewRevision, Page, Place,
    Role, Signer, StoredComponent, StoredRevision, TrialKind, unix_now,
};

use crate::blobs::{self, Blobs};
use crate::config::DeploymentConfig;
use crate::error::DeployError;
use crate::fleet::{Deployed, Deployments, Loader, TenantDeployments};
use crate::part::{Part, for_role};
use crate::prepare::Preparer;
use crate::signature::{self, SignedStatement};

use act::{Act, plan};

/// Whether a graph or model of this name is known here.
pub type KnowsGraph = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// Gives a tenant's account.
pub type AccountOf = Box<dyn Fn(&TenantId) -> Arc<Account> + Send + Sync>;

/// What a control plane rests on.
pub struct ControlPlaneParts {
    /// What is kept.
    pub store: Arc<dyn DeploymentStore>,
    /// Makes components ready.
    pub preparer: Arc<Preparer>,
    /// What requests ask.
    pub fleet: Arc<Deployments>,
    /// Calls guests.
    pub guests: Guests,
    /// Knows graphs.
    pub knows_graph: KnowsGraph,
    /// Knows who pays for what.
    pub account: AccountOf,
    /// Numbers.
    pub config: DeploymentConfig,
}

/// Where deployments are changed.
pub struct ControlPlane {
    parts: ControlPlaneParts,
    blobs: Blobs,
}

impl std::fmt::Debug for ControlPlane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ControlPlane")
            .field("blobs", &self.blobs)
            .finish_non_exhaustive()
    }
}

/// A component that is pushed.
pub struct Push<'a> {
    /// The `.wasm` file.
    pub bytes: &'a [u8],
    /// Who answers for it.
    pub signature: Option<SignedStatement>,
}

impl ControlPlane {
    /// Opens the control plane on the components in `dir` and has `parts.fleet` serve what was
    /// deployed.
    ///
    /// # Errors
    /// When the directory or the store cannot be read.
    pub fn open(parts: ControlPlaneParts, dir: &Path) -> Result<Arc<Self>, DeployError> {
        let control_plane = Arc::new(Self {
            blobs: Blobs::open(dir)?,
            parts,
        });
        let tenants = control_plane.parts.store.deployed_tenants()?;
        control_plane
            .parts
            .fleet
            .begin(Arc::clone(&control_plane) as _, tenants);
        Ok(control_plane)
    }

    /// What requests ask.
    #[must_use]
    pub fn fleet(&self) -> &Arc<Deployments> {
        &self.parts.fleet
    }

    /// What is kept.
    #[must_use]
    pub fn store(&self) -> &dyn DeploymentStore {
        &*self.parts.store
    }

    /// Numbers.
    #[must_use]
    pub fn config(&self) -> &DeploymentConfig {
        &self.parts.config
    }

    /// Largest component, in bytes.
    #[must_use]
    pub fn max_component_bytes(&self) -> usize {
        self.parts.preparer.runtime().config().max_component_bytes
    }

    /// Keeps a component; `true` when the tenant had it not. Nothing of it is run or compiled.
    ///
    /// # Errors
    /// [`DeployError`].
    pub fn push(
        &self,
        actor: &Actor,
        tenant: &TenantId,
        push: Push<'_>,
    ) -> Result<(StoredComponent, bool), DeployError> {
        let Push { bytes, signature } = push;
        if bytes.len() > self.max_component_bytes() {
            return Err(auricle_runtime::RuntimeError::TooLarge {
                bytes: bytes.len(),
                limit_bytes: self.max_component_bytes(),
            }
            .into());
        }
        // Magic number, version of components, layer of components: what else there is (text, a
        // core module, code compiled elsewhere) is never taken.
        if bytes.get(..8) != Some(b"\0asm\x0d\0\x01\0") {
            let advice = "send a WebAssembly component (a .wasm file): neither text, nor a core \
                          module, nor compiled code is taken";
            return Err(DeployError::invalid("component", advice));
        }
        let digest = blobs::digest(bytes);
        if let Some(signed) = &signature {
            let signers = self.parts.store.signers(tenant)?;
            signed.check(&digest, signed.statement.role, &signers)?;
        }
        let component = StoredComponent {
            digest,
            bytes: bytes.len() as u64,
            created_at: unix_now(),
            signature: signature.map(|signed| serde_json::json!(signed)),
        };
        let new = self.keep(actor, tenant, &component, bytes)?;
        Ok((component, new))
    }

    /// A tenant's components.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn components(
        &self,
        tenant: &TenantId,
        page: &Page,
    ) -> Result<Listed<StoredComponent>, DeployError> {
        Ok(self.parts.store.components(tenant, page)?)
    }

    /// Adds a key that may sign a tenant's components; from the first one on they must be signed.
    ///
    /// # Errors
    /// [`DeployError`].
    pub fn add_signer(
        &self,
        actor: &Actor,
        tenant: &TenantId,
        public_key: &str,
    ) -> Result<Signer, DeployError> {
        let signer = signature::signer(public_key)?;
        self.parts.store.add_signer(actor, tenant, &signer)?;
        Ok(signer)
    }

    /// Makes a revision and puts it in its place, after it has been checked and called once.
    ///
    /// # Errors
    /// [`DeployError`]; nothing has changed then.
    pub fn deploy(
        &self,
        actor: &Actor,
        tenant: &TenantId,
        role: Role,
        new: &NewRevision,
        place: &Place,
    ) -> Result<StoredRevision, DeployError> {
        let act = Act {
            control_plane: self,
            actor,
            tenant,
        };
        for_role!(role, P => act.deploy::<P>(new, place))
    }

    /// Promotes, abandons or rolls back.
    ///
    /// # Errors
    /// [`DeployError`]; nothing has changed then.
    pub fn change(
        &self,
        actor: &Actor,
        tenant: &TenantId,
        role: Role,
        change: Change,
        reason: &str,
    ) -> Result<DeploymentState, DeployError> {
        let act = Act {
            control_plane: self,
            actor,
            tenant,
        };
        for_role!(role, P => act.change::<P>(change, reason))
    }

    /// What serves a role.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn state(&self, tenant: &TenantId, role: Role) -> Result<DeploymentState, DeployError> {
        let states = self.parts.store.states(tenant)?;
        let found = states.into_iter().find(|(of, _)| *of == role);
        Ok(found.map(|(_, state)| state).unwrap_or_default())
    }

    /// Kills the compilers of tenants' components; acts that have not been written down fail from now on.
    pub fn stop(&self) {
        self.parts.preparer.runtime().stop_compilers();
    }

    /// Who pays for what is compiled and called for a tenant.
    fn payer(&self, tenant: &TenantId) -> Payer {
        Payer {
            tenant: tenant.clone(),
            account: (self.parts.account)(tenant),
        }
    }

    /// The revision of this number, made ready. 0 is the base's.
    fn revision<P: Part>(
        &self,
        tenant: &TenantId,
        deployed: &Deployed,
        base: &TenantDeployments,
        number: u64,
    ) -> Result<Arc<Revision<P>>, DeployError> {
        if number == 0 {
            return Ok(P::of(base).current());
        }
        let stored = self.parts.store.revision(tenant, P::ROLE, number)?;
        let bytes = match &stored.made_of.component {
            Some(digest) => Some(self.content(tenant, digest)?),
            None => None,
        };
        let payer = self.payer(tenant);
        let plan = plan(&stored.made_of, bytes.as_deref(), &payer)?;
        let parts = self.parts.preparer.parts::<P>(plan)?;
        let tally = deployed.tally(P::ROLE, number);
        Ok(Arc::new(parts.numbered(number, tally)))
    }

    /// What `state` says, made ready; revisions that are known are taken over.
    fn serving<P: Part>(
        &self,
        tenant: &TenantId,
        deployed: &Deployed,
        state: &DeploymentState,
        known: impl Fn(u64) -> Option<Arc<Revision<P>>>,
    ) -> Result<Serving<P>, DeployError> {
        let base = self.parts.fleet.base(tenant);
        let revision = |number| match known(number) {
            Some(revision) => Ok(revision),
            None => self.revision::<P>(tenant, deployed, base, number),
        };
        let candidate = match &state.candidate {
            None => None,
            Some(candidate) => Some(Candidate {
                revision: revision(candidate.number)?,
                trial: match candidate.plan.kind {
                    TrialKind::Canary => Trial::Canary,
                    TrialKind::Shadow => Trial::Shadow,
                },
                percent: candidate.plan.percent,
            }),
        };
        Ok(Serving {
            stable: revision(state.stable)?,
            candidate,
        })
    }
}

impl ControlPlane {
    /// Has requests meet `state`, with the revisions that are `known` and others made ready. For whoever
    /// holds the gate.
    fn put_in_service<P: Part>(
        &self,
        tenant: &TenantId,
        deployed: &Deployed,
        ready: &TenantDeployments,
        state: &DeploymentState,
        known: impl Fn(u64) -> Option<Arc<Revision<P>>>,
    ) -> Result<(), DeployError> {
        let serving = self.serving::<P>(tenant, deployed, state, known)?;
        deployed.note_served(P::ROLE, state, serving.stable.tally.counts());
        self.parts.fleet.set::<P>(tenant, deployed, ready, serving);
        Ok(())
    }
}

impl Loader for ControlPlane {
    fn load(
        &self,
        tenant: &TenantId,
        deployed: &Deployed,
        base: &TenantDeployments,
    ) -> Result<TenantDeployments, DeployError> {
        let mut own = base.clone();
        for (role, state) in self.parts.store.states(tenant)? {
            for_role!(role, P => self.load_part::<P>(&mut own, tenant, deployed, &state))?;
        }
        Ok(own)
    }
}

impl ControlPlane {
    fn load_part<P: Part>(
        &self,
        own: &mut TenantDeployments,
        tenant: &TenantId,
        deployed: &Deployed,
        state: &DeploymentState,
    ) -> Result<(), DeployError> {
        let serving = self.serving::<P>(tenant, deployed, state, |_| None)?;
        deployed.note_served(P::ROLE, state, serving.stable.tally.counts());
        *P::of_mut(own) = Arc::new(Deployment::new(serving));
        Ok(())
    }
}
