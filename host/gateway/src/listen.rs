//! Listening, and stopping in good order.
//!
//! Every connection holds a slot. When all are taken, a new connection takes the slot of the one that
//! has been longest without an open request or WebSocket. Where none is idle, it is answered 503 at
//! once instead of being left in the kernel's queue: a client and its load balancer then know what
//! to do, and a health check does not hang. The answer is HTTP/1 (an HTTP/2 client sees a broken
//! preface) and is written without reading the request.
//!
//! # Drain
//! On shutdown nothing new is accepted and idle connections end; requests in flight and WebSockets
//! have `drain_timeout_ms`, acts on deployments whose client has left among them. Then compilers are
//! killed and no act is written down any more; `in_flight` describes how requests end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use auricle_deployment::ControlPlane;
use auricle_tenancy::{Tenancy, check_exposure};
use futures::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::GatewayError;
use crate::acts::Acts;
use crate::admin;
use crate::admission::Admission;
use crate::app::App;
use crate::config::{GatewayConfig, ms};
use crate::connection::{self, Peer};
use crate::cors::Cors;
use crate::idle::Activity;
use crate::in_flight::{self, InFlight};
use crate::keyless::AllowedHosts;
use crate::service::Shared;
use crate::slots::{ConnectionSlots, Evicts};

/// Connections that are being refused at once; beyond it they are cut without a word.
const MAX_REFUSALS: usize = 64;

/// Components that operators send at once, each held in memory.
const MAX_PUSHES: usize = 2;

/// How long a refused client has to read its answer.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);

/// Pause after the system refuses a new connection, mostly for want of file descriptors: trying at
/// once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long tasks have to end once they are told to stop at once.
const KILL_TIMEOUT: Duration = Duration::from_secs(1);

const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
content-type: application/json\r\ncontent-length: 141\r\nretry-after: 1\r\nconnection: close\r\n\r\n\
{\"error\":{\"message\":\"the server has too many connections: try again later\",\
\"type\":\"server_error\",\"param\":null,\"code\":\"too_many_connections\"}}";

/// Where the gateway begins.
#[derive(Debug)]
pub struct Gateway;

impl Gateway {
    /// Checks the configuration and takes the addresses. Connections wait in the kernel's queue
    /// until [`Bound::serve`].
    ///
    /// # Errors
    /// [`GatewayError`] when the configuration cannot be served, when an address can be reached
    /// from other machines without a key, and when an address cannot be taken.
    pub async fn bind(config: GatewayConfig, tenancy: Arc<Tenancy>) -> Result<Bound, GatewayError> {
        config.check()?;
        let cors = Cors::new(&config.cors)?;
        let hosts = AllowedHosts::new(&config.allowed_hosts)?;
        check_exposure(&config.listen, &tenancy, config.insecure)?;
        let mut listeners = Vec::with_capacity(config.listen.len());
        let mut addrs = Vec::with_capacity(config.listen.len());
        for address in &config.listen {
            let cannot = |source| GatewayError::Bind {
                address: *address,
                source,
            };
            let listener = TcpListener::bind(address).await.map_err(cannot)?;
            addrs.push(listener.local_addr().map_err(cannot)?);
            listeners.push(listener);
        }
        let admin = admin::bind(&config, &tenancy).await?;
        Ok(Bound {
            config,
            tenancy,
            cors,
            hosts,
            listeners,
            addrs,
            admin,
            control_plane: None,
        })
    }
}

/// A gateway that has its addresses and does not serve yet.
#[derive(Debug)]
pub struct Bound {
    config: GatewayConfig,
    tenancy: Arc<Tenancy>,
    cors: Cors,
    hosts: AllowedHosts,
    listeners: Vec<TcpListener>,
    addrs: Vec<SocketAddr>,
    admin: Option<admin::Listener>,
    control_plane: Option<Arc<ControlPlane>>,
}

/// How a drain went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainReport {
    /// Requests and WebSockets running when the shutdown began.
    pub in_flight: usize,
    /// Those of them that had to be cut off.
    pub cut_off: usize,
    /// How long the drain took.
    pub took: Duration,
}

impl Bound {
    /// Has deployments changed through this control plane; without one they cannot be.
    #[must_use]
    pub fn with_control_plane(mut self, control_plane: Arc<ControlPlane>) -> Self {
        self.control_plane = Some(control_plane);
        self
    }

