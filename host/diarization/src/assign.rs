//! Strangers of each window to speakers.
//!
//! Two strangers of a window are two speakers, so each speaker is given once in a window while
//! there are speakers left. A stranger without a voice takes the speaker of whom it overlaps with
//! most in the windows beside.

use crate::cluster::dot;
use crate::frames::{LOCAL_SPEAKERS, WINDOW_FRAMES, Window};

/// The speaker of each stranger of a window.
pub(crate) type Assigned = [Option<usize>; LOCAL_SPEAKERS];

/// Windows to either side in which a stranger without a voice is looked for.
const NEIGHBOURS: usize = 2;

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
        for (local, speaker) in row.iter_mut().enumerate() {
            let here = windows.get(index).filter(|window| window.has(local));
            if let (None, Some(window)) = (*speaker, here) {
                *speaker = neighbour(windows, &voices, index, window, local);
            }
        }
    }
    assigned
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

/// The speaker with whom stranger `local` shares most frames in the windows beside.
fn neighbour(
    windows: &[Window],
    assigned: &[Assigned],
    index: usize,
    window: &Window,
    local: usize,
) -> Option<usize> {
    let mut best: Option<(usize, usize)> = None;
    let first = index.saturating_sub(NEIGHBOURS);
    for (other, row) in windows
        .iter()
        .zip(assigned)
        .skip(first)
        .take(2 * NEIGHBOURS + 1)
    {
        for (local_there, speaker) in row.iter().enumerate() {
            let Some(speaker) = *speaker else { continue };
            let frames = shared(window, local, other, local_there);
            if frames > best.map_or(0, |(most, _)| most) {
                best = Some((frames, speaker));
            }
        }
    }
    best.map(|(_, speaker)| speaker)
}

fn shared(a: &Window, local_a: usize, b: &Window, local_b: usize) -> usize {
    // The window itself is among its neighbours, with other strangers.
    if a.start_frame == b.start_frame {
        return 0;
    }
    let frames = (0..WINDOW_FRAMES).filter(|&frame| {
        let there = (a.start_frame + frame as u64).checked_sub(b.start_frame);
        let there = there.and_then(|frame| usize::try_from(frame).ok());
        a.speaks(frame, local_a) && there.is_some_and(|frame| b.speaks(frame, local_b))
    });
    frames.count()
}
