//! From bytes to something that can be called.
//!
//! Compiled components are shared: two revisions, or two tenants, that deploy the same bytes in the
//! same role have one copy in memory, which goes with the last of them. Nothing of a tenant's is in
//! it: state, settings and grants belong to the instance.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use auricle_capability::{ComponentFile, Roles};
use auricle_runtime::{InstanceLimits, Payer, RevisionParts, Runtime, RuntimeError};
use auricle_tenancy::Role;

use crate::config::RoleLimits;
use crate::part::Part;

/// The components that serve where nobody deploys others.
#[derive(Clone, Copy)]
pub struct FirstParty {
    /// Answers requests.
    pub handler: &'static [u8],
    /// Turns files into clips.
    pub decoder: &'static [u8],
    /// Cuts clips.
    pub chunker: &'static [u8],
    /// Gives segments their speakers.
    pub speaker_assigner: &'static [u8],
}

/// What a revision is to be made of.
#[derive(Default)]
pub struct Plan<'a> {
    /// The component; the first-party one without it.
    pub component: Option<&'a [u8]>,
    /// The tenant whose component it is, where it is untrusted; its account pays for compiling.
    pub of_tenant: Option<&'a Payer>,
    /// What it reads through `auricle:runtime/configuration`.
    pub configuration: BTreeMap<String, String>,
    /// Graphs that it may use.
    pub graphs: BTreeSet<String>,
    /// What one instance may use; the role's limits without it.
    pub limits: Option<InstanceLimits>,
}

type Linked = HashMap<(Role, String, bool), Weak<dyn Any + Send + Sync>>;

/// Makes components ready for their roles.
pub struct Preparer {
    runtime: Runtime,
    roles: Roles,
    first_party: FirstParty,
    limits: RoleLimits,
    linked: Mutex<Linked>,
}

impl Preparer {
    /// A preparer on this runtime.
    ///
    /// # Errors
    /// [`RuntimeError::Engine`] when an interface cannot be defined, a fault of this program.
    pub fn new(
        runtime: Runtime,
        first_party: FirstParty,
        limits: RoleLimits,
    ) -> Result<Self, RuntimeError> {
        Ok(Self {
            roles: Roles::new(&runtime)?,
            runtime,
            first_party,
            limits,
            linked: Mutex::default(),
        })
    }

    /// The engine that everything here is compiled for.
    #[must_use]
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// The parts of a revision. Blocking: compiling takes seconds, from the cache milliseconds.
    ///
    /// # Errors
    /// When the component cannot be compiled or does not fit its role.
    pub fn parts<P: Part>(&self, plan: Plan<'_>) -> Result<RevisionParts<P>, RuntimeError> {
        let bytes = plan.component.unwrap_or(P::first_party(&self.first_party));
        let mut file = ComponentFile::new(bytes).with_graphs(!plan.graphs.is_empty());
        if let (Some(payer), Some(_)) = (plan.of_tenant, plan.component) {
            file = file.of_tenant(payer);
        }
        let digest = file.digest();
        Ok(RevisionParts {
            component: self.linked::<P>(&digest, &file, !plan.graphs.is_empty())?,
            digest,
            configuration: plan.configuration,
            graphs: plan.graphs,
            limits: plan
                .limits
                .unwrap_or_else(|| P::limits(&self.limits).clone()),
        })
    }

    fn linked<P: Part>(
        &self,
        digest: &str,
        file: &ComponentFile<'_>,
        graphs: bool,
    ) -> Result<Arc<P>, RuntimeError> {
        let key = (P::ROLE, digest.to_owned(), graphs);
        let held = || self.linked.lock().unwrap_or_else(PoisonError::into_inner);
        let known = held().get(&key).and_then(Weak::upgrade);
        if let Some(known) = known.and_then(|known| known.downcast::<P>().ok()) {
            return Ok(known);
        }
        // Not under the lock: two that link the same at once is work done twice and nothing worse.
        let linked = Arc::new(P::link(&self.roles, &self.runtime, file)?);
        let any: Arc<dyn Any + Send + Sync> = linked.clone();
        let mut held = held();
        held.retain(|_, component| component.strong_count() > 0);
        held.insert(key, Arc::downgrade(&any));
        Ok(linked)
    }
}
