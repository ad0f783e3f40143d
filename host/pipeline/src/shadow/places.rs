//! How many copies of requests are worked on at once: one of each tenant, and few on the node.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use auricle_speech::TenantId;

/// Copies at once on the node, whose requests and answers are held meanwhile.
const MAX_COPIES: usize = 8;

/// The places for copies.
#[derive(Debug, Default)]
pub(crate) struct ShadowPlaces {
    tenants: Mutex<HashSet<TenantId>>,
}

/// A tenant's place, until it is dropped.
#[derive(Debug)]
pub(crate) struct ShadowPlace {
    places: Arc<ShadowPlaces>,
    tenant: TenantId,
}

impl ShadowPlaces {
    /// The tenant's place, if it has no copy at work and the node has room.
    pub(crate) fn try_acquire(self: &Arc<Self>, tenant: &TenantId) -> Option<ShadowPlace> {
        let mut tenants = self.lock();
        if tenants.len() >= MAX_COPIES || !tenants.insert(tenant.clone()) {
            return None;
        }
        Some(ShadowPlace {
            places: Arc::clone(self),
            tenant: tenant.clone(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<TenantId>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ShadowPlace {
    fn drop(&mut self) {
        self.places.lock().remove(&self.tenant);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn tenant(name: &str) -> TenantId {
        TenantId::new(name).unwrap()
    }

    #[test]
    fn a_tenant_has_one_place_and_takes_none_of_another() {
        let places = Arc::new(ShadowPlaces::default());
        let slow = places.try_acquire(&tenant("slow")).unwrap();
        assert!(places.try_acquire(&tenant("slow")).is_none());
        drop(places.try_acquire(&tenant("other")).unwrap());
        drop(slow);
        places.try_acquire(&tenant("slow")).unwrap();
    }

    #[test]
    fn the_node_has_a_bounded_number_of_places() {
        let places = Arc::new(ShadowPlaces::default());
        let names: Vec<_> = (0..MAX_COPIES).map(|number| format!("t{number}")).collect();
        let mut held: Vec<_> = names
            .iter()
            .map(|name| places.try_acquire(&tenant(name)).unwrap())
            .collect();
        assert!(places.try_acquire(&tenant("late")).is_none());
        held.pop();
        places.try_acquire(&tenant("late")).unwrap();
    }
}
