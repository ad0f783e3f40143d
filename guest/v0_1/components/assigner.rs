//! A speaker-assigner: writes texts in capital letters.

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
    world: "auricle:pipeline/speaker-assigner-role",
    generate_all,
});

use exports::auricle::pipeline::speaker_assigner::{AssignError, Guest, Segment, Turn};

struct Component;

impl Guest for Component {
    fn assign(mut segments: Vec<Segment>, _: Vec<Turn>) -> Result<Vec<Segment>, AssignError> {
        for segment in &mut segments {
            segment.text = segment.text.to_uppercase();
        }
        Ok(segments)
    }
}

export!(Component);
