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
//! - [`compile`]: compiling tenants' components, in a process of its own.
//! - [`limits`]: what an instance may use, and the count of what it used.
//! - [`cpu`]: the CPU budget.
//! - [`failure`]: why an instance ended.
//! - [`threads`]: bounded pools of threads for blocking work.
//! - [`deployment`]: what serves a role, swapped while requests run. [`tally`]: how it has done.

pub mod cache;
pub mod compile;
mod cores;
pub mod cpu;
pub mod deployment;
pub mod engine;
pub mod failure;
pub mod limits;
pub mod tally;
pub mod threads;

pub use compile::Payer;
pub use cpu::{CpuMeter, metered};
pub use deployment::{Candidate, Deployment, Revision, RevisionParts, Serving, Trial};
pub use engine::{Misfit, Origin, Runtime, RuntimeConfig, RuntimeError};
pub use failure::GuestFailure;
pub use limits::{GuestData, InstanceLimits, LimitState, new_store};
pub use tally::{Attempt, Counts, Tally};
pub use threads::{PoolBusy, ThreadPool};
