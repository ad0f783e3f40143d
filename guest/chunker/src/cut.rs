//! Where to cut, given the level of every 10 ms.
//!
//! Reads the levels once from front to back: the work grows with the clip's length alone, because a
//! search looks back over at most half of a span. Sound is never left out. Silence is left out only
//! at the edges of a span, not inside: one window with a gap costs the model less than two windows.

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

/// The spans of a clip of `length_samples` whose frames have these levels.
pub fn spans(levels: &[f32], length_samples: u64, limits: Limits) -> Vec<Span> {
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
            best_cut(levels, start, end, limits)
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

/// The middle of the last pause that the search reaches, or the quietest place when there is none.
fn best_cut(levels: &[f32], start: usize, end: usize, limits: Limits) -> usize {
    // Leaves a rest worth recognising, by cutting earlier.
    let latest = (start + limits.max)
        .min(end.saturating_sub(LEAST_REST_FRAMES))
        .max(start + limits.max / 2)
        .max(start + 1);
    let earliest = (start + limits.max - limits.search)
        .min(latest)
        .max(start + 1);
    let means: Vec<f64> = means_around(levels, earliest, latest);
    let quietest = means.iter().copied().fold(f64::INFINITY, f64::min);
    let mean = means.iter().sum::<f64>() / means.len() as f64;
    let has_pause = quietest < mean / 2.0;
    let threshold = if has_pause {
        quietest + PAUSE_SHARE * (mean - quietest)
    } else {
        quietest * (1.0 + 1e-6)
    };
    let Some(pause_end) = means.iter().rposition(|&m| m <= threshold) else {
        return latest;
    };
    if !has_pause {
        return earliest + pause_end;
    }
    let before = means.get(..pause_end).unwrap_or_default();
    let pause_start = before
        .iter()
        .rposition(|&m| m > threshold)
        .map_or(0, |i| i + 1);
    earliest + usize::midpoint(pause_start, pause_end)
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
