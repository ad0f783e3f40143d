//! Requests in flight, and what tells them that a drain has ended.
//!
//! A drain ends in two steps. First every request is cut off: what has no head yet is answered 503
//! `draining`, a stream of events ends with an error event, a WebSocket is closed with 1001, and any
//! other answer breaks off. After [`GOODBYE`] connections are dropped with what is left.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// How long clients have to take their last answer once the drain has ended; longer than a
/// WebSocket's goodbye then (1 s).
pub(crate) const GOODBYE: Duration = Duration::from_secs(2);

/// Counts requests and WebSockets of the API's listeners, from a request's head to the last byte of
/// its answer.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    count: AtomicUsize,
    cut_off: CancellationToken,
}

/// One of them; no more when dropped.
#[derive(Debug)]
pub(crate) struct OpenRequest(Arc<InFlight>);

impl InFlight {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Counts a request until the answer is dropped.
    pub(crate) fn open(self: &Arc<Self>) -> OpenRequest {
        self.count.fetch_add(1, Ordering::Relaxed);
        OpenRequest(Arc::clone(self))
    }

    /// Requests and WebSockets that are open now.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Cancelled when the drain has ended.
    pub(crate) fn cut_off(&self) -> &CancellationToken {
        &self.cut_off
    }
}

impl OpenRequest {
    pub(crate) fn in_flight(&self) -> &Arc<InFlight> {
        &self.0
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::Relaxed);
    }
}
