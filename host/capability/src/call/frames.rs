//! A response body without its empty frames.
//!
//! A guest may write nothing, as often as its CPU budget allows. HTTP/2 flow control counts bytes, so
//! each empty frame would be queued for a client that does not read, without bound
//! (GHSA-f8mm-ggr3-89wh).

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Empty frames that are skipped before other tasks have their turn.
const MAX_SKIPPED: usize = 32;

/// Passes on the frames of a body that carry bytes or trailers.
#[derive(Debug)]
pub(super) struct NonEmptyFrames<B>(pub(super) B);

impl<B: Body<Data = Bytes> + Unpin> Body for NonEmptyFrames<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        for _ in 0..MAX_SKIPPED {
            let polled = Pin::new(&mut self.0).poll_frame(context);
            match &polled {
                Poll::Ready(Some(Ok(frame))) if frame.data_ref().is_some_and(Bytes::is_empty) => {}
                _ => return polled,
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::convert::Infallible;

    use futures::executor::block_on;
    use futures::{StreamExt, stream};
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    fn data(bytes: &'static [u8]) -> Result<Frame<Bytes>, Infallible> {
        Ok(Frame::data(Bytes::from_static(bytes)))
    }

    #[test]
    fn empty_frames_never_reach_the_connection() {
        let empty = || stream::iter((0..100_000).map(|_| data(b"")));
        let trailers = [Ok(Frame::trailers(http::HeaderMap::new()))];
        let frames = empty()
            .chain(stream::iter([data(b"one")]))
            .chain(empty())
            .chain(stream::iter([data(b"two")]))
            .chain(stream::iter(trailers));
        let mut body = NonEmptyFrames(StreamBody::new(frames));
        let mut next = || block_on(body.frame()).map(|frame| frame.unwrap());
        assert_eq!(next().unwrap().into_data().unwrap(), "one");
        assert_eq!(next().unwrap().into_data().unwrap(), "two");
        assert!(next().unwrap().is_trailers());
        assert!(next().is_none());
    }

    #[test]
    fn endless_empty_frames_let_other_tasks_have_their_turn() {
        let frames = stream::repeat_with(|| data(b""));
        let mut body = NonEmptyFrames(StreamBody::new(frames));
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(Pin::new(&mut body).poll_frame(&mut context).is_pending());
    }
}
