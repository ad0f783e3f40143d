//! Frames in and frames out.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::StreamExt;
use hyper_tungstenite::WebSocketStream;
use hyper_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use hyper_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame};
use hyper_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use hyper_tungstenite::tungstenite::{Error, Message as Incoming};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, interval_at, sleep_until};

use super::backlog::Backlog;
use super::{Message, SocketSender};
use crate::config::{WebSocketLimits, ms};

/// Allocated for each socket: 250 ms of audio.
const READ_BUFFER_BYTES: usize = 8 * 1024;

/// Longest reason of a Close frame (RFC 6455, 5.5: control frames hold 125 bytes, 2 are the code).
const MAX_REASON_BYTES: usize = 123;

/// How the client's side of a socket ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The client said Close.
    Closed { code: u16 },
    /// The connection is gone.
    Gone,
    /// The client broke a rule; it is told this code and reason.
    Broken { code: u16, reason: &'static str },
}

/// What the writer sends, in order.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// With the room it takes in the queue.
    Message(Message, OwnedSemaphorePermit),
    /// With the room it takes, so that a flood of pings fills no memory.
    Control(Control, OwnedSemaphorePermit),
    /// The last one.
    Close(CloseFrame),
}

#[derive(Debug)]
pub(crate) enum Control {
    Ping,
    Pong(Bytes),
}

impl Outgoing {
    pub(super) fn close(code: u16, reason: &str) -> Self {
        let code = Some(CloseCode::from(code)).filter(|code| code.is_allowed());
        let end = reason.floor_char_boundary(MAX_REASON_BYTES);
        let reason = reason.get(..end).unwrap_or_default();
        Self::Close(CloseFrame {
            code: code.unwrap_or(CloseCode::Normal),
            reason: reason.to_owned().into(),
        })
    }

    /// The frame, and the room it takes.
    fn split(self) -> (Frame, Option<OwnedSemaphorePermit>) {
        match self {
            Self::Message(message, room) => {
                let frame = match message {
                    Message::Text(text) => Frame::message(text, OpCode::Data(Data::Text), true),
                    Message::Binary(bytes) => {
                        Frame::message(bytes, OpCode::Data(Data::Binary), true)
                    }
                };
                (frame, Some(room))
            }
            Self::Control(Control::Ping, room) => (Frame::ping(Bytes::new()), Some(room)),
            Self::Control(Control::Pong(payload), room) => (Frame::pong(payload), Some(room)),
            Self::Close(frame) => (Frame::close(Some(frame)), None),
        }
    }
}

impl SocketSender {
    /// Queues a control frame; drops it when there is no room, since the client then has not taken
    /// what came before.
    fn control(&self, control: Control) {
        if let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(64) {
            let _ = self.queue.send(Outgoing::Control(control, room));
        }
    }
}

/// Sends until Close is sent or the connection fails.
pub(super) async fn write<W: AsyncWrite + Unpin>(
    connection: &mut W,
    mut queue: mpsc::UnboundedReceiver<Outgoing>,
) -> io::Result<()> {
    let mut buffer = Vec::new();
    while let Some(outgoing) = queue.recv().await {
        let last = matches!(outgoing, Outgoing::Close(_));
        // Holds the room until the bytes are with the kernel.
        let (frame, _room) = outgoing.split();
        buffer.clear();
        frame.format(&mut buffer).map_err(io::Error::other)?;
        connection.write_all(&buffer).await?;
        connection.flush().await?;
        if last {
            break;
        }
    }
    Ok(())
}

/// Decodes frames and queues messages for the app.
pub(super) struct Reader<R> {
    frames: WebSocketStream<DeafIo<R>>,
    limits: WebSocketLimits,
    backlog: Arc<Backlog>,
    sender: SocketSender,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub(super) async fn new(
        connection: R,
        limits: &WebSocketLimits,
        backlog: Arc<Backlog>,
        sender: SocketSender,
    ) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .max_message_size(Some(limits.max_message_bytes))
            .max_frame_size(Some(limits.max_frame_bytes));
        let io = DeafIo(connection);
        Self {
            frames: WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await,
            limits: limits.clone(),
            backlog,
            sender,
        }
    }

    /// Reads until the client's side ends. Pings it meanwhile.
    pub(super) async fn read(&mut self, queue: &mpsc::UnboundedSender<Message>) -> End {
        let ping_interval = ms(self.limits.ping_interval_ms);
        let pong_timeout = ms(self.limits.pong_timeout_ms);
        let mut ping = interval_at(Instant::now() + ping_interval, ping_interval);
        let mut heard = Instant::now();
        loop {
            let frame = tokio::select! {
                frame = self.frames.next() => frame,
                _ = ping.tick() => {
                    self.sender.control(Control::Ping);
                    continue;
                }
                () = sleep_until(heard + pong_timeout) => {
                    return End::Broken { code: 1011, reason: "keepalive ping timeout: answer pings with pongs" };
                }
            };
            heard = Instant::now();
            if let Some(end) = self.take(frame, queue) {
                return end;
            }
        }
    }

    fn take(
        &self,
        frame: Option<Result<Incoming, Error>>,
        queue: &mpsc::UnboundedSender<Message>,
    ) -> Option<End> {
        let message = match frame {
            None => return Some(End::Gone),
            Some(Err(error)) => return Some(end_of(&error)),
            Some(Ok(Incoming::Text(text))) => Message::Text(text.as_str().to_owned()),
            Some(Ok(Incoming::Binary(bytes))) => Message::Binary(bytes),
            Some(Ok(Incoming::Ping(payload))) => {
                self.sender.control(Control::Pong(payload));
                return None;
            }
            Some(Ok(Incoming::Pong(_) | Incoming::Frame(_))) => return None,
            Some(Ok(Incoming::Close(frame))) => {
                let code = frame.map_or(1000, |frame| frame.code.into());
                return Some(End::Closed { code });
            }
        };
        let cost = message.cost();
        let backlog = self.backlog.add(cost);
        if queue.is_closed() {
            // The app has ended and the socket is being closed: the rest is nobody's.
            return None;
        }
        let fits = backlog.is_ok_and(|bytes| bytes <= self.limits.max_backlog_bytes);
        if !fits {
            return Some(End::Broken {
                code: 1013,
                reason: "the server is too far behind: send audio no faster than it plays, or try again later",
            });
        }
        let _ = queue.send(message);
        None
    }

    /// Throws away what still comes, so that the close of the connection does not reset it and
    /// destroy our Close frame on its way.
    pub(super) async fn discard(self) {
        let mut rest = self.frames.into_inner().0;
        let _ = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
    }
}

fn end_of(error: &Error) -> End {
    match error {
        Error::Capacity(_) => End::Broken {
            code: 1009,
            reason: "the message is too large: send smaller ones",
        },
        Error::Utf8(_) => End::Broken {
            code: 1007,
            reason: "text must be UTF-8",
        },
        Error::Protocol(
            hyper_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
        ) => End::Gone,
        Error::Protocol(_) => End::Broken {
            code: 1002,
            reason: "this is no WebSocket frame (RFC 6455)",
        },
        _ => End::Gone,
    }
}

/// Reads from `R`; what is written to it goes nowhere. tungstenite answers pings and Close by
/// itself while it reads, and here those answers are the writer's.
pub(super) struct DeafIo<R>(R);

impl<R: AsyncRead + Unpin> AsyncRead for DeafIo<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<R: Unpin> AsyncWrite for DeafIo<R> {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
