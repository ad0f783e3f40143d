//! Host memory that is reserved before it is allocated.
//!
//! Owns only the seam: what grows (a [`Clip`](crate::Clip) and its builders) asks a
//! [`MemoryReservation`], and the ledger behind it decides. A reservation is given back when it is
//! dropped, so it lives beside what it pays for.

use std::time::Duration;

/// Why memory was not reserved. The messages are fit to be shown to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReserveError {
    /// More than one tenant may hold while nothing else runs: retrying does not help.
    #[error("more memory than the limit of {limit_bytes} bytes: send less at once")]
    TooLarge {
        /// The limit, in bytes.
        limit_bytes: u64,
    },
    /// The tenant's other requests hold its share.
    #[error("your running requests hold all the memory they may: try again in {} s", secs(.retry_after))]
    TenantFull {
        /// When one of them is expected to end.
        retry_after: Duration,
    },
    /// All tenants together hold what the node may hold.
    #[error("the server has no memory to spare: try again in {} s", secs(.retry_after))]
    NodeFull {
        /// When a request is expected to end.
        retry_after: Duration,
    },
}

/// Whole seconds, rounded up: an early retry is refused again.
fn secs(wait: &Duration) -> u128 {
    wait.as_millis().div_ceil(1000).max(1)
}

/// A reservation of host memory. Dropping it gives the memory back.
pub trait MemoryReservation: Send + Sync {
    /// Sets the reservation to `bytes`. Shrinking never fails.
    ///
    /// # Errors
    /// [`ReserveError`]; the reservation is unchanged then.
    fn resize(&mut self, bytes: u64) -> Result<(), ReserveError>;

    /// An empty reservation on the same account.
    fn sibling(&self) -> Box<dyn MemoryReservation>;
}

/// A reservation that is on no account and has no limit, for tools and tests.
#[must_use]
pub fn unlimited() -> Box<dyn MemoryReservation> {
    Box::new(Unlimited)
}

struct Unlimited;

impl MemoryReservation for Unlimited {
    fn resize(&mut self, _bytes: u64) -> Result<(), ReserveError> {
        Ok(())
    }

    fn sibling(&self) -> Box<dyn MemoryReservation> {
        unlimited()
    }
}
