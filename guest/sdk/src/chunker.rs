//! Role `chunker`: cuts a clip into the spans that the model will see.
//!
//! Implement [`Chunker`] and name the type in [`export!`]. A chunker sees the clip, where
//! somebody speaks in it ([`voice`](crate::voice)), how the client wants it cut ([`requested`]), its
//! configuration and the log; it has no network, clock or files.

#![allow(
    missing_docs,
    unsafe_code,
    clippy::all,
    reason = "generated code; the documentation is in the WIT files"
)]

pub use self::auricle::pipeline::chunking::requested;
pub use self::exports::auricle::pipeline::chunker::{ChunkError, Guest as Chunker};
pub use crate::audio::{Clip, ClipError, SAMPLE_RATE, Span};
pub use crate::speech::VoiceOptions;

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
    world: "auricle:pipeline/chunker-role",
    with: {
        "auricle:runtime/log@0.1.0": crate::bindings::auricle::runtime::log,
        "auricle:runtime/configuration@0.1.0": crate::bindings::auricle::runtime::configuration,
        "auricle:audio/types@0.1.0": crate::bindings::auricle::audio::types,
        "auricle:audio/clips@0.1.0": crate::bindings::auricle::audio::clips,
        "auricle:speech/types@0.2.0": crate::bindings::auricle::speech::types,
        "auricle:speech/voice-activity@0.2.0": crate::bindings::auricle::speech::voice_activity,
        "auricle:pipeline/chunking@0.2.0": generate,
        "auricle:pipeline/chunker@0.2.0": generate,
    },
    pub_export_macro: true,
    default_bindings_module: "auricle_guest::chunker",
});

impl From<ClipError> for ChunkError {
    fn from(error: ClipError) -> Self {
        Self::Other(Some(error.to_string()))
    }
}

impl From<crate::config::ConfigError> for ChunkError {
    fn from(error: crate::config::ConfigError) -> Self {
        Self::InvalidConfiguration(error.to_string())
    }
}
