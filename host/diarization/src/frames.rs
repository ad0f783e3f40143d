//! Windows and frames, and what a window says.
//!
//! Windows begin on frames of one grid over the clip, so that frames of different windows fall
//! together and nothing is interpolated. They are spread evenly and the last one ends with the
//! clip: a window that is filled up with silence is understood worse.

use auricle_speech::Span;

use crate::DiarizationError;

/// Samples of a window: 10 s at 16 kHz, what segmentation 3.0 was trained on.
pub const WINDOW_SAMPLES: u64 = 160_000;

/// Frames that the segmentation gives for a window.
pub const WINDOW_FRAMES: usize = 589;

/// Samples from one frame to the next: 16.875 ms.
pub const FRAME_STEP_SAMPLES: u64 = 270;

/// Samples that a frame sees; it speaks for the 270 in their middle.
pub(crate) const FRAME_SPAN_SAMPLES: u64 = 991;

/// Samples that a frame sees before those that it speaks for.
const FRAME_OFFSET_SAMPLES: u64 = 360;

/// Strangers that are told apart in a window.
pub const LOCAL_SPEAKERS: usize = 3;

/// Classes of a frame: nobody, one of three, two of three.
pub const SEGMENT_CLASSES: usize = 7;

/// Who speaks in each class (pyannote's powerset of at most two of three).
const CLASS_SPEAKERS: [[bool; LOCAL_SPEAKERS]; SEGMENT_CLASSES] = [
    [false, false, false],
    [true, false, false],
    [false, true, false],
    [false, false, true],
    [true, true, false],
    [true, false, true],
    [false, true, true],
];

/// Frames from one window to the next, at most: 3.1 s, so that a frame is seen three times. Steps
/// from 1 s to 5 s differ by no more than where the windows happen to fall.
const WINDOW_STEP_FRAMES: u64 = 185;

/// Sound given to the speaker model at once, at most: 4 s. More does not tell more.
pub(crate) const MAX_VOICE_FRAMES: usize = 237;

/// A run of clean frames shorter than 68 ms is left out.
const MIN_RUN_FRAMES: usize = 4;

/// Least that is embedded: 219 ms; CAM++ needs 215 ms.
const MIN_VOICE_FRAMES: usize = 13;

/// Frames in `secs`, rounded down.
pub(crate) fn frames_of_secs(secs: f64) -> f64 {
    secs * f64::from(auricle_speech::SAMPLE_RATE) / FRAME_STEP_SAMPLES as f64
}

/// Where the sound that frame `frame` of the clip speaks for begins.
pub(crate) fn frame_start_samples(frame: u64) -> u64 {
    FRAME_OFFSET_SAMPLES + frame * FRAME_STEP_SAMPLES
}

/// First frames of the windows of a clip; none for an empty clip.
pub(crate) fn window_starts(clip_samples: u64) -> Vec<u64> {
    if clip_samples == 0 {
        return Vec::new();
    }
    let last = clip_samples
        .saturating_sub(WINDOW_SAMPLES)
        .div_ceil(FRAME_STEP_SAMPLES);
    let steps = last.div_ceil(WINDOW_STEP_FRAMES);
    (0..=steps)
        .map(|step| (last * step + steps / 2).checked_div(steps).unwrap_or(0))
        .collect()
}

/// How many windows see frame `frame`, at least one; `starts` are their first frames, in order.
pub(crate) fn seen_by(starts: &[u64], frame: u64) -> usize {
    let begun = starts.partition_point(|&start| start <= frame);
    let ended = starts.partition_point(|&start| start + WINDOW_FRAMES as u64 <= frame);
    (begun - ended).max(1)
}

/// What the segmentation says of one window.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    /// Position of the first frame in the clip.
    pub start_frame: u64,
    /// Probability that each stranger speaks in a frame, in 255ths; empty for silence.
    pub activity: Vec<[u8; LOCAL_SPEAKERS]>,
    /// Who speaks in the frame's most probable class, one bit each.
    pub speaking: Vec<u8>,
}

impl Window {
    pub fn silent(start_frame: u64) -> Self {
        Self {
            start_frame,
            activity: Vec::new(),
            speaking: Vec::new(),
        }
    }

    /// Reads the natural logarithms of the classes' probabilities, frame by frame.
    pub fn new(start_frame: u64, log_probabilities: &[f32]) -> Result<Self, DiarizationError> {
        let expected = WINDOW_FRAMES * SEGMENT_CLASSES;
        if log_probabilities.len() != expected {
            return Err(DiarizationError::WrongAnswer {
                model: "segmentation",
                found: log_probabilities.len(),
                expected,
            });
        }
        let mut window = Self::silent(start_frame);
        for frame in log_probabilities.chunks_exact(SEGMENT_CLASSES) {
            let mut activity = [0.0_f32; LOCAL_SPEAKERS];
            let (mut best, mut speaking) = (f32::NEG_INFINITY, 0);
            for (&log, speakers) in frame.iter().zip(&CLASS_SPEAKERS) {
                for (sum, &speaks) in activity.iter_mut().zip(speakers) {
                    *sum += if speaks { log.exp() } else { 0.0 };
                }
                if log > best {
                    best = log;
                    speaking = bits(speakers);
                }
            }
            // `as` takes what is not a number for 0 and what is too much for 255.
            window
                .activity
                .push(activity.map(|p| (p * 255.0).round() as u8));
            window.speaking.push(speaking);
        }
        Ok(window)
    }

    /// The frame of the clip after the last.
    pub fn end_frame(&self) -> u64 {
        self.start_frame + WINDOW_FRAMES as u64
    }

