//! A WebSocket as an app sees it: two halves that never wait for each other.
//!
//! Three tasks per socket. The reader takes frames off the connection all the time and queues
//! their messages, so that recognition never stops the reading; the queue is bounded by bytes and
//! an overfull one ends the socket, because audio that is minutes behind serves nobody. The writer
//! sends what is queued for the client, bounded by bytes too: there [`SocketSender::send`] waits.
//! The app runs in the third and is dropped as soon as nobody can hear it.
//!
//! # Closing
//! RFC 6455 lets an endpoint finish sending before it answers a Close frame, and a client that
//! closes right after its last audio wants the last transcript. tungstenite refuses to send once
//! it has read a Close, so only its decoder is used here (its replies go nowhere, see `wire`) and
//! frames are written by the writer. After a client's Close the app receives what is queued and
//! then `None`, may send for `close_grace_ms` longer, and when it ends, Close is answered. Whether
//! the client still listens is its own affair: browsers drop messages after `close()`, Python's
//! `websockets` and Node's `ws` deliver them. Clients that cannot should flush with an empty binary
//! message, which arrives here like any other, and close after the answer.
//!
//! # Limits
//! No compression (`permessage-deflate`), no subprotocols, no WebSockets over HTTP/2, and no
//! longest duration: a socket lives as long as its client answers pings.

mod backlog;
mod session;
mod wire;

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};

pub(crate) use session::{Call, run};

/// What a queued message costs on top of its bytes, so that a flood of tiny ones fills the queue
/// too: about what the queue's entry and the allocation take.
const MESSAGE_OVERHEAD_BYTES: usize = 64;

/// A whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Text.
    Text(String),
    /// Bytes; may be empty.
    Binary(Bytes),
}

impl Message {
    fn cost(&self) -> usize {
        let len = match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        };
        len.saturating_add(MESSAGE_OVERHEAD_BYTES)
    }
}

/// Why a message was not received or sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SocketError {
    /// The client went away without closing, or broke a limit.
    #[error("the client is gone")]
    Disconnected,
    /// The socket was closed from this side, or the close grace is over.
    #[error("the socket is closed: nothing more can be sent")]
    Closed,
    /// The message is larger than the client may be sent.
    #[error("the message is larger than {limit_bytes} bytes: send it in parts")]
    TooLarge {
        /// The limit.
        limit_bytes: usize,
    },
}

/// One client's socket.
#[derive(Debug)]
pub struct WebSocket {
    receiver: SocketReceiver,
    sender: SocketSender,
}

impl WebSocket {
    /// As [`SocketReceiver::receive`].
    ///
    /// # Errors
    /// As [`SocketReceiver::receive`].
    pub async fn receive(&mut self) -> Result<Option<Message>, SocketError> {
        self.receiver.receive().await
    }

    /// As [`SocketSender::send`].
    ///
    /// # Errors
    /// As [`SocketSender::send`].
    pub async fn send(&self, message: Message) -> Result<(), SocketError> {
        self.sender.send(message).await
    }

    /// As [`SocketSender::close`].
    pub fn close(&self, code: u16, reason: &str) {
        self.sender.close(code, reason);
    }

    /// The halves, for tasks of their own.
    #[must_use]
    pub fn split(self) -> (SocketReceiver, SocketSender) {
        (self.receiver, self.sender)
    }
}

/// The half that hears the client.
#[derive(Debug)]
pub struct SocketReceiver {
    queue: mpsc::UnboundedReceiver<Message>,
    /// Taken from the queue by [`SocketReceiver::ready`], not yet handed out.
    next: Option<Message>,
    backlog: Arc<backlog::Backlog>,
    end: Arc<OnceLock<wire::End>>,
}

impl SocketReceiver {
    /// The next message; `None` once the client has closed and everything is received. Safe to
    /// cancel: no message is lost.
    ///
    /// # Errors
    /// [`SocketError::Disconnected`] when the client went away without closing.
    pub async fn receive(&mut self) -> Result<Option<Message>, SocketError> {
        self.ready().await;
        match (self.next.take(), self.end.get()) {
            (Some(message), _) => {
                self.backlog.remove(message.cost());
                Ok(Some(message))
            }
            (None, Some(wire::End::Closed { .. })) => Ok(None),
            (None, _) => Err(SocketError::Disconnected),
        }
    }

    /// Waits until [`SocketReceiver::receive`] will not wait. Safe to cancel and to call again.
    pub async fn ready(&mut self) {
        if self.next.is_none() {
            self.next = self.queue.recv().await;
        }
    }

    /// Bytes received and not yet handed out, with what each message costs on top.
    #[must_use]
    pub fn backlog_bytes(&self) -> usize {
        self.backlog.bytes()
    }
}

/// The half that speaks to the client. Clones speak to the same one.
#[derive(Clone, Debug)]
pub struct SocketSender {
    queue: mpsc::UnboundedSender<wire::Outgoing>,
    /// Bytes that may still be queued; closed with the socket.
    room: Arc<Semaphore>,
    limit_bytes: usize,
}

impl SocketSender {
    /// Queues a message, when there is room for it. Safe to cancel: the message is then not sent.
    /// What is queued when the app ends is still sent.
    ///
    /// # Errors
    /// [`SocketError::Closed`] after a close, [`SocketError::TooLarge`] for a message of more than
    /// `max_unsent_bytes`.
    pub async fn send(&self, message: Message) -> Result<(), SocketError> {
        let limit_bytes = self.limit_bytes;
        let too_large = SocketError::TooLarge { limit_bytes };
        let cost = message.cost();
        if cost - MESSAGE_OVERHEAD_BYTES > limit_bytes {
            return Err(too_large);
        }
        let cost = u32::try_from(cost.min(limit_bytes)).map_err(|_| too_large)?;
        let room = Arc::clone(&self.room).acquire_many_owned(cost).await;
        let room = room.map_err(|_| SocketError::Closed)?;
        self.queue
            .send(wire::Outgoing::Message(message, room))
            .map_err(|_| SocketError::Closed)
    }

    /// Closes the socket after what is queued, with `code` (RFC 6455, 7.4) and at most 123 bytes
    /// of `reason`. The first close counts; a code that must not be sent becomes 1000.
    pub fn close(&self, code: u16, reason: &str) {
        self.room.close();
        let _ = self.queue.send(wire::Outgoing::close(code, reason));
    }

    /// Whether the socket was closed from this side.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.room.is_closed()
    }
}
