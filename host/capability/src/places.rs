//! How many instances are live on this node, and whose.
//!
//! The pool has room for so many. A tenant may have as many as are free: one that takes all it can get
//! has half of them, two of those a third each, and there is always one more place for somebody who
//! has none. A fixed share would either be too small for a server with one tenant or let a few
//! tenants use up the pool.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use auricle_runtime::GuestFailure;
use auricle_tenancy::{Account, HeldKind, LiveInstance, Reservation};

/// What one request takes at once: whatever else is at work, a tenant may have so many.
const PER_REQUEST: usize = 4;

/// The node's places for instances.
#[derive(Debug)]
pub(crate) struct Places {
    live: AtomicUsize,
    most: usize,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    /// Memory of the request's buffers.
    buffers: Option<Reservation>,
}

impl Places {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            live: AtomicUsize::new(0),
            most,
        })
    }

    /// A place for an instance of this tenant's, and `buffer_bytes` of memory for its buffers.
    ///
    /// # Errors
    /// [`GuestFailure::PoolExhausted`] when none is free, or no memory; [`GuestFailure::OverQuota`]
    /// when the tenant has as many as are, or its share of the memory.
    pub(crate) fn take(
        self: &Arc<Self>,
        account: &Arc<Account>,
        buffer_bytes: u64,
    ) -> Result<(Place, LiveInstance), GuestFailure> {
        let one_more = |live| Some(live + 1).filter(|live| *live <= self.most);
        let live = self
            .live
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .map_err(|_| GuestFailure::PoolExhausted)?;
        let mut place = Place {
            places: Arc::clone(self),
            buffers: None,
        };
        place.buffers = Some(account.reserve(HeldKind::Buffer, buffer_bytes)?);
        let free = self.most.saturating_sub(live);
        let most = free.max(PER_REQUEST);
        let instance = LiveInstance::begin(account, most).map_err(GuestFailure::OverQuota)?;
        Ok((place, instance))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.live.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use auricle_tenancy::{NodeLimits, NodeMemory, Quotas};

    use super::*;

    fn take_all(
        places: &Arc<Places>,
        account: &Arc<Account>,
    ) -> (Vec<(Place, LiveInstance)>, GuestFailure) {
        let mut taken = Vec::new();
        loop {
            match places.take(account, 0) {
                Ok(place) => taken.push(place),
                Err(failure) => return (taken, failure),
            }
        }
    }

    #[test]
    fn who_takes_all_leaves_room_for_whoever_comes() {
        let places = Places::new(120);
        let (greedy, other) = (Account::unlimited(), Account::unlimited());
        let (first, failure) = take_all(&places, &greedy);
        assert_eq!(first.len(), 60);
        assert!(matches!(failure, GuestFailure::OverQuota(_)), "{failure}");
        let (second, _) = take_all(&places, &other);
        assert_eq!(second.len(), 30);
        places.take(&Account::unlimited(), 0).unwrap();
        drop(first);
        // 60 of 120 now, with those that it has.
        assert_eq!(take_all(&places, &other).0.len(), 30);
    }

    #[test]
    fn in_the_smallest_pool_one_request_has_what_it_takes() {
        let places = Places::new(PER_REQUEST);
        let (taken, failure) = take_all(&places, &Account::unlimited());
        assert_eq!(taken.len(), PER_REQUEST);
        assert_eq!(failure, GuestFailure::PoolExhausted);
    }

    #[test]
    fn buffers_of_a_request_are_reserved_with_its_place() {
        let places = Places::new(8);
        let node = NodeMemory::new(NodeLimits {
            memory_bytes: 32 << 20,
            ..NodeLimits::UNLIMITED
        });
        let account = Arc::new(Account::on_node(Quotas::default(), Arc::clone(&node)));
        let place = places.take(&account, 12 << 20).unwrap();
        let failure = places.take(&account, 12 << 20).unwrap_err();
        assert!(matches!(failure, GuestFailure::OverQuota(_)), "{failure}");
        let other = Arc::new(Account::on_node(Quotas::default(), node));
        let others = places.take(&other, 12 << 20).unwrap();
        let third = Arc::new(Account::on_node(
            Quotas::default(),
            Arc::clone(other.node()),
        ));
        let failure = places.take(&third, 12 << 20).unwrap_err();
        assert_eq!(failure, GuestFailure::PoolExhausted);
        drop((place, others));
        assert_eq!(account.held_bytes(), 0);
        assert_eq!(places.live.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_node_without_a_place_says_that_it_is_the_node() {
        let places = Places::new(2);
        let accounts = [(); 3].map(|()| Account::unlimited());
        let mut held = Vec::new();
        for account in &accounts[..2] {
            held.push(places.take(account, 0).unwrap());
        }
        let failure = places.take(&accounts[2], 0).unwrap_err();
        assert_eq!(failure, GuestFailure::PoolExhausted);
    }
}
