//! The language of one chunk, from how probable each language is.

use serde::{Deserialize, Serialize};

use crate::audio::SAMPLE_RATE;
use crate::language::Language;
use crate::transcript::{LanguageScore, Segment};

/// Probability from which a chunk's language is certain.
const CERTAIN_PROBABILITY: f32 = 0.6;

/// Shortest chunk in which a change of language is looked for: 6 s.
const MIXED_SAMPLES: usize = 6 * SAMPLE_RATE as usize;

/// Probability of a second language from which a part of a chunk may be in it. With `base`, windows of
/// 10 s in one language gave at most 0.007 to any other and windows of 30 s at most 0.0006; windows of
/// 26 s of two languages, 3 to 23 s of each, gave 0.006 to 0.49 to the second one.
const MIXED_PROBABILITY: f32 = 0.008;
const MIXED_PROBABILITY_LONG: f32 = 0.004;

/// From here on a window is long: 15 s.
const LONG_SAMPLES: usize = 15 * SAMPLE_RATE as usize;

/// Shortest chunk whose language is certain: 2 s.
const CERTAIN_SAMPLES: usize = 2 * SAMPLE_RATE as usize;

/// How the language of a chunk is to be found. Plain data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// The languages to choose from; empty means all.
    pub candidates: Vec<Language>,
}

impl Detection {
    /// The likeliest candidate for a chunk of this length; `scores` are best first. English where no
    /// candidate has a score.
    #[must_use]
    pub fn choose(&self, scores: &[LanguageScore], samples: usize) -> Detected {
        let fits = |score: &&LanguageScore| {
            self.candidates.is_empty() || self.candidates.contains(&score.language)
        };
        let sum: f32 = scores
            .iter()
            .filter(fits)
            .map(|score| score.probability)
            .sum();
        let mut ranked = scores.iter().filter(fits);
        let (best, second) = (ranked.next(), ranked.next());
        let mixed = match samples {
            0..MIXED_SAMPLES => f32::INFINITY,
            MIXED_SAMPLES..LONG_SAMPLES => MIXED_PROBABILITY,
            LONG_SAMPLES.. => MIXED_PROBABILITY_LONG,
        };
        Detected {
            language: best.map_or(Language::ENGLISH, |score| score.language),
            is_certain: samples >= CERTAIN_SAMPLES
                && best.is_some_and(|score| score.probability >= CERTAIN_PROBABILITY * sum),
            other: second
                .filter(|score| score.probability >= mixed * sum)
                .map(|score| score.language),
        }
    }
}

/// The language of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detected {
    /// The likeliest language.
    pub language: Language,
    /// Whether it may differ from that of the speech around it. It may not for short chunks, and
    /// where another language is about as likely.
    pub is_certain: bool,
    /// A language that a part of the chunk may be in instead.
    pub other: Option<Language>,
}

/// A chunk transcribed in the language that was detected in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DetectedSegments {
    /// The language.
    pub detected: Detected,
    /// Its segments.
    pub segments: Vec<Segment>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(of: &[(&str, f32)]) -> Vec<LanguageScore> {
        let score = |(code, probability): &(&str, f32)| LanguageScore {
            language: code.parse().unwrap_or(Language::ENGLISH),
            probability: *probability,
        };
        of.iter().map(score).collect()
    }

    #[test]
    fn a_language_is_certain_when_it_is_clearly_likeliest_in_a_chunk_of_two_seconds() {
        let choose = |probability, secs: usize| {
            let scores = scores(&[("es", probability), ("en", 0.3)]);
            let detected = Detection::default().choose(&scores, secs * 16_000);
            assert_eq!(detected.language.code(), "es");
            detected.is_certain
        };
        assert!(choose(0.7, 2));
        assert!(!choose(0.7, 1));
        assert!(!choose(0.4, 30));
    }

    #[test]
    fn a_second_language_shows_in_longer_chunks() {
        let other = |probability, secs: usize| {
            let scores = scores(&[("es", 0.9), ("en", probability)]);
            let detected = Detection::default().choose(&scores, secs * 16_000);
            detected.other.map(Language::code)
        };
        assert_eq!(other(0.05, 8), Some("en"));
        assert_eq!(other(0.006, 8), None);
        assert_eq!(other(0.006, 20), Some("en"));
        assert_eq!(other(0.001, 20), None);
        assert_eq!(other(0.3, 4), None);
    }

    #[test]
    fn only_candidates_are_chosen_and_compared() {
        let scores = scores(&[("es", 0.9), ("de", 0.08), ("en", 0.02)]);
        let candidates = ["de", "en"].map(|code| code.parse().unwrap_or(Language::ENGLISH));
        let detection = Detection {
            candidates: candidates.to_vec(),
        };
        let detected = detection.choose(&scores, 480_000);
        assert_eq!(
            (detected.language.code(), detected.is_certain),
            ("de", true)
        );
        assert_eq!(
            Detection::default().choose(&[], 9).language,
            Language::ENGLISH
        );
    }
}
