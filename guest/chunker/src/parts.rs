//! Stretches of speech to the parts of a clip that the model hears: long silences are left out.
//!
//! Only those: a silence that people make inside a sentence helps the model, and sentences that are
//! heard one by one cost it the words around them (688 words with pauses of 1 to 3 s: 90 errors where
//! pauses from 2 s on are left out, 78 where they stay). Where a long part is cut is no matter of
//! voice activity and stands in [`crate::cut`].

use std::ops::Range;

use crate::speech::{self, Rule};

/// What is kept, in frames of voice activity.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// What counts as speech.
    pub rule: Rule,
    /// Kept before speech.
    pub pad_before: usize,
    /// Kept after speech.
    pub pad_after: usize,
    /// A longer silence belongs to no part.
    pub max_silence: usize,
}

/// The parts of a clip, in frames: ascending, disjoint, none empty.
pub fn parts(probabilities: &[f32], keep: &Keep) -> Vec<Range<usize>> {
    let stretches = speech::stretches(probabilities, keep.rule);
    let mut parts = Vec::new();
    let mut rest = stretches.as_slice();
    let mut before = 0;
    while let Some(first) = rest.first() {
        let near = |pair: &[Range<usize>]| match pair {
            [one, next] => next.start - one.end <= keep.max_silence,
            _ => false,
        };
        let together = 1 + rest.windows(2).take_while(|pair| near(pair)).count();
        let (group, after) = rest.split_at(together.min(rest.len()));
        let group_end = group.last().map_or(first.end, |last| last.end);
        // Neighbours share a silence that is shorter than both paddings.
        let room = after.first().map_or(probabilities.len(), |next| {
            usize::midpoint(group_end, next.start)
        });
        // A short silence at the clip's own edges stays: models hear short clips better with it, and
        // languages are told apart by the first second.
        let start = match before == 0 && first.start <= keep.max_silence {
            true => 0,
            false => first.start.saturating_sub(keep.pad_before).max(before),
        };
        let tail = probabilities.len().saturating_sub(group_end);
        let end = match after.is_empty() && tail <= keep.max_silence {
            true => probabilities.len(),
            false => (group_end + keep.pad_after).min(room),
        };
        parts.push(start..end);
        before = end;
        rest = after;
    }
    parts
}

#[cfg(test)]
#[path = "parts_tests.rs"]
mod tests;
