//! One connection: HTTP/1 or HTTP/2 as the client speaks, until it ends, idles or the server stops.
//!
//! hyper drops a request's future when it sees the client go: at once on HTTP/2, and on HTTP/1
//! when the body has been read to its end. Until then the next read of the body says so, and the
//! request is dropped with it; while an app leaves its body unread, nothing is noticed. A client
//! that shuts down only its sending side counts as gone.

use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::config::{Limits, ms};
use crate::idle::Activity;
use crate::service::{ConnectionScope, Shared, handle};
use crate::timed_io::TimedIo;

/// How often a silent HTTP/2 client is pinged while it has requests, and how long it may take to
/// answer.
const HTTP2_PING: Duration = Duration::from_secs(20);

/// How long an expired connection has to say its HTTP/2 goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// Serves one connection to its end.
pub(crate) async fn serve<A: App>(
    shared: Arc<Shared<A>>,
    stream: TcpStream,
    source: IpAddr,
    permit: tokio::sync::OwnedSemaphorePermit,
) {
    // An answer is small or streamed in pieces that somebody waits for. A failure costs latency.
    let _ = stream.set_nodelay(true);
    let _open = auricle_telemetry::metrics().open("connection");
    let limits = &shared.config.limits;
    let activity = Activity::new(limits);
    let scope = ConnectionScope {
        activity: Arc::clone(&activity),
        source,
        _permit: Arc::new(permit),
    };
    let io = TimedIo::new(
        stream,
        ms(limits.write_stall_timeout_ms),
        Arc::clone(&activity),
    );
    let service = service_fn(|request| {
        let (shared, scope) = (Arc::clone(&shared), scope.clone());
        async move { Ok::<_, Infallible>(Box::pin(handle(shared, scope, request)).await) }
    });
    let builder = builder(limits, shared.tasks.clone(), shared.kill.clone());
    let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(io), service));
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = shared.kill.cancelled() => return,
        () = stop(&shared.draining, &activity) => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                result = connection.as_mut() => result,
                () = shared.kill.cancelled() => return,
                () = overdue(&activity) => return,
            }
        }
    };
    if let Err(error) = result {
        // The client's doing: a broken request, a timeout, a reset.
        tracing::debug!(error, "a connection ended early");
    }
}

/// When the connection should take no more requests.
async fn stop(draining: &CancellationToken, activity: &Activity) {
    tokio::select! {
        () = draining.cancelled() => {}
        () = activity.expired() => {}
    }
}

/// When a connection that should have ended has been idle for long enough to be cut.
async fn overdue(activity: &Activity) {
    activity.expired().await;
    sleep(GOODBYE).await;
}

fn builder(limits: &Limits, tasks: TaskTracker, kill: CancellationToken) -> Builder<Tracked> {
    let mut builder = Builder::new(Tracked { tasks, kill });
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
        .keep_alive_interval(HTTP2_PING)
        .keep_alive_timeout(HTTP2_PING);
    builder
}

/// Runs HTTP/2 streams where a drain waits for them and can end them.
#[derive(Clone)]
struct Tracked {
    tasks: TaskTracker,
    kill: CancellationToken,
}

impl<F> Executor<F> for Tracked
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        let kill = self.kill.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                _ = future => {}
                () = kill.cancelled() => {}
            }
        });
    }
}