    /// The addresses, with the ports that were taken for port 0.
    #[must_use]
    pub fn addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }

    /// The admin address, where there is one.
    #[must_use]
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(|admin| admin.addr)
    }

    /// Serves `app` until `shutdown` is cancelled, then drains. Dropping the future stops
    /// accepting and leaves connections to themselves; cancel `shutdown` instead.
    pub async fn serve<A: App>(self, app: A, shutdown: CancellationToken) -> DrainReport {
        let max_connections = self.config.limits.max_connections;
        let connections = ConnectionSlots::new(max_connections, Evicts::Idle);
        let refusals = Arc::new(Semaphore::new(MAX_REFUSALS));
        let shared = Arc::new(Shared {
            app,
            admission: Admission::new(self.config.admission.clone()),
            acts: Acts::new(&self.config.admission),
            config: self.config,
            tenancy: self.tenancy,
            control_plane: self.control_plane,
            pushes: Semaphore::new(MAX_PUSHES),
            cors: self.cors,
            hosts: self.hosts,
            in_flight: InFlight::new(),
            tasks: TaskTracker::new(),
            draining: shutdown,
            kill: CancellationToken::new(),
        });
        // To the end of the drain: that is when it is looked at most.
        let _admin = self.admin.map(|admin| admin.start(Arc::clone(&shared)));
        let accepting = self
            .listeners
            .into_iter()
            .map(|listener| accept(&shared, listener, &connections, &refusals));
        join_all(accepting).await;
        drain(&shared).await
    }
}

/// Takes connections until the shutdown; the listener is closed with it.
async fn accept<A: App>(
    shared: &Arc<Shared<A>>,
    listener: TcpListener,
    connections: &Arc<ConnectionSlots>,
    refusals: &Arc<Semaphore>,
) {
    let address = listener.local_addr();
    let to_loopback = address.is_ok_and(|address| address.ip().to_canonical().is_loopback());
    loop {
        let accepted = tokio::select! {
            biased;
            () = shared.draining.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, source) = match accepted {
            Ok((stream, source)) => (stream, source.ip()),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let activity = Activity::new(&shared.config.limits);
        if let Some(slot) = connections.take(&activity) {
            // An answer is small or streamed in pieces that are awaited. A failure costs latency.
            let _ = stream.set_nodelay(true);
            let peer = Peer {
                source,
                to_loopback,
            };
            let connection = connection::serve(Arc::clone(shared), stream, peer, activity, slot);
            shared.tasks.spawn(Box::pin(connection));
        } else if let Ok(permit) = Arc::clone(refusals).try_acquire_owned() {
            tracing::warn!("too many connections: one was refused");
            tokio::spawn(async move {
                let _ = timeout(REFUSAL_TIMEOUT, refuse(stream)).await;
                drop(permit);
            });
        }
    }
}

/// Answers without reading the request, then reads until the client leaves, so that the close does
/// not reset the connection before the answer is read.
async fn refuse(mut stream: TcpStream) -> std::io::Result<()> {
    stream.write_all(REFUSAL).await?;
    stream.shutdown().await?;
    let mut rest = [0; 4096];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

async fn drain<A>(shared: &Shared<A>) -> DrainReport {
    let began = Instant::now();
    // An act on deployments goes on when its client has left: it is no open request then, but still
    // holds its permit.
    let running = || {
        let requests = shared.in_flight.count().max(shared.admission.running());
        requests + shared.acts.running_of_operators()
    };
    let in_flight = running();
    tracing::info!(in_flight, "the server stops: nothing new is accepted");
    shared.tasks.close();
    let drained = timeout(ms(shared.config.drain_timeout_ms), shared.tasks.wait()).await;
    let cut_off = match drained {
        Ok(()) => 0,
        Err(_) => {
            let cut_off = running();
            end_requests(shared).await;
            cut_off
        }
    };
    // What loads or takes back revisions by itself may still compile.
    shared.stop_compilers();
    let took = began.elapsed();
    tracing::info!(
        cut_off,
        took_ms = took.as_millis() as u64,
        "the server has stopped"
    );
    DrainReport {
        in_flight,
        cut_off,
        took,
    }
}

/// Ends what outlasts the drain: first requests, with an answer where there is still time for one,
/// then connections.
async fn end_requests<A>(shared: &Shared<A>) {
    shared.in_flight.cut_off().cancel();
    shared.stop_compilers();
    let goodbye = timeout(in_flight::GOODBYE, shared.tasks.wait());
    if goodbye.await.is_ok() {
        return;
    }
    shared.kill.cancel();
    if timeout(KILL_TIMEOUT, shared.tasks.wait()).await.is_err() {
        tracing::warn!(tasks = shared.tasks.len(), "some tasks did not stop");
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "tests"
    )]

    use super::*;

    #[test]
    fn the_refusal_says_its_own_length() {
        let text = std::str::from_utf8(REFUSAL).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("content-length: {}\r\n", body.len())),
            "{}",
            body.len()
        );
        serde_json::from_str::<serde_json::Value>(body).unwrap();
    }
}
