//! Passages: what one stranger says alone, without a pause.
//!
//! The segmentation at times takes two speakers of a window for one stranger, or one speaker for
//! two. So each passage of at least 0.6 s has an embedding of its own, and is given to another
//! speaker than its stranger's where that speaker's voice is clearly nearer.
//!
//! Windows overlap, and most passages are seen by three of them. Runs of frames that agree are one
//! passage, which is embedded once. A stranger with a single run needs no other embedding than its
//! voice. Both keep the cost low: docs/benchmarks/diarization.md.

use auricle_speech::Span;

use crate::assign::{Assigned, Centre, Heard};
use crate::cluster::dot;
use crate::frames::{LOCAL_SPEAKERS, MAX_VOICE_FRAMES, Window, frame_start_samples};
use crate::options::Tuning;

/// Shortest passage that is embedded: 0.6 s. Shorter embeddings are too noisy to decide anything.
const MIN_PASSAGE_FRAMES: usize = 35;

/// Share of frames, of the union of two runs, from which they are one passage.
const SAME_PASSAGE: f64 = 0.8;

/// Clean frames `start..end` of a window, by one of its strangers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub window: usize,
    pub local: usize,
    pub start: usize,
    pub end: usize,
}

/// Runs of different windows over the same frames of the clip.
#[derive(Clone, Debug)]
pub(crate) struct Passage {
    /// In order of windows; the first one is embedded.
    pub runs: Vec<Run>,
    /// The sound to embed, at most 4 s.
    pub span: Span,
    /// Frames of the clip: start and end.
    frames: (u64, u64),
    /// The window and stranger whose voice is embedded from this very passage.
    pub voice: Option<(usize, usize)>,
}

/// A run that is spoken by another speaker than the rest of its stranger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Move {
    pub run: Run,
    pub speaker: usize,
}

/// All passages of the segmented windows, in order of their first window.
pub(crate) fn passages<'a>(
    windows: impl Iterator<Item = (usize, &'a Window)>,
    clip_samples: u64,
) -> Vec<Passage> {
    let mut out: Vec<Passage> = Vec::new();
    // Passages before this one end before the window begins.
    let mut first = 0;
    for (index, window) in windows {
        let ended = |passage: &Passage| passage.frames.1 <= window.start_frame;
        first += out.iter().skip(first).take_while(|p| ended(p)).count();
        for local in 0..LOCAL_SPEAKERS {
            for (start, end) in window.clean_runs(local, clip_samples) {
                if end - start < MIN_PASSAGE_FRAMES {
                    continue;
                }
                let run = Run {
                    window: index,
                    local,
                    start,
                    end,
                };
                let found = Passage::new(run, window, clip_samples);
                match out.iter_mut().skip(first).find(|p| p.agrees(&found)) {
                    Some(passage) => {
                        passage.runs.push(run);
                        passage.voice = passage.voice.or(found.voice);
                    }
                    None => out.push(found),
                }
            }
        }
    }
    out
}

impl Passage {
    fn new(run: Run, window: &Window, clip_samples: u64) -> Self {
        let at = |frame: usize| window.start_frame + frame as u64;
        let cut = run.end.min(run.start + MAX_VOICE_FRAMES);
        let span = Span {
            start: frame_start_samples(at(run.start)),
            end: frame_start_samples(at(cut)),
        };
        let voice = window.voice(run.local, clip_samples);
        let is_voice = voice.is_some_and(|(spans, _)| spans == [span]);
        Self {
            runs: vec![run],
            span,
            frames: (at(run.start), at(run.end)),
            voice: is_voice.then_some((run.window, run.local)),
        }
    }

    fn agrees(&self, other: &Self) -> bool {
        let ((a, b), (c, d)) = (self.frames, other.frames);
        let shared = b.min(d).saturating_sub(a.max(c));
        let union = b.max(d) - a.min(c);
        shared as f64 >= SAME_PASSAGE * union as f64
    }
}

/// The runs that move, by window, for passages with embeddings.
pub(crate) fn moves(
    passages: &[(Passage, &[f32])],
    assigned: &[Assigned],
    centres: &[Centre],
    tuning: &Tuning,
) -> Vec<Vec<Move>> {
    let mut out = vec![Vec::new(); assigned.len()];
    for (passage, embedding) in passages {
        let cosines: Vec<f32> = centres
            .iter()
            .map(|centre| dot(&centre.voice, embedding))
            .collect();
        let close = cosines.iter().zip(centres).enumerate();
        let close = close.filter(|(_, (cosine, centre))| **cosine >= centre.least);
        let Some((best, (&nearest, _))) = close.max_by(|a, b| a.1.0.total_cmp(b.1.0)) else {
            continue;
        };
        if nearest < tuning.move_cosine {
            continue;
        }
        for &run in &passage.runs {
            let row = assigned.get(run.window);
            let own = row.and_then(|row| row.get(run.local).copied().flatten());
            let own = own.and_then(|speaker| cosines.get(speaker));
            if own.is_some_and(|&own| nearest >= own + tuning.move_margin)
                && let Some(moves) = out.get_mut(run.window)
            {
                moves.push(Move { run, speaker: best });
            }
        }
    }
    out
}

