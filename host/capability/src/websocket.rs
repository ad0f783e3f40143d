//! `auricle:http/websocket`: an open connection behind a handle.
//!
//! The gateway reads ahead into its bounded queue on a task of its own, so a component that computes
//! between two calls never holds the client up.
//!
//! A connection outlives the instance that serves it: what was received since the instance's last
//! checkpoint is kept here ([`Session`]), and a new instance is given it again after a failure or for
//! a new revision. So an answer that was sent after the last checkpoint may be sent twice, and none
//! is lost.

use std::collections::VecDeque;
use std::sync::Arc;

use auricle_tenancy::{Account, HeldKind, Reservation};
use tokio::sync::Mutex;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use crate::bindings::imports::auricle::http::websocket::{
    Continuation, Host, HostSocket as HostSocketInterface, Message as WitMessage, Position,
    SocketError as WitSocketError,
};
use crate::services::{Message, Socket, SocketError};
use crate::state::GuestState;

/// Bytes of messages that are kept for a new instance: 131 s of 16 kHz PCM.
const MAX_KEPT_BYTES: usize = 4 << 20;

/// Messages that are kept, however small.
const MAX_KEPT_MESSAGES: usize = 65_536;

/// Bytes of a component's own state.
const MAX_STATE_BYTES: usize = 64 << 10;

/// Whether another revision is to go on with a connection.
pub type Superseded = Arc<dyn Fn() -> bool + Send + Sync>;

/// A connection, and what a new instance needs to go on with it.
#[derive(Clone)]
pub struct Session(Arc<Mutex<Connection>>);

struct Connection {
    socket: Socket,
    /// A message looked at ahead, so that waiting and taking can be two calls.
    ahead: Option<Result<Option<Message>, SocketError>>,
    /// What this instance is to receive again before anything new.
    again: VecDeque<Message>,
    /// What it has received and not dealt with.
    kept: VecDeque<Message>,
    kept_bytes: usize,
    /// Pays for what is kept.
    held: Option<Reservation>,
    /// Messages before `kept`, counted from the instance's first one.
    dealt_with: u64,
    /// Whether `kept` is all of it.
    is_whole: bool,
    /// There once a component has said that it can be gone on from.
    state: Option<Vec<u8>>,
    /// Whether this instance goes on from `state`.
    goes_on: bool,
    checkpoints: u64,
    superseded: Option<Superseded>,
    /// Whether the component was told to hand over.
    hands_over: bool,
}

impl Session {
    /// A connection that nobody has served yet.
    #[must_use]
    pub fn new(socket: Socket) -> Self {
        Self(Arc::new(Mutex::new(Connection {
            socket,
            ahead: None,
            again: VecDeque::new(),
            kept: VecDeque::new(),
            kept_bytes: 0,
            held: None,
            dealt_with: 0,
            is_whole: true,
            state: None,
            goes_on: false,
            checkpoints: 0,
            superseded: None,
            hands_over: false,
        })))
    }

    /// An instance begins; `superseded` is asked at its checkpoints.
    pub async fn begin(&self, superseded: Superseded) {
        let mut connection = self.0.lock().await;
        let connection = &mut *connection;
        let mut again = std::mem::take(&mut connection.kept);
        again.append(&mut connection.again);
        connection.again = again;
        connection.kept_bytes = 0;
        connection.dealt_with = 0;
        connection.goes_on = connection.state.is_some();
        connection.superseded = Some(superseded);
        connection.hands_over = false;
    }

    /// What is kept is on this account.
    pub(crate) async fn held_by(&self, account: &Arc<Account>) {
        let mut connection = self.0.lock().await;
        let held = || account.reservation(HeldKind::Buffer);
        connection.held.get_or_insert_with(held);
    }

    /// Whether the instance was told to hand over.
    pub async fn hands_over(&self) -> bool {
        self.0.lock().await.hands_over
    }

    /// Whether a new instance can go on, and how many checkpoints there were.
    pub async fn can_go_on(&self) -> Option<u64> {
        let connection = self.0.lock().await;
        let can = connection.state.is_some() && connection.is_whole;
        can.then_some(connection.checkpoints)
    }
}

impl Connection {
    async fn receive(&mut self) -> Result<Option<Message>, SocketError> {
        let message = match self.again.pop_front() {
            Some(message) => message,
            None => {
                let received = match self.ahead.take() {
                    Some(received) => received,
                    None => self.socket.receiver.receive().await,
                };
                match received? {
                    Some(message) => message,
                    None => {
                        // The end is received again, too.
                        self.ahead = Some(Ok(None));
                        return Ok(None);
                    }
                }
            }
        };
        self.keep(&message);
        Ok(Some(message))
    }

