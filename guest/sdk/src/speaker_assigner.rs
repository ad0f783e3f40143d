//! Role `speaker-assigner`: merges recognised segments with speaker turns.
//!
//! Implement [`SpeakerAssigner`] and name the type in [`export!`]. An assigner sees text, times,
//! its configuration and the log; it has no audio, network, clock or files.

#![allow(
    missing_docs,
    unsafe_code,
    clippy::all,
    reason = "generated code; the documentation is in the WIT files"
)]

pub use self::exports::auricle::pipeline::speaker_assigner::{
    AssignError, Guest as SpeakerAssigner,
};
pub use crate::speech::{Segment, Turn, Word};

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
    world: "auricle:pipeline/speaker-assigner-role",
    with: {
        "auricle:runtime/log@0.1.0": crate::bindings::auricle::runtime::log,
        "auricle:runtime/configuration@0.1.0": crate::bindings::auricle::runtime::configuration,
        "auricle:speech/types@0.2.0": crate::bindings::auricle::speech::types,
        "auricle:pipeline/speaker-assigner@0.2.0": generate,
    },
    pub_export_macro: true,
    default_bindings_module: "auricle_guest::speaker_assigner",
});

impl From<crate::config::ConfigError> for AssignError {
    fn from(error: crate::config::ConfigError) -> Self {
        Self::InvalidConfiguration(error.to_string())
    }
}
