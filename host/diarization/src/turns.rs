//! Speakers' frames to turns.
//!
//! Each frame is seen by three windows, near the ends by fewer. How many speak is the mean of what they expect;
//! who, those with the highest mean probability. Works along the clip with one window in memory.

use std::collections::VecDeque;

use crate::assign::Assigned;
use crate::frames::{
    FRAME_SPAN_SAMPLES, LOCAL_SPEAKERS, WINDOW_FRAMES, Window, frame_start_samples, frames_of_secs,
};
use crate::options::Tuning;
use crate::passages::Move;

/// Below this mean probability nobody is said to speak, however many are expected.
const MIN_PROBABILITY: f32 = 0.02;

/// One speaker's stretch, in samples of the clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub speaker: usize,
    pub start_samples: u64,
    pub end_samples: u64,
}

/// All stretches in order of start, then of speaker.
pub(crate) fn stretches(
    windows: &[Window],
    assigned: &[Assigned],
    moved: &[Vec<Move>],
    speakers: usize,
    clip_samples: u64,
    tuning: &Tuning,
) -> Vec<Stretch> {
    let mut sums = Sums::new(speakers);
    let mut frames = Runs::new(speakers, tuning);
    for ((window, row), moved) in windows.iter().zip(assigned).zip(moved) {
        sums.emit_before(window.start_frame, &mut frames);
        sums.add(window, row, moved);
    }
    sums.emit_before(u64::MAX, &mut frames);
    frames.finish(clip_samples)
}

/// The stretches of one speaker who speaks in these frames, in order.
pub(crate) fn stretches_of(
    speaker: usize,
    frames: &[u64],
    clip_samples: u64,
    tuning: &Tuning,
) -> Vec<Stretch> {
    let mut runs = Runs::new(speaker + 1, tuning);
    for &frame in frames {
        runs.speak(speaker, frame);
    }
    runs.finish(clip_samples)
}

/// Sums over windows, for the frames of one window's length.
struct Sums {
    speakers: usize,
    first_frame: u64,
    windows: VecDeque<f32>,
    expected: VecDeque<f32>,
    /// For each frame and speaker.
    activity: VecDeque<f32>,
}

impl Sums {
    fn new(speakers: usize) -> Self {
        Self {
            speakers,
            first_frame: 0,
            windows: VecDeque::new(),
            expected: VecDeque::new(),
            activity: VecDeque::new(),
        }
    }

    fn add(&mut self, window: &Window, row: &Assigned, moved: &[Move]) {
        for index in 0..WINDOW_FRAMES {
            // A window of silence is seen like any other, and says that nobody speaks.
            let activity = window.activity.get(index).copied().unwrap_or_default();
            if index == self.windows.len() {
                self.windows.push_back(0.0);
                self.expected.push_back(0.0);
                self.activity.resize((index + 1) * self.speakers, 0.0);
            }
            let mut row = *row;
            for Move { run, speaker } in moved {
                if (run.start..run.end).contains(&index)
                    && let Some(slot) = row.get_mut(run.local)
                {
                    *slot = Some(*speaker);
                }
            }
            let mut of_speaker = [(usize::MAX, 0_u8); LOCAL_SPEAKERS];
            let mut expected = 0.0;
            for ((slot, speaker), value) in of_speaker.iter_mut().zip(&row).zip(activity) {
                expected += f32::from(value) / 255.0;
                *slot = (speaker.unwrap_or(usize::MAX), value);
            }
            if let (Some(seen), Some(sum)) =
                (self.windows.get_mut(index), self.expected.get_mut(index))
            {
                *seen += 1.0;
                *sum += expected;
            }
            // Two strangers of one speaker count as the more probable one.
            of_speaker
                .sort_unstable_by_key(|&(speaker, value)| (speaker, std::cmp::Reverse(value)));
            let mut last = usize::MAX;
            for (speaker, value) in of_speaker {
                if speaker != last
                    && speaker < self.speakers
                    && let Some(sum) = self.activity.get_mut(index * self.speakers + speaker)
                {
                    *sum += f32::from(value) / 255.0;
                }
                last = speaker;
            }
        }
    }

