//! A chunker that makes detector after detector and keeps them all.

use auricle_guest::chunker::{ChunkError, Chunker, Clip, Span};
use auricle_guest::voice::Detector;

struct Hostile;

impl Chunker for Hostile {
    fn split(_: &Clip, _: u64) -> Result<Vec<Span>, ChunkError> {
        let mut held = Vec::new();
        loop {
            let detector = Detector::new();
            let _ = detector.push(&[0; 3_200]);
            held.push(detector);
        }
    }
}

auricle_guest::chunker::export!(Hostile);
