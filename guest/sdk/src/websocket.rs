//! WebSockets for role `handler`.
//!
//! A handler that serves them implements [`WebsocketHandler`] beside
//! [`Handler`](crate::handler::Handler) and names its type in both `export!` macros.

#![allow(
    missing_docs,
    unsafe_code,
    clippy::all,
    reason = "generated code; the documentation is in the WIT files"
)]

pub use self::exports::auricle::http::websocket_handler::{Guest as WebsocketHandler, Upgrade};
pub use crate::bindings::auricle::http::websocket::{
    Continuation, Message, Position, Socket, SocketError,
};

// Only the part of world `live-handler` that `handler` lacks: two worlds with the same export would
// define the same macro twice. The encoder merges the two.
wit_bindgen::generate!({
    inline: "
        package auricle:guest@0.1.0;
        world websockets {
            export auricle:http/websocket-handler@0.1.0;
        }
    ",
    path: [
        "../../wit/deps/io.wit",
        "../../wit/deps/clocks.wit",
        "../../wit/deps/random.wit",
        "../../wit/deps/filesystem.wit",
        "../../wit/deps/sockets.wit",
        "../../wit/deps/cli.wit",
        "../../wit/deps/http.wit",
        "../../wit/auricle-runtime",
        "../../wit/auricle-audio",
        "../../wit/auricle-speech",
        "../../wit/auricle-http",
    ],
    world: "auricle:guest/websockets",
    with: {
        "wasi:io/poll@0.2.12": crate::bindings::wasi::io::poll,
        "auricle:http/websocket@0.1.0": crate::bindings::auricle::http::websocket,
        "auricle:http/websocket-handler@0.1.0": generate,
    },
    pub_export_macro: true,
    default_bindings_module: "auricle_guest::websocket",
});