    /// The probability that stranger `local` speaks, for each frame of the clip; empty for silence.
    pub fn expected(&self, local: usize) -> impl Iterator<Item = (u64, f32)> {
        let frames = (self.start_frame..).zip(&self.activity);
        frames.map(move |(frame, activity)| {
            let value = activity.get(local).copied().unwrap_or_default();
            (frame, f32::from(value) / 255.0)
        })
    }

    /// Whether stranger `local` speaks in frame `frame` of the window.
    pub fn speaks(&self, frame: usize, local: usize) -> bool {
        self.speaking
            .get(frame)
            .is_some_and(|bits| bits >> local & 1 == 1)
    }

    /// Whether stranger `local` speaks at all.
    pub fn has(&self, local: usize) -> bool {
        let frames = self.speaking.iter().filter(|bits| *bits >> local & 1 == 1);
        frames.take(MIN_RUN_FRAMES).count() == MIN_RUN_FRAMES
    }

    /// Frames in which stranger `local` speaks alone.
    pub fn clean_frames(&self, local: usize) -> impl Iterator<Item = usize> {
        let frames = self.speaking.iter().enumerate();
        frames
            .filter(move |(_, bits)| **bits == 1 << local)
            .map(|(frame, _)| frame)
    }

    /// Runs of frames inside the clip in which stranger `local` speaks alone, as start and end;
    /// none shorter than 68 ms.
    pub fn clean_runs(&self, local: usize, clip_samples: u64) -> Vec<(usize, usize)> {
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for frame in self.clean_frames(local) {
            let end = frame_start_samples(self.start_frame + frame as u64 + 1);
            match runs.last_mut() {
                _ if end > clip_samples => break,
                Some(run) if run.1 == frame => run.1 += 1,
                _ => runs.push((frame, frame + 1)),
            }
        }
        runs.retain(|(start, end)| end - start >= MIN_RUN_FRAMES);
        runs
    }

    /// The sound in which stranger `local` is heard alone, and how many frames there were before
    /// it was cut to the longest runs; `None` when it is too short for a voice.
    pub fn voice(&self, local: usize, clip_samples: u64) -> Option<(Vec<Span>, usize)> {
        let mut runs = self.clean_runs(local, clip_samples);
        let total: usize = runs.iter().map(|(start, end)| end - start).sum();
        if total < MIN_VOICE_FRAMES {
            return None;
        }
        runs.sort_by_key(|&(start, end)| (std::cmp::Reverse(end - start), start));
        let mut left = MAX_VOICE_FRAMES;
        for (start, end) in &mut runs {
            *end = (*end).min(*start + left);
            left -= *end - *start;
        }
        runs.retain(|(start, end)| end > start);
        runs.sort_unstable();
        let at = |frame: usize| frame_start_samples(self.start_frame + frame as u64);
        let span = |&(start, end): &(usize, usize)| Span {
            start: at(start),
            end: at(end),
        };
        Some((runs.iter().map(span).collect(), total))
    }
}

fn bits(speakers: &[bool; LOCAL_SPEAKERS]) -> u8 {
    let bit = |(local, &speaks): (usize, &bool)| u8::from(speaks) << local;
    speakers.iter().enumerate().map(bit).sum()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    fn window(class_of: impl Fn(usize) -> usize) -> Window {
        let mut logs = vec![-9.0; WINDOW_FRAMES * SEGMENT_CLASSES];
        for frame in 0..WINDOW_FRAMES {
            logs[frame * SEGMENT_CLASSES + class_of(frame)] = 0.0;
        }
        Window::new(0, &logs).unwrap()
    }

    proptest! {
        #[test]
        fn windows_cover_the_clip_and_none_reaches_a_frame_past_its_end(
            clip_samples in 1_u64..100_000_000,
        ) {
            let starts = window_starts(clip_samples);
            prop_assert_eq!(starts[0], 0);
            for pair in starts.windows(2) {
                prop_assert!(pair[0] < pair[1] && pair[1] - pair[0] <= WINDOW_STEP_FRAMES + 1);
            }
            let end = starts.last().unwrap() * FRAME_STEP_SAMPLES + WINDOW_SAMPLES;
            prop_assert!(end >= clip_samples);
            prop_assert!(end < clip_samples + FRAME_STEP_SAMPLES || starts.len() == 1);
        }

        #[test]
        fn numbers_of_no_sense_do_not_panic(value in prop::num::f32::ANY) {
            let window = Window::new(0, &vec![value; WINDOW_FRAMES * SEGMENT_CLASSES]).unwrap();
            for local in 0..LOCAL_SPEAKERS {
                let _ = window.voice(local, 1000);
            }
        }
    }

    #[test]
    fn an_empty_clip_has_no_window() {
        assert!(window_starts(0).is_empty());
    }

    #[test]
    fn a_voice_is_taken_where_nobody_else_speaks() {
        // 0 alone, then 0 and 1, then 1 alone.
        let window = window(|frame| [1, 4, 2][(frame / 100).min(2)]);
        let (spans, frames) = window.voice(0, WINDOW_SAMPLES).unwrap();
        assert_eq!(frames, 100);
        let expected = Span {
            start: 360,
            end: 360 + 100 * 270,
        };
        assert_eq!(spans, [expected]);
        assert!(window.voice(2, WINDOW_SAMPLES).is_none());
        let (spans, frames) = window.voice(1, WINDOW_SAMPLES).unwrap();
        assert_eq!(frames, 389);
        assert_eq!(spans[0].len_samples(), 237 * 270, "cut to four seconds");
    }
}
