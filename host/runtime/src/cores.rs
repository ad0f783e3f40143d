//! The cores that guests compute on for long: as many at once as there are, tenants in turn.
//!
//! A guest that has computed for some milliseconds may go on for seconds: a decoder on a file of an hour,
//! anybody's in a loop. From then on it needs a core to go on; it gives the core back when it waits for something or ends. A core is lent for [`TURN`] when another tenant
//! waits for one, and for [`OWN_TURN`] when only others of the same tenant do: among one's own, taking
//! turns makes nothing faster, and yet a short computation should not wait for the end of a long one.
//! Within a tenant it is first come, first served.
//!
//! All cores but one are lent, so that one is left for the models, however many guests one tenant has; a
//! guest that has little to do waits for a tick of theirs at most. The operating system
//! would share cores between threads, and tokio between tasks, but equally: a tenant with fifty files
//! would get fifty times what another gets with one.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use auricle_speech::TenantId;
use tokio::sync::oneshot;

/// How long a guest computes while another tenant waits: some ticks of the epoch clock. Going to
/// another thread costs microseconds.
const TURN: Duration = Duration::from_millis(20);

/// How long it computes while only others of its tenant wait.
const OWN_TURN: Duration = Duration::from_secs(1);

/// The cores of this machine that are lent.
static MACHINE: LazyLock<Arc<Cores>> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Cores::new(cores.saturating_sub(1).max(1))
});

/// Cores, and who waits for one.
struct Cores(Mutex<State>);

#[derive(Default)]
struct State {
    free: usize,
    waiting: HashMap<TenantId, VecDeque<oneshot::Sender<Core>>>,
    /// Tenants that wait, the one whose turn it is in front.
    turns: VecDeque<TenantId>,
}

impl Cores {
    fn new(count: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            free: count,
            ..State::default()
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A core, if one is free.
    fn take_free(self: &Arc<Self>) -> Option<Core> {
        let mut state = self.lock();
        state.free = state.free.checked_sub(1)?;
        Some(self.core())
    }

    /// Waits for a core.
    async fn take(self: &Arc<Self>, tenant: &TenantId) -> Core {
        loop {
            if let Some(core) = self.take_free() {
                return core;
            }
            let lent = self.lock().wait(tenant);
            // The sender is gone only if a thread panicked with it.
            if let Ok(core) = lent.await {
                return core;
            }
        }
    }

    fn core(self: &Arc<Self>) -> Core {
        Core {
            cores: Some(Arc::clone(self)),
            since: Instant::now(),
        }
    }

    /// Lends a core that has come back to whoever is next.
    fn hand_on(self: &Arc<Self>) {
        loop {
            let next = {
                let mut state = self.lock();
                match state.next() {
                    Some(next) => next,
                    None => {
                        state.free += 1;
                        return;
                    }
                }
            };
            match next.send(self.core()) {
                Ok(()) => return,
                // It waits no longer: the next one then, and not by dropping the core here.
                Err(mut core) => core.cores = None,
            }
        }
    }
}

impl State {
    fn wait(&mut self, tenant: &TenantId) -> oneshot::Receiver<Core> {
        let (sender, lent) = oneshot::channel();
        let line = self.waiting.entry(tenant.clone()).or_insert_with(|| {
            self.turns.push_back(tenant.clone());
            VecDeque::new()
        });
        line.push_back(sender);
        lent
    }

    /// Takes out who is next, and moves its tenant behind the others.
    fn next(&mut self) -> Option<oneshot::Sender<Core>> {
        let tenant = self.turns.pop_front()?;
        let line = self.waiting.get_mut(&tenant)?;
        let next = line.pop_front();
        match line.is_empty() {
            true => drop(self.waiting.remove(&tenant)),
            false => self.turns.push_back(tenant),
        }
        next
    }
}

/// A core that is lent, until this is dropped.
struct Core {
    /// Nothing once it is handed on.
    cores: Option<Arc<Cores>>,
    since: Instant,
}

impl Drop for Core {
    fn drop(&mut self) {
        if let Some(cores) = self.cores.take() {
            cores.hand_on();
        }
    }
}

/// What a guest sits on: a core, or nothing for now.
pub(crate) struct Seat {
    cores: Arc<Cores>,
    tenant: TenantId,
    core: Mutex<Option<Core>>,
}

impl Seat {
    /// A seat without a core, on this machine.
    pub(crate) fn new(tenant: TenantId) -> Self {
        Self::at(&MACHINE, tenant)
    }

