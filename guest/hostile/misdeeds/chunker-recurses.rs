//! A chunker that calls itself without end.

use auricle_guest::chunker::{ChunkError, Chunker, Clip, Span};

struct Hostile;

impl Chunker for Hostile {
    fn split(clip: &Clip, _: u64) -> Result<Vec<Span>, ChunkError> {
        let depth = auricle_hostile::recurse(clip.length());
        Err(ChunkError::Other(Some(depth.to_string())))
    }
}

auricle_guest::chunker::export!(Hostile);
