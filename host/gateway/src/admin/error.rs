//! What goes wrong in the admin API.

use auricle_tenancy::StoreError;

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
    #[error("the body is larger than 65536 bytes: send less at once")]
    TooLarge,
    #[error("the body came too slowly: send it again without pauses")]
    TooSlow,
    #[error("web pages may not use the admin API: use `auricle` or another program")]
    Browser,
    #[error(
        "without a key the admin API answers to 127.0.0.1, [::1] and localhost only: use one of them"
    )]
    Host,
    #[error(transparent)]
    Store(#[from] StoreError),
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