    fn at(cores: &Arc<Cores>, tenant: TenantId) -> Self {
        Self {
            cores: Arc::clone(cores),
            tenant,
            core: Mutex::default(),
        }
    }

    /// Whether it has a core, now that it has taken one if that was free.
    pub(crate) fn has_or_takes(&self) -> bool {
        let mut core = self.lock();
        if core.is_none() {
            *core = self.cores.take_free();
        }
        core.is_some()
    }

    /// Waits for a core, if there is none.
    pub(crate) async fn take(&self) {
        if self.lock().is_none() {
            let core = self.cores.take(&self.tenant).await;
            *self.lock() = Some(core);
        }
    }

    /// Gives the core back.
    pub(crate) fn leave(&self) {
        let core = self.lock().take();
        drop(core);
    }

    /// Whether the turn is over, and somebody else waits for the core.
    pub(crate) fn is_due(&self) -> bool {
        let since = self.lock().as_ref().map(|core| core.since.elapsed());
        let Some(since) = since.filter(|since| *since >= TURN) else {
            return false;
        };
        let state = self.cores.lock();
        let mut waiting = state.turns.iter();
        waiting.any(|tenant| *tenant != self.tenant || since >= OWN_TURN)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Core>> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use futures::FutureExt;

    use super::*;

    fn tenant(name: &str) -> TenantId {
        TenantId::new(name).unwrap()
    }

    #[test]
    fn tenants_take_turns_however_many_of_one_wait() {
        let cores = Cores::new(1);
        let first = cores.take(&tenant("noisy")).now_or_never().unwrap();
        let mut noisy: Vec<_> = (0..50)
            .map(|_| {
                let cores = Arc::clone(&cores);
                Box::pin(async move { cores.take(&tenant("noisy")).await })
            })
            .collect();
        for waiting in &mut noisy {
            assert!(waiting.now_or_never().is_none());
        }
        let name = tenant("victim");
        let mut victim = Box::pin(cores.take(&name));
        assert!((&mut victim).now_or_never().is_none());
        drop(first);
        // One of the other's was there before; then it is the victim's turn.
        let second = noisy.iter_mut().find_map(|waiting| waiting.now_or_never());
        drop(second.unwrap());
        assert!(victim.now_or_never().is_some());
    }

    #[test]
    fn who_waits_no_longer_loses_no_core() {
        let cores = Cores::new(2);
        let held = [(); 2].map(|()| cores.take(&tenant("a")).now_or_never().unwrap());
        for _ in 0..100 {
            assert!(cores.take(&tenant("b")).now_or_never().is_none());
        }
        drop(held);
        let state = cores.lock();
        assert_eq!((state.free, state.turns.len()), (2, 0));
    }

    #[test]
    fn a_short_turn_ends_only_for_somebody_else() {
        let cores = Cores::new(1);
        let seat = Seat::at(&cores, tenant("a"));
        seat.take().now_or_never().unwrap();
        std::thread::sleep(TURN);
        let (a, b) = (tenant("a"), tenant("b"));
        let mut own = Box::pin(cores.take(&a));
        assert!((&mut own).now_or_never().is_none());
        assert!(!seat.is_due());
        let mut other = Box::pin(cores.take(&b));
        assert!((&mut other).now_or_never().is_none());
        assert!(seat.is_due());
        seat.leave();
        assert!(own.now_or_never().is_some() && other.now_or_never().is_some());
        assert!(!seat.is_due());
        assert!(seat.has_or_takes() && seat.has_or_takes());
        assert_eq!(cores.lock().free, 0);
    }

    #[test]
    fn a_long_turn_ends_for_ones_own_too() {
        let cores = Cores::new(1);
        let seat = Seat::at(&cores, tenant("a"));
        assert!(seat.has_or_takes());
        let a = tenant("a");
        let mut own = Box::pin(cores.take(&a));
        assert!((&mut own).now_or_never().is_none());
        std::thread::sleep(OWN_TURN);
        assert!(seat.is_due());
    }
}
