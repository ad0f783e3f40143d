//! First-party chunker: finds speech with the host's voice activity and packs it into windows for
//! the model; without voice activity it cuts at quiet places.
//!
//! Owns nothing between calls. It never fetches samples: the host computes probabilities and levels.
//! Its memory is 40 bytes for every 32 ms of clip at most (4.5 MB an hour).
//!
//! # Configuration
//! Seconds, unless it says otherwise. The defaults are measured (`docs/components.md`).
//! - `max-secs`: longest span, 1 to 30, default 30 (what the model sees at once).
//! - `voice-activity`: `true` (default), or `false` to cut by energy alone.
//! - `threshold`: probability with which speech begins, 0.01 to 1, default 0.5; `end-threshold`: the
//!   one under which it ends, 0 to `threshold`, default 0.15 less.
//! - `min-speech-secs`: shorter speech is dropped unless the model is sure of it (0.9), default 0.25.
//! - `min-silence-secs`: shorter silence does not end speech, default 0.1.
//! - `pad-secs`: kept before and after speech, default 0.2.
//! - `max-silence-secs`: longer silence is in no span, default 2.
//! - `window-cost-secs`, `cut-cost-secs`, `good-pause-secs`: what another span costs (3), what a cut
//!   costs where there is no pause (20), and from which pause on it costs nothing (0.6).
//! - `search-secs`: without voice activity, how far before `max-secs` the pause may lie, 0 to 30,
//!   default 10; at most half of `max-secs` counts.
//!
//! A request may set the threshold, what is kept before speech, and which silence ends a span, for
//! itself.

mod cut;
mod pack;
mod settings;
mod speech;

use auricle_guest::audio::MAX_VALUES;
use auricle_guest::chunker::{ChunkError, Chunker, Clip, Span};
use auricle_guest::speech::SpeechError;
use auricle_guest::{log, voice};

use crate::cut::FRAME_SAMPLES;
use crate::settings::Settings;

struct VoiceChunker;

impl Chunker for VoiceChunker {
    fn split(clip: &Clip, max_samples: u64) -> Result<Vec<Span>, ChunkError> {
        log::panics();
        let settings = settings::read(max_samples)?;
        match probabilities(clip, &settings) {
            Some(probabilities) => by_voice(clip, &probabilities, &settings),
            None => by_energy(clip, &settings),
        }
    }
}

auricle_guest::chunker::export!(VoiceChunker);

/// The probability of speech in each frame, when it is wanted and to be had.
fn probabilities(clip: &Clip, settings: &Settings) -> Option<Vec<f32>> {
    if !settings.voice {
        return None;
    }
    match voice::probabilities(clip) {
        Ok(probabilities) => Some(probabilities),
        // The operator was told of it at the start.
        Err(SpeechError::Unavailable(_)) => None,
        Err(error) => {
            log::warn!("cutting by energy, because voice activity failed: {error}");
            None
        }
    }
}

fn by_voice(
    clip: &Clip,
    probabilities: &[f32],
    settings: &Settings,
) -> Result<Vec<Span>, ChunkError> {
    let length = clip.length();
    let levels = levels(clip, voice::FRAME_SAMPLES)?;
    let windows = pack::windows(probabilities, &levels, &settings.packing);
    let span = |window: std::ops::Range<usize>| Span {
        start: window.start as u64 * voice::FRAME_SAMPLES,
        end: length.min(window.end as u64 * voice::FRAME_SAMPLES),
    };
    let spans = windows.into_iter().map(span);
    Ok(spans.filter(|span| span.start < span.end).collect())
}

fn by_energy(clip: &Clip, settings: &Settings) -> Result<Vec<Span>, ChunkError> {
    let levels = levels(clip, FRAME_SAMPLES)?;
    Ok(cut::spans(&levels, clip.length(), settings.limits))
}

/// The level of every frame, asked of the host in the pieces that it allows.
fn levels(clip: &Clip, frame_samples: u64) -> Result<Vec<f32>, ChunkError> {
    let length = clip.length();
    let mut levels = Vec::with_capacity(length.div_ceil(frame_samples) as usize);
    let mut start = 0;
    while start < length {
        let end = length.min(start + MAX_VALUES * frame_samples);
        levels.extend(clip.levels(Span { start, end }, frame_samples as u32)?);
        start = end;
    }
    Ok(levels)
}
