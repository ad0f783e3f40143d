//! First-party chunker: leaves long silences out, as far as the host's voice activity tells of them,
//! and cuts the rest at quiet places into spans that the model hears at once.
//!
//! Owns nothing between calls. It never fetches samples: the host computes probabilities and levels.
//! Its memory is 4 bytes for every 32 ms of clip and 8 for every 10 ms (3.4 MB an hour). The level of a
//! recording does not matter: soft ones are raised (`level`).
//!
//! # Configuration
//! Seconds, unless it says otherwise. The defaults are measured (`docs/components.md`).
//! - `max-secs`: longest span, 1 to 30, default 30 (what the model sees at once).
//! - `search-secs`: how far before `max-secs` the pause may lie in which a span ends, 0 to 30, default
//!   10; at most half of `max-secs` counts.
//! - `voice-activity`: `true` (default), or `false` to leave out digital silence alone.
//! - `threshold`: probability with which speech begins, 0.01 to 1, default 0.5; `end-threshold`: the
//!   one under which it ends, 0 to `threshold`, default 0.15 less.
//! - `min-speech-secs`: shorter speech is dropped unless the model is sure of it (0.9), default 0.25.
//! - `min-silence-secs`: shorter silence does not end speech, default 0.1.
//! - `pad-secs`: kept before and after speech, default 0.2.
//! - `max-silence-secs`: longer silence is in no span, default 5.
//!
//! A request may set the threshold, what is kept before speech, and which silence ends a span, for
//! itself.

mod cut;
mod level;
mod parts;
mod settings;
mod speech;

use auricle_guest::audio::MAX_VALUES;
use auricle_guest::chunker::{ChunkError, Chunker, Clip, Span};
use auricle_guest::speech::SpeechError;
use auricle_guest::{log, voice};

use crate::cut::{FRAME_SAMPLES, Sound};
use crate::settings::Settings;

struct VoiceChunker;

impl Chunker for VoiceChunker {
    fn split(clip: &Clip, max_samples: u64) -> Result<Vec<Span>, ChunkError> {
        log::panics();
        let settings = settings::read(max_samples)?;
        let mut levels = levels(clip)?;
        level::raise(&mut levels);
        Ok(match probabilities(clip, &settings) {
            Some(probabilities) => by_voice(clip.length(), &levels, &probabilities, &settings),
            None => {
                let sound = Sound {
                    levels: &levels,
                    voices: &[],
                };
                cut::spans(sound, clip.length(), settings.limits)
            }
        })
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
            log::warn!("cutting the whole clip, because voice activity failed: {error}");
            None
        }
    }
}

/// Cuts the parts in which somebody speaks.
fn by_voice(
    length_samples: u64,
    levels: &[f32],
    probabilities: &[f32],
    settings: &Settings,
) -> Vec<Span> {
    let voices = voices(levels, probabilities);
    // Both at the same place, so that parts that touch do not overlap.
    let at = |frame: usize| match frame < probabilities.len() {
        true => (frame as u64 * voice::FRAME_SAMPLES / FRAME_SAMPLES) as usize,
        false => levels.len(),
    };
    let mut spans = Vec::new();
    for part in parts::parts(probabilities, &settings.keep) {
        let frames = at(part.start)..at(part.end);
        let offset = frames.start as u64 * FRAME_SAMPLES;
        let sound = Sound {
            levels: levels.get(frames.clone()).unwrap_or_default(),
            voices: voices.get(frames).unwrap_or_default(),
        };
        let cut = cut::spans(
            sound,
            length_samples.saturating_sub(offset),
            settings.limits,
        );
        spans.extend(cut.into_iter().map(|span| Span {
            start: span.start + offset,
            end: span.end + offset,
        }));
    }
    spans
}

/// How loud the voice of each level's frame is.
fn voices(levels: &[f32], probabilities: &[f32]) -> Vec<f32> {
    let voice = |(frame, level): (usize, &f32)| {
        let within = (frame as u64 * FRAME_SAMPLES / voice::FRAME_SAMPLES) as usize;
        let known = probabilities.get(within).filter(|p| p.is_finite());
        level * known.copied().unwrap_or_default()
    };
    levels.iter().enumerate().map(voice).collect()
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
