//! Request bodies: counted, timed and, when nobody wants the rest, drained.
//!
//! A body ends with the request that owns it. Only the time spent waiting for the client counts
//! against it, not the time the app takes between two reads.
//!
//! When the app answers before it has read everything, a plain close would make the kernel reset
//! the connection and the client would see a broken pipe instead of the answer. So the rest of an
//! HTTP/1 body is read and thrown away for at most 5 s; HTTP/2 has a frame for that.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Version;
use http::header::EXPECT;
use http::request::Parts;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::config::{Limits, ms};

/// What an app reads.
pub type RequestBody = UnsyncBoxBody<Bytes, BodyError>;

/// What an app answers with. An error cuts the connection, so that the client sees that the answer
/// is not whole.
pub type ResponseBody = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// How long the rest of an unwanted body is read for: nginx's `lingering_timeout`.
const LINGER: Duration = Duration::from_secs(5);

/// Why a request body could not be read to its end.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BodyError {
    /// It is longer than allowed.
    #[error("the request body is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// Nothing came for too long.
    #[error("the request body stopped for {timeout:?}")]
    IdleTimeout {
        /// The limit.
        timeout: Duration,
    },
    /// It comes too slowly.
    #[error("the request body comes slower than {min_bytes_per_sec} bytes per second")]
    TooSlow {
        /// The limit.
        min_bytes_per_sec: u64,
    },
    /// The connection ended or its framing is broken.
    #[error("the request body ended before it was complete")]
    Transport(#[source] Arc<hyper::Error>),
}

/// Where a body leaves word of its failure, for the gateway to read.
#[derive(Clone, Default)]
pub(crate) struct Verdict {
    error: Arc<OnceLock<BodyError>>,
    broken: CancellationToken,
}

impl Verdict {
    /// Why the body failed, if it did.
    pub(crate) fn error(&self) -> Option<&BodyError> {
        self.error.get()
    }

    /// Ends when the body can never be whole: the client is gone, or speaks no HTTP. hyper does not
    /// look at the connection any more then, so nobody else would notice.
    pub(crate) async fn broken(&self) {
        self.broken.cancelled().await;
    }
}

/// A body under [`Limits`].
pub(crate) struct LimitedBody {
    /// Empty once the rest is handed over for draining.
    inner: Option<Incoming>,
    max_bytes: u64,
    idle_timeout: Duration,
    min_bytes_per_sec: u64,
    received_bytes: u64,
    /// Time spent waiting, the present wait not counted.
    waited: Duration,
    /// The present wait: since when, and the alarm at its longest end.
    wait: Option<(Instant, Pin<Box<Sleep>>)>,
    verdict: Verdict,
    /// Whether dropping the rest would reset the connection.
    lingers: bool,
    /// Whether the client waits to be told to send; reading the body tells it.
    awaits_continue: bool,
}

impl LimitedBody {
    /// Puts the body of a request with this `head` under `limits`.
    pub(crate) fn new(inner: Incoming, head: &Parts, limits: &Limits) -> Self {
        Self {
            inner: Some(inner),
            max_bytes: limits.body_bytes(head.uri.path()),
            idle_timeout: ms(limits.body_idle_timeout_ms),
            min_bytes_per_sec: limits.body_min_bytes_per_sec,
            received_bytes: 0,
            waited: Duration::ZERO,
            wait: None,
            verdict: Verdict::default(),
            lingers: head.version < Version::HTTP_2,
            awaits_continue: head.headers.contains_key(EXPECT),
        }
    }

    /// Where the body's failure will be written.
    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict.clone()
    }

    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let _ = self.verdict.error.set(error.clone());
        if let BodyError::Transport(_) = error {
            self.lingers = false;
            self.verdict.broken.cancel();
        }
        Poll::Ready(Some(Err(error)))
    }

    /// Nothing has come: fails when the wait has been too long.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<BodyError> {
        // A slow body may spend one idle timeout on top of what its bytes allow.
        let allowed = self
            .received_bytes
            .checked_mul(1000)
            .and_then(|m| m.checked_div(self.min_bytes_per_sec));
        let allowed = allowed
            .map_or(Duration::MAX, Duration::from_millis)
            .saturating_add(self.idle_timeout);
        let left = allowed.saturating_sub(self.waited);
        let longest = left.min(self.idle_timeout);
        let (_, alarm) = self.wait.get_or_insert_with(|| {
            let now = Instant::now();
            (now, Box::pin(sleep_until(now + longest)))
        });
        ready!(alarm.as_mut().poll(cx));
        Poll::Ready(if left < self.idle_timeout {
            BodyError::TooSlow {
                min_bytes_per_sec: self.min_bytes_per_sec,
            }
        } else {
            BodyError::IdleTimeout {
                timeout: self.idle_timeout,
            }
        })
    }
}

impl Body for LimitedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if this.verdict.error.get().is_some() {
            return Poll::Ready(None);
        }
        this.awaits_continue = false;
        let Some(inner) = &mut this.inner else {
            return Poll::Ready(None);
        };
        let Poll::Ready(frame) = Pin::new(inner).poll_frame(cx) else {
            let error = ready!(this.poll_wait(cx));
            return this.fail(error);
        };
        if let Some((since, _)) = this.wait.take() {
            this.waited += since.elapsed();
        }
        match frame {
            None => {
                this.lingers = false;
                Poll::Ready(None)
            }
            Some(Err(error)) => this.fail(BodyError::Transport(Arc::new(error))),
            Some(Ok(frame)) => {
                let len = frame.data_ref().map_or(0, Bytes::len);
                this.received_bytes = this.received_bytes.saturating_add(len as u64);
                if this.received_bytes > this.max_bytes {
                    return this.fail(BodyError::TooLarge {
                        limit_bytes: this.max_bytes,
                    });
                }
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

impl Drop for LimitedBody {
    fn drop(&mut self) {
        let Some(mut rest) = self.inner.take() else {
            return;
        };
        if !self.lingers || self.awaits_continue || rest.is_end_stream() {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(LINGER, async move {
                while let Some(Ok(_)) = rest.frame().await {}
            }));
        }
    }
}
