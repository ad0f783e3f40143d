//! Example of a chunker: cuts every so many seconds, whatever is said there.
//!
//! # Configuration
//! - `fixed-secs`: length of a span in whole seconds, 1 to 30, default 5.

use auricle_guest::chunker::{ChunkError, Chunker, Clip, SAMPLE_RATE, Span};
use auricle_guest::config;

struct FixedChunker;

impl Chunker for FixedChunker {
    fn split(clip: &Clip, max_samples: u64) -> Result<Vec<Span>, ChunkError> {
        let secs: u32 = config::parse_or("fixed-secs", 5)?;
        Ok(spans(
            clip.length(),
            (u64::from(secs) * u64::from(SAMPLE_RATE)).min(max_samples),
        ))
    }
}

auricle_guest::chunker::export!(FixedChunker);

/// Spans of `step` samples (at least 1); the last one ends where the clip does.
fn spans(length: u64, step: u64) -> Vec<Span> {
    let step = step.max(1);
    (0..length.div_ceil(step))
        .map(|i| Span {
            start: i * step,
            end: length.min((i + 1) * step),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_span_ends_with_the_clip() {
        let ends: Vec<_> = spans(25, 10).iter().map(|s| (s.start, s.end)).collect();
        assert_eq!(ends, [(0, 10), (10, 20), (20, 25)]);
        assert!(spans(0, 10).is_empty());
    }
}
