//! A live handler that says every message again, with its number, and panics on `panic` unless it goes
//! on from a checkpoint; on `always` it panics in any case.
//!
//! # Configuration
//! - `name`: what it says first.

#![allow(clippy::panic, reason = "this is the misdeed")]

use auricle_guest::config;
use auricle_guest::handler::{Handler, IncomingRequest, ResponseOutparam};
use auricle_guest::http::Response;
use auricle_guest::websocket::{
    Continuation, Message, Position, Socket, Upgrade, WebsocketHandler,
};

struct Hostile;

impl Handler for Hostile {
    fn handle(_: IncomingRequest, out: ResponseOutparam) {
        Response::text(200, "connect with a WebSocket").send(out);
    }
}

impl WebsocketHandler for Hostile {
    fn handle(_: Upgrade, socket: Socket) {
        let resumed = socket.resumed();
        let mut said = match resumed.as_deref() {
            Some([count]) => *count,
            _ => 0,
        };
        let mut messages = 0;
        let mut checkpoint = |said: u8, messages| {
            let position = Position { messages, bytes: 0 };
            matches!(
                socket.checkpoint(position, &[said]),
                Ok(Continuation::Proceed)
            )
        };
        let name = config::get("name").unwrap_or_default();
        let mut goes_on = checkpoint(said, messages);
        while goes_on {
            let Ok(Some(Message::Text(text))) = socket.receive() else {
                return;
            };
            if text == "always" || (text == "panic" && resumed.is_none()) {
                panic!("on purpose");
            }
            messages += 1;
            said += 1;
            let answer = format!("\"{name} {said} {text}\"");
            if socket.send(&Message::Text(answer)).is_err() {
                return;
            }
            goes_on = checkpoint(said, messages);
        }
    }
}

auricle_guest::handler::export!(Hostile);
auricle_guest::websocket::export!(Hostile);
