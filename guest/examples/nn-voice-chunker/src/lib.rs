//! Example of a chunker: runs Silero VAD itself, through `wasi:nn`, and cuts at pauses.
//!
//! The deployment must be granted the graph: `nn = ["silero-vad"]`. The model reads frames of 512
//! samples, each with the 64 before it, many at once, and hands its state (`h`, `c`) from one run to
//! the next.
//!
//! # Configuration
//! - `graph`: name of the graph, default `silero-vad`.
//! - `threshold`: least probability of speech, default 0.5.

use auricle_guest::chunker::{ChunkError, Chunker, Clip, Span};
use auricle_guest::config;
use auricle_guest::nn::{Graph, NnError, f32s};

const FRAME: usize = 512;
const CONTEXT: usize = 64;
const STEP: usize = CONTEXT + FRAME;

/// Numbers of each half of the state.
const STATE: usize = 128;

/// Frames of one run: 10 s.
const BATCH: u64 = 312;

/// Frames kept before and after speech: some 0.2 s.
const PAD: usize = 6;

struct VoiceChunker;

impl Chunker for VoiceChunker {
    fn split(clip: &Clip, max_samples: u64) -> Result<Vec<Span>, ChunkError> {
        let name: String = config::parse_or("graph", "silero-vad".to_owned())?;
        let threshold: f32 = config::parse_or("threshold", 0.5)?;
        let mut voice = Voice::load(&name).map_err(failed)?;
        let mut probabilities = Vec::new();
        let step = BATCH * FRAME as u64;
        for number in 0..clip.length().div_ceil(step) {
            let start = number * step;
            let end = clip.length().min(start + step);
            let samples = clip.samples(Span { start, end })?;
            probabilities.extend(voice.hear(&samples).map_err(failed)?);
        }
        Ok(spans(&probabilities, clip.length(), max_samples, threshold))
    }
}

auricle_guest::chunker::export!(VoiceChunker);

/// The model, and what it remembers of the clip.
struct Voice {
    graph: Graph,
    context: Vec<f32>,
    h: Vec<f32>,
    c: Vec<f32>,
}

impl Voice {
    fn load(name: &str) -> Result<Self, NnError> {
        Ok(Self {
            graph: Graph::load(name)?,
            context: vec![0.0; CONTEXT],
            h: vec![0.0; STATE],
            c: vec![0.0; STATE],
        })
    }

    /// The probability of speech in each frame of what follows; the last frame is filled up with
    /// silence.
    fn hear(&mut self, samples: &[f32]) -> Result<Vec<f32>, NnError> {
        let frames = samples.len().div_ceil(FRAME);
        let mut sound = std::mem::take(&mut self.context);
        sound.extend_from_slice(samples);
        sound.resize(CONTEXT + frames * FRAME, 0.0);
        self.context = sound.split_at(frames * FRAME).1.to_vec();
        let rows: Vec<f32> = sound
            .windows(STEP)
            .step_by(FRAME)
            .flatten()
            .copied()
            .collect();
        let state = [1, 1, STATE as u32];
        let outputs = self.graph.compute(vec![
            ("input", f32s(&[frames as u32, STEP as u32], &rows)),
            ("h", f32s(&state, &self.h)),
            ("c", f32s(&state, &self.c)),
        ])?;
        self.h = outputs.f32s_at(1)?;
        self.c = outputs.f32s_at(2)?;
        outputs.f32s_at(0)
    }
}

/// Spans of speech of at most `max_samples`, cut where speech is least probable in their second half.
fn spans(probabilities: &[f32], length: u64, max_samples: u64, threshold: f32) -> Vec<Span> {
    let frame = FRAME as u64;
    let most = ((max_samples / frame) as usize).max(2);
    let speaks = |probability: &f32| *probability >= threshold;
    let Some(last) = probabilities.iter().rposition(speaks) else {
        return Vec::new();
    };
    let all = (last + 1 + PAD).min(probabilities.len());
    let mut spans = Vec::new();
    let mut position = 0;
    while let Some(found) = probabilities
        .get(position..)
        .and_then(|rest| rest.iter().position(speaks))
    {
        let start = (position + found).saturating_sub(PAD).max(position);
        let end = match all - start <= most {
            true => all,
            false => quietest(probabilities, start + most / 2, start + most),
        };
        spans.push(Span {
            start: start as u64 * frame,
            end: (end as u64 * frame).min(length),
        });
        position = end;
    }
    spans
}

/// The frame in `from..to` in which speech is least probable.
fn quietest(probabilities: &[f32], from: usize, to: usize) -> usize {
    let range = probabilities.get(from..to).unwrap_or_default();
    let least = range.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1));
    from + least.map_or(0, |(index, _)| index)
}

fn failed(error: NnError) -> ChunkError {
    ChunkError::Other(Some(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(probabilities: &[f32], length: u64, max_samples: u64) -> Vec<(u64, u64)> {
        let spans = spans(probabilities, length, max_samples, 0.5);
        spans.iter().map(|s| (s.start / 512, s.end)).collect()
    }

    #[test]
    fn silence_has_no_span_and_speech_is_cut_at_its_quietest() {
        assert!(found(&[0.1; 50], 25_600, 480_000).is_empty());
        assert!(found(&[], 0, 480_000).is_empty());
        let mut speech = [0.9; 40];
        if let Some(pause) = speech.get_mut(15) {
            *pause = 0.0;
        }
        let cut = found(&speech, 40 * 512 - 5, 20 * 512);
        assert_eq!(cut.first(), Some(&(0, 15 * 512)));
        assert_eq!(cut.last().map(|span| span.1), Some(40 * 512 - 5));
    }
}
