//! Role `decoder`: turns a file into samples.
//!
//! Implement [`Decoder`] and name the type in [`export!`]. An instance decodes one file: it reads
//! its bytes with [`source`] and hands its samples to [`clip`], which mixes, counts and resamples.
//! It has no network, clock, files or randomness.

#![allow(
    missing_docs,
    unsafe_code,
    clippy::all,
    reason = "generated code; the documentation is in the WIT files"
)]

pub use self::auricle::audio::samples::PushError;
pub use self::auricle::audio::source::ReadError;
pub use self::exports::auricle::pipeline::decoder::{DecodeFailure, Guest as Decoder};
pub use crate::audio::Hint;

/// The bytes of the file.
pub mod source {
    pub use super::auricle::audio::source::{length, read, seek};
}

/// The clip that the samples go to.
pub mod clip {
    pub use super::auricle::audio::samples::push;
}

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
    world: "auricle:pipeline/decoder-role",
    with: {
        "auricle:runtime/log@0.1.0": crate::bindings::auricle::runtime::log,
        "auricle:runtime/configuration@0.1.0": crate::bindings::auricle::runtime::configuration,
        "auricle:audio/types@0.1.0": crate::bindings::auricle::audio::types,
        "auricle:audio/source@0.1.0": generate,
        "auricle:audio/samples@0.1.0": generate,
        "auricle:pipeline/decoder@0.2.0": generate,
    },
    pub_export_macro: true,
    default_bindings_module: "auricle_guest::decoder",
});
