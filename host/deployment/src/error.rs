//! Why something was not deployed. The texts are for whoever deploys: they name no path of the host
//! and no other tenant.

use auricle_runtime::RuntimeError;
use auricle_tenancy::StoreError;

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

impl DeployError {
    pub(crate) fn invalid(field: &'static str, advice: impl Into<String>) -> Self {
        Self::Invalid {
            field,
            advice: advice.into(),
        }
    }
}
