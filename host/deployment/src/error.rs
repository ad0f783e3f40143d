//! Why something was not deployed. The texts are for whoever deploys: they name no path of the host
//! and no other tenant.

use std::time::Duration;

use auricle_runtime::compile::CompileError;
use auricle_runtime::{PoolBusy, RuntimeError};
use auricle_tenancy::{OverQuota, StoreError};

/// Why something was not deployed; nothing has changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeployError {
    /// The store refused, or failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was sent is no component that this server runs, or does not fit.
    #[error(transparent)]
    Component(#[from] RuntimeError),
    /// It failed when it was called for the first time.
    #[error("the component failed its first call, and nothing was changed: {0}")]
    Smoke(String),
    /// The tenant has used up a quota.
    #[error(transparent)]
    OverQuota(#[from] OverQuota),
    /// The node has no instance or thread for it now.
    #[error("the server has too much to do: try again later")]
    Busy,
    /// The server was told to stop; the change was not made.
    #[error("the server is about to stop and nothing was changed: try again")]
    Stopping,
    /// A graph is granted that there is not, or that the tenant may not use.
    #[error("there is no graph '{0}' for this tenant: see `auricle models list`")]
    Graph(String),
    /// A field makes no sense.
    #[error("{advice}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What to send instead.
        advice: String,
    },
    /// The signature policy does not allow it.
    #[error("{0}")]
    Signature(String),
    /// The bytes on the disk are gone, or not what they were.
    #[error("the bytes of component {0} are damaged on this server: push it again")]
    Damaged(String),
    /// The disk failed, or another part of this machine.
    #[error("the component could not be kept")]
    Io(#[from] std::io::Error),
}

impl From<PoolBusy> for DeployError {
    fn from(_: PoolBusy) -> Self {
        Self::Busy
    }
}

/// When to come back to a node that has too much to do.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl DeployError {
    /// When the same may succeed, where the node was only busy.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy => Some(RETRY_AFTER),
            Self::Component(RuntimeError::Compile(CompileError::Busy { retry_after })) => {
                Some(*retry_after)
            }
            _ => None,
        }
    }

    pub(crate) fn invalid(field: &'static str, advice: impl Into<String>) -> Self {
        Self::Invalid {
            field,
            advice: advice.into(),
        }
    }
}
