//! Which components serve which tenant.

use std::collections::HashMap;
use std::sync::Arc;

use auricle_capability::{AssignerComponent, ChunkerComponent, DecoderComponent, HandlerComponent};
use auricle_runtime::Deployment;
use auricle_speech::TenantId;

/// One tenant's deployments, one for each role.
#[derive(Clone)]
pub struct TenantDeployments {
    /// Answers requests.
    pub handler: Arc<Deployment<HandlerComponent>>,
    /// Turns files into clips.
    pub decoder: Arc<Deployment<DecoderComponent>>,
    /// Cuts clips.
    pub chunker: Arc<Deployment<ChunkerComponent>>,
    /// Gives segments their speakers.
    pub assigner: Arc<Deployment<AssignerComponent>>,
}

/// The deployments of all tenants.
pub struct Deployments {
    first_party: TenantDeployments,
    tenants: HashMap<TenantId, TenantDeployments>,
}

impl Deployments {
    /// `first_party` serves every tenant that is not among `tenants`.
    #[must_use]
    pub fn new(
        first_party: TenantDeployments,
        tenants: HashMap<TenantId, TenantDeployments>,
    ) -> Self {
        Self {
            first_party,
            tenants,
        }
    }

    /// The deployments that serve a tenant.
    #[must_use]
    pub fn of(&self, tenant: &TenantId) -> &TenantDeployments {
        self.tenants.get(tenant).unwrap_or(&self.first_party)
    }
}
