//! The deployment's settings, and what the request wants of them; what each does stands at the head of
//! the crate.

use auricle_guest::chunker::{self, ChunkError, SAMPLE_RATE, VoiceOptions};
use auricle_guest::{config, voice};

use crate::cut::{self, Limits};
use crate::parts::Keep;
use crate::speech::Rule;

/// Everything that the deployment may set.
pub struct Settings {
    /// Whether voice activity is asked for.
    pub voice: bool,
    /// Which parts of a clip are heard.
    pub keep: Keep,
    /// How long spans may be.
    pub limits: Limits,
}

/// Reads all settings, so that a wrong one is told of whichever way the clip is cut.
pub fn read(max_samples: u64) -> Result<Settings, ChunkError> {
    let max_secs = number("max-secs", 30.0, 1.0..=30.0)?;
    let search_secs = number("search-secs", 10.0, 0.0..=30.0)?;
    let on = number("threshold", 0.5, 0.01..=1.0)?;
    let off = number(
        "end-threshold",
        (on - f64::from(HYSTERESIS)).max(0.01),
        0.0..=on,
    )?;
    let pad = voice_frames(number("pad-secs", 0.2, 0.0..=5.0)?);
    let keep = Keep {
        rule: Rule {
            on: on as f32,
            off: off as f32,
            min_speech: voice_frames(number("min-speech-secs", 0.25, 0.0..=5.0)?),
            min_silence: voice_frames(number("min-silence-secs", 0.1, 0.0..=5.0)?),
        },
        pad_before: pad,
        pad_after: pad,
        max_silence: voice_frames(number("max-silence-secs", 5.0, 0.0..=30.0)?),
    };
    let allowed = (max_samples / cut::FRAME_SAMPLES) as usize;
    if allowed == 0 {
        return Err(ChunkError::Other(Some(format!(
            "spans of {max_samples} samples are too short to cut"
        ))));
    }
    Ok(Settings {
        voice: config::parse_or("voice-activity", true)?,
        keep: match chunker::requested() {
            Some(asked) => keep.asked(asked),
            None => keep,
        },
        limits: Limits::new(
            energy_frames(max_secs).min(allowed),
            energy_frames(search_secs),
        ),
    })
}

/// How far below the threshold of speech the one is under which it ends.
const HYSTERESIS: f32 = 0.15;

impl Keep {
    /// The same with what the client asks for: every silence of its length parts two spans.
    fn asked(mut self, asked: VoiceOptions) -> Self {
        let frames = |millis: u32| voice_frames(f64::from(millis) / 1000.0);
        if let Some(threshold) = asked.threshold {
            // At 0 everything would be speech, and silence with it.
            self.rule.on = threshold.clamp(0.01, 1.0);
            self.rule.off = (self.rule.on - HYSTERESIS).max(0.01);
        }
        if let Some(millis) = asked.prefix_padding_ms {
            self.pad_before = frames(millis);
        }
        if let Some(millis) = asked.silence_duration_ms {
            self.rule.min_silence = frames(millis).max(1);
            self.max_silence = self.rule.min_silence - 1;
        }
        self
    }
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
    (secs * f64::from(SAMPLE_RATE) / voice::FRAME_SAMPLES as f64) as usize
}

fn energy_frames(secs: f64) -> usize {
    (secs * f64::from(SAMPLE_RATE) / cut::FRAME_SAMPLES as f64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Keep = Keep {
        rule: Rule {
            on: 0.5,
            off: 0.35,
            min_speech: 7,
            min_silence: 3,
        },
        pad_before: 6,
        pad_after: 6,
        max_silence: 62,
    };

    const NOTHING: VoiceOptions = VoiceOptions {
        threshold: None,
        prefix_padding_ms: None,
        silence_duration_ms: None,
    };

    /// Speech of 2 s, a pause, speech of 2 s.
    fn parts(keep: &Keep, pause: usize) -> Vec<std::ops::Range<usize>> {
        let speech = [0.95_f32; 62];
        let all = [&speech, vec![0.0; pause].as_slice(), &speech].concat();
        crate::parts::parts(&all, keep)
    }

    #[test]
    fn what_the_client_asks_for_wins_over_the_deployment() {
        let asked = USUAL.asked(VoiceOptions {
            threshold: Some(0.8),
            prefix_padding_ms: Some(320),
            silence_duration_ms: Some(640),
        });
        assert!((asked.rule.on - 0.8).abs() < 1e-6 && (asked.rule.off - 0.65).abs() < 1e-6);
        assert_eq!((asked.pad_before, asked.pad_after), (10, 6));
        assert_eq!((asked.rule.min_silence, asked.max_silence), (20, 19));
        let same = USUAL.asked(NOTHING);
        assert_eq!((same.pad_before, same.max_silence), (6, 62));
    }

    #[test]
    fn a_silence_as_long_as_asked_parts_two_spans() {
        let asked = USUAL.asked(VoiceOptions {
            silence_duration_ms: Some(640),
            ..NOTHING
        });
        assert_eq!(parts(&USUAL, 25).len(), 1);
        assert_eq!(parts(&asked, 25).len(), 2);
        assert_eq!(parts(&asked, 15).len(), 1);
    }

    #[test]
    fn nothing_is_speech_over_a_threshold_that_nothing_reaches() {
        let deaf = USUAL.asked(VoiceOptions {
            threshold: Some(1.0),
            ..NOTHING
        });
        assert!(parts(&deaf, 25).is_empty());
        let keen = USUAL.asked(VoiceOptions {
            threshold: Some(0.0),
            ..NOTHING
        });
        assert_eq!(parts(&keen, 25).len(), 1);
    }
}
