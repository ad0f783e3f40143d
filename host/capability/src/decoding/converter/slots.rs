//! Slots for conversions: how many run at once on this node, and whose.
//!
//! A tenant may hold as many slots as are free, as of instances (`places`), and at least one: a
//! tenant that arrives while others hold all they can gets a slot or is next. Requests that have to wait
//! are served tenant by tenant, each tenant's in order of arrival, and give up after a bounded time.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use auricle_speech::TenantId;
use tokio::sync::oneshot;

/// The node's slots.
#[derive(Debug)]
pub(super) struct Slots {
    total: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: usize,
    tenants: HashMap<TenantId, Tenant>,
    /// Slots given so far, which orders tenants by their last one.
    given: u64,
    /// Requests that have waited so far, which names them.
    waited: u64,
}

/// A tenant that holds slots or waits for some.
#[derive(Debug, Default)]
struct Tenant {
    held: usize,
    last_given: u64,
    waiting: VecDeque<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    sender: oneshot::Sender<Slot>,
}

/// A slot, until it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    tenant: TenantId,
}

impl Slots {
    /// This many slots, at least two: with one, the first tenant would have all.
    pub(super) fn new(total: usize) -> Arc<Self> {
        Arc::new(Self {
            total: total.max(2),
            state: Mutex::default(),
        })
    }

    /// A slot for a conversion of this tenant's; nothing when none becomes free in time.
    pub(super) async fn acquire(
        self: &Arc<Self>,
        tenant: &TenantId,
        max_wait: Duration,
    ) -> Option<Slot> {
        let (number, receiver) = self.enqueue(tenant);
        let slots = Arc::clone(self);
        let queued = Queued {
            tenant: tenant.clone(),
            number,
            // A task of the runtime's: the caller's thread may outlive its timers.
            timer: tokio::spawn({
                let tenant = tenant.clone();
                async move {
                    tokio::time::sleep(max_wait).await;
                    slots.leave(&tenant, number);
                }
            }),
            slots: Arc::clone(self),
        };
        let slot = receiver.await.ok();
        drop(queued);
        slot
    }

    /// Puts a request in the queue, and gives it a slot if there is one.
    fn enqueue(self: &Arc<Self>, tenant: &TenantId) -> (u64, oneshot::Receiver<Slot>) {
        let (sender, receiver) = oneshot::channel();
        let number = {
            let mut state = self.lock();
            state.waited += 1;
            let number = state.waited;
            let of_tenant = state.tenants.entry(tenant.clone()).or_default();
            of_tenant.waiting.push_back(Waiter { number, sender });
            number
        };
        self.serve();
        (number, receiver)
    }

    /// Takes a request that waits no longer out of the queue.
    fn leave(&self, tenant: &TenantId, number: u64) {
        let mut state = self.lock();
        if let Some(of_tenant) = state.tenants.get_mut(tenant) {
            of_tenant.waiting.retain(|waiter| waiter.number != number);
            state.forget_idle(tenant);
        }
    }

