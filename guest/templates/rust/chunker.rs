//! A chunker: cuts a clip into the pieces that the model will see.
//!
//! Setting `secs`: length of a piece in seconds, 1 to 30; default 20.

wit_bindgen::generate!({ path: "wit", world: "component", generate_all });

use auricle::audio::clips::Clip;
use auricle::audio::types::Span;
use auricle::runtime::configuration;
use exports::auricle::pipeline::chunker::{ChunkError, Guest};

const SAMPLES_PER_SEC: u64 = 16_000;

struct Component;

impl Guest for Component {
    fn split(clip: &Clip, max_samples: u64) -> Result<Vec<Span>, ChunkError> {
        let step = (secs()? * SAMPLES_PER_SEC).min(max_samples);
        let length = clip.length();
        let span = |start: u64| Span {
            start,
            end: length.min(start + step),
        };
        Ok((0..length.div_ceil(step)).map(|i| span(i * step)).collect())
    }
}

export!(Component);

fn secs() -> Result<u64, ChunkError> {
    let text = configuration::get("secs").unwrap_or_else(|| "20".to_owned());
    match text.parse() {
        Ok(secs @ 1..=30) => Ok(secs),
        _ => Err(ChunkError::InvalidConfiguration(format!(
            "secs is '{text}': use 1 to 30"
        ))),
    }
}