    /// Decides on all frames before `frame`, which no later window sees.
    fn emit_before(&mut self, frame: u64, out: &mut Runs<'_>) {
        while self.first_frame < frame {
            let (Some(windows), Some(expected)) =
                (self.windows.pop_front(), self.expected.pop_front())
            else {
                break;
            };
            let activity: Vec<f32> = self.activity.drain(..self.speakers).collect();
            out.frame(self.first_frame, expected / windows, windows, &activity);
            self.first_frame += 1;
        }
        // Between windows that do not touch.
        if self.windows.is_empty() && frame != u64::MAX {
            self.first_frame = frame;
        }
    }
}

/// How many speak in a frame in which so many are expected.
fn speakers_of(expected: f32, tuning: &Tuning) -> usize {
    let further = (expected - tuning.overlap_threshold).floor().max(0.0) as usize;
    let first = usize::from(expected >= tuning.speech_threshold);
    first + if tuning.overlap { first * further } else { 0 }
}

/// Frames of each speaker joined to runs.
struct Runs<'a> {
    tuning: &'a Tuning,
    max_gap: u64,
    open: Vec<Option<(u64, u64)>>,
    done: Vec<(usize, u64, u64)>,
}

impl<'a> Runs<'a> {
    fn new(speakers: usize, tuning: &'a Tuning) -> Self {
        Self {
            tuning,
            max_gap: frames_of_secs(tuning.max_pause_secs) as u64,
            open: vec![None; speakers],
            done: Vec::new(),
        }
    }

    fn frame(&mut self, frame: u64, expected: f32, windows: f32, activity: &[f32]) {
        let count = speakers_of(expected, self.tuning);
        let mut order: Vec<_> = activity.iter().enumerate().collect();
        order.sort_by(|a, b| b.1.total_cmp(a.1));
        for (speaker, &sum) in order.into_iter().take(count) {
            if sum / windows > MIN_PROBABILITY {
                self.speak(speaker, frame);
            }
        }
    }

    fn speak(&mut self, speaker: usize, frame: u64) {
        let Some(open) = self.open.get_mut(speaker) else {
            return;
        };
        match open {
            Some((_, end)) if frame - *end <= self.max_gap => *end = frame + 1,
            Some((start, end)) => {
                self.done.push((speaker, *start, *end));
                *open = Some((frame, frame + 1));
            }
            None => *open = Some((frame, frame + 1)),
        }
    }

    fn finish(mut self, clip_samples: u64) -> Vec<Stretch> {
        for (speaker, open) in self.open.into_iter().enumerate() {
            self.done
                .extend(open.map(|(start, end)| (speaker, start, end)));
        }
        let min_frames = frames_of_secs(self.tuning.min_turn_secs);
        // No frame speaks for the clip's first 360 samples, nor for its last 610.
        let start_of = |start| {
            if start == 0 {
                0
            } else {
                frame_start_samples(start)
            }
        };
        let end_of = |end| match frame_start_samples(end) {
            end if end + FRAME_SPAN_SAMPLES > clip_samples => clip_samples,
            end => end,
        };
        let stretch = |(speaker, start, end): (usize, u64, u64)| Stretch {
            speaker,
            start_samples: start_of(start).min(clip_samples),
            end_samples: end_of(end),
        };
        let long = self
            .done
            .into_iter()
            .filter(|run| (run.2 - run.1) as f64 >= min_frames);
        let mut out: Vec<_> = long
            .map(stretch)
            .filter(|s| s.start_samples < s.end_samples)
            .collect();
        out.sort_by_key(|s| (s.start_samples, s.speaker));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_speaker_needs_more_than_further_ones() {
        let tuning = Tuning {
            speech_threshold: 0.5,
            overlap_threshold: 0.25,
            ..Tuning::default()
        };
        for (expected, count) in [
            (0.0, 0),
            (0.49, 0),
            (0.5, 1),
            (1.24, 1),
            (1.25, 2),
            (2.24, 2),
            (2.25, 3),
        ] {
            assert_eq!(speakers_of(expected, &tuning), count, "{expected}");
        }
        let alone = Tuning {
            overlap: false,
            ..tuning
        };
        assert_eq!(speakers_of(2.9, &alone), 1);
    }
}
