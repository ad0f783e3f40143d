//! The connections of a listener: how many there may be, and which one gives way to a new one.
//!
//! When all slots are taken, a new connection takes the slot of the one that has been longest
//! without an open request, stream or WebSocket. A client that holds connections without using
//! them then costs others nothing. Where no connection is idle, the new one is refused.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::idle::Activity;

/// Which connections give way to a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Evicts {
    /// Those without an open request.
    Idle,
    /// Those first; then the one that has waited longest for its client, within a request.
    Waiting,
}

/// The slots of one listener.
#[derive(Debug)]
pub(crate) struct ConnectionSlots {
    max: usize,
    evicts: Evicts,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next_id: u64,
    open: HashMap<u64, Arc<Activity>>,
}

/// A connection's slot; free again when dropped.
#[derive(Debug)]
pub(crate) struct ConnectionSlot {
    slots: Arc<ConnectionSlots>,
    id: u64,
}

impl ConnectionSlots {
    pub(crate) fn new(max: usize, evicts: Evicts) -> Arc<Self> {
        Arc::new(Self {
            max,
            evicts,
            state: Mutex::default(),
        })
    }

    /// A slot for a connection, which may be another one's until now. `None` where no connection
    /// gives way.
    pub(crate) fn take(self: &Arc<Self>, activity: &Arc<Activity>) -> Option<ConnectionSlot> {
        let mut state = self.lock();
        while state.open.len() >= self.max {
            self.evict(&mut state)?;
        }
        state.next_id += 1;
        let id = state.next_id;
        state.open.insert(id, Arc::clone(activity));
        Some(ConnectionSlot {
            slots: Arc::clone(self),
            id,
        })
    }

    /// Ends one connection and frees its slot.
    fn evict(&self, state: &mut State) -> Option<()> {
        loop {
            let (id, is_idle) = match longest(&state.open, Activity::idle_since) {
                Some(id) => (id, true),
                None if self.evicts == Evicts::Waiting => {
                    (longest(&state.open, Activity::waiting_since)?, false)
                }
                None => return None,
            };
            let activity = state.open.get(&id)?;
            // A request may have come just now.
            let is_evicted = !is_idle || activity.evict();
            if !is_evicted {
                continue;
            }
            if !is_idle {
                activity.cut();
            }
            tracing::debug!(is_idle, "a connection gives way to a new one");
            state.open.remove(&id);
            return Some(());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connection with the earliest `since`.
fn longest(
    open: &HashMap<u64, Arc<Activity>>,
    since: impl Fn(&Activity) -> Option<Instant>,
) -> Option<u64> {
    let times = open
        .iter()
        .filter_map(|(id, activity)| Some((since(activity)?, *id)));
    times.min().map(|(_, id)| id)
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.slots.lock().open.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "tests"
    )]

    use super::*;
    use crate::config::Limits;

    fn slots(evicts: Evicts) -> (Arc<ConnectionSlots>, Vec<(Arc<Activity>, ConnectionSlot)>) {
        let slots = ConnectionSlots::new(3, evicts);
        let take = |_| {
            let activity = Activity::new(&Limits::default());
            let slot = slots.take(&activity).unwrap();
            (activity, slot)
        };
        let open = (0..3).map(take).collect();
        (slots, open)
    }

    #[tokio::test]
    async fn the_connection_that_was_idle_longest_gives_way() {
        let (slots, open) = slots(Evicts::Idle);
        // The first had a request after the others were opened.
        drop(open[0].0.request(false));
        let newcomer = Activity::new(&Limits::default());
        let _slot = slots.take(&newcomer).unwrap();
        let evicted: Vec<_> = open.iter().map(|(a, _)| a.is_evicted()).collect();
        assert_eq!(evicted, [false, true, false]);
        open[1].0.expired().await;
    }

    #[tokio::test]
    async fn connections_with_requests_never_give_way() {
        let (slots, open) = slots(Evicts::Idle);
        let busy: Vec<_> = open.iter().map(|(a, _)| a.request(true)).collect();
        let newcomer = Activity::new(&Limits::default());
        assert!(slots.take(&newcomer).is_none());
        drop(busy);
        assert!(slots.take(&newcomer).is_some());
    }

    #[tokio::test]
    async fn where_waiting_connections_give_way_work_goes_on() {
        let (slots, open) = slots(Evicts::Waiting);
        let _busy: Vec<_> = open.iter().map(|(a, _)| a.request(false)).collect();
        let working: Vec<_> = open.iter().skip(1).map(|(a, _)| a.work()).collect();
        let newcomer = Activity::new(&Limits::default());
        let slot = slots.take(&newcomer).unwrap();
        open[0].0.is_cut().await;
        let _busy = newcomer.request(false);
        let _work = newcomer.work();
        assert!(slots.take(&Activity::new(&Limits::default())).is_none());
        drop((working, slot));
    }

    #[tokio::test]
    async fn an_evicted_connections_slot_is_given_back_once() {
        let (slots, mut open) = slots(Evicts::Idle);
        let newcomer = Activity::new(&Limits::default());
        let _slot = slots.take(&newcomer).unwrap();
        open.remove(0);
        assert_eq!(slots.lock().open.len(), 3);
        drop(open);
        assert_eq!(slots.lock().open.len(), 1);
    }
}
