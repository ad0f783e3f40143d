//! A decoder of raw audio: signed 16-bit little-endian PCM, mono, 16 kHz.

#![allow(
    missing_docs,
    unsafe_code,
    clippy::all,
    clippy::restriction,
    reason = "generated bindings"
)]

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
        "../../wit/v0.1.0/auricle-speech",
        "../../wit/auricle-http",
        "../../wit/v0.1.0/auricle-pipeline",
    ],
    world: "auricle:pipeline/decoder-role",
    generate_all,
});

use auricle::audio::{samples, source};
use exports::auricle::pipeline::decoder::{DecodeFailure, Guest, Hint};

const READ_BYTES: u32 = 1 << 16;

struct Component;

impl Guest for Component {
    fn decode(_: Hint) -> Result<(), DecodeFailure> {
        let mut bytes = Vec::new();
        loop {
            let more = source::read(READ_BYTES);
            let more = more.map_err(|error| DecodeFailure::Other(Some(format!("{error:?}"))))?;
            if more.is_empty() {
                break;
            }
            bytes.extend(more);
        }
        if bytes.is_empty() {
            return Err(DecodeFailure::Empty);
        }
        let sample = |pair: &[u8]| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32_768.0;
        let decoded: Vec<f32> = bytes.chunks_exact(2).map(sample).collect();
        samples::push(&decoded, &[1.0], 16_000)
            .map_err(|error| DecodeFailure::Other(Some(format!("{error:?}"))))
    }
}

export!(Component);
