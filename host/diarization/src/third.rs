//! A third speaker beside two.
//!
//! A speaker who says little, or speaks only while others do, has no voice to compare, and
//! clustering gives their speech to others. Yet the segmentation tells them apart: three strangers
//! of one window are three speakers, however low the probability of the third. (Two strangers may
//! be one speaker.) So where exactly two speakers are heard in the windows around, and windows hold
//! three strangers, the one left over when the two speakers have taken the strangers that agree
//! best with them is a third, if there is enough of their speech. The third speaks where those
//! windows expect it, in addition to the other speakers. Heavy overlap makes the segmentation
//! unreliable, and the rule does not apply there. docs/benchmarks/diarization.md has the evidence.

use std::collections::{BTreeMap, BTreeSet};

use crate::assign::Assigned;
use crate::frames::{LOCAL_SPEAKERS, WINDOW_FRAMES, Window, frames_of_secs, seen_by};
use crate::options::Tuning;

/// Expected speech of each of a window's strangers from which they are three.
const MIN_STRANGER_SECS: f64 = 0.3;

/// Mean probability from which the third speaks. Low: the segmentation is never sure of them.
const MIN_PROBABILITY: f32 = 0.18;

/// Share of the speech in which two speak at once, from which three strangers are no proof: where
/// voices cover each other, the segmentation takes one speaker for two.
const MAX_OVERLAP: f64 = 0.3;

/// Windows to either side in which no other speaker than the two is heard: 15 s.
const AROUND: usize = 5;

/// All casts.
const CASTS: [[usize; LOCAL_SPEAKERS]; 6] = [
    [0, 1, 2],
    [1, 0, 2],
    [0, 2, 1],
    [2, 0, 1],
    [1, 2, 0],
    [2, 1, 0],
];

/// A window of three strangers.
pub(crate) struct Sight {
    /// The window's index.
    pub window: usize,
    /// Which strangers the two speakers are, and who is left over.
    pub cast: [usize; LOCAL_SPEAKERS],
}

/// A third speaker.
pub(crate) struct Third {
    /// The two speakers of the windows that tell the third apart.
    pub beside: [usize; 2],
    /// Frames in which the third speaks, in order.
    pub frames: Vec<u64>,
    /// The windows that tell them apart.
    pub sights: Vec<Sight>,
}

/// A clip whose strangers have speakers.
pub(crate) struct View<'a> {
    pub windows: &'a [Window],
    /// The windows' first frames.
    pub starts: &'a [u64],
    /// The windows' strangers, given to speakers.
    pub assigned: &'a [Assigned],
    /// The same for those alone who sound like their speaker.
    pub sure: &'a [Assigned],
    /// All speakers of the strangers.
    pub speakers: &'a BTreeSet<usize>,
}

/// The third speakers: at most one beside each two.
pub(crate) fn third_speakers(view: &View<'_>, tuning: &Tuning) -> Vec<Third> {
    let mut windows_of: BTreeMap<[usize; 2], Vec<usize>> = BTreeMap::new();
    for window in 0..view.windows.len() {
        if let Some(two) = view.two_around(window) {
            windows_of.entry(two).or_default().push(window);
        }
    }
    let third = |(two, windows): (&[usize; 2], &Vec<usize>)| view.third(*two, windows, tuning);
    windows_of.iter().filter_map(third).collect()
}

impl View<'_> {
    /// The two speakers who are heard around a window, when they are exactly two.
    fn two_around(&self, window: usize) -> Option<[usize; 2]> {
        let around: BTreeSet<usize> = if self.speakers.len() == 2 {
            self.speakers.clone()
        } else {
            let first = window.saturating_sub(AROUND);
            let rows = self
                .sure
                .iter()
                .skip(first)
                .take(window - first + AROUND + 1);
            rows.flatten().flatten().copied().collect()
        };
        let mut speakers = around.into_iter();
        match (speakers.next(), speakers.next(), speakers.next()) {
            (Some(a), Some(b), None) => Some([a, b]),
            _ => None,
        }
    }

    /// The third speaker beside two, in the windows in which only these two are heard.
    fn third(&self, beside: [usize; 2], windows: &[usize], tuning: &Tuning) -> Option<Third> {
        let least = frames_of_secs(MIN_STRANGER_SECS) as f32;
        let (mut sights, mut all) = (Vec::new(), 0.0);
        for &index in windows {
            let window = self.windows.get(index)?;
            all += (0..LOCAL_SPEAKERS)
                .map(|l| frames(self, window, l))
                .sum::<f64>();
            let frames = |local| window.expected(local).map(|(_, value)| value).sum::<f32>();
            if (0..LOCAL_SPEAKERS).all(|local| frames(local) >= least) {
                let cast = cast(self, beside, window);
                sights.push(Sight {
                    window: index,
                    cast,
                });
            }
        }
        if sights.is_empty() || self.overlap(windows) > MAX_OVERLAP {
            return None;
        }
        let third: f64 = left_over(self, &sights)
            .map(|(w, l)| frames(self, w, l))
            .sum();
        let least = frames_of_secs(tuning.min_speaker_secs).max(all * tuning.third_speaker_share);
        (third >= least).then(|| Third {
            beside,
            frames: spoken(left_over(self, &sights)),
            sights,
        })
    }

    /// The share of the speech of windows in which two speak at once.
    fn overlap(&self, windows: &[usize]) -> f64 {
        let (mut one, mut two) = (0.0, 0.0);
        for window in windows.iter().filter_map(|&w| self.windows.get(w)) {
            for (frame, speaking) in (window.start_frame..).zip(&window.speaking) {
                let share = 1.0 / seen_by(self.starts, frame) as f64;
                one += if speaking.count_ones() > 0 {
                    share
                } else {
                    0.0
                };
                two += if speaking.count_ones() > 1 {
                    share
                } else {
                    0.0
                };
            }
        }
        two / f64::max(one, 1.0)
    }
}

