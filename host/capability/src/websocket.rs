//! `auricle:http/websocket`: an open connection behind a handle.
//!
//! The gateway reads ahead into its bounded queue on a task of its own, so a component that computes
//! between two calls never holds the client up.

use wasmtime::component::Resource;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use crate::bindings::imports::auricle::http::websocket::{
    Host, HostSocket as HostSocketInterface, Message as WitMessage, SocketError as WitSocketError,
};
use crate::services::{Message, Socket, SocketError};
use crate::state::GuestState;

/// A connection, with one message looked at ahead so that waiting and taking can be two calls.
pub struct HostSocket {
    socket: Socket,
    ahead: Option<Result<Option<Message>, SocketError>>,
}

impl HostSocket {
    pub(crate) fn new(socket: Socket) -> Self {
        Self {
            socket,
            ahead: None,
        }
    }
}

#[async_trait::async_trait]
impl Pollable for HostSocket {
    async fn ready(&mut self) {
        if self.ahead.is_none() {
            self.ahead = Some(self.socket.receiver.receive().await);
        }
    }
}

impl Host for GuestState {}

impl HostSocketInterface for GuestState {
    async fn receive(
        &mut self,
        socket: Resource<HostSocket>,
    ) -> wasmtime::Result<Result<Option<WitMessage>, WitSocketError>> {
        let socket = self.table.get_mut(&socket)?;
        let received = match socket.ahead.take() {
            Some(received) => received,
            None => socket.socket.receiver.receive().await,
        };
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
        let socket = self.table.get_mut(&socket)?;
        let message = match message {
            WitMessage::Text(text) => Message::Text(text),
            WitMessage::Binary(bytes) => Message::Binary(bytes.into()),
        };
        Ok(socket
            .socket
            .sender
            .send(message)
            .await
            .map_err(error_to_wit))
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
