//! First-party chunker: cuts a clip at pauses, by energy alone.
//!
//! Owns nothing between calls; its memory is 4 bytes for every 10 ms of clip (1.4 MB an hour). It
//! does not tell speech from noise and it never fetches samples: the host computes the levels.
//!
//! # Configuration
//! - `max-secs`: longest span, 1 to 30, default 30 (what the model sees at once).
//! - `search-secs`: how far before that limit the pause may lie, 0 to 30, default 10; at most half
//!   of `max-secs` counts.

mod cut;

use auricle_guest::audio::MAX_VALUES;
use auricle_guest::chunker::{ChunkError, Chunker, Clip, SAMPLE_RATE, Span};
use auricle_guest::{config, log};

use crate::cut::{FRAME_SAMPLES, Limits};

struct EnergyChunker;

impl Chunker for EnergyChunker {
    fn split(clip: &Clip, max_samples: u64) -> Result<Vec<Span>, ChunkError> {
        log::panics();
        let limits = limits(max_samples)?;
        let levels = levels(clip)?;
        Ok(cut::spans(&levels, clip.length(), limits))
    }
}

auricle_guest::chunker::export!(EnergyChunker);

fn limits(max_samples: u64) -> Result<Limits, ChunkError> {
    let max_secs = secs("max-secs", 30.0, 1.0)?;
    let search_secs = secs("search-secs", 10.0, 0.0)?;
    let allowed = (max_samples / FRAME_SAMPLES) as usize;
    if allowed == 0 {
        return Err(ChunkError::Other(Some(format!(
            "spans of {max_samples} samples are too short to cut"
        ))));
    }
    Ok(Limits::new(
        frames(max_secs).min(allowed),
        frames(search_secs),
    ))
}

fn secs(key: &str, default: f64, least: f64) -> Result<f64, ChunkError> {
    let value = config::parse_or(key, default)?;
    if (least..=30.0).contains(&value) {
        Ok(value)
    } else {
        Err(ChunkError::InvalidConfiguration(format!(
            "configuration '{key}' is '{value}': use {least} to 30"
        )))
    }
}

fn frames(secs: f64) -> usize {
    (secs * f64::from(SAMPLE_RATE) / FRAME_SAMPLES as f64) as usize
}

/// The level of every frame, asked of the host in the pieces that it allows.
fn levels(clip: &Clip) -> Result<Vec<f32>, ChunkError> {
    let length = clip.length();
    let mut levels = Vec::with_capacity(length.div_ceil(FRAME_SAMPLES) as usize);
    let mut start = 0;
    while start < length {
        let end = length.min(start + MAX_VALUES * FRAME_SAMPLES);
        levels.extend(clip.levels(Span { start, end }, FRAME_SAMPLES as u32)?);
        start = end;
    }
    Ok(levels)
}
