//! A chunker that is no misdeed: it tells through its spans whether the two ways of listening agree
//! and are refused where they should be. Its answer is one span of the whole clip, or an error.

use auricle_guest::chunker::{ChunkError, Chunker, Clip, Span};
use auricle_guest::speech::SpeechError;
use auricle_guest::voice::{self, Detector};

struct Hearer;

/// Bytes of PCM that a detector takes at once: 60 s.
const MOST_BYTES: usize = 1_920_000;

impl Chunker for Hearer {
    fn split(clip: &Clip, _: u64) -> Result<Vec<Span>, ChunkError> {
        let all = Span {
            start: 0,
            end: clip.length(),
        };
        let whole = voice::probabilities(clip).map_err(failed)?;
        let pcm: Vec<u8> = clip
            .samples(all)?
            .iter()
            .flat_map(|sample| ((sample * 32_768.0) as i16).to_le_bytes())
            .collect();
        let detector = Detector::new();
        let mut live = Vec::new();
        // Messages end within samples and within frames.
        for message in pcm.chunks(7_001) {
            live.extend(detector.push(message).map_err(failed)?);
        }
        live.extend(detector.finish().map_err(failed)?);
        if detector.finish().map_err(failed)?.is_some() {
            return Err(wrong("a finished detector had something left"));
        }
        let expected = all.end.div_ceil(u64::from(voice::frame_samples())) as usize;
        if whole.len() != expected || live.len() != expected {
            return Err(wrong("another number of frames"));
        }
        if whole.iter().zip(&live).any(|(a, b)| (a - b).abs() > 1e-2) {
            return Err(wrong("live and whole differ"));
        }
        match detector.push(&vec![0; MOST_BYTES + 1]) {
            Err(SpeechError::InvalidOption(_)) => Ok(vec![all]),
            _ => Err(wrong("more than a minute was taken at once")),
        }
    }
}

fn failed(error: SpeechError) -> ChunkError {
    ChunkError::Other(Some(error.to_string()))
}

fn wrong(what: &str) -> ChunkError {
    ChunkError::Other(Some(what.to_owned()))
}

auricle_guest::chunker::export!(Hearer);
