//! What the benchmarks share: the first-party components, ready to be called as the server calls
//! them.
//!
//! Owns one runtime with the server's default settings and no cache of compiled components. What is
//! measured, and against what, stands in `docs/benchmarks/`; `run.sh` runs it all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use auricle_capability::{
    AssignerComponent, ChunkerComponent, ComponentFile, DecoderComponent, Guests, HandlerComponent,
    RequestScope, Roles,
};
use auricle_runtime::deployment::RevisionParts;
use auricle_runtime::{InstanceLimits, Revision, Runtime, RuntimeConfig};
use auricle_speech::TenantId;
use auricle_tenancy::Account;

/// How long a call may take; none comes near it.
const DEADLINE: Duration = Duration::from_secs(3600);

/// The first-party components on a runtime of their own.
pub struct FirstParty {
    /// Calls them.
    pub guests: Guests,
    /// Answers requests.
    pub handler: Arc<Revision<HandlerComponent>>,
    /// Turns files into clips.
    pub decoder: Arc<Revision<DecoderComponent>>,
    /// Cuts clips.
    pub chunker: Arc<Revision<ChunkerComponent>>,
    /// Gives segments their speakers.
    pub assigner: Arc<Revision<AssignerComponent>>,
    _runtime: Runtime,
}

impl FirstParty {
    /// Compiles and links the components. Blocking.
    ///
    /// # Errors
    /// When the runtime does not start or a component does not fit its role.
    pub fn start() -> Result<Self> {
        let runtime = Runtime::start(RuntimeConfig::default())?;
        let roles = Roles::new(&runtime)?;
        let file = ComponentFile::new;
        let handler = roles.handler(&runtime, &file(auricle_first_party::HANDLER))?;
        let decoder = roles.decoder(&runtime, &file(auricle_first_party::DECODER))?;
        let chunker = roles.chunker(&runtime, &file(auricle_first_party::CHUNKER))?;
        let assigner = roles.assigner(&runtime, &file(auricle_first_party::SPEAKER_ASSIGNER))?;
        Ok(Self {
            guests: Guests::new(runtime.engine().clone()),
            handler: revision(handler),
            decoder: revision(decoder),
            chunker: revision(chunker),
            assigner: revision(assigner),
            _runtime: runtime,
        })
    }
}

fn revision<P>(component: P) -> Arc<Revision<P>> {
    let parts = RevisionParts {
        digest: String::new(),
        configuration: BTreeMap::new(),
        graphs: BTreeSet::new(),
        limits: InstanceLimits::default(),
        component: Arc::new(component),
    };
    Arc::new(parts.numbered(1, Arc::default()))
}

/// A request of the default tenant that begins now.
#[must_use]
pub fn scope() -> RequestScope {
    RequestScope {
        tenant: TenantId::default_tenant(),
        account: Account::unlimited(),
        request_id: "bench".into(),
        deadline: Instant::now() + DEADLINE,
    }
}
