//! Voices to speakers: agglomerative clustering by mean cosine, weighted by clean speech.
//!
//! The mean cosine of two groups is the product of their sums, so a group is a sum, whatever it
//! holds; that makes clustering in two levels the same maths as in one. Clips of some 15 minutes
//! are clustered at once. Of longer ones, voices that are near in time are first put together
//! where they are surely one, block by block, until no more than [`MAX_GROUPS`] are left: time
//! grows with the clip and not with its square. Written here because the kept crates take a
//! matrix of all pairs, and neither weights nor what holds two groups apart.
//!
//! A known voice is a group from the start, so that it gathers its own before others do; two of
//! them are never one.

use auricle_speech::CancelFlag;

use crate::DiarizationError;
use crate::count::choose_speakers;

/// Groups that are compared with each other, at most: 1 MB of cosines, 0.1 s.
const MAX_GROUPS: usize = 512;

/// Voices of a block of the first level.
const BLOCK: usize = 256;

/// Cosines at which the first level may put groups together: sure ones first.
const BLOCK_COSINES: [f32; 3] = [0.85, 0.75, 0.65];

/// Less than any cosine without what it may lose.
const UNLIKE: f32 = -2.0;

/// What a known voice weighs: as much as the longest sound of the clip that is embedded, 4 s.
const KNOWN_WEIGHT: f32 = 237.0;

/// Voices that are of one speaker, as far as is known.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// Sum of the voices, each times its weight.
    sum: Vec<f32>,
    /// Frames of clean speech, and [`KNOWN_WEIGHT`] for a known voice.
    pub weight: f32,
    /// Which known speaker it is.
    pub known: Option<usize>,
    /// Windows in which it speaks and for how many frames, in order.
    windows: Vec<(usize, f32)>,
}

/// What clustering finds.
pub(crate) struct Clustered {
    /// Groups that are speakers, heaviest first; the heaviest always.
    pub speakers: Vec<Group>,
    /// Known voices that are not among them, as many as there may be more speakers.
    pub rare: Vec<Group>,
    /// Groups that are too small for speakers, best first: the ones to promote where more speakers
    /// are wanted.
    pub spare: Vec<Group>,
}

impl Group {
    /// A voice of length 1, heard for `weight` frames of a window.
    pub fn new(voice: &[f32], weight: f32, window: usize) -> Self {
        Self {
            sum: voice.iter().map(|value| value * weight).collect(),
            weight,
            known: None,
            windows: vec![(window, weight)],
        }
    }

    /// The voice of known speaker `known`, of length 1, of whom nothing is heard yet.
    pub fn of_known(voice: &[f32], known: usize) -> Self {
        Self {
            sum: voice.iter().map(|value| value * KNOWN_WEIGHT).collect(),
            weight: KNOWN_WEIGHT,
            known: Some(known),
            windows: Vec::new(),
        }
    }

    /// Frames of clean speech in the clip.
    pub fn speech(&self) -> f32 {
        self.windows.iter().map(|entry| entry.1).sum()
    }

    /// The mean voice, of length 1.
    pub fn centre(&self) -> Vec<f32> {
        normalised(&self.sum)
    }

    fn likeness(&self, other: &Self, penalty: f32) -> f32 {
        if self.known.is_some() && other.known.is_some() {
            return UNLIKE;
        }
        let cosine = dot(&self.sum, &other.sum) / (self.weight * other.weight);
        let shared = self.shared_frames(other) / self.weight.min(other.weight);
        let likeness = cosine - penalty * shared;
        if likeness.is_finite() {
            likeness
        } else {
            UNLIKE
        }
    }

    /// Frames of the smaller part in each window where both speak.
    fn shared_frames(&self, other: &Self) -> f32 {
        let (mut left, mut right) = (
            self.windows.iter().peekable(),
            other.windows.iter().peekable(),
        );
        let mut sum = 0.0;
        while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
            match a.0.cmp(&b.0) {
                std::cmp::Ordering::Less => _ = left.next(),
                std::cmp::Ordering::Greater => _ = right.next(),
                std::cmp::Ordering::Equal => {
                    sum += a.1.min(b.1);
                    left.next();
                    right.next();
                }
            }
        }
        sum
    }

    pub fn absorb(&mut self, other: Self) {
        for (sum, value) in self.sum.iter_mut().zip(&other.sum) {
            *sum += value;
        }
        self.weight += other.weight;
        self.known = self.known.or(other.known);
        self.windows.extend(other.windows);
        self.windows.sort_by_key(|entry| entry.0);
        self.windows.dedup_by(|later, first| {
            let same = later.0 == first.0;
            if same {
                first.1 += later.1;
            }
            same
        });
    }
}

/// What to put together, and how far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    /// Mean cosine from which groups are one.
    pub cosine: f32,
    /// What the cosine loses for shared windows.
    pub penalty: f32,
    /// Frames of clean speech from which a group is a speaker.
    pub min_weight: f32,
    /// Fewest and most speakers.
    pub speakers: (usize, usize),
}

