//! A chunker that panics.

#![allow(clippy::panic, reason = "this is the misdeed")]

use auricle_guest::chunker::{ChunkError, Chunker, Clip, Span};

struct Hostile;

impl Chunker for Hostile {
    fn split(_: &Clip, _: u64) -> Result<Vec<Span>, ChunkError> {
        auricle_guest::log::panics();
        panic!("on purpose")
    }
}

auricle_guest::chunker::export!(Hostile);
