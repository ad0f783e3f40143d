//! When a connection has had its time.
//!
//! hyper counts the wait for a request and the reading of its head as one time, and does not watch
//! the bytes by which HTTP/1 and HTTP/2 are told apart. Here they are three: a new connection and a
//! begun head have the header timeout, a connection between requests the longer keep-alive
//! timeout, and one with a request has none (the request has its own).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::config::{Limits, ms};

/// What a connection is doing.
#[derive(Debug)]
pub(crate) struct Activity {
    header_timeout: Duration,
    keep_alive_timeout: Duration,
    state: Mutex<State>,
    changed: Notify,
    /// The connection ends at once, whatever it is doing.
    cut: CancellationToken,
}

#[derive(Debug)]
struct State {
    /// Open requests; a WebSocket is one.
    requests: usize,
    /// Those of them that the server works on, where the listener tells them apart.
    working: usize,
    /// When the connection was opened, or a request last began, ended or was worked on.
    last_event: Instant,
    /// The connection ends as soon as it has no request.
    leaving: Leaving,
    /// Between requests: when the connection is closed.
    deadline: Instant,
    /// Whether the next byte begins a head. HTTP/2 has other frames between requests, and counts
    /// as always begun.
    head_begun: bool,
    http2: bool,
}

/// Why a connection takes no more requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    /// It takes them.
    No,
    /// The server stops, or the connection is of no more use.
    InOrder,
    /// Its slot belongs to another connection.
    Evicted,
}

/// A request on the connection; ends when dropped.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Activity>);

/// Work for a request that no client can stretch; ends when dropped.
#[derive(Debug)]
pub(crate) struct Working(Arc<Activity>);

impl Activity {
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        let header_timeout = ms(limits.header_read_timeout_ms);
        Self::with_timeouts(header_timeout, ms(limits.keep_alive_timeout_ms))
    }

    pub(crate) fn with_timeouts(
        header_timeout: Duration,
        keep_alive_timeout: Duration,
    ) -> Arc<Self> {
        let now = Instant::now();
        Arc::new(Self {
            header_timeout,
            keep_alive_timeout,
            state: Mutex::new(State {
                requests: 0,
                working: 0,
                last_event: now,
                leaving: Leaving::No,
                deadline: now + header_timeout,
                head_begun: true,
                http2: false,
            }),
            changed: Notify::new(),
            cut: CancellationToken::new(),
        })
    }

    /// Bytes were read.
    pub(crate) fn bytes_came(&self) {
        let mut state = self.lock();
        if state.requests == 0 && !state.head_begun {
            state.head_begun = true;
            let deadline = Instant::now() + self.header_timeout;
            state.deadline = state.deadline.min(deadline);
            drop(state);
            self.changed.notify_one();
        }
    }

    /// A request's head is complete.
    pub(crate) fn request(self: &Arc<Self>, http2: bool) -> Busy {
        let mut state = self.lock();
        state.requests += 1;
        state.http2 = http2;
        state.last_event = Instant::now();
        drop(state);
        Busy(Arc::clone(self))
    }

    /// The server works on a request of this connection.
    pub(crate) fn work(self: &Arc<Self>) -> Working {
        self.lock().working += 1;
        Working(Arc::clone(self))
    }

    /// Since when the connection has had no open request, stream or WebSocket.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let state = self.lock();
        (state.requests == 0).then_some(state.last_event)
    }

    /// Since when the connection has only waited for its client: for a request, its body, or room
    /// for the answer.
    pub(crate) fn waiting_since(&self) -> Option<Instant> {
        let state = self.lock();
        (state.working == 0).then_some(state.last_event)
    }

    /// Ends the connection as soon as it has no request.
    pub(crate) fn leave(&self) {
        let mut state = self.lock();
        if state.leaving == Leaving::No {
            state.leaving = Leaving::InOrder;
            drop(state);
            self.changed.notify_one();
        }
    }

    /// Ends a connection without requests, because its slot is given to another one. `false` where
    /// a request has come.
    pub(crate) fn evict(&self) -> bool {
        let mut state = self.lock();
        if state.requests > 0 {
            return false;
        }
        state.leaving = Leaving::Evicted;
        drop(state);
        self.changed.notify_one();
        true
    }

    pub(crate) fn is_evicted(&self) -> bool {
        self.lock().leaving == Leaving::Evicted
    }

    /// Ends the connection at once, with its requests.
    pub(crate) fn cut(&self) {
        self.cut.cancel();
    }

    /// Ends when the connection must end at once.
    pub(crate) async fn is_cut(&self) {
        self.cut.cancelled().await;
    }

    /// Whether the connection has been without a request for too long.
    pub(crate) fn is_expired(&self) -> bool {
        let deadline = self.lock().deadline();
        deadline.is_some_and(|deadline| deadline <= Instant::now())
    }

    /// Ends when the connection has been without a request for too long.
    pub(crate) async fn expired(&self) {
        loop {
            let deadline = self.lock().deadline();
            match deadline {
                None => self.changed.notified().await,
                Some(deadline) if deadline <= Instant::now() => return,
                Some(deadline) => tokio::select! {
                    () = sleep_until(deadline) => {}
                    () = self.changed.notified() => {}
                },
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// When the connection is closed, while it has no request.
    fn deadline(&self) -> Option<Instant> {
        let deadline = match self.leaving {
            Leaving::No => self.deadline,
            Leaving::InOrder | Leaving::Evicted => self.last_event,
        };
        (self.requests == 0).then_some(deadline)
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.working = state.working.saturating_sub(1);
        state.last_event = Instant::now();
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.requests = state.requests.saturating_sub(1);
        if state.requests == 0 {
            state.last_event = Instant::now();
            state.deadline = state.last_event + self.0.keep_alive_timeout;
            state.head_begun = state.http2;
            drop(state);
            self.0.changed.notify_one();
        }
    }
}
