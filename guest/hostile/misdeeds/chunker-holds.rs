//! A chunker that cuts clip after clip out of the one it was given, and keeps them all.

use auricle_guest::chunker::{ChunkError, Chunker, Clip, Span};

struct Hostile;

impl Chunker for Hostile {
    fn split(clip: &Clip, _: u64) -> Result<Vec<Span>, ChunkError> {
        let all = Span {
            start: 0,
            end: clip.length(),
        };
        let mut held = Vec::new();
        loop {
            held.push(clip.slice(all)?);
        }
    }
}

auricle_guest::chunker::export!(Hostile);
