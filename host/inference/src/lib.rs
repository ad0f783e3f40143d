//! Admission, the fair queue, device threads and the model registry.
//!
//! A [`Scheduler`] owns a device's worker threads and the queue before them; a [`Registry`] owns
//! the loaded models. A caller takes a [`Lease`] on a model, then submits one [`SpanJob`] per span
//! and awaits its [`Pending`].
//!
//! - A worker is a plain thread that takes one job at a time and computes on itself: an engine
//!   session is used by one thread only, and no lock is held while it computes. A pool of blocking
//!   tasks would neither bound the number of sessions nor be fair.
//! - The queue is bounded in audio, as a whole and per tenant, and refuses with a number of
//!   seconds instead of growing. Live work comes before interactive before batch, and none of them
//!   starves ([`Fairness`]). Within a class it is fair between tenants in audio (deficit round
//!   robin), within a tenant first come, first served.
//! - A job that is cancelled, dropped or past its deadline never starts; one that runs is stopped
//!   through its [`CancelFlag`](auricle_speech::CancelFlag).
//! - An engine that panics costs its caller the result and the worker its session, nothing more.
//!
//! # Limits
//! An engine that aborts the process takes everything with it. Spans longer than an engine's
//! window are the engine's to refuse.
//!
//! # Layout
//! - `scheduler`: [`Device`] ([`Scheduler`], [`GraphScheduler`]), [`Pending`]. `scheduler/queue`:
//!   the fair queue. `scheduler/worker`: the loop of a device thread. `scheduler/job` and
//!   `scheduler/graph`: what the two devices do.
//! - `registry`: [`Models`] ([`Registry`], [`GraphRegistry`]), [`Lease`], [`ModelSource`].
//! - `error`: [`InferenceError`].

mod error;
mod registry;
mod scheduler;

pub use error::InferenceError;
pub use registry::{
    GraphRegistry, Lease, Loadable, LoadedModel, ModelSource, ModelSourceError, Models, Registry,
    RegistryConfig,
};
pub use scheduler::{
    Device, DeviceConfig, DeviceMeter, DeviceStats, Fairness, GraphJob, GraphScheduler, Job,
    Pending, Scheduler, SpanJob, SpanResult, Work,
};
