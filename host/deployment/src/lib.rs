//! Which components serve which tenant, and how that is changed while requests run.
//!
//! Owns the bytes of tenants' components, the deployments that requests are answered from and the
//! rules by which a new revision comes to serve: it is verified, compiled apart, linked against the
//! world of its role and called once before anything changes, and it is taken back by itself when it
//! does worse than what it replaced. A failure on that way changes nothing. What was answered is in
//! the store and survives the process.
//!
//! A tenant's components are made ready with its first request and forgotten when it has sent none
//! for a while: a tenant costs nothing while it is quiet.
//!
//! # Layout
//! - [`fleet`]: what requests ask. [`part`]: what differs between the roles.
//! - [`control_plane`]: what operators and tenants ask: push, set, promote, roll back, status.
//! - [`prepare`]: from bytes to something that can be called. `smoke`: the first call.
//! - [`blobs`]: the bytes, on disk. [`signature`]: who answers for them.
//! - `observe`: the metrics of all this.
//! - [`rollout`]: promotion and rollback by themselves. [`shadow`]: answers compared.
//!
//! # Limits
//! Several servers on one data directory follow each other within a second, each with counts of its own.
//! A change of limits in the configuration reaches a revision when it is next made ready.

pub mod blobs;
pub mod config;
pub mod control_plane;
pub mod error;
pub mod fleet;
mod observe;
pub mod part;
pub mod prepare;
pub mod rollout;
pub mod shadow;
pub mod signature;
mod smoke;
pub mod status;

pub use config::{DeploymentConfig, RoleLimits};
pub use control_plane::{AccountOf, ControlPlane, ControlPlaneParts, Push};
pub use error::DeployError;
pub use fleet::{Deployments, TenantDeployments};
pub use part::Part;
pub use prepare::{FirstParty, Plan, Preparer};
pub use rollout::RolloutMonitor;
pub use shadow::{Answer, ShadowReport};
pub use smoke::SmokeFailure;
