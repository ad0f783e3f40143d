//! A chunker that behaves until it is trusted: it cuts clips of two seconds, which is what it is tried
//! with, and panics on all others.

#![allow(clippy::panic, reason = "this is the misdeed")]

use auricle_guest::chunker::{ChunkError, Chunker, Clip, Span};
use auricle_hostile::honest_spans;

/// Two seconds.
const TRIED_SAMPLES: u64 = 32_000;

struct Hostile;

impl Chunker for Hostile {
    fn split(clip: &Clip, max_samples: u64) -> Result<Vec<Span>, ChunkError> {
        if clip.length() != TRIED_SAMPLES {
            panic!("on purpose");
        }
        Ok(honest_spans(clip.length(), max_samples))
    }
}

auricle_guest::chunker::export!(Hostile);
