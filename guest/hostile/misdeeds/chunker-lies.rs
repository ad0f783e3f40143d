//! A chunker whose spans break the contract.
//!
//! # Configuration
//! - `lie`: `beyond`, `overlap`, `descending`, `empty`, `reversed`, `too-long`, `huge` or `many`.

use auricle_guest::chunker::{ChunkError, Chunker, Clip, Span};
use auricle_guest::config;

struct Hostile;

impl Chunker for Hostile {
    fn split(clip: &Clip, max_samples: u64) -> Result<Vec<Span>, ChunkError> {
        let end = clip.length();
        let span = |start, end| Span { start, end };
        Ok(match config::get("lie").as_deref() {
            Some("beyond") => vec![span(0, end + 1)],
            Some("overlap") => vec![span(0, 1600), span(800, 2400)],
            Some("descending") => vec![span(1600, 3200), span(0, 1600)],
            Some("empty") => vec![span(0, 0)],
            Some("reversed") => vec![span(1600, 0)],
            Some("too-long") => vec![span(0, max_samples + 1)],
            Some("huge") => vec![span(u64::MAX - 1, u64::MAX)],
            Some("many") => (0..10_000_000).map(|i| span(i, i + 1)).collect(),
            _ => return Err(ChunkError::InvalidConfiguration("set 'lie'".to_owned())),
        })
    }
}

auricle_guest::chunker::export!(Hostile);
