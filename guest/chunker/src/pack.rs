//! Stretches of speech to windows for the model: cut in pauses, long silences left out.
//!
//! Where to cut is a question of price. Another window costs the model its start; a window that is
//! longer than its speech costs the silence in it; a cut in a short pause may cost words on both
//! sides. All three are counted in seconds of audio, and the cheapest way through each group of
//! stretches is found exactly (shortest path over the places where one may cut).

use std::ops::Range;

use crate::speech::{self, Rule};

/// Frames of voice activity in a second.
pub const FRAMES_PER_SEC: f32 = 31.25;

/// How to pack, in frames of voice activity and prices in frames.
#[derive(Clone, Copy, Debug)]
pub struct Packing {
    /// What counts as speech.
    pub rule: Rule,
    /// Longest window; at least 1.
    pub max: usize,
    /// Kept before speech.
    pub pad_before: usize,
    /// Kept after speech.
    pub pad_after: usize,
    /// A longer silence belongs to no window.
    pub max_silence: usize,
    /// What a window costs beside its length.
    pub window_price: f32,
    /// What a cut without a pause costs; less with one, nothing in a pause of `good_pause`.
    pub cut_price: f32,
    /// A pause of this length is surely no pause within a sentence.
    pub good_pause: usize,
}

/// Share of the usual level of speech, times its probability, below which a frame is quiet.
const QUIET: f32 = 0.12;

/// How far around a frame the usual level of speech is taken: 10 s.
const LEVEL_FRAMES: usize = 312;

/// Where there is no pause one may cut once in so many frames, at the quietest: 1 s.
const FORCED_FRAMES: usize = 31;

/// A pause that is longer has several places to cut: 3 s.
const LONGEST_PAUSE: usize = 94;

/// Half of what is looked at around a forced cut: 2 frames, 64 ms.
const FORCED_HALF: usize = 2;

/// A cut without any pause costs this many times what one in the shortest pause does.
const FORCED_TIMES: f32 = 3.0;

/// Where one window may end and the next begin.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Place {
    /// First frame after the window before.
    end: usize,
    /// First frame of the window after; not before `end`.
    start: usize,
    price: f32,
}

/// The windows of a clip, in frames: ascending, disjoint, each at most `max` long. `levels` has the
/// root mean square of each frame and is as long as `probabilities`.
pub fn windows(probabilities: &[f32], levels: &[f32], packing: &Packing) -> Vec<Range<usize>> {
    let stretches = speech::stretches(probabilities, packing.rule);
    let sound = Sound {
        probabilities,
        voice: voices(probabilities, levels),
    };
    let mut windows = Vec::new();
    let mut rest = stretches.as_slice();
    let mut before = 0;
    while let Some(first) = rest.first() {
        let near = |pair: &[Range<usize>]| match pair {
            [one, next] => next.start - one.end <= packing.max_silence,
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
        let start = match before == 0 && first.start <= packing.max_silence {
            true => 0,
            false => first.start.saturating_sub(packing.pad_before).max(before),
        };
        let tail = probabilities.len().saturating_sub(group_end);
        let end = match after.is_empty() && tail <= packing.max_silence {
            true => probabilities.len(),
            false => (group_end + packing.pad_after).min(room),
        };
        cut(start..end, &sound, packing, &mut windows);
        before = end;
        rest = after;
    }
    windows
}

/// What the cuts are chosen by.
struct Sound<'a> {
    probabilities: &'a [f32],
    /// How loud the voice of each frame is: 0 nothing, 1 as loud as speech is around it.
    voice: Vec<f32>,
}

impl Sound<'_> {
    fn is_quiet(&self, frame: usize) -> bool {
        self.voice.get(frame).is_none_or(|&loud| loud < QUIET)
    }

    /// Whether nobody speaks, however softly.
    fn is_silence(&self, frames: Range<usize>, packing: &Packing) -> bool {
        let frames = self.probabilities.get(frames).unwrap_or_default();
        frames
            .iter()
            .all(|&probability| probability < packing.rule.off)
    }

    /// How loud the voice is around a frame.
    fn loudness(&self, frame: usize) -> f32 {
        let to = (frame + FORCED_HALF).min(self.voice.len());
        let around = self.voice.get(frame.saturating_sub(FORCED_HALF)..to);
        around.unwrap_or_default().iter().sum()
    }
}

fn voices(probabilities: &[f32], levels: &[f32]) -> Vec<f32> {
    let pairs = || probabilities.iter().zip(levels);
    let (mut voiced, mut weight) = (Sums::new(), Sums::new());
    for (&probability, &level) in pairs() {
        voiced.push(probability * level);
        weight.push(probability);
    }
    pairs()
        .enumerate()
        .map(|(frame, (&probability, &level))| {
            let around = frame.saturating_sub(LEVEL_FRAMES)..frame + LEVEL_FRAMES;
            let usual = voiced.of(&around) / weight.of(&around).max(1e-3);
            probability * (level / usual.max(1e-6) as f32).min(1.0)
        })
        .collect()
}

/// Sums of any stretch of numbers.
struct Sums(Vec<f64>);

impl Sums {
    fn new() -> Self {
        Self(vec![0.0])
    }

