//! How urgent work is.

/// How urgent a request, and all work for it, is: live before interactive before batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestClass {
    /// Somebody is speaking: a WebSocket.
    Live,
    /// Somebody waits for the answer.
    Interactive,
    /// Nobody is in a hurry: the client says so, or the audio is long.
    Batch,
}

impl RequestClass {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 3] = [Self::Live, Self::Interactive, Self::Batch];

    /// Its name in metrics, logs and headers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Interactive => "interactive",
            Self::Batch => "batch",
        }
    }
}