/// The windows of the sights, and who of each is left over.
fn left_over<'a>(
    view: &'a View<'_>,
    sights: &'a [Sight],
) -> impl Iterator<Item = (&'a Window, usize)> {
    sights
        .iter()
        .filter_map(|sight| Some((view.windows.get(sight.window)?, sight.cast[2])))
}

/// Expected frames of a stranger, each divided by how many windows see it.
fn frames(view: &View<'_>, window: &Window, local: usize) -> f64 {
    let share = |(frame, value): (u64, f32)| f64::from(value) / seen_by(view.starts, frame) as f64;
    window.expected(local).map(share).sum()
}

/// The cast of a window in which the two speakers agree best with what the windows around say of
/// them.
fn cast(view: &View<'_>, two: [usize; 2], window: &Window) -> [usize; LOCAL_SPEAKERS] {
    let mut agreement = [[0.0_f32; 2]; LOCAL_SPEAKERS];
    let ended = |start: &u64| start + WINDOW_FRAMES as u64 <= window.start_frame;
    let first = view.starts.partition_point(ended);
    let around = view.windows.iter().zip(view.assigned).skip(first);
    for (other, row) in around.take_while(|(other, _)| other.start_frame < window.end_frame()) {
        for (local_there, speaker) in row.iter().enumerate() {
            let of_two = two.iter().position(|one| Some(*one) == *speaker);
            for (local, sums) in agreement.iter_mut().enumerate() {
                if let Some(sum) = of_two.and_then(|speaker| sums.get_mut(speaker)) {
                    *sum += agree(window, local, other, local_there, view.starts);
                }
            }
        }
    }
    let of_cast = |cast: &[usize; LOCAL_SPEAKERS]| -> f32 {
        let sums = cast.iter().filter_map(|&local| agreement.get(local));
        sums.enumerate()
            .filter_map(|(speaker, sums)| sums.get(speaker))
            .sum()
    };
    let best = CASTS
        .iter()
        .max_by(|a, b| of_cast(a).total_cmp(&of_cast(b)));
    best.copied().unwrap_or_default()
}

/// In how many frames both are expected, each frame divided by how many windows see it.
fn agree(a: &Window, local_a: usize, b: &Window, local_b: usize, starts: &[u64]) -> f32 {
    let there = |frame: u64| {
        let index = usize::try_from(frame.checked_sub(b.start_frame)?).ok()?;
        b.activity.get(index)?.get(local_b).copied()
    };
    a.expected(local_a)
        .map(|(frame, value)| {
            let other = there(frame).map_or(0.0, |other| f32::from(other) / 255.0);
            value * other / seen_by(starts, frame) as f32
        })
        .sum()
}

/// Where the mean of those who are left over is high enough.
fn spoken<'a>(left_over: impl Iterator<Item = (&'a Window, usize)>) -> Vec<u64> {
    let mut means: BTreeMap<u64, (f32, f32)> = BTreeMap::new();
    for (window, local) in left_over {
        for (frame, value) in window.expected(local) {
            let (sum, windows) = means.entry(frame).or_default();
            *sum += value;
            *windows += 1.0;
        }
    }
    let speaks = |(sum, windows): (f32, f32)| sum >= MIN_PROBABILITY * windows;
    let frames = means.into_iter().filter(|(_, mean)| speaks(*mean));
    frames.map(|(frame, _)| frame).collect()
}
