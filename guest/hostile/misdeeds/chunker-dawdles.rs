//! A chunker that cuts as it should, and computes in vain before.
//!
//! # Configuration
//! - `steps`: millions of steps of it, default 1.

use auricle_guest::chunker::{ChunkError, Chunker, Clip, Span};
use auricle_guest::config;

struct Hostile;

impl Chunker for Hostile {
    fn split(clip: &Clip, max_samples: u64) -> Result<Vec<Span>, ChunkError> {
        let millions: u64 = config::parse_or("steps", 1)?;
        for step in 0..millions * 1_000_000 {
            core::hint::black_box(step);
        }
        Ok(auricle_hostile::honest_spans(clip.length(), max_samples))
    }
}

auricle_guest::chunker::export!(Hostile);
