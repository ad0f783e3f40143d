//! Strangers of each window to speakers.
//!
//! Two strangers of a window are two speakers, so each speaker is given once in a window while
//! there are speakers left. A stranger without a voice takes the speaker with whom it shares most
//! frames in the nearest windows, otherwise the one who is most active there, and never one who is
//! active in its own window.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::cluster::dot;
use crate::frames::{LOCAL_SPEAKERS, WINDOW_FRAMES, Window};

/// The speaker of each stranger of a window.
pub(crate) type Assigned = [Option<usize>; LOCAL_SPEAKERS];

/// Windows in which a stranger without a voice is looked for, the window itself among them.
const NEAREST: usize = 5;

/// A stranger's voice.
pub(crate) struct Heard {
    pub window: usize,
    pub local: usize,
    pub voice: Vec<f32>,
}

/// What a speaker sounds like.
pub(crate) struct Centre {
    pub voice: Vec<f32>,
    /// Cosine that a stranger must have to be this speaker.
    pub least: f32,
}

/// Gives each stranger a speaker; `heard` is in order of windows.
pub(crate) fn assign(windows: &[Window], heard: &[Heard], centres: &[Centre]) -> Vec<Assigned> {
    let mut assigned = vec![Assigned::default(); windows.len()];
    for together in heard.chunk_by(|a, b| a.window == b.window) {
        let Some(row) = together.first().and_then(|h| assigned.get_mut(h.window)) else {
            continue;
        };
        assign_window(row, together, centres);
    }
    let voices = assigned.clone();
    for (index, row) in assigned.iter_mut().enumerate() {
        if let Some(window) = windows.get(index) {
            let near = Near::new(windows, &voices, index);
            near.assign_voiceless(window, row);
        }
    }
    assigned
}

/// The speakers of those strangers whose voices have at least cosine `least` with them.
pub(crate) fn sure(
    assigned: &[Assigned],
    heard: &[Heard],
    centres: &[Centre],
    least: f32,
) -> Vec<Assigned> {
    let mut sure = vec![Assigned::default(); assigned.len()];
    for one in heard {
        let speaker = assigned
            .get(one.window)
            .and_then(|row| *row.get(one.local)?);
        let centre = speaker.and_then(|speaker| centres.get(speaker));
        let is_sure = centre.is_some_and(|centre| dot(&centre.voice, &one.voice) >= least);
        let row = sure.get_mut(one.window).filter(|_| is_sure);
        if let Some(slot) = row.and_then(|row| row.get_mut(one.local)) {
            *slot = speaker;
        }
    }
    sure
}

fn assign_window(row: &mut Assigned, heard: &[Heard], centres: &[Centre]) {
    let mut pairs = Vec::with_capacity(heard.len() * centres.len());
    for one in heard {
        for (speaker, centre) in centres.iter().enumerate() {
            let cosine = dot(&one.voice, &centre.voice);
            if cosine >= centre.least {
                pairs.push((cosine, one.local, speaker));
            }
        }
    }
    // Stable: of equal ones the first stranger and the heaviest speaker.
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    for only_free in [true, false] {
        for &(_, local, speaker) in &pairs {
            let taken = only_free && row.contains(&Some(speaker));
            if let Some(slot) = row.get_mut(local)
                && slot.is_none()
                && !taken
            {
                *slot = Some(speaker);
            }
        }
    }
}

/// The windows nearest to one, with the speakers of their voices.
struct Near<'a> {
    windows: Vec<(&'a Window, &'a Assigned)>,
}

impl<'a> Near<'a> {
    fn new(windows: &'a [Window], assigned: &'a [Assigned], index: usize) -> Self {
        let last = windows.len().saturating_sub(NEAREST);
        let first = index.saturating_sub(NEAREST / 2).min(last);
        let near = windows.iter().zip(assigned).enumerate();
        let near = near.skip(first).take(NEAREST);
        Self {
            windows: near
                .filter(|(other, _)| *other != index)
                .map(|(_, pair)| pair)
                .collect(),
        }
    }

