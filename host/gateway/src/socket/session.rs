//! One WebSocket from its handshake to its end.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use auricle_tenancy::{HeldKind, Reservation, Tenancy};
use futures::FutureExt;
use http::StatusCode;
use hyper_tungstenite::HyperWebsocket;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::backlog::Backlog;
use super::wire::{self, End, Outgoing, Reader};
use super::{Message, SocketReceiver, SocketSender, WebSocket};
use crate::answer::Held;
use crate::app::{App, AppError, RequestContext};
use crate::config::{WebSocketLimits, ms};
use crate::rescue;
use crate::service::{ConnectionScope, Shared};

/// The connection under a WebSocket.
type Io = TokioIo<hyper::upgrade::Upgraded>;

/// How long the client has to take our last frames and to answer Close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The same at the end of a drain, when the server waits for no client.
const KILL_TIMEOUT: Duration = Duration::from_secs(1);

/// How often an open WebSocket looks whether its key is still good.
const KEY_LOOK: Duration = Duration::from_secs(2);

/// A WebSocket about to begin.
pub(crate) struct Call {
    /// What opened it.
    pub(crate) key: Option<String>,
    pub(crate) context: RequestContext,
    pub(crate) head: http::request::Parts,
    pub(crate) upgrade: HyperWebsocket,
}

/// What ends a session.
enum Outcome {
    App(Result<(), AppError>),
    Client(End),
    KeyEnded,
    /// The drain has ended.
    CutOff,
}

/// Ends when the key that opened a WebSocket has been revoked or has expired.
async fn key_ended(tenancy: &Tenancy, key: Option<&str>) {
    while tenancy.is_good(key) {
        sleep(KEY_LOOK).await;
    }
}

/// Runs a WebSocket to its end. `scope` and `held` are given back with it.
pub(crate) async fn run<A: App>(
    shared: Arc<Shared<A>>,
    scope: ConnectionScope,
    mut held: Held,
    call: Call,
) {
    let limits = &shared.config.websocket;
    let Call {
        key,
        context,
        head,
        upgrade,
    } = call;
    let patience = ms(shared.config.limits.header_read_timeout_ms);
    let handshake = tokio::select! {
        handshake = timeout(patience, upgrade) => handshake,
        () = shared.in_flight.cut_off().cancelled() => return,
    };
    let Ok(Ok(connection)) = handshake else {
        return; // The log says 499: the client left before it was answered.
    };
    let _open = auricle_telemetry::metrics().open("websocket");
    let backlog = context.account.reservation(HeldKind::Buffer);
    let (socket, link) = Link::open(connection.into_inner(), limits, backlog).await;
    let app =
        AssertUnwindSafe(Box::pin(shared.app.websocket(context, head, socket))).catch_unwind();
    let outcome = tokio::select! {
        result = app => Outcome::App(result.unwrap_or_else(|_| {
            Err(AppError::Internal { detail: "the app panicked".to_owned() })
        })),
        end = link.deserted(ms(limits.close_grace_ms)) => Outcome::Client(end),
        () = key_ended(&shared.tenancy, key.as_deref()) => Outcome::KeyEnded,
        () = shared.in_flight.cut_off().cancelled() => Outcome::CutOff,
    };
    // The app is dropped: nothing is computed for this socket any more.
    let status = link.finish(outcome).await;
    held.log.finish(status);
    drop(scope);
}

/// The gateway's ends of a socket. Dropping it cuts the connection.
struct Link {
    sender: SocketSender,
    end: Arc<OnceLock<End>>,
    signals: Signals,
    reader: AbortOnDropHandle<()>,
    _writer: AbortOnDropHandle<()>,
}

/// What the tasks of a socket tell each other, each once.
#[derive(Clone, Default)]
struct Signals {
    /// The client's side has ended and `end` says how.
    client_ended: CancellationToken,
    /// Close and all before it is with the kernel.
    close_sent: CancellationToken,
    /// The client takes nothing any more.
    write_failed: CancellationToken,
    /// Both have said Close: end the connection.
    hang_up: CancellationToken,
}

