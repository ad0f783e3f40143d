//! Bytes that a WebSocket's client has sent and its app has not received.
//!
//! Bounded for each socket by `max_backlog_bytes`, and for all of them by the node's memory ledger:
//! what is beyond the buffers of an ordinary request is reserved before it is queued.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use auricle_speech::ReserveError;
use auricle_tenancy::Reservation;

/// The backlog of one socket.
#[derive(Debug)]
pub(super) struct Backlog {
    bytes: AtomicUsize,
    held: Mutex<Reservation>,
}

impl Backlog {
    /// An empty backlog that `held` grows with.
    pub(super) fn new(held: Reservation) -> Self {
        Self {
            bytes: AtomicUsize::new(0),
            held: Mutex::new(held),
        }
    }

    /// Adds a message; the bytes of all that wait.
    pub(super) fn add(&self, cost: usize) -> Result<usize, ReserveError> {
        let before = self.bytes.fetch_add(cost, Ordering::Relaxed);
        self.cover()?;
        Ok(before.saturating_add(cost))
    }

    /// Takes a message out.
    pub(super) fn remove(&self, cost: usize) {
        self.bytes.fetch_sub(cost, Ordering::Relaxed);
        // A message that comes meanwhile and is refused ends the socket in its own `add`.
        let _ = self.cover();
    }

    /// Bytes that wait, with what each message costs on top.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    fn cover(&self) -> Result<(), ReserveError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.cover(self.bytes() as u64)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::sync::Arc;

    use auricle_tenancy::{Account, HeldKind, NodeLimits, NodeMemory, Quotas};

    use super::*;

    #[test]
    fn backlog_is_reserved_before_it_grows_and_given_back() {
        let node = NodeMemory::new(NodeLimits {
            memory_bytes: 2 << 20,
            ..NodeLimits::UNLIMITED
        });
        let account = Arc::new(Account::on_node(Quotas::default(), node));
        let backlog = Backlog::new(account.reservation(HeldKind::Buffer));
        assert_eq!(backlog.add(1 << 20).unwrap(), 1 << 20);
        assert_eq!(account.held_bytes(), 1 << 20);
        assert!(backlog.add(4 << 20).is_err());
        backlog.remove(4 << 20);
        backlog.remove(1 << 20);
        assert_eq!((backlog.bytes(), account.held_bytes()), (0, 0));
    }
}
