//! A chunker: cuts every 5 s, and only where somebody speaks at all.
//!
//! Fails where the request wants its clip cut in a way of its own.

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
    world: "auricle:pipeline/chunker-role",
    generate_all,
});

use auricle::audio::clips::Clip;
use auricle::audio::types::Span;
use auricle::pipeline::chunking;
use auricle::speech::types::SpeechError;
use auricle::speech::voice_activity;
use exports::auricle::pipeline::chunker::{ChunkError, Guest};

const STEP_SAMPLES: u64 = 5 * 16_000;

struct Component;

impl Guest for Component {
    fn split(clip: &Clip, max_samples: u64) -> Result<Vec<Span>, ChunkError> {
        if chunking::requested().is_some() {
            return Err(ChunkError::Other(Some("cut as requested".to_owned())));
        }
        let spoken = match voice_activity::probabilities(clip) {
            Ok(probabilities) => probabilities.iter().any(|probability| *probability > 0.5),
            Err(SpeechError::Unavailable(_)) => true,
            Err(error) => return Err(ChunkError::Other(Some(format!("{error:?}")))),
        };
        if !spoken {
            return Ok(Vec::new());
        }
        let (length, step) = (clip.length(), STEP_SAMPLES.min(max_samples));
        let span = |start: u64| Span {
            start,
            end: length.min(start + step),
        };
        Ok((0..length.div_ceil(step)).map(|i| span(i * step)).collect())
    }
}

export!(Component);
