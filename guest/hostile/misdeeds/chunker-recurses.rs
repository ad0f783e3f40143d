//! A chunker that calls itself without end.

use auricle_guest::chunker::{ChunkError, Chunker, Clip, Span};

struct Hostile;

impl Chunker for Hostile {
    fn split(clip: &Clip, _: u64) -> Result<Vec<Span>, ChunkError> {
        Err(ChunkError::Other(Some(deeper(clip.length()).to_string())))
    }
}

auricle_guest::chunker::export!(Hostile);

/// The array makes the frame large and the addition keeps it from being a loop.
#[allow(unconditional_recursion, reason = "this is the misdeed")]
fn deeper(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 16]);
    deeper(depth.wrapping_add(1)).wrapping_add(frame.iter().sum())
}
