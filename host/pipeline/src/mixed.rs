//! Chunks within which the language changes.
//!
//! A model writes a chunk in one language: it would translate the rest. Where detection finds a trace of
//! a second language, the chunk is cut at its longest pause and both parts are recognised again, each in
//! its own language. A recording in one language costs at most one such attempt that comes to nothing.
//!
//! # Limits
//! A change without a pause of 0.1 s, or within 1.5 s of either end of a chunk, is not found; nor is a
//! second change within one part.

use auricle_speech::{SAMPLE_RATE, Span, VOICE_FRAME_SAMPLES};

use crate::spoken::Chunk;

/// Attempts that may come to nothing.
const MAX_FAILURES: u32 = 1;

/// Shortest part: 1.5 s.
const LEAST_PART_SAMPLES: u64 = SAMPLE_RATE as u64 * 3 / 2;

/// Frames below this probability of speech are a pause.
const PAUSE_PROBABILITY: f32 = 0.35;

/// Frames of the shortest pause: 0.1 s.
const LEAST_PAUSE_FRAMES: usize = 3;

/// The attempts of one transcription.
#[derive(Debug, Default)]
pub(crate) struct Mixed {
    failures: u32,
}

impl Mixed {
    /// The two parts to recognise instead of `chunk`, where its language may change and there is a
    /// pause to cut it at. `voice` has the probability of speech of every frame of the clip.
    pub(crate) fn parts(&self, chunk: &Chunk, voice: &[f32]) -> Option<[Span; 2]> {
        chunk.found.detected.other?;
        if self.failures >= MAX_FAILURES {
            return None;
        }
        let cut = longest_pause(voice, chunk.span)?;
        let Span { start, end } = chunk.span;
        Some([Span { start, end: cut }, Span { start: cut, end }])
    }

    /// Whether `parts` are in two languages, and so stand for the chunk; remembers where not.
    pub(crate) fn are_two(&mut self, parts: &[Chunk]) -> bool {
        let mut languages = parts.iter().filter(|part| part.found.detected.is_certain);
        let first = languages.next().map(Chunk::language);
        let two = first.is_some() && languages.any(|part| Some(part.language()) != first);
        if !two {
            self.failures += 1;
        }
        two
    }
}

/// The sample in the middle of the longest pause that leaves enough on both sides.
fn longest_pause(voice: &[f32], span: Span) -> Option<u64> {
    let from = (span.start + LEAST_PART_SAMPLES).div_ceil(VOICE_FRAME_SAMPLES) as usize;
    let to = (span.end.checked_sub(LEAST_PART_SAMPLES)? / VOICE_FRAME_SAMPLES) as usize;
    let frames = voice.get(from..to.min(voice.len()))?;
    let mut best: Option<(usize, usize)> = None;
    let mut begun = None;
    for (frame, probability) in frames.iter().chain(std::iter::once(&1.0)).enumerate() {
        match (*probability < PAUSE_PROBABILITY, begun) {
            (true, None) => begun = Some(frame),
            (false, Some(start)) => {
                begun = None;
                let length = frame - start;
                if length >= LEAST_PAUSE_FRAMES && best.is_none_or(|(_, most)| length > most) {
                    best = Some((start, length));
                }
            }
            _ => {}
        }
    }
    let (start, length) = best?;
    Some((from + start + length / 2) as u64 * VOICE_FRAME_SAMPLES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cut_is_in_the_longest_pause_away_from_the_edges() {
        let mut voice = vec![0.9_f32; 500];
        voice.iter_mut().take(40).for_each(|p| *p = 0.0);
        voice.iter_mut().skip(200).take(10).for_each(|p| *p = 0.1);
        voice.iter_mut().skip(300).take(20).for_each(|p| *p = 0.1);
        let span = |start: u64, end: u64| Span {
            start: start * VOICE_FRAME_SAMPLES,
            end: end * VOICE_FRAME_SAMPLES,
        };
        assert_eq!(
            longest_pause(&voice, span(0, 500)),
            Some(310 * VOICE_FRAME_SAMPLES)
        );
        assert_eq!(
            longest_pause(&voice, span(100, 290)),
            Some(205 * VOICE_FRAME_SAMPLES)
        );
        assert_eq!(longest_pause(&voice, span(330, 480)), None);
        assert_eq!(longest_pause(&voice, span(0, 30)), None);
        assert_eq!(longest_pause(&[], span(0, 500)), None);
    }
}
