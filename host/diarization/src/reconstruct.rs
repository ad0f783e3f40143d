//! From groups of voices to turns.

use std::collections::BTreeSet;

use auricle_speech::CancelFlag;

use crate::assign::{Assigned, Centre, Heard, assign, sure};
use crate::cluster::{Clustered, Group};
use crate::error::DiarizationError;
use crate::frames::{LOCAL_SPEAKERS, Window};
use crate::naming::{label, name};
use crate::options::{DiarizeOptions, KnownSpeaker};
use crate::passages::{Move, Passage, moves};
use crate::session::Diarized;
use crate::third::{Third, View, third_speakers};
use crate::turns::{Stretch, stretches, stretches_of};

/// Times that groups are promoted to get as many speakers as the caller wants.
const MAX_PROMOTIONS: usize = 8;

/// What the models said of a clip.
pub(crate) struct Evidence<'a> {
    pub clip_samples: u64,
    /// The windows' first frames.
    pub starts: &'a [u64],
    pub windows: &'a [Window],
    pub heard: &'a [Heard],
    /// Passages with their embeddings.
    pub passages: Vec<(Passage, &'a [f32])>,
    pub known: &'a [KnownSpeaker],
    pub options: &'a DiarizeOptions,
}

impl Evidence<'_> {
    /// The turns of the speakers that were found, and of small groups while fewer than
    /// `speakers.0` speak. Never of more than `speakers.1`.
    pub fn with_enough_speakers(
        &self,
        clustered: &Clustered,
        speakers: (usize, usize),
        cancel: &CancelFlag,
    ) -> Result<Diarized, DiarizationError> {
        let (min, max) = speakers;
        let (mut found, mut promoted) = (self.turns(clustered, 0, max), 0);
        for _ in 0..MAX_PROMOTIONS {
            if cancel.is_cancelled() {
                return Err(DiarizationError::Cancelled);
            }
            let missing = min.saturating_sub(found.speakers.len());
            if missing == 0 || promoted >= clustered.spare.len() {
                break;
            }
            promoted += missing;
            let more = self.turns(clustered, promoted, max);
            if more.speakers.len() <= max {
                found = more;
            }
        }
        Ok(found)
    }

    /// The turns when so many small groups are speakers.
    fn turns(&self, clustered: &Clustered, promoted: usize, max: usize) -> Diarized {
        let tuning = &self.options.tuning;
        let spare = clustered.spare.iter().take(promoted);
        let speakers: Vec<Group> = clustered.speakers.iter().chain(spare).cloned().collect();
        let centres = centres(&speakers, &clustered.rare, tuning.known_speaker_cosine);
        let mut assigned = assign(self.windows, self.heard, &centres);
        let mut sure = sure(&assigned, self.heard, &centres, tuning.move_cosine);
        let mut moved = moves(&self.passages, &assigned, &centres, tuning);
        let groups = [speakers, clustered.rare.clone()].concat();
        let mut named = name(&groups, self.known, self.options);
        for speaker in assigned.iter_mut().chain(&mut sure).flatten() {
            *speaker = speaker.and_then(|index| named.place_of.get(index).copied());
        }
        let count = named.voices.len();
        for moved in moved.iter_mut().flatten() {
            moved.speaker = named.place_of.get(moved.speaker).copied().unwrap_or(count);
        }
        let used: BTreeSet<usize> = assigned.iter().flatten().flatten().copied().collect();
        let view = View {
            windows: self.windows,
            starts: self.starts,
            assigned: &assigned,
            sure: &sure,
            speakers: &used,
        };
        let mut thirds = third_speakers(&view, tuning);
        thirds.truncate(max.saturating_sub(used.len()));
        for (third, number) in thirds.iter().zip(count..) {
            give(&mut assigned, third, number);
            named.voices.push(Vec::new());
            named.names.push(None);
        }
        label(&self.stretches(&assigned, &moved, &thirds, count), &named)
    }

    /// The stretches of `count` speakers and of the third ones.
    fn stretches(
        &self,
        assigned: &[Assigned],
        moved: &[Vec<Move>],
        thirds: &[Third],
        count: usize,
    ) -> Vec<Stretch> {
        let (clip_samples, tuning) = (self.clip_samples, &self.options.tuning);
        let all = count + thirds.len();
        let mut found = stretches(self.windows, assigned, moved, all, clip_samples, tuning);
        found.retain(|stretch| stretch.speaker < count);
        for (third, number) in thirds.iter().zip(count..) {
            found.extend(stretches_of(number, &third.frames, clip_samples, tuning));
        }
        found.sort_by_key(|stretch| (stretch.start_samples, stretch.speaker));
        found
    }
}

/// The speakers' voices. Rare known ones are there for those alone who sound like them.
fn centres(speakers: &[Group], rare: &[Group], known_cosine: f32) -> Vec<Centre> {
    let centre = |least| {
        move |group: &Group| Centre {
            voice: group.centre(),
            least,
        }
    };
    let speakers = speakers.iter().map(centre(f32::MIN));
    speakers
        .chain(rare.iter().map(centre(known_cosine)))
        .collect()
}

/// Gives the strangers of the windows that show a third speaker to all three.
fn give(assigned: &mut [Assigned], third: &Third, number: usize) {
    let [a, b] = third.beside;
    let speakers: [usize; LOCAL_SPEAKERS] = [a, b, number];
    for sight in &third.sights {
        for (&local, speaker) in sight.cast.iter().zip(speakers) {
            let row = assigned.get_mut(sight.window);
            if let Some(slot) = row.and_then(|row| row.get_mut(local)) {
                *slot = Some(speaker);
            }
        }
    }
}
