//! A response body that holds what its request holds.
//!
//! The permit, the line in the log and the connection's "busy" mark must live until the last byte
//! is out, and hyper owns the body until then. So they ride in the body and are dropped with it.
//!
//! The deadline here ends an answer that the app does not finish; `watch` ends one that the client
//! does not take. When a drain ends, a stream of events ends with an error event, and any other
//! answer that is not complete breaks off.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Method, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::access::AccessLog;
use crate::admission::Permit;
use crate::app::AppError;
use crate::body::ResponseBody;
use crate::idle::Busy;
use crate::rescue;
use crate::watch::{AnswerWatch, WatchedBody};

/// What a request holds until its answer is out.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) log: AccessLog,
    pub(crate) _busy: Busy,
    /// Health checks and refusals need none.
    pub(crate) permit: Option<Permit>,
}

struct HeldBody {
    inner: ResponseBody,
    held: Held,
    status: StatusCode,
    deadline: Pin<Box<Sleep>>,
    ended: bool,
    /// Bytes still to come, when the length is known: hyper stops reading then.
    left_bytes: Option<u64>,
    watch: Arc<AnswerWatch>,
    /// The end of a drain; awaited only where the app is not done yet.
    cut_off: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    /// The drain has ended, and the answer with it.
    is_cut: bool,
    events: Events,
}

/// Where a stream of server-sent events is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Events {
    /// The answer is something else.
    None,
    /// Between two events.
    Between,
    /// Within an event.
    Within,
}

/// Ties `held` to the answer, which is cut off at `deadline`, and tells `watch` how its client
/// takes it.
pub(crate) fn hold(
    response: Response<ResponseBody>,
    held: Held,
    method: &Method,
    deadline: Instant,
    watch: Arc<AnswerWatch>,
) -> Response<ResponseBody> {
    let (head, inner) = response.into_parts();
    let bodiless = method == Method::HEAD
        || head.status.is_informational()
        || head.status == StatusCode::NO_CONTENT
        || head.status == StatusCode::NOT_MODIFIED;
    let body = HeldBody {
        left_bytes: inner
            .size_hint()
            .exact()
            .or_else(|| content_length(&head.headers)),
        ended: bodiless,
        inner,
        held,
        status: head.status,
        deadline: Box::pin(sleep_until(deadline)),
        watch: Arc::clone(&watch),
        cut_off: None,
        is_cut: false,
        events: Events::of(&head.headers),
    };
    let body = WatchedBody::new(body, watch, None);
    Response::from_parts(head, body.boxed_unsync())
}

impl Events {
    fn of(headers: &HeaderMap) -> Self {
        let content_type = headers.get(CONTENT_TYPE).map(http::HeaderValue::as_bytes);
        match content_type.is_some_and(|value| value.starts_with(b"text/event-stream")) {
            true => Self::Between,
            false => Self::None,
        }
    }

    fn after(self, data: &[u8]) -> Self {
        match self {
            Self::None => Self::None,
            _ if data.is_empty() => self,
            _ if data.ends_with(b"\n\n") => Self::Between,
            _ => Self::Within,
        }
    }
}

impl HeldBody {
    /// What the client gets when the drain ends before the answer.
    fn poll_cut_off(&mut self, cx: &mut Context<'_>) -> Poll<CutOff> {
        let log = &self.held.log;
        let cut_off = self
            .cut_off
            .get_or_insert_with(|| Box::pin(log.in_flight().cut_off().clone().cancelled_owned()));
        ready!(cut_off.as_mut().poll(cx));
        self.is_cut = true;
        Poll::Ready(match (self.events, self.left_bytes) {
            (Events::Between, None) => CutOff::Event(rescue::event(&AppError::Draining)),
            _ => CutOff::Break,
        })
    }
}

/// How an answer ends that a drain cuts off.
enum CutOff {
    /// With this event.
    Event(Bytes),
    /// In the middle.
    Break,
}

/// What the answer's own header promises: hyper stops there without asking for the end.
fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

impl Body for HeldBody {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.is_cut {
            return Poll::Ready(None);
        }
        let mut polled = Pin::new(&mut self.inner).poll_frame(cx);
        // An answer of known length that is there may go out late: a refusal at the deadline is one.
        let endless = self.left_bytes.is_none() && matches!(polled, Poll::Ready(Some(_)));
        if polled.is_pending() || endless {
            if self.deadline.as_mut().poll(cx).is_ready() {
                polled = Poll::Ready(Some(Err("the request deadline has passed".into())));
            } else if let Poll::Ready(cut_off) = self.poll_cut_off(cx) {
                polled = Poll::Ready(Some(match cut_off {
                    CutOff::Event(event) => Ok(Frame::data(event)),
                    CutOff::Break => Err("the server has stopped".into()),
                }));
            }
        }
        match &polled {
            Poll::Pending => {}
            Poll::Ready(Some(Ok(frame))) => {
                let data: &[u8] = frame.data_ref().map(|data| &**data).unwrap_or_default();
                let len = data.len() as u64;
                self.left_bytes = self.left_bytes.map(|left| left.saturating_sub(len));
                self.events = self.events.after(data);
            }
            Poll::Ready(Some(Err(error))) => {
                tracing::warn!(parent: &self.held.log.spans().log, error = %error, "the answer broke off");
            }
            Poll::Ready(None) => self.ended = true,
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.is_cut || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for HeldBody {
    fn drop(&mut self) {
        let is_complete = self.ended || self.left_bytes == Some(0) || self.inner.is_end_stream();
        if is_complete && !self.is_cut && !self.watch.is_incomplete() {
            self.held.log.finish(self.status.as_u16());
        }
    }
}
