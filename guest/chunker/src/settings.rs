//! The deployment's settings; what each does stands at the head of the crate.

use auricle_guest::chunker::{ChunkError, SAMPLE_RATE};
use auricle_guest::{config, voice};

use crate::cut::{self, Limits};
use crate::pack::{FRAMES_PER_SEC, Packing};
use crate::speech::Rule;

/// Everything that the deployment may set.
pub struct Settings {
    /// Whether voice activity is asked for.
    pub voice: bool,
    /// How speech is packed.
    pub packing: Packing,
    /// How sound is cut by its energy.
    pub limits: Limits,
}

/// Reads all settings, so that a wrong one is told of whichever way the clip is cut.
pub fn read(max_samples: u64) -> Result<Settings, ChunkError> {
    let max_secs = number("max-secs", 30.0, 1.0..=30.0)?;
    let search_secs = number("search-secs", 10.0, 0.0..=30.0)?;
    let on = number("threshold", 0.5, 0.01..=1.0)?;
    let off = number("end-threshold", (on - 0.15).max(0.01), 0.0..=on)?;
    let packing = Packing {
        rule: Rule {
            on: on as f32,
            off: off as f32,
            min_speech: voice_frames(number("min-speech-secs", 0.25, 0.0..=5.0)?),
            min_silence: voice_frames(number("min-silence-secs", 0.1, 0.0..=5.0)?),
        },
        max: voice_frames(max_secs).min((max_samples / voice::FRAME_SAMPLES) as usize),
        pad: voice_frames(number("pad-secs", 0.2, 0.0..=5.0)?),
        max_silence: voice_frames(number("max-silence-secs", 2.0, 0.0..=30.0)?),
        window_price: number("window-cost-secs", 3.0, 0.0..=30.0)? as f32 * FRAMES_PER_SEC,
        cut_price: number("cut-cost-secs", 20.0, 0.0..=1000.0)? as f32 * FRAMES_PER_SEC,
        good_pause: voice_frames(number("good-pause-secs", 0.6, 0.0..=5.0)?),
    };
    let allowed = (max_samples / cut::FRAME_SAMPLES) as usize;
    if allowed == 0 || packing.max == 0 {
        return Err(ChunkError::Other(Some(format!(
            "spans of {max_samples} samples are too short to cut"
        ))));
    }
    Ok(Settings {
        voice: config::parse_or("voice-activity", true)?,
        packing,
        limits: Limits::new(
            energy_frames(max_secs).min(allowed),
            energy_frames(search_secs),
        ),
    })
}

fn number(
    key: &str,
    default: f64,
    range: std::ops::RangeInclusive<f64>,
) -> Result<f64, ChunkError> {
    let value = config::parse_or(key, default)?;
    if range.contains(&value) {
        return Ok(value);
    }
    let (least, most) = (range.start(), range.end());
    Err(ChunkError::InvalidConfiguration(format!(
        "configuration '{key}' is '{value}': use {least} to {most}"
    )))
}

fn voice_frames(secs: f64) -> usize {
    (secs * f64::from(FRAMES_PER_SEC)) as usize
}

fn energy_frames(secs: f64) -> usize {
    (secs * f64::from(SAMPLE_RATE) / cut::FRAME_SAMPLES as f64) as usize
}
