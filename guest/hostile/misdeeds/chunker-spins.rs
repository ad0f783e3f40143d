//! A chunker that computes without end.

use auricle_guest::chunker::{ChunkError, Chunker, Clip, Span};

struct Hostile;

impl Chunker for Hostile {
    fn split(_: &Clip, _: u64) -> Result<Vec<Span>, ChunkError> {
        auricle_hostile::spin()
    }
}

auricle_guest::chunker::export!(Hostile);