    /// Gives free slots to those who wait.
    fn serve(self: &Arc<Self>) {
        loop {
            let next = self.lock().next(self.total);
            let Some((tenant, waiter)) = next else {
                return;
            };
            let slots = Arc::clone(self);
            // One that is gone gives its slot back here, outside the lock.
            drop(waiter.sender.send(Slot { slots, tenant }));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes a slot for the request that is next: the first of the tenant that was served longest ago.
    fn next(&mut self, total: usize) -> Option<(TenantId, Waiter)> {
        let free = total.checked_sub(self.held).filter(|free| *free > 0)?;
        let may_take = |tenant: &Tenant| !tenant.waiting.is_empty() && tenant.held < free;
        let candidates = self.tenants.iter().filter(|(_, tenant)| may_take(tenant));
        let (tenant, _) = candidates.min_by_key(|(_, tenant)| {
            let first = tenant.waiting.front().map(|waiter| waiter.number);
            (tenant.last_given, first)
        })?;
        let tenant = tenant.clone();
        let of_tenant = self.tenants.get_mut(&tenant)?;
        let waiter = of_tenant.waiting.pop_front()?;
        self.given += 1;
        self.held += 1;
        of_tenant.held += 1;
        of_tenant.last_given = self.given;
        Some((tenant, waiter))
    }

    /// Forgets a tenant that neither holds a slot nor waits for one.
    fn forget_idle(&mut self, tenant: &TenantId) {
        let is_idle = |tenant: &Tenant| tenant.held == 0 && tenant.waiting.is_empty();
        if self.tenants.get(tenant).is_some_and(is_idle) {
            self.tenants.remove(tenant);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.slots.lock();
        state.held = state.held.saturating_sub(1);
        if let Some(tenant) = state.tenants.get_mut(&self.tenant) {
            tenant.held = tenant.held.saturating_sub(1);
        }
        state.forget_idle(&self.tenant);
        drop(state);
        self.slots.serve();
    }
}

/// A place in the queue, given up when it is dropped.
struct Queued {
    slots: Arc<Slots>,
    tenant: TenantId,
    number: u64,
    timer: tokio::task::JoinHandle<()>,
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.timer.abort();
        self.slots.leave(&self.tenant, self.number);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    /// Longer than any test takes.
    const LONG: Duration = Duration::from_secs(3600);

    fn tenant(name: &str) -> TenantId {
        TenantId::new(name).unwrap()
    }

    /// The slot, if there is one at once.
    fn taken(slots: &Arc<Slots>, name: &str) -> Option<Slot> {
        let (number, mut receiver) = slots.enqueue(&tenant(name));
        let slot = receiver.try_recv().ok();
        slots.leave(&tenant(name), number);
        slot
    }

    fn all(slots: &Arc<Slots>, name: &str) -> Vec<Slot> {
        std::iter::from_fn(|| taken(slots, name)).collect()
    }

    #[test]
    fn a_tenant_that_takes_all_it_can_leaves_a_slot_for_others() {
        let slots = Slots::new(8);
        let greedy = all(&slots, "greedy");
        assert_eq!(greedy.len(), 4);
        assert_eq!(all(&slots, "other").len(), 2);
        let smallest = Slots::new(1);
        let greedy_too = all(&smallest, "greedy");
        assert_eq!(greedy_too.len(), 1);
        assert!(taken(&smallest, "other").is_some());
        drop((greedy, greedy_too));
        assert!(slots.lock().tenants.is_empty());
        assert_eq!(slots.lock().held, 0);
    }

    #[test]
    fn a_free_slot_goes_to_the_tenant_that_was_served_longest_ago() {
        let slots = Slots::new(2);
        let (first, second) = (taken(&slots, "a").unwrap(), taken(&slots, "b").unwrap());
        let of_a: Vec<_> = (0..3).map(|_| slots.enqueue(&tenant("a")).1).collect();
        let (_, mut of_c) = slots.enqueue(&tenant("c"));
        let (_, mut of_b) = slots.enqueue(&tenant("b"));
        drop(first);
        // `c` has never had one, though `a` has waited longer.
        let of_c = of_c.try_recv().unwrap();
        assert!(of_b.try_recv().is_err());
        drop(of_c);
        let of_a = of_a.into_iter().map(|mut slot| slot.try_recv().ok());
        let of_a: Vec<_> = of_a.collect();
        assert!(matches!(of_a.as_slice(), [Some(_), None, None]));
        drop(second);
        assert!(of_b.try_recv().is_ok());
    }

    #[test]
    fn a_request_that_is_gone_passes_its_slot_on() {
        let slots = Slots::new(2);
        let held = [taken(&slots, "a").unwrap(), taken(&slots, "b").unwrap()];
        let (_, gone) = slots.enqueue(&tenant("c"));
        let (_, mut waits) = slots.enqueue(&tenant("d"));
        drop(gone);
        drop(held);
        assert!(waits.try_recv().is_ok());
    }

    #[tokio::test]
    async fn a_wait_is_bounded_and_leaves_nothing_behind() {
        let slots = Slots::new(2);
        let held = [taken(&slots, "a").unwrap(), taken(&slots, "b").unwrap()];
        let waited = slots.acquire(&tenant("c"), Duration::from_millis(20)).await;
        assert!(waited.is_none());
        // One that is cancelled.
        let late = tenant("c");
        let wait = slots.acquire(&late, LONG);
        assert!(
            tokio::time::timeout(Duration::from_millis(20), wait)
                .await
                .is_err()
        );
        assert!(!slots.lock().tenants.contains_key(&tenant("c")));
        drop(held);
        assert!(slots.acquire(&tenant("c"), LONG).await.is_some());
        assert!(slots.lock().tenants.is_empty());
    }
}
