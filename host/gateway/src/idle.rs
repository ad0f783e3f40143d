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

use crate::config::{Limits, ms};

/// What a connection is doing.
#[derive(Debug)]
pub(crate) struct Activity {
    header_timeout: Duration,
    keep_alive_timeout: Duration,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    requests: usize,
    /// Between requests: when the connection is closed.
    deadline: Instant,
    /// Whether the next byte begins a head. HTTP/2 has other frames between requests, and counts
    /// as always begun.
    head_begun: bool,
    http2: bool,
}

/// A request on the connection; ends when dropped.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Activity>);

impl Activity {
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        let header_timeout = ms(limits.header_read_timeout_ms);
        Arc::new(Self {
            header_timeout,
            keep_alive_timeout: ms(limits.keep_alive_timeout_ms),
            state: Mutex::new(State {
                requests: 0,
                deadline: Instant::now() + header_timeout,
                head_begun: true,
                http2: false,
            }),
            changed: Notify::new(),
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
        drop(state);
        Busy(Arc::clone(self))
    }

    /// Ends when the connection has been without a request for too long.
    pub(crate) async fn expired(&self) {
        loop {
            let deadline = {
                let state = self.lock();
                (state.requests == 0).then_some(state.deadline)
            };
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

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.requests = state.requests.saturating_sub(1);
        if state.requests == 0 {
            state.deadline = Instant::now() + self.0.keep_alive_timeout;
            state.head_begun = state.http2;
            drop(state);
            self.0.changed.notify_one();
        }
    }
}
