//! Deadlines of answers, kept outside of what hyper polls.
//!
//! hyper does not poll a body while the client takes nothing of it: a deadline inside the body never
//! fires against a client that keeps its HTTP/2 window at 0. So every HTTP/2 stream and every HTTP/1
//! connection has an [`AnswerWatch`] that is awaited beside it, by the task that owns it. When it is
//! overdue, that task drops the stream, which resets it, or the connection. All that the request
//! holds (permit, body, guest) is dropped with it.
//!
//! # Deadlines
//! * Of the whole answer: the request's deadline and one `write_stall_timeout_ms` to send what was
//!   there by then, however steadily the client reads.
//! * On HTTP/2, `write_stall_timeout_ms` for each piece of a body, of at most 16 KiB. HTTP/1 has no
//!   flow control but TCP's, which `timed_io` watches byte by byte.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::idle::Busy;

/// Largest piece of a body that hyper is given at once: HTTP/2's smallest largest frame (RFC 9113,
/// 6.5.2). With 30 s for a piece, a client of 550 bytes a second is still served.
const MAX_PIECE_BYTES: usize = 16 * 1024;

tokio::task_local! {
    /// The watch of the HTTP/2 stream whose task this is.
    static STREAM: Arc<AnswerWatch>;
}

/// Says when an answer must be given up because its client does not take it.
#[derive(Debug, Default)]
pub(crate) struct AnswerWatch {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// When the answer must be out; `None` while there is none.
    cut_at: Option<Instant>,
    /// Longest wait for the client to take one piece.
    stall: Option<Duration>,
    /// Since when a piece waits for the client.
    waiting_since: Option<Instant>,
    /// When the task that awaits the watch looks at it next.
    armed: Option<Instant>,
    /// Part of the answer was never taken.
    incomplete: bool,
}

impl State {
    fn due(&self) -> Option<Instant> {
        let stalled_at = self.waiting_since.zip(self.stall);
        let stalled_at = stalled_at.map(|(since, stall)| since + stall);
        match (self.cut_at, stalled_at) {
            (Some(cut_at), Some(stalled_at)) => Some(cut_at.min(stalled_at)),
            (cut_at, _) => cut_at,
        }
    }
}

impl AnswerWatch {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The watch of the HTTP/2 stream that the present task serves, if it serves one.
    pub(crate) fn of_stream() -> Option<Arc<Self>> {
        STREAM.try_with(Arc::clone).ok()
    }

    /// Runs an HTTP/2 stream with this watch as its own.
    pub(crate) async fn scope<F: Future>(self: Arc<Self>, stream: F) -> F::Output {
        STREAM.scope(self, stream).await
    }

    /// The head of an answer is out. The rest must be by `cut_at`, each piece within `stall`.
    pub(crate) fn begin(&self, cut_at: Instant, stall: Option<Duration>) {
        self.change(|state| {
            state.cut_at = Some(cut_at);
            state.stall = stall;
            state.waiting_since = Some(Instant::now());
            state.incomplete = false;
        });
    }

    /// Whether part of the latest answer was never taken by its client.
    pub(crate) fn is_incomplete(&self) -> bool {
        self.lock().incomplete
    }

    /// Ends when the client has not taken its answer in time.
    pub(crate) async fn overdue(&self) {
        loop {
            let armed = {
                let mut state = self.lock();
                state.armed = state.due();
                if state.armed.is_some_and(|at| at <= Instant::now()) {
                    state.incomplete = true;
                    return;
                }
                state.armed
            };
            match armed {
                None => self.changed.notified().await,
                Some(at) => tokio::select! {
                    () = sleep_until(at) => {}
                    () = self.changed.notified() => {}
                },
            }
        }
    }

    /// The client has taken what it was given and may have more.
    fn taken(&self) {
        self.lock().waiting_since = None;
    }

    /// The client is given a piece, or the end.
    fn given(&self) {
        self.change(|state| state.waiting_since = Some(Instant::now()));
    }

    /// The body is dropped.
    fn end(&self, is_incomplete: bool) {
        let mut state = self.lock();
        state.cut_at = None;
        state.waiting_since = None;
        state.incomplete |= is_incomplete;
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        let is_earlier = match (state.due(), state.armed) {
            (Some(due), Some(armed)) => due < armed,
            (due, None) => due.is_some(),
            (None, Some(_)) => false,
        };
        drop(state);
        if is_earlier {
            self.changed.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A body in pieces, which tells its [`AnswerWatch`] how the client takes them.
pub(crate) struct WatchedBody<B> {
    inner: B,
    /// Of the frame that is being given, what is still to come.
    rest: Bytes,
    watch: Arc<AnswerWatch>,
    /// Where nothing within the body keeps the connection busy.
    _busy: Option<Busy>,
}

impl<B> WatchedBody<B> {
    pub(crate) fn new(inner: B, watch: Arc<AnswerWatch>, busy: Option<Busy>) -> Self {
        Self {
            inner,
            rest: Bytes::new(),
            watch,
            _busy: busy,
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for WatchedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        this.watch.taken();
        if this.rest.is_empty() {
            let polled = ready!(Pin::new(&mut this.inner).poll_frame(cx));
            match polled.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => this.rest = data,
                other => {
                    this.watch.given();
                    // Trailers come back as they were.
                    return Poll::Ready(other.map(|frame| {
                        frame.map(|data| data.map_or_else(|frame| frame, Frame::data))
                    }));
                }
            }
        }
        let piece = this.rest.split_to(this.rest.len().min(MAX_PIECE_BYTES));
        this.watch.given();
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let inner = self.inner.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower().saturating_add(rest));
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint
    }
}

impl<B> Drop for WatchedBody<B> {
    fn drop(&mut self) {
        self.watch.end(!self.rest.is_empty());
    }
}
