//! One connection: HTTP/1 or HTTP/2 as the client speaks, until it ends, idles or the server stops.
//!
//! hyper drops a request's future when it sees the client go: at once on HTTP/2, and on HTTP/1
//! when the body has been read to its end. Until then the next read of the body says so, and the
//! request is dropped with it; while an app leaves its body unread, nothing is noticed. A client
//! that shuts down only its sending side counts as gone.
//!
//! # What ends a connection
//! Idling (`idle`), a client that takes none of its answer (`timed_io` for its bytes, `watch` for
//! its answers), the need of its slot (`slots`) and the end of a drain. On HTTP/2 an answer that is
//! not taken ends its stream alone, and the connection with it where no other request is open.

use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::body::ResponseBody;
use crate::config::{Limits, ms};
use crate::idle::Activity;
use crate::service::{ConnectionScope, Shared, handle};
use crate::slots::ConnectionSlot;
use crate::timed_io::TimedIo;
use crate::watch::AnswerWatch;

/// How often a silent HTTP/2 client is pinged while it has requests, and how long it may take to
/// answer.
const HTTP2_PING: Duration = Duration::from_secs(20);

/// How long an expired connection has to say its HTTP/2 goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// Bytes of an answer that wait in an HTTP/2 stream for the client's window: four of its pieces.
const HTTP2_SEND_BUFFER_BYTES: usize = 64 * 1024;

/// How answers are counted that are given up because their clients do not take them.
const NOT_TAKEN: &str = "answer_not_taken";

/// The future that answers a request.
pub(crate) type Answering = BoxFuture<'static, Result<Response<ResponseBody>, Infallible>>;

/// Where a connection comes from and goes to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) source: IpAddr,
    /// Whether the listener is on a loopback address.
    pub(crate) to_loopback: bool,
}

/// Serves one connection of the API to its end. `activity` is the connection's in its `slot`.
pub(crate) async fn serve<A, S>(
    shared: Arc<Shared<A>>,
    stream: S,
    peer: Peer,
    activity: Arc<Activity>,
    slot: ConnectionSlot,
) where
    A: App,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let _open = auricle_telemetry::metrics().open("connection");
    let limits = &shared.config.limits;
    let watch = AnswerWatch::new();
    let scope = ConnectionScope {
        activity: Arc::clone(&activity),
        watch: Arc::clone(&watch),
        peer,
        _slot: Arc::new(slot),
    };
    let guard = ConnectionGuard {
        activity,
        watch,
        write_stall: ms(limits.write_stall_timeout_ms),
        tasks: shared.tasks.clone(),
        draining: shared.draining.clone(),
        kill: shared.kill.clone(),
    };
    let builder = builder(limits, &guard);
    let answering = Arc::clone(&shared);
    let answer = move |request| -> Answering {
        let (shared, scope) = (Arc::clone(&answering), scope.clone());
        Box::pin(async move { Ok(handle(shared, scope, request).await) })
    };
    drive(stream, &builder, &guard, answer).await;
}

/// What can end a connection, whatever hyper and the client do.
pub(crate) struct ConnectionGuard {
    pub(crate) activity: Arc<Activity>,
    /// Of the connection's HTTP/1 answers; HTTP/2 streams have their own.
    pub(crate) watch: Arc<AnswerWatch>,
    /// Longest wait for the client to take bytes.
    pub(crate) write_stall: Duration,
    /// Where HTTP/2 streams run.
    pub(crate) tasks: TaskTracker,
    /// Finish what has begun and take nothing new.
    pub(crate) draining: CancellationToken,
    /// Stop at once.
    pub(crate) kill: CancellationToken,
}

impl ConnectionGuard {
    /// When the connection must be dropped as it is.
    async fn ends_at_once(&self) {
        tokio::select! {
            () = self.kill.cancelled() => {}
            () = self.activity.is_cut() => {}
            () = self.watch.overdue() => {
                auricle_telemetry::metrics().error(NOT_TAKEN);
                tracing::info!("a client does not take its answer: its connection is closed");
            }
        }
    }

    /// When the connection should take no more requests.
    async fn stops(&self) {
        tokio::select! {
            () = self.draining.cancelled() => {}
            () = self.activity.expired() => {}
        }
    }

    /// When a connection that should have ended has had its time for a goodbye. One whose slot is
    /// another's has none.
    async fn overstays(&self) {
        loop {
            self.activity.expired().await;
            if !self.activity.is_evicted() {
                sleep(GOODBYE).await;
            }
            if self.activity.is_expired() {
                return;
            }
        }
    }
}

/// Drives a connection to its end, answering requests with `answer`.
pub(crate) async fn drive<S>(
    stream: S,
    builder: &Builder<StreamTasks>,
    guard: &ConnectionGuard,
    answer: impl Fn(Request<Incoming>) -> Answering,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TimedIo::new(stream, guard.write_stall, Arc::clone(&guard.activity));
    let service = service_fn(answer);
    let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(io), service));
    // Whatever ends the connection at once is looked at first; a goodbye is sent before the last
    // look at whether its time is over.
    let result = tokio::select! {
        biased;
        () = guard.ends_at_once() => return,
        result = connection.as_mut() => result,
        () = guard.stops() => {
            guard.activity.leave();
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                biased;
                () = guard.ends_at_once() => return,
                result = connection.as_mut() => result,
                () = guard.overstays() => return,
            }
        }
    };
    if let Err(error) = result {
        // The client's doing: a broken request, a timeout, a reset.
        tracing::debug!(error, "a connection ended early");
    }
}

fn builder(limits: &Limits, guard: &ConnectionGuard) -> Builder<StreamTasks> {
    let mut builder = Builder::new(StreamTasks::of(guard));
    builder
        .http1()
        .timer(TokioTimer::new())
        // Only a second line: `idle` is stricter.
        .header_read_timeout(ms(limits
            .keep_alive_timeout_ms
            .max(limits.header_read_timeout_ms)))
        .max_headers(limits.max_headers)
        .max_buf_size(limits.max_header_bytes)
        .half_close(false);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.http2_max_streams)
        .max_header_list_size(limits.http2_max_header_bytes)
        .max_send_buf_size(HTTP2_SEND_BUFFER_BYTES)
        .keep_alive_interval(HTTP2_PING)
        .keep_alive_timeout(HTTP2_PING);
    builder
}

/// Runs HTTP/2 streams where a drain waits for them and can end them, and where a stream ends whose
/// client does not take its answer.
#[derive(Clone)]
pub(crate) struct StreamTasks {
    tasks: TaskTracker,
    kill: CancellationToken,
    activity: Arc<Activity>,
}

impl StreamTasks {
    pub(crate) fn of(guard: &ConnectionGuard) -> Self {
        Self {
            tasks: guard.tasks.clone(),
            kill: guard.kill.clone(),
            activity: Arc::clone(&guard.activity),
        }
    }
}

impl<F> Executor<F> for StreamTasks
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        let Self {
            tasks,
            kill,
            activity,
        } = self.clone();
        let watch = AnswerWatch::new();
        tasks.spawn(async move {
            let is_overdue = {
                let mut stream = pin!(Arc::clone(&watch).scope(future));
                tokio::select! {
                    _ = stream.as_mut() => false,
                    () = kill.cancelled() => false,
                    () = watch.overdue() => true,
                }
            };
            // The stream is dropped, which resets it.
            if is_overdue {
                auricle_telemetry::metrics().error(NOT_TAKEN);
                tracing::info!("an HTTP/2 client does not take its answer: the stream is reset");
                if activity.idle_since().is_some() {
                    activity.leave();
                }
            }
        });
    }
}