    fn push(&mut self, number: f32) {
        let number = if number.is_finite() { number } else { 0.0 };
        let last = self.0.last().copied().unwrap_or_default();
        self.0.push(last + f64::from(number));
    }

    fn of(&self, range: &Range<usize>) -> f64 {
        let at = |index: usize| self.0.get(index.min(self.0.len() - 1)).copied();
        at(range.end).unwrap_or_default() - at(range.start).unwrap_or_default()
    }
}

/// Cuts a group into windows.
fn cut(group: Range<usize>, sound: &Sound<'_>, packing: &Packing, windows: &mut Vec<Range<usize>>) {
    if group.len() <= packing.max && group.len() as f32 <= packing.window_price {
        windows.extend((!group.is_empty()).then_some(group));
        return;
    }
    let places = places(&group, sound, packing);
    let mut chosen = Vec::new();
    let mut at = places.len() - 1;
    let ways = cheapest(&places, packing);
    while at > 0 {
        let Some(&(_, from)) = ways.get(at) else {
            break;
        };
        if let (Some(here), Some(there)) = (places.get(at), places.get(from)) {
            chosen.push(there.start..here.end);
        }
        at = from;
    }
    windows.extend(chosen.into_iter().rev().filter(|window| !window.is_empty()));
}

/// For each place the price of the way to it and the place before it on that way.
fn cheapest(places: &[Place], packing: &Packing) -> Vec<(f32, usize)> {
    let mut ways: Vec<(f32, usize)> = vec![(0.0, 0)];
    for (number, here) in places.iter().enumerate().skip(1) {
        let mut best = (f32::INFINITY, number - 1);
        for (from, there) in places.iter().enumerate().take(number).rev() {
            let length = here.end.saturating_sub(there.start);
            if length > packing.max {
                break;
            }
            let way = ways.get(from).map_or(f32::INFINITY, |way| way.0);
            let price = way + length as f32 + packing.window_price + here.price;
            if price < best.0 {
                best = (price, from);
            }
        }
        ways.push(best);
    }
    ways
}

/// Everywhere that one may cut, and both ends of the group. No two neighbours are further apart
/// than a window is long.
fn places(group: &Range<usize>, sound: &Sound<'_>, packing: &Packing) -> Vec<Place> {
    let edge = |frame| Place {
        end: frame,
        start: frame,
        price: 0.0,
    };
    let mut places = vec![edge(group.start)];
    // Somebody who speaks softly beside somebody loud is quiet for long.
    let longest = LONGEST_PAUSE.min(packing.max.div_ceil(2)).max(1);
    let mut free = group.start;
    let mut frame = group.start;
    while frame < group.end {
        if !sound.is_quiet(frame) {
            frame += 1;
            continue;
        }
        let pause = frame;
        while frame < group.end && frame - pause < longest && sound.is_quiet(frame) {
            frame += 1;
        }
        if pause > group.start && frame < group.end {
            forced(free..pause, sound, packing, &mut places);
            places.push(in_pause(pause..frame, sound, packing));
            free = frame;
        }
    }
    forced(free..group.end, sound, packing, &mut places);
    places.push(edge(group.end));
    filled(&places, packing)
}

/// The same places, and more where two neighbours are further apart than a window is long: around
/// the edges of a group when windows are of a few frames.
fn filled(places: &[Place], packing: &Packing) -> Vec<Place> {
    let mut filled: Vec<Place> = Vec::with_capacity(places.len());
    for place in places {
        while let Some(last) = filled.last()
            && place.end.saturating_sub(last.start) > packing.max
        {
            let frame = last.start + packing.max;
            filled.push(Place {
                end: frame,
                start: frame,
                price: packing.cut_price * FORCED_TIMES,
            });
        }
        filled.push(*place);
    }
    filled
}

/// A cut in a pause: in its middle, or leaving out what is more than the paddings.
fn in_pause(pause: Range<usize>, sound: &Sound<'_>, packing: &Packing) -> Place {
    let middle = usize::midpoint(pause.start, pause.end);
    let short = 1.0 - (pause.len() as f32 / packing.good_pause.max(1) as f32).min(1.0);
    let end = (pause.start + packing.pad_after).min(middle);
    let start = pause.end.saturating_sub(packing.pad_before).max(middle);
    let silence = sound.is_silence(end..start, packing);
    Place {
        end: if silence { end } else { middle },
        start: if silence { start } else { middle },
        price: packing.cut_price * short * short,
    }
}

/// Cuts without a pause: the quietest frame of each second.
fn forced(speech: Range<usize>, sound: &Sound<'_>, packing: &Packing, places: &mut Vec<Place>) {
    let step = FORCED_FRAMES.min(packing.max.div_ceil(2)).max(1);
    let mut from = speech.start + 1;
    while from < speech.end {
        let to = (from + step).min(speech.end);
        let best = (from..to).min_by(|a, b| sound.loudness(*a).total_cmp(&sound.loudness(*b)));
        if let Some(frame) = best {
            places.push(Place {
                end: frame,
                start: frame,
                price: packing.cut_price * FORCED_TIMES,
            });
        }
        from = to;
    }
}

#[cfg(test)]
#[path = "pack_tests.rs"]
mod tests;