impl Link {
    /// `held` pays for what the client sends and the app has not received.
    async fn open(io: Io, limits: &WebSocketLimits, held: Reservation) -> (WebSocket, Self) {
        let (read, write) = tokio::io::split(io);
        let (out_queue, outgoing) = mpsc::unbounded_channel();
        let sender = SocketSender {
            queue: out_queue,
            room: Arc::new(Semaphore::new(limits.max_unsent_bytes)),
            limit_bytes: limits.max_unsent_bytes,
        };
        let backlog = Arc::new(Backlog::new(held));
        let end = Arc::new(OnceLock::new());
        let signals = Signals::default();
        let (in_queue, queue) = mpsc::unbounded_channel();
        let reader = Reader::new(read, limits, Arc::clone(&backlog), sender.clone()).await;
        let reader = listen(reader, in_queue, Arc::clone(&end), signals.clone());
        let link = Self {
            sender: sender.clone(),
            end: Arc::clone(&end),
            reader: AbortOnDropHandle::new(tokio::spawn(reader)),
            _writer: AbortOnDropHandle::new(tokio::spawn(speak(write, outgoing, signals.clone()))),
            signals,
        };
        let receiver = SocketReceiver {
            queue,
            next: None,
            backlog,
            end,
        };
        (WebSocket { receiver, sender }, link)
    }

    /// Ends when nobody is left to hear the app.
    async fn deserted(&self, close_grace: Duration) -> End {
        tokio::select! {
            () = self.signals.client_ended.cancelled() => {}
            () = self.signals.write_failed.cancelled() => return End::Gone,
            () = self.signals.close_sent.cancelled() => {
                // The app has closed and is still at work.
                sleep(close_grace).await;
                return End::Closed { code: 1000 };
            }
        }
        let end = self.end.get().copied().unwrap_or(End::Gone);
        if let End::Closed { .. } = end {
            tokio::select! {
                () = sleep(close_grace) => {}
                () = self.signals.write_failed.cancelled() => return End::Gone,
            }
        }
        end
    }

    /// Says goodbye, as far as the client listens. Returns the status for the log.
    async fn finish(mut self, outcome: Outcome) -> u16 {
        let outcome = match (outcome, self.end.get()) {
            // The app may have ended because the client did; then the client's end is the cause.
            (Outcome::App(_), Some(end @ (End::Gone | End::Broken { .. }))) => {
                Outcome::Client(*end)
            }
            (outcome, _) => outcome,
        };
        let mut patience = CLOSE_TIMEOUT;
        let mut status = StatusCode::SWITCHING_PROTOCOLS.as_u16();
        match outcome {
            Outcome::App(Ok(())) => {
                let code = match self.end.get() {
                    Some(End::Closed { code }) => *code,
                    _ => 1000,
                };
                self.sender.close(code, "");
            }
            Outcome::App(Err(error)) => {
                let cause: &dyn std::error::Error = &error;
                tracing::warn!(error = cause, "the WebSocket's app failed");
                let farewell = rescue::farewell(&error);
                status = farewell.status;
                self.sender.close(farewell.code, &farewell.reason);
            }
            Outcome::Client(End::Gone) => return rescue::CLIENT_GONE,
            Outcome::Client(End::Closed { code }) => self.sender.close(code, ""),
            Outcome::Client(End::Broken { code, reason }) => {
                tracing::info!(code, reason, "the WebSocket's client broke a rule");
                status = StatusCode::BAD_REQUEST.as_u16();
                self.sender.close(code, reason);
            }
            Outcome::KeyEnded => {
                status = StatusCode::UNAUTHORIZED.as_u16();
                let message = "invalid_api_key: the key was revoked or has expired";
                self.sender.close(1008, message);
            }
            Outcome::CutOff => {
                status = StatusCode::SERVICE_UNAVAILABLE.as_u16();
                patience = KILL_TIMEOUT;
                let message = "the server is about to stop: connect again";
                self.sender.close(1001, message);
            }
        }
        let _ = timeout(patience, self.say_goodbye()).await;
        status
    }

    /// Waits until the client has our Close and we have the client's, then ends the connection: the
    /// server does so first (RFC 6455, 7.1.1).
    async fn say_goodbye(&mut self) {
        tokio::select! {
            () = self.signals.close_sent.cancelled() => {}
            () = self.signals.write_failed.cancelled() => return,
        }
        self.signals.client_ended.cancelled().await;
        self.signals.hang_up.cancel();
        let _ = (&mut self.reader).await;
    }
}

/// The reader's task.
async fn listen(
    mut reader: Reader<ReadHalf<Io>>,
    queue: mpsc::UnboundedSender<Message>,
    end: Arc<OnceLock<End>>,
    signals: Signals,
) {
    // Known before the queue ends, because the app asks for it then.
    let _ = end.set(reader.read(&queue).await);
    drop(queue);
    signals.client_ended.cancel();
    reader.discard().await;
}

/// The writer's task.
async fn speak(
    mut connection: WriteHalf<Io>,
    queue: mpsc::UnboundedReceiver<Outgoing>,
    signals: Signals,
) {
    match wire::write(&mut connection, queue).await {
        Ok(()) => signals.close_sent.cancel(),
        Err(_) => signals.write_failed.cancel(),
    }
    signals.hang_up.cancelled().await;
    let _ = connection.shutdown().await;
}
