//! Who compiles when: few compilers at once, tenants in turns, and none after the server was told to stop.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use auricle_speech::TenantId;
use rustix::process::{Pid, Signal, kill_process};

use super::CompileError;

/// When a refused compilation may be tried again: a component takes some seconds.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(10);

/// The node's compilers.
#[derive(Debug)]
pub(crate) struct CompileQueue {
    max_at_once: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    /// Tickets of those that wait, by tenant.
    waiting: BTreeMap<TenantId, VecDeque<u64>>,
    /// The tenant that had a compiler last: the next one in order is served first.
    last: Option<TenantId>,
    next_ticket: u64,
    /// Compiler processes that can be killed.
    processes: Vec<u32>,
    is_stopped: bool,
}

/// The right to run one compiler; given back by dropping it.
#[derive(Debug)]
pub(super) struct CompilePermit<'a>(&'a CompileQueue);

/// A compiler process that [`CompileQueue::stop`] kills, until this is dropped. Drop it before the
/// process is waited for: its number is another process's afterwards.
#[derive(Debug)]
pub(super) struct Killable<'a> {
    queue: &'a CompileQueue,
    id: u32,
}

impl CompileQueue {
    pub(crate) fn new(max_at_once: usize) -> Self {
        Self {
            max_at_once: max_at_once.max(1),
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Waits for a compiler, for at most `patience`. Tenants that wait have turns.
    pub(super) fn acquire(
        &self,
        tenant: &TenantId,
        patience: Duration,
    ) -> Result<CompilePermit<'_>, CompileError> {
        let until = Instant::now() + patience;
        let mut state = self.lock();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        let queue = state.waiting.entry(tenant.clone()).or_default();
        queue.push_back(ticket);
        loop {
            if state.is_stopped {
                state.leave(tenant, ticket);
                return Err(CompileError::Stopping);
            }
            if state.running < self.max_at_once && state.is_next(tenant, ticket) {
                state.leave(tenant, ticket);
                state.running += 1;
                state.last = Some(tenant.clone());
                drop(state);
                // There may be room for another one.
                self.changed.notify_all();
                return Ok(CompilePermit(self));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.leave(tenant, ticket);
                drop(state);
                self.changed.notify_all();
                return Err(CompileError::Busy {
                    retry_after: RETRY_AFTER,
                });
            }
            (state, _) = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Has [`CompileQueue::stop`] kill the process of this number.
    pub(super) fn killable(&self, id: u32) -> Result<Killable<'_>, CompileError> {
        let mut state = self.lock();
        if state.is_stopped {
            return Err(CompileError::Stopping);
        }
        state.processes.push(id);
        Ok(Killable { queue: self, id })
    }

    /// Kills all compilers, and starts no other one.
    pub(crate) fn stop(&self) {
        let mut state = self.lock();
        state.is_stopped = true;
        for id in &state.processes {
            let process = i32::try_from(*id).ok().and_then(Pid::from_raw);
            // One that has ended is not waited for yet: the number is still its own.
            let _ = process.map(|process| kill_process(process, Signal::KILL));
        }
        drop(state);
        self.changed.notify_all();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.lock().is_stopped
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether this ticket is the first one of the tenant whose turn it is.
    fn is_next(&self, tenant: &TenantId, ticket: u64) -> bool {
        let after = |last: &TenantId| self.waiting.keys().find(|tenant| *tenant > last);
        let turn = self.last.as_ref().and_then(after);
        let turn = turn.or_else(|| self.waiting.keys().next());
        let first = self.waiting.get(tenant).and_then(VecDeque::front);
        turn == Some(tenant) && first == Some(&ticket)
    }

    fn leave(&mut self, tenant: &TenantId, ticket: u64) {
        if let Some(queue) = self.waiting.get_mut(tenant) {
            queue.retain(|waiting| *waiting != ticket);
            if queue.is_empty() {
                self.waiting.remove(tenant);
            }
        }
    }
}

impl Drop for CompilePermit<'_> {
    fn drop(&mut self) {
        self.0.lock().running -= 1;
        self.0.changed.notify_all();
    }
}

impl Drop for Killable<'_> {
    fn drop(&mut self) {
        self.queue.lock().processes.retain(|id| *id != self.id);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::sync::mpsc::channel;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn tenant(name: &str) -> TenantId {
        TenantId::new(name).unwrap()
    }

    fn waiting(queue: &CompileQueue) -> usize {
        queue.lock().waiting.values().map(VecDeque::len).sum()
    }

    #[test]
    fn tenants_that_wait_for_a_compiler_have_turns() {
        let queue = CompileQueue::new(1);
        let held = queue.acquire(&tenant("a"), LONG).unwrap();
        let (sender, order) = channel();
        std::thread::scope(|scope| {
            for (place, name) in ["a", "a", "a", "b", "c"].into_iter().enumerate() {
                let (queue, sender) = (&queue, sender.clone());
                scope.spawn(move || {
                    let permit = queue.acquire(&tenant(name), LONG).unwrap();
                    sender.send(name).unwrap();
                    drop(permit);
                });
                while waiting(queue) <= place {
                    std::thread::yield_now();
                }
            }
            drop(held);
        });
        drop(sender);
        assert_eq!(order.iter().collect::<Vec<_>>(), ["b", "c", "a", "a", "a"]);
        assert!(queue.lock().waiting.is_empty());
    }

    #[test]
    fn a_wait_is_bounded_and_leaves_nothing_behind() {
        let queue = CompileQueue::new(1);
        let held = queue.acquire(&tenant("a"), LONG).unwrap();
        let refused = queue.acquire(&tenant("b"), Duration::ZERO).unwrap_err();
        assert!(matches!(refused, CompileError::Busy { .. }), "{refused:?}");
        assert_eq!(waiting(&queue), 0);
        drop(held);
        queue.acquire(&tenant("b"), Duration::ZERO).unwrap();
    }

    #[test]
    fn who_waits_is_told_that_the_server_stops() {
        let queue = CompileQueue::new(1);
        let held = queue.acquire(&tenant("a"), LONG).unwrap();
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| queue.acquire(&tenant("b"), LONG).map(drop));
            while waiting(&queue) == 0 {
                std::thread::yield_now();
            }
            queue.stop();
            let refused = waits.join().unwrap().unwrap_err();
            assert!(matches!(refused, CompileError::Stopping), "{refused:?}");
        });
        drop(held);
        assert!(queue.acquire(&tenant("a"), LONG).is_err());
        assert!(queue.killable(1).is_err());
    }
}
