//! wasmtime: engine, component cache, deployments, instances and limits.
//!
//! Owns the one [`wasmtime::Engine`] of the process, the compiled components and the rules under
//! which an instance runs. It knows no interface: what a component may call is linked by the
//! capability crate. It refuses components that are too large or of the wrong world, and ends an
//! instance that uses up its CPU, memory, tables or handles, or its tenant's quotas of them.
//!
//! # Layout
//! - [`engine`]: the engine's settings and the epoch clock.
//! - [`cache`]: compiled components on disk, authenticated before they are run.
//! - [`limits`]: what an instance may use, and the count of what it used.
//! - [`cpu`]: the CPU budget.
//! - [`failure`]: why an instance ended.
//! - [`deployment`]: the current revision of a role, swapped while requests run.

pub mod cache;
pub mod cpu;
pub mod deployment;
pub mod engine;
pub mod failure;
pub mod limits;

pub use cpu::{CpuMeter, metered};
pub use deployment::{Deployment, Revision};
pub use engine::{Runtime, RuntimeConfig, RuntimeError};
pub use failure::GuestFailure;
pub use limits::{GuestData, InstanceLimits, LimitState, Pause, new_store};
