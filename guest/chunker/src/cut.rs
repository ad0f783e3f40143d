//! Where to cut, given the level of every 10 ms and, where that is known, the probability of a voice.
//!
//! The level decides: a pause is quiet, and what is quiet in it shows to 10 ms. Where noise fills the
//! pauses, so that none shows, the voice decides.
//!
//! Reads the levels once from front to back: the work grows with the clip's length alone, because a
//! search looks back over at most half of a span. Sound is never left out. Silence is left out only
//! at the edges of a span, not inside: one window with a gap costs the model less than two windows.

use std::ops::Range;

use auricle_guest::audio::Span;

/// Samples of one frame: 10 ms.
pub const FRAME_SAMPLES: u64 = 160;

/// A frame below this root mean square is digital silence (-80 dB; the quietest bit of 16-bit audio
/// is 3e-5, a quiet room 1e-3).
const SILENCE_LEVEL: f32 = 1e-4;

/// Silence that stays at either edge of a span: 200 ms, so that no onset or fading end is lost.
const MARGIN_FRAMES: usize = 20;

/// Half of the stretch whose mean level tells how good a cut is: 2 x 100 ms, the shortest pause that
/// is surely not inside a word (a stop consonant's closure lasts up to 150 ms).
const HALF_PAUSE_FRAMES: usize = 10;

/// What must be left after a cut: 1 s. A shorter rest gives the model nothing to go by.
const LEAST_REST_FRAMES: usize = 100;

/// A place is in a pause when its level is at most this share of the way from the quietest place to
/// the mean.
const PAUSE_SHARE: f64 = 0.1;

/// Beyond this a pause is as good as a longer one: 600 ms.
const LONG_PAUSE_FRAMES: usize = 60;

/// What the latest place is worth over the earliest, as a pause's length: 100 ms. Longer spans cost
/// the model less.
const LATE_FRAMES: f64 = 10.0;

/// A stretch of sound, in frames.
#[derive(Clone, Copy, Debug)]
pub struct Sound<'a> {
    /// The root mean square of each frame.
    pub levels: &'a [f32],
    /// How loud the voice in each frame is: its level times the probability that it is one. Empty
    /// where nobody knows.
    pub voices: &'a [f32],
}

/// Lengths in frames.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    max: usize,
    search: usize,
}

impl Limits {
    /// Spans of at most `max` frames (at least 1), cut within their last `search` frames, of which at
    /// most half of `max` counts.
    pub fn new(max: usize, search: usize) -> Self {
        Self {
            max: max.max(1),
            search: search.min(max / 2),
        }
    }
}

/// The spans of a sound of `length_samples`, from its start on.
pub fn spans(sound: Sound<'_>, length_samples: u64, limits: Limits) -> Vec<Span> {
    let levels = sound.levels;
    let Some(last) = levels.iter().rposition(|&l| is_sound(l)) else {
        return Vec::new();
    };
    let end = (last + 1 + MARGIN_FRAMES).min(levels.len());
    let mut spans = Vec::new();
    let mut position = 0;
    while let Some(first) = next_sound(levels, position) {
        let start = first.saturating_sub(MARGIN_FRAMES).max(position);
        let cut = if end - start <= limits.max {
            end
        } else {
            best_cut(sound, start, end, limits)
        };
        spans.push(Span {
            start: start as u64 * FRAME_SAMPLES,
            end: (trimmed_end(levels, start, cut) as u64 * FRAME_SAMPLES).min(length_samples),
        });
        position = cut;
    }
    spans
}

fn is_sound(level: f32) -> bool {
    level >= SILENCE_LEVEL
}

fn next_sound(levels: &[f32], from: usize) -> Option<usize> {
    let rest = levels.get(from..)?;
    rest.iter().position(|&l| is_sound(l)).map(|i| from + i)
}