/// The passages that have an embedding, their own or that of a voice. `own` and `voices` are in
/// order of windows and strangers.
pub(crate) fn with_embeddings<'a>(
    windows: &[Window],
    clip_samples: u64,
    own: &'a [(Run, Vec<f32>)],
    voices: &'a [Heard],
) -> Vec<(Passage, &'a [f32])> {
    let of_voice = |key| {
        let place = voices.binary_search_by_key(&key, |heard| (heard.window, heard.local));
        voices.get(place.ok()?).map(|heard| heard.voice.as_slice())
    };
    let of_own = |key| {
        let place = own.binary_search_by_key(&key, |(run, _)| run.key());
        own.get(place.ok()?).map(|(_, voice)| voice.as_slice())
    };
    let found = passages(windows.iter().enumerate(), clip_samples);
    let with_embedding = |passage: Passage| {
        let embedding = match passage.voice {
            Some(key) => of_voice(key)?,
            None => of_own(passage.runs.first()?.key())?,
        };
        Some((passage, embedding))
    };
    found.into_iter().filter_map(with_embedding).collect()
}

impl Run {
    /// What tells runs apart, in order.
    pub fn key(&self) -> (usize, usize, usize) {
        (self.window, self.local, self.start)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;
    use crate::frames::{SEGMENT_CLASSES, WINDOW_FRAMES, WINDOW_SAMPLES};

    /// Windows every 185 frames, in which stranger 0 speaks in the same frames of the clip.
    fn windows(speech: &[std::ops::Range<u64>], count: u64) -> Vec<Window> {
        let window = |n: u64| {
            let mut logs = vec![-9.0; WINDOW_FRAMES * SEGMENT_CLASSES];
            for frame in 0..WINDOW_FRAMES {
                let speaks = speech.iter().any(|s| s.contains(&(185 * n + frame as u64)));
                logs[frame * SEGMENT_CLASSES + usize::from(speaks)] = 0.0;
            }
            Window::new(185 * n, &logs).unwrap()
        };
        (0..count).map(window).collect()
    }

    fn found(windows: &[Window]) -> Vec<Passage> {
        passages(windows.iter().enumerate(), 10 * WINDOW_SAMPLES)
    }

    #[test]
    fn what_several_windows_see_is_one_passage() {
        let windows = windows(&[380..450, 470..540, 545..560], 3);
        let found = found(&windows);
        assert_eq!(found.len(), 2, "15 frames are too few");
        for passage in &found {
            assert_eq!(passage.runs.len(), 3);
            assert_eq!(passage.voice, None);
        }
        assert_eq!(found[0].span.start, frame_start_samples(380));
        assert_eq!(found[0].span.end, frame_start_samples(450));
    }

    #[test]
    fn a_passage_that_is_a_whole_voice_is_not_embedded_again() {
        let found = found(&windows(std::slice::from_ref(&(380..450)), 3));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].voice, Some((0, 0)));
    }

    #[test]
    fn a_long_passage_is_cut_to_four_seconds() {
        let found = found(&windows(&[0..500, 510..580], 1));
        assert_eq!(found[0].span.len_samples(), 237 * 270);
        assert_eq!(found[0].runs[0].end, 500, "all of it may move");
    }

    #[test]
    fn a_run_moves_where_another_speaker_is_clearly_nearer() {
        let windows = windows(&[0..200, 300..400], 1);
        let centre = |voice: [f32; 3]| Centre {
            voice: voice.to_vec(),
            least: f32::MIN,
        };
        let centres = [centre([1.0, 0.0, 0.0]), centre([0.0, 1.0, 0.0])];
        let moved = |embedding: [f32; 3]| {
            let passage = found(&windows).pop().unwrap();
            let assigned = [[Some(0), None, None]];
            let tuning = Tuning::default();
            moves(&[(passage, &embedding)], &assigned, &centres, &tuning)
        };
        let run = Run {
            window: 0,
            local: 0,
            start: 300,
            end: 400,
        };
        let moves = moved([0.3, 0.8, 0.5]);
        assert_eq!(moves, [[Move { run, speaker: 1 }]]);
        assert_eq!(moved([0.7, 0.75, 0.0]), [[]], "hardly nearer");
        assert_eq!(moved([-0.3, 0.3, 0.9]), [[]], "like neither");
    }
}