    fn keep(&mut self, message: &Message) {
        if !self.is_whole || self.state.is_none() {
            // Not gone on from before the first checkpoint; counted all the same.
            self.dealt_with += 1;
            return;
        }
        self.kept_bytes += size(message);
        self.kept.push_back(message.clone());
        let fits = self.kept_bytes <= MAX_KEPT_BYTES && self.kept.len() <= MAX_KEPT_MESSAGES;
        if !(fits && self.cover_kept()) {
            self.is_whole = false;
            self.dealt_with += self.kept.len() as u64;
            self.kept.clear();
            self.kept_bytes = 0;
            self.cover_kept();
        }
    }

    /// Reserves memory for what is kept; whether it is to be had.
    fn cover_kept(&mut self) -> bool {
        let bytes = self.kept_bytes as u64;
        self.held
            .as_mut()
            .is_none_or(|held| held.cover(bytes).is_ok())
    }

    /// Forgets what comes before `position`.
    fn deal_with(&mut self, position: Position) {
        while self.dealt_with < position.messages {
            let Some(message) = self.kept.pop_front() else {
                break;
            };
            self.kept_bytes -= size(&message);
            self.dealt_with += 1;
        }
        if self.kept.is_empty() {
            // Whatever was not kept lies before here.
            self.is_whole |= self.dealt_with <= position.messages;
        }
        let rest = match self.kept.front_mut() {
            Some(Message::Binary(bytes)) if position.bytes > 0 => bytes,
            _ => return,
        };
        let cut = (position.bytes as usize).min(rest.len());
        *rest = rest.slice(cut..);
        self.kept_bytes -= cut;
    }
}

fn size(message: &Message) -> usize {
    match message {
        Message::Text(text) => text.len(),
        Message::Binary(bytes) => bytes.len(),
    }
}

/// The handle of one instance.
pub struct HostSocket(Arc<Mutex<Connection>>);

impl HostSocket {
    pub(crate) fn new(session: &Session) -> Self {
        Self(Arc::clone(&session.0))
    }
}

#[async_trait::async_trait]
impl Pollable for HostSocket {
    async fn ready(&mut self) {
        let mut connection = self.0.lock().await;
        if connection.again.is_empty() && connection.ahead.is_none() {
            let received = connection.socket.receiver.receive().await;
            connection.ahead = Some(received);
        }
    }
}

impl Host for GuestState {}

impl HostSocketInterface for GuestState {
    async fn receive(
        &mut self,
        socket: Resource<HostSocket>,
    ) -> wasmtime::Result<Result<Option<WitMessage>, WitSocketError>> {
        let received = self.table.get(&socket)?.0.lock().await.receive().await;
        Ok(received
            .map(|message| message.map(message_to_wit))
            .map_err(error_to_wit))
    }

    fn subscribe(
        &mut self,
        socket: Resource<HostSocket>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(&mut self.table, socket)
    }

    async fn send(
        &mut self,
        socket: Resource<HostSocket>,
        message: WitMessage,
    ) -> wasmtime::Result<Result<(), WitSocketError>> {
        let message = match message {
            WitMessage::Text(text) => Message::Text(text),
            WitMessage::Binary(bytes) => Message::Binary(bytes.into()),
        };
        let mut connection = self.table.get(&socket)?.0.lock().await;
        let sent = connection.socket.sender.send(message).await;
        Ok(sent.map_err(error_to_wit))
    }

    async fn checkpoint(
        &mut self,
        socket: Resource<HostSocket>,
        position: Position,
        state: Vec<u8>,
    ) -> wasmtime::Result<Result<Continuation, WitSocketError>> {
        if state.len() > MAX_STATE_BYTES {
            return Ok(Err(WitSocketError::TooLarge));
        }
        let mut connection = self.table.get(&socket)?.0.lock().await;
        connection.state = Some(state);
        connection.deal_with(position);
        connection.cover_kept();
        connection.checkpoints += 1;
        let superseded = connection.superseded.as_ref();
        let is_superseded = superseded.is_some_and(|superseded| superseded());
        connection.hands_over = is_superseded && connection.is_whole;
        Ok(Ok(match connection.hands_over {
            true => Continuation::HandOver,
            false => Continuation::Proceed,
        }))
    }