/// Puts groups and known voices together.
pub(crate) fn cluster(
    mut groups: Vec<Group>,
    known: Vec<Group>,
    rule: Rule,
    cancel: &CancelFlag,
) -> Result<Clustered, DiarizationError> {
    for cosine in BLOCK_COSINES {
        let mut before = usize::MAX;
        // Another pass pays while it takes a tenth away: neighbours come into one block.
        while groups.len() > MAX_GROUPS && groups.len() < before - before / 10 {
            before = groups.len();
            groups = merge_blocks(groups, cosine, rule.penalty, cancel)?;
        }
    }
    if groups.len() > MAX_GROUPS {
        groups.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        groups.truncate(MAX_GROUPS);
    }
    groups.extend(known);
    let mut tree = Tree::new(groups.clone(), rule.penalty);
    let mut merges = Vec::with_capacity(groups.len());
    while let Some((a, b, likeness)) = tree.nearest() {
        if cancel.is_cancelled() {
            return Err(DiarizationError::Cancelled);
        }
        tree.merge(a, b);
        merges.push((a, b, likeness));
    }
    let same = merges.iter().take_while(|merge| merge.2 >= rule.cosine);
    let mut slots: Vec<_> = groups.into_iter().map(Some).collect();
    for &(a, b, _) in same {
        let taken = slots.get_mut(b).and_then(Option::take);
        if let (Some(Some(into)), Some(other)) = (slots.get_mut(a), taken) {
            into.absorb(other);
        }
    }
    Ok(choose_speakers(slots.into_iter().flatten().collect(), rule))
}

fn merge_blocks(
    groups: Vec<Group>,
    cosine: f32,
    penalty: f32,
    cancel: &CancelFlag,
) -> Result<Vec<Group>, DiarizationError> {
    let mut out = Vec::with_capacity(groups.len());
    for block in groups.chunks(BLOCK) {
        if cancel.is_cancelled() {
            return Err(DiarizationError::Cancelled);
        }
        let mut tree = Tree::new(block.to_vec(), penalty);
        while let Some((a, b, likeness)) = tree.nearest() {
            if likeness < cosine {
                break;
            }
            tree.merge(a, b);
        }
        out.extend(tree.groups.into_iter().flatten());
    }
    Ok(out)
}

fn at(values: &[f32], index: usize) -> f32 {
    values.get(index).copied().unwrap_or(UNLIKE)
}

/// Groups and how alike each two of them are.
struct Tree {
    groups: Vec<Option<Group>>,
    penalty: f32,
    likeness: Vec<Vec<f32>>,
    /// For each group the most alike other, of those before it.
    best: Vec<Option<(usize, f32)>>,
}

impl Tree {
    fn new(groups: Vec<Group>, penalty: f32) -> Self {
        let likeness: Vec<Vec<f32>> = groups
            .iter()
            .enumerate()
            .map(|(row, a)| {
                groups
                    .iter()
                    .take(row)
                    .map(|b| a.likeness(b, penalty))
                    .collect()
            })
            .collect();
        let mut tree = Self {
            best: vec![None; groups.len()],
            groups: groups.into_iter().map(Some).collect(),
            penalty,
            likeness,
        };
        for row in 0..tree.groups.len() {
            tree.find_best(row);
        }
        tree
    }

    /// The most alike two, the earlier first; `None` when fewer than two are left.
    fn nearest(&self) -> Option<(usize, usize, f32)> {
        let mut nearest: Option<(usize, usize, f32)> = None;
        for (row, best) in self.best.iter().enumerate() {
            if let Some((column, likeness)) = *best
                && nearest.is_none_or(|(_, _, most)| likeness > most)
            {
                nearest = Some((column, row, likeness));
            }
        }
        nearest
    }

    /// Puts the later group `b` into the earlier group `a`.
    fn merge(&mut self, a: usize, b: usize) {
        let taken = self.groups.get_mut(b).and_then(Option::take);
        let (Some(Some(into)), Some(other)) = (self.groups.get_mut(a), taken) else {
            return;
        };
        into.absorb(other);
        let into = into.clone();
        for index in 0..self.groups.len() {
            if let Some(Some(group)) = self.groups.get(index)
                && index != a
            {
                let likeness = into.likeness(group, self.penalty);
                let (row, column) = (a.max(index), a.min(index));
                if let Some(cell) = self.likeness.get_mut(row).and_then(|r| r.get_mut(column)) {
                    *cell = likeness;
                }
            }
        }
        for row in 0..self.groups.len() {
            let stale = match self.best.get(row) {
                Some(Some((column, _))) => *column == a || *column == b,
                _ => false,
            };
            if stale || row == a || row == b {
                self.find_best(row);
            } else if row > a {
                self.offer(row, a);
            }
        }
    }

    fn offer(&mut self, row: usize, column: usize) {
        if !matches!(self.groups.get(row), Some(Some(_))) {
            return;
        }
        let likeness = self.likeness.get(row).map_or(UNLIKE, |row| at(row, column));
        if let Some(best) = self.best.get_mut(row)
            && best.is_none_or(|(_, most)| likeness > most)
        {
            *best = Some((column, likeness));
        }
    }

    fn find_best(&mut self, row: usize) {
        if let Some(best) = self.best.get_mut(row) {
            *best = None;
        }
        for column in 0..row {
            if matches!(self.groups.get(column), Some(Some(_))) {
                self.offer(row, column);
            }
        }
    }
}

/// Product of two lists, over the shorter one.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The same direction with length 1; numbers that are not finite or all 0 become 0.
pub(crate) fn normalised(values: &[f32]) -> Vec<f32> {
    let length = dot(values, values).sqrt();
    let scale = |value: &f32| {
        if length.is_normal() {
            value / length
        } else {
            0.0
        }
    };
    values.iter().map(scale).collect()
}