    /// Gives the strangers of `window` that have no speaker in `row` the speakers with whom they
    /// share most frames, then the most active ones. Never one who is in the row already.
    fn assign_voiceless(&self, window: &Window, row: &mut Assigned) {
        let voiceless: Vec<usize> = (0..LOCAL_SPEAKERS)
            .filter(|&local| row.get(local) == Some(&None) && window.has(local))
            .collect();
        let mut pairs = Vec::new();
        for &local in &voiceless {
            let spoken = (0..WINDOW_FRAMES).filter(|&frame| window.speaks(frame, local));
            let spoken = spoken.count();
            for (other, there) in &self.windows {
                for (local_there, speaker) in there.iter().enumerate() {
                    let Some(speaker) = *speaker else { continue };
                    let frames = shared(window, local, other, local_there);
                    if frames > 0 {
                        pairs.push((true, frames, spoken, local, speaker));
                    }
                }
            }
            let active = self.activity();
            pairs.extend(
                active
                    .into_iter()
                    .map(|(speaker, frames)| (false, frames, spoken, local, speaker)),
            );
        }
        // Frames that are shared before activity; of equal ones the longer stranger.
        pairs.sort_by_key(|&(is_shared, frames, spoken, local, speaker)| {
            (Reverse((is_shared, frames, spoken)), local, speaker)
        });
        for (_, _, _, local, speaker) in pairs {
            let is_active = row.contains(&Some(speaker));
            if let Some(slot) = row.get_mut(local)
                && slot.is_none()
                && !is_active
            {
                *slot = Some(speaker);
            }
        }
    }

    /// Frames in which each speaker is heard.
    fn activity(&self) -> BTreeMap<usize, usize> {
        let mut frames = BTreeMap::new();
        for (window, row) in &self.windows {
            for (local, speaker) in row.iter().enumerate() {
                if let Some(speaker) = *speaker {
                    let spoken = (0..WINDOW_FRAMES).filter(|&frame| window.speaks(frame, local));
                    *frames.entry(speaker).or_default() += spoken.count();
                }
            }
        }
        frames
    }
}

fn shared(a: &Window, local_a: usize, b: &Window, local_b: usize) -> usize {
    let frames = (0..WINDOW_FRAMES).filter(|&frame| {
        let there = (a.start_frame + frame as u64).checked_sub(b.start_frame);
        let there = there.and_then(|frame| usize::try_from(frame).ok());
        a.speaks(frame, local_a) && there.is_some_and(|frame| b.speaks(frame, local_b))
    });
    frames.count()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;
    use crate::frames::SEGMENT_CLASSES;

    const ALONE: usize = 1;
    const BOTH: usize = 4;

    /// A window in which stranger 0 speaks all the time, and stranger 1 too in some frames.
    fn window(start_frame: u64, second: std::ops::Range<usize>) -> Window {
        let mut logs = vec![-9.0; WINDOW_FRAMES * SEGMENT_CLASSES];
        for frame in 0..WINDOW_FRAMES {
            let class = if second.contains(&frame) { BOTH } else { ALONE };
            logs[frame * SEGMENT_CLASSES + class] = 0.0;
        }
        Window::new(start_frame, &logs).unwrap()
    }

    fn centre(speaker: usize) -> Centre {
        let mut voice = vec![0.0; 4];
        voice[speaker] = 1.0;
        Centre {
            voice,
            least: f32::MIN,
        }
    }

    fn heard(window: usize, local: usize, speaker: usize) -> Heard {
        let voice = centre(speaker).voice;
        Heard {
            window,
            local,
            voice,
        }
    }

    #[test]
    fn a_voiceless_stranger_never_takes_a_speaker_of_its_window() {
        let windows: Vec<_> = (0..5).map(|n| window(185 * n, 200..300)).collect();
        let mut voices: Vec<_> = (0..5).map(|n| heard(n, 0, 0)).collect();
        let one = assign(&windows, &voices, &[centre(0)]);
        assert!(
            one.iter().all(|row| row == &[Some(0), None, None]),
            "{one:?}"
        );
        // The other speaker has a voice in the last window alone, at other frames.
        voices.push(heard(4, 1, 1));
        let two = assign(&windows, &voices, &[centre(0), centre(1)]);
        assert_eq!(two[2], [Some(0), Some(1), None], "of the nearest windows");
        assert_eq!(two[0], [Some(0), Some(1), None], "all five are near");
    }

    #[test]
    fn a_voiceless_stranger_takes_the_speaker_with_whom_it_shares_most_frames() {
        // Stranger 1 of the first window is who speaks in the same frames of the second.
        let windows = [
            window(0, 300..400),
            window(100, 200..300),
            window(200, 400..589),
        ];
        let voices = [
            heard(0, 0, 0),
            heard(1, 0, 0),
            heard(1, 1, 1),
            heard(2, 0, 0),
            heard(2, 1, 2),
        ];
        let rows = assign(&windows, &voices, &[centre(0), centre(1), centre(2)]);
        assert_eq!(rows[0], [Some(0), Some(1), None]);
    }
}