    async fn resumed(&mut self, socket: Resource<HostSocket>) -> wasmtime::Result<Option<Vec<u8>>> {
        let connection = self.table.get(&socket)?.0.lock().await;
        Ok(connection.state.clone().filter(|_| connection.goes_on))
    }

    fn drop(&mut self, socket: Resource<HostSocket>) -> wasmtime::Result<()> {
        self.table.delete(socket)?;
        Ok(())
    }
}

fn message_to_wit(message: Message) -> WitMessage {
    match message {
        Message::Text(text) => WitMessage::Text(text),
        Message::Binary(bytes) => WitMessage::Binary(bytes.into()),
    }
}

fn error_to_wit(error: SocketError) -> WitSocketError {
    match error {
        SocketError::Closed => WitSocketError::Closed,
        SocketError::TooLarge => WitSocketError::TooLarge,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use futures::FutureExt;
    use futures::future::BoxFuture;

    use super::*;
    use crate::services::{SocketReceiver, SocketSender};

    struct Client(VecDeque<Message>);

    impl SocketReceiver for Client {
        fn receive(&mut self) -> BoxFuture<'_, Result<Option<Message>, SocketError>> {
            async { Ok(self.0.pop_front()) }.boxed()
        }
    }

    struct Deaf;

    impl SocketSender for Deaf {
        fn send(&mut self, _: Message) -> BoxFuture<'_, Result<(), SocketError>> {
            async { Ok(()) }.boxed()
        }
    }

    fn session(messages: &[&'static [u8]]) -> Session {
        let messages = messages
            .iter()
            .map(|bytes| Message::Binary((*bytes).into()));
        Session::new(Socket {
            receiver: Box::new(Client(messages.collect())),
            sender: Box::new(Deaf),
        })
    }

    async fn receive(session: &Session) -> Option<Vec<u8>> {
        let message = session.0.lock().await.receive().await.unwrap();
        message.map(|message| match message {
            Message::Binary(bytes) => bytes.to_vec(),
            Message::Text(text) => text.into_bytes(),
        })
    }

    async fn checkpoint(session: &Session, messages: u64, bytes: u32) {
        let mut connection = session.0.lock().await;
        connection.state = Some(vec![7]);
        connection.deal_with(Position { messages, bytes });
    }

    async fn begin(session: &Session) {
        session.begin(Arc::new(|| false)).await;
    }

    #[tokio::test]
    async fn a_new_instance_receives_what_was_not_dealt_with_and_then_the_rest() {
        let session = session(&[b"abcd", b"efgh", b"ijkl", b"mnop"]);
        begin(&session).await;
        checkpoint(&session, 0, 0).await;
        for _ in 0..3 {
            receive(&session).await.unwrap();
        }
        checkpoint(&session, 1, 2).await;
        begin(&session).await;
        assert_eq!(receive(&session).await.unwrap(), b"gh");
        assert_eq!(receive(&session).await.unwrap(), b"ijkl");
        // Fails again, within what it received again.
        checkpoint(&session, 0, 1).await;
        begin(&session).await;
        for expected in [b"h".as_slice(), b"ijkl", b"mnop"] {
            assert_eq!(receive(&session).await.unwrap(), expected);
        }
        assert_eq!(receive(&session).await, None);
        checkpoint(&session, 2, 0).await;
        begin(&session).await;
        assert_eq!(receive(&session).await.unwrap(), b"mnop");
        assert_eq!(receive(&session).await, None);
    }

    #[tokio::test]
    async fn a_component_that_makes_no_checkpoint_is_not_gone_on_from() {
        let session = session(&[b"abcd"]);
        begin(&session).await;
        receive(&session).await.unwrap();
        assert_eq!(session.can_go_on().await, None);
    }

    #[tokio::test]
    async fn more_than_is_kept_cannot_be_gone_on_from_until_it_is_dealt_with() {
        static LARGE: [u8; 1 << 20] = [0; 1 << 20];
        let session = session(&[&LARGE, &LARGE, &LARGE, &LARGE, &LARGE, b"z"]);
        begin(&session).await;
        checkpoint(&session, 0, 0).await;
        for _ in 0..5 {
            receive(&session).await.unwrap();
        }
        assert_eq!(session.can_go_on().await, None);
        checkpoint(&session, 4, 0).await;
        assert_eq!(session.can_go_on().await, None);
        checkpoint(&session, 5, 0).await;
        assert!(session.can_go_on().await.is_some());
        receive(&session).await.unwrap();
        begin(&session).await;
        assert_eq!(receive(&session).await.unwrap(), b"z");
    }
}
