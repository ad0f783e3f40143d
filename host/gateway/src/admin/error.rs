//! What goes wrong in the admin API.

use auricle_deployment::DeployError;
use auricle_tenancy::{RevokeError, StoreError};

/// Why an admin request was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    /// The request makes no sense.
    #[error("{advice}")]
    Invalid {
        /// The field that is to blame.
        param: Option<&'static str>,
        /// What to send instead.
        advice: String,
    },
    #[error("send the body as 'content-type: application/json'")]
    ContentType,
    #[error("the body is larger than {limit_bytes} bytes: send less at once")]
    TooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    #[error("the body came too slowly: send it again without pauses")]
    TooSlow,
    #[error("web pages may not use the admin API: use `auricle` or another program")]
    Browser,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Deploy(#[from] DeployError),
    #[error(
        "deployments are changed by a running server: give its address (--admin-url, or --server with a key)"
    )]
    NoControlPlane,
    #[error("send the component as 'content-type: application/wasm'")]
    NotWasm,
    #[error("other components are being sent: try again")]
    Pushing,
    #[error(
        "{limit} such requests of this tenant are running, as many as may: wait for one to end"
    )]
    TooManyActs {
        /// How many may run.
        limit: usize,
    },
    #[error(transparent)]
    Revoke(#[from] RevokeError),
    #[error("only whoever runs the server may change that")]
    OperatorOnly,
    /// The system did not do its part.
    #[error("the system gave no randomness")]
    Failed(#[from] std::io::Error),
}

impl AdminError {
    pub(crate) fn invalid(param: Option<&'static str>, advice: impl Into<String>) -> Self {
        let advice = advice.into();
        Self::Invalid { param, advice }
    }
}
