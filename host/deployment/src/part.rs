//! What differs between the roles, so that everything else is written once.

use std::sync::Arc;

use auricle_capability::{
    AssignerComponent, ChunkerComponent, ComponentFile, DecoderComponent, Guests, HandlerComponent,
    RequestScope, Roles,
};
use auricle_runtime::{Deployment, InstanceLimits, Revision, Runtime, RuntimeError};
use auricle_tenancy::Role;
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::config::RoleLimits;
use crate::fleet::TenantDeployments;
use crate::prepare::FirstParty;
use crate::smoke::{self, SmokeFailure};

/// A component in one role.
pub trait Part: Sized + Send + Sync + 'static {
    /// The role.
    const ROLE: Role;

    /// Compiles and links a component. Blocking.
    ///
    /// # Errors
    /// When it cannot be compiled or does not fit the role.
    fn link(
        roles: &Roles,
        runtime: &Runtime,
        file: &ComponentFile<'_>,
    ) -> Result<Self, RuntimeError>;

    /// A tenant's deployment of the role.
    fn of(tenant: &TenantDeployments) -> &Arc<Deployment<Self>>;

    /// The same, to be replaced.
    fn of_mut(tenant: &mut TenantDeployments) -> &mut Arc<Deployment<Self>>;

    /// The component that serves the role where nobody names another.
    fn first_party(all: &FirstParty) -> &'static [u8];

    /// The role's limits.
    fn limits(all: &RoleLimits) -> &InstanceLimits;

    /// Smoke-tests the component on synthetic input.
    fn smoke(
        guests: Guests,
        revision: Arc<Revision<Self>>,
        scope: RequestScope,
    ) -> BoxFuture<'static, Result<(), SmokeFailure>>;
}

macro_rules! part {
    ($component:ty, $role:expr, $field:ident, $link:ident, $bytes:ident, $smoke:path) => {
        impl Part for $component {
            const ROLE: Role = $role;

            fn link(
                roles: &Roles,
                runtime: &Runtime,
                file: &ComponentFile<'_>,
            ) -> Result<Self, RuntimeError> {
                roles.$link(runtime, file)
            }

            fn of(tenant: &TenantDeployments) -> &Arc<Deployment<Self>> {
                &tenant.$field
            }

            fn of_mut(tenant: &mut TenantDeployments) -> &mut Arc<Deployment<Self>> {
                &mut tenant.$field
            }

            fn first_party(all: &FirstParty) -> &'static [u8] {
                all.$bytes
            }

            fn limits(all: &RoleLimits) -> &InstanceLimits {
                &all.$bytes
            }

            fn smoke(
                guests: Guests,
                revision: Arc<Revision<Self>>,
                scope: RequestScope,
            ) -> BoxFuture<'static, Result<(), SmokeFailure>> {
                async move { $smoke(&guests, revision, scope).await }.boxed()
            }
        }
    };
}

part!(
    HandlerComponent,
    Role::Handler,
    handler,
    handler,
    handler,
    smoke::handler
);
part!(
    DecoderComponent,
    Role::Decoder,
    decoder,
    decoder,
    decoder,
    smoke::decoder
);
part!(
    ChunkerComponent,
    Role::Chunker,
    chunker,
    chunker,
    chunker,
    smoke::chunker
);
part!(
    AssignerComponent,
    Role::SpeakerAssigner,
    assigner,
    assigner,
    speaker_assigner,
    smoke::assigner
);

/// Does something generic over [`Part`] for a role that is known only now.
macro_rules! for_role {
    ($role:expr, $part:ident => $work:expr) => {
        match $role {
            auricle_tenancy::Role::Handler => {
                type $part = auricle_capability::HandlerComponent;
                $work
            }
            auricle_tenancy::Role::Decoder => {
                type $part = auricle_capability::DecoderComponent;
                $work
            }
            auricle_tenancy::Role::Chunker => {
                type $part = auricle_capability::ChunkerComponent;
                $work
            }
            auricle_tenancy::Role::SpeakerAssigner => {
                type $part = auricle_capability::AssignerComponent;
                $work
            }
        }
    };
}
pub(crate) use for_role;
