//! Role `handler`: answers HTTP requests.
//!
//! Implement [`Handler`] and name the type in [`export!`]. For WebSockets as well, see
//! [`websocket`](crate::websocket).

#![allow(
    missing_docs,
    unsafe_code,
    clippy::all,
    reason = "generated code; the documentation is in the WIT files"
)]

pub use self::exports::wasi::http::incoming_handler::Guest as Handler;
pub use crate::bindings::wasi::http::types::{IncomingRequest, ResponseOutparam};

wit_bindgen::generate!({
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
        "../../wit/auricle-pipeline",
    ],
    world: "auricle:pipeline/handler",
    with: {
        "wasi:io/error@0.2.12": crate::bindings::wasi::io::error,
        "wasi:io/poll@0.2.12": crate::bindings::wasi::io::poll,
        "wasi:io/streams@0.2.12": crate::bindings::wasi::io::streams,
        "wasi:clocks/monotonic-clock@0.2.12": crate::bindings::wasi::clocks::monotonic_clock,
        "wasi:http/types@0.2.12": crate::bindings::wasi::http::types,
        "auricle:runtime/log@0.1.0": crate::bindings::auricle::runtime::log,
        "auricle:runtime/configuration@0.1.0": crate::bindings::auricle::runtime::configuration,
        "auricle:audio/types@0.1.0": crate::bindings::auricle::audio::types,
        "auricle:audio/clips@0.1.0": crate::bindings::auricle::audio::clips,
        "auricle:audio/decoding@0.1.0": crate::bindings::auricle::audio::decoding,
        "auricle:audio/recording@0.1.0": crate::bindings::auricle::audio::recording,
        "auricle:speech/types@0.2.0": crate::bindings::auricle::speech::types,
        "auricle:speech/recognition@0.2.0": crate::bindings::auricle::speech::recognition,
        "auricle:speech/voice-activity@0.2.0": crate::bindings::auricle::speech::voice_activity,
        "auricle:speech/diarization@0.2.0": crate::bindings::auricle::speech::diarization,
        "auricle:http/multipart@0.1.0": crate::bindings::auricle::http::multipart,
        "auricle:http/websocket@0.1.0": crate::bindings::auricle::http::websocket,
        "auricle:pipeline/transcriber@0.2.0": crate::bindings::auricle::pipeline::transcriber,
        "wasi:http/incoming-handler@0.2.12": generate,
    },
    pub_export_macro: true,
    default_bindings_module: "auricle_guest::handler",
});