/// `cut`, or as much earlier as there is silence before it.
fn trimmed_end(levels: &[f32], start: usize, cut: usize) -> usize {
    let span = levels.get(start..cut).unwrap_or_default();
    match span.iter().rposition(|&l| is_sound(l)) {
        Some(last) => (start + last + 1 + MARGIN_FRAMES).min(cut),
        None => cut,
    }
}

/// The middle of the best pause that the search reaches, or the quietest place when there is none.
fn best_cut(sound: Sound<'_>, start: usize, end: usize, limits: Limits) -> usize {
    // Leaves a rest worth recognising, by cutting earlier.
    let latest = (start + limits.max)
        .min(end.saturating_sub(LEAST_REST_FRAMES))
        .max(start + limits.max / 2)
        .max(start + 1);
    let earliest = (start + limits.max - limits.search)
        .min(latest)
        .max(start + 1);
    let means = means_around(sound.levels, earliest, latest);
    let voices = (!sound.voices.is_empty()).then_some(sound.voices);
    let by_voice = || best_pause(&means_around(voices?, earliest, latest));
    if let Some(pause) = best_pause(&means).or_else(by_voice) {
        return earliest + usize::midpoint(pause.start, pause.end - 1);
    }
    let quietest = means.iter().copied().fold(f64::INFINITY, f64::min);
    let is_quietest = |mean: &f64| *mean <= quietest * (1.0 + 1e-6);
    earliest
        + means
            .iter()
            .rposition(is_quietest)
            .unwrap_or(latest - earliest)
}

/// The best pause among places with these means, if one of them is quiet enough for one.
fn best_pause(means: &[f64]) -> Option<Range<usize>> {
    let quietest = means.iter().copied().fold(f64::INFINITY, f64::min);
    let mean = means.iter().sum::<f64>() / means.len() as f64;
    let has_pause = quietest < mean / 2.0;
    has_pause.then(|| longest(means, quietest + PAUSE_SHARE * (mean - quietest)))?
}

/// The longest run of places at or below `threshold`; of runs about as long, the later one.
///
/// A long pause is likelier to be between sentences than inside one, and a sentence cut in two costs
/// the model words on both sides: on 7 minutes of read speech, cutting at the last pause instead cut
/// 8 of 15 spans inside a sentence, this 3 of 16.
fn longest(means: &[f64], threshold: f64) -> Option<Range<usize>> {
    let mut best: Option<(f64, Range<usize>)> = None;
    let mut start = None;
    for place in 0..=means.len() {
        let inside = means.get(place).is_some_and(|&m| m <= threshold);
        match (inside, start) {
            (true, None) => start = Some(place),
            (false, Some(from)) => {
                let length = (place - from).min(LONG_PAUSE_FRAMES) as f64;
                let score = length + LATE_FRAMES * place as f64 / means.len() as f64;
                if best.as_ref().is_none_or(|(least, _)| score >= *least) {
                    best = Some((score, from..place));
                }
                start = None;
            }
            _ => {}
        }
    }
    best.map(|(_, pause)| pause)
}

/// For each place from `earliest` to `latest`, the mean level of the pause's length around it.
fn means_around(levels: &[f32], earliest: usize, latest: usize) -> Vec<f64> {
    let level = |i: usize| levels.get(i).copied().map_or(0.0, f64::from);
    let from = |place: usize| place.saturating_sub(HALF_PAUSE_FRAMES);
    let to = |place: usize| (place + HALF_PAUSE_FRAMES).min(levels.len());
    let mut sum: f64 = (from(earliest)..to(earliest)).map(level).sum();
    let mut means = Vec::with_capacity(latest - earliest + 1);
    for place in earliest..=latest {
        means.push(sum.max(0.0) / (to(place) - from(place)).max(1) as f64);
        if from(place + 1) > from(place) {
            sum -= level(from(place));
        }
        if to(place + 1) > to(place) {
            sum += level(to(place));
        }
    }
    means
}

#[cfg(test)]
#[path = "cut_tests.rs"]
mod tests;
