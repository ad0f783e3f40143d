//! A tenant's reservations in the node's ledger.

use std::sync::Arc;
use std::time::Duration;

use auricle_speech::{MemoryReservation, ReserveError};

use crate::ledger::Account;
use crate::memory::{Growth, HeldKind, Refused};

/// When a full node is worth another try: about one request's length.
const NODE_RETRY: Duration = Duration::from_secs(5);

/// Steps in which the reservation of a buffer grows and shrinks.
const BUFFER_STEP_BYTES: u64 = 256 << 10;

impl Account {
    /// Reserves `bytes` of the node's memory or spool disk for this tenant.
    ///
    /// # Errors
    /// [`ReserveError`]; nothing is reserved then.
    pub fn reserve(
        self: &Arc<Self>,
        kind: HeldKind,
        bytes: u64,
    ) -> Result<Reservation, ReserveError> {
        let mut reservation = self.reservation(kind);
        reservation.resize(bytes)?;
        Ok(reservation)
    }

    /// An empty reservation, to be resized.
    #[must_use]
    pub fn reservation(self: &Arc<Self>, kind: HeldKind) -> Reservation {
        Reservation {
            account: Arc::clone(self),
            kind,
            bytes: 0,
        }
    }

    /// The most bytes that the tenant can hold of a kind while nothing else runs on the node.
    #[must_use]
    pub fn most_bytes(&self, kind: HeldKind) -> u64 {
        let quota = self.quotas().max_host_bytes;
        let quota = quota.filter(|_| kind.is_under_quota());
        self.node().most(kind).min(quota.unwrap_or(u64::MAX))
    }

    /// Bytes of memory that the host holds for the tenant, of all kinds.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        self.held().memory_bytes()
    }
}

/// Memory or disk that a tenant holds. Dropping it gives it back.
#[derive(Debug)]
pub struct Reservation {
    account: Arc<Account>,
    kind: HeldKind,
    bytes: u64,
}

impl Reservation {
    /// Bytes reserved.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Sets the reservation to `bytes`. Shrinking never fails.
    ///
    /// # Errors
    /// [`ReserveError`]; the reservation is unchanged then.
    pub fn resize(&mut self, bytes: u64) -> Result<(), ReserveError> {
        let node = self.account.node();
        let Some(more) = bytes.checked_sub(self.bytes).filter(|more| *more > 0) else {
            node.shrink(self.account.held(), self.kind, self.bytes - bytes);
            self.bytes = bytes;
            return Ok(());
        };
        let growth = Growth {
            kind: self.kind,
            held: self.bytes,
            more,
            quota: self.account.quotas().max_host_bytes,
        };
        node.grow(self.account.held(), &growth)
            .map_err(|refused| match refused {
                Refused::TooLarge(limit_bytes) => ReserveError::TooLarge { limit_bytes },
                Refused::Tenant => ReserveError::TenantFull {
                    retry_after: self.account.next_end(),
                },
                Refused::Node => ReserveError::NodeFull {
                    retry_after: NODE_RETRY,
                },
            })?;
        self.bytes = bytes;
        Ok(())
    }
}

impl Reservation {
    /// Covers a buffer of `bytes`: in steps, the first of which is free because the request's own
    /// reservation has room for it.
    ///
    /// # Errors
    /// As [`Reservation::resize`].
    pub fn cover(&mut self, bytes: u64) -> Result<(), ReserveError> {
        let wanted = match bytes <= BUFFER_STEP_BYTES {
            true => 0,
            false => bytes.next_multiple_of(BUFFER_STEP_BYTES),
        };
        // A buffer that fills and empties all the time keeps a step.
        let shrinks = wanted + BUFFER_STEP_BYTES < self.bytes;
        match wanted > self.bytes || shrinks {
            true => self.resize(wanted),
            false => Ok(()),
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let node = self.account.node();
        node.shrink(self.account.held(), self.kind, self.bytes);
    }
}

impl MemoryReservation for Reservation {
    fn resize(&mut self, bytes: u64) -> Result<(), ReserveError> {
        Self::resize(self, bytes)
    }

    fn sibling(&self) -> Box<dyn MemoryReservation> {
        Box::new(self.account.reservation(self.kind))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn buffer_is_covered_in_steps_and_the_first_one_is_free() {
        let mut held = Account::unlimited().reservation(HeldKind::Buffer);
        for (bytes, covered) in [
            (0, 0),
            (256 << 10, 0),
            ((256 << 10) + 1, 512 << 10),
            (2 << 20, 2 << 20),
            ((2 << 20) - (256 << 10), 2 << 20),
            (1 << 20, 1 << 20),
            (0, 0),
        ] {
            held.cover(bytes).unwrap();
            assert_eq!(held.bytes(), covered, "{bytes}");
        }
    }
}
