//! A response body that holds what its request holds.
//!
//! The permit, the line in the log and the connection's "busy" mark must live until the last byte
//! is out, and hyper owns the body until then. So they ride in the body and are dropped with it.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::access::AccessLog;
use crate::admission::Permit;
use crate::body::ResponseBody;
use crate::idle::Busy;

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
}

/// Ties `held` to the answer, which is cut off at `deadline`.
pub(crate) fn hold(
    response: Response<ResponseBody>,
    held: Held,
    method: &Method,
    deadline: Instant,
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
    };
    Response::from_parts(head, body.boxed_unsync())
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
        let mut polled = Pin::new(&mut self.inner).poll_frame(cx);
        // An answer of known length that is there may go out late: a refusal at the deadline is one.
        let endless = self.left_bytes.is_none() && matches!(polled, Poll::Ready(Some(_)));
        if (polled.is_pending() || endless) && self.deadline.as_mut().poll(cx).is_ready() {
            polled = Poll::Ready(Some(Err("the request deadline has passed".into())));
        }
        match &polled {
            Poll::Pending => {}
            Poll::Ready(Some(Ok(frame))) => {
                let len = frame.data_ref().map_or(0, Bytes::len) as u64;
                self.left_bytes = self.left_bytes.map(|left| left.saturating_sub(len));
            }
            Poll::Ready(Some(Err(error))) => {
                tracing::warn!(parent: &self.held.log.spans().log, error = %error, "the answer broke off");
            }
            Poll::Ready(None) => self.ended = true,
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for HeldBody {
    fn drop(&mut self) {
        if self.ended || self.left_bytes == Some(0) || self.inner.is_end_stream() {
            self.held.log.finish(self.status.as_u16());
        }
    }
}
