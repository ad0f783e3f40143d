//! A chunker that has the device listen to its clip over and over, and to parts of it.

use auricle_guest::chunker::{ChunkError, Chunker, Clip, Span};
use auricle_guest::voice;

struct Hostile;

impl Chunker for Hostile {
    fn split(clip: &Clip, _: u64) -> Result<Vec<Span>, ChunkError> {
        let part = clip.slice(Span {
            start: 0,
            end: clip.length(),
        })?;
        loop {
            // What is refused is asked for again.
            let _ = voice::probabilities(&part);
            let _ = voice::probabilities(clip);
        }
    }
}

auricle_guest::chunker::export!(Hostile);
