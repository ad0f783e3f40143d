//! The third speaker of a clip in which two were two.
//!
//! Who hardly speaks, or only while others do, has no voice to compare, and clustering gives what
//! they say to others. Yet the segmentation saw them: three strangers of one window are three
//! people, however unsure it is of the third. (Two need not be: it takes one reader for two at
//! times.) So where windows hold three strangers and all voices are of two speakers, whoever is
//! left over when the two have taken the strangers that agree best with them is a third speaker,
//! if there is enough of them for the clip's length. They speak where those windows expect them,
//! beside whoever else does. How far that can be relied on is in docs/benchmarks/diarization.md.

use std::collections::BTreeMap;

use crate::assign::Assigned;
use crate::frames::{LOCAL_SPEAKERS, WINDOW_FRAMES, Window, frames_of_secs, seen_by};
use crate::options::Tuning;

/// Expected speech of each of a window's strangers from which they are three.
const MIN_STRANGER_SECS: f64 = 0.3;

/// Mean probability from which the third speaks. Low: the segmentation is never sure of them.
const MIN_PROBABILITY: f32 = 0.18;

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
    /// Frames in which they speak, in order.
    pub frames: Vec<u64>,
    /// The windows that tell them apart.
    pub sights: Vec<Sight>,
}

/// What is known of a clip of two speakers.
pub(crate) struct Two<'a> {
    pub windows: &'a [Window],
    /// The windows' first frames.
    pub starts: &'a [u64],
    /// The windows' strangers, given to the two.
    pub assigned: &'a [Assigned],
    /// The numbers of the two.
    pub speakers: [usize; 2],
}

/// The third speaker, where there is one.
pub(crate) fn third_speaker(two: &Two<'_>, tuning: &Tuning) -> Option<Third> {
    let least = frames_of_secs(MIN_STRANGER_SECS) as f32;
    let mut sights = Vec::new();
    for (index, window) in two.windows.iter().enumerate() {
        let frames = |local| window.expected(local).map(|(_, value)| value).sum::<f32>();
        if (0..LOCAL_SPEAKERS).all(|local| frames(local) >= least) {
            let cast = cast(two, window);
            sights.push(Sight {
                window: index,
                cast,
            });
        }
    }
    let third: f64 = left_over(two, &sights)
        .map(|(w, l)| frames(two, w, l))
        .sum();
    if third < frames_of_secs(tuning.min_speaker_secs) {
        return None;
    }
    let of_window = |w| -> f64 { (0..LOCAL_SPEAKERS).map(|l| frames(two, w, l)).sum() };
    let all: f64 = two.windows.iter().map(of_window).sum();
    (third >= all * tuning.third_speaker_share).then(|| Third {
        frames: spoken(left_over(two, &sights)),
        sights,
    })
}

/// The windows of the sights, and who of each is left over.
fn left_over<'a>(
    two: &'a Two<'_>,
    sights: &'a [Sight],
) -> impl Iterator<Item = (&'a Window, usize)> {
    sights
        .iter()
        .filter_map(|sight| Some((two.windows.get(sight.window)?, sight.cast[2])))
}

/// Expected frames of a stranger, each divided by how many windows see it.
fn frames(two: &Two<'_>, window: &Window, local: usize) -> f64 {
    let share = |(frame, value): (u64, f32)| f64::from(value) / seen_by(two.starts, frame) as f64;
    window.expected(local).map(share).sum()
}

/// The cast of a window in which the two speakers agree best with what the windows around say of
/// them.
fn cast(two: &Two<'_>, window: &Window) -> [usize; LOCAL_SPEAKERS] {
    let mut agreement = [[0.0_f32; 2]; LOCAL_SPEAKERS];
    let ended = |start: &u64| start + WINDOW_FRAMES as u64 <= window.start_frame;
    let first = two.starts.partition_point(ended);
    let around = two.windows.iter().zip(two.assigned).skip(first);
    for (other, row) in around.take_while(|(other, _)| other.start_frame < window.end_frame()) {
        for (local_there, speaker) in row.iter().enumerate() {
            let of_two = two.speakers.iter().position(|one| Some(*one) == *speaker);
            for (local, sums) in agreement.iter_mut().enumerate() {
                if let Some(sum) = of_two.and_then(|speaker| sums.get_mut(speaker)) {
                    *sum += agree(window, local, other, local_there, two.starts);
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
