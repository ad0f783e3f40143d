//! A chunker that writes a million lines to the log, then does its work.

use auricle_guest::chunker::{ChunkError, Chunker, Clip, Span};
use auricle_guest::log;

struct Hostile;

impl Chunker for Hostile {
    fn split(clip: &Clip, max_samples: u64) -> Result<Vec<Span>, ChunkError> {
        let line = "chatter ".repeat(1024);
        for _ in 0..1_000_000 {
            log::write(log::Level::Info, &line);
        }
        Ok(auricle_hostile::honest_spans(clip.length(), max_samples))
    }
}

auricle_guest::chunker::export!(Hostile);
