//! Which groups of voices are speakers, and how many.
//!
//! A group with enough speech is a speaker. Where fewer speakers are wanted, the two that cost
//! least are merged, which is a small one into the most similar one rather than two large ones.
//! Where more are wanted, small groups are promoted. What clustering has merged is not divided
//! again: the parts of one speaker differ by loudness and noise, not by voice.

use crate::cluster::{Clustered, Group, Rule, dot};
use crate::frames::frames_of_secs;

/// Speech below which a group that sounds like a larger one is no speaker. The mean cosine with all
/// voices of a large group, by which groups are merged, says too little of a short one.
const MIN_TWIN_SECS: f64 = 1.0;

/// Chooses the speakers among all groups.
pub(crate) fn choose_speakers(mut groups: Vec<Group>, rule: Rule) -> Clustered {
    groups.sort_by(|a, b| b.speech().total_cmp(&a.speech()));
    let (mut speakers, mut rare, mut spare) = (Vec::new(), Vec::new(), Vec::new());
    for group in groups {
        let is_heard = group.speech() > 0.0;
        let is_large = group.speech() >= rule.min_weight && !is_twin(&group, &speakers, rule);
        if is_heard && (is_large || speakers.is_empty()) {
            speakers.push(group);
        } else if group.known.is_some() {
            rare.push(group);
        } else if is_heard {
            spare.push(group);
        }
    }
    let (_, max) = rule.speakers;
    while speakers.len() > max && merge_cheapest(&mut speakers) {}
    speakers.sort_by(|a, b| b.speech().total_cmp(&a.speech()));
    speakers.truncate(max);
    rare.truncate(max - speakers.len());
    Clustered {
        spare: best_first(spare, &speakers),
        speakers,
        rare,
    }
}

/// Whether a short group sounds like a larger one.
fn is_twin(group: &Group, larger: &[Group], rule: Rule) -> bool {
    let is_short = f64::from(group.speech()) < frames_of_secs(MIN_TWIN_SECS);
    let centre = group.centre();
    let mut cosines = larger.iter().map(|other| dot(&other.centre(), &centre));
    is_short && group.known.is_none() && cosines.any(|cosine| cosine >= rule.cosine)
}

/// Merges the two groups that lose least by it (Ward's criterion, with centres of length 1); false
/// when no two may be merged.
fn merge_cheapest(groups: &mut Vec<Group>) -> bool {
    let centres: Vec<_> = groups.iter().map(Group::centre).collect();
    let mut cheapest: Option<(f32, usize, usize)> = None;
    for (b, (of_b, centre_b)) in groups.iter().zip(&centres).enumerate() {
        for (a, (of_a, centre_a)) in groups.iter().zip(&centres).enumerate().take(b) {
            let weight = of_a.weight * of_b.weight / (of_a.weight + of_b.weight);
            let cost = weight * (1.0 - dot(centre_a, centre_b));
            let is_free = of_a.known.is_none() || of_b.known.is_none();
            if is_free && cheapest.is_none_or(|(least, _, _)| cost < least) {
                cheapest = Some((cost, a, b));
            }
        }
    }
    let Some((_, a, b)) = cheapest else {
        return false;
    };
    let other = groups.remove(b);
    if let Some(into) = groups.get_mut(a) {
        into.absorb(other);
    }
    true
}

/// In order of how much they would add: much speech, unlike all speakers.
fn best_first(spare: Vec<Group>, speakers: &[Group]) -> Vec<Group> {
    let centres: Vec<_> = speakers.iter().map(Group::centre).collect();
    let mut valued: Vec<_> = spare
        .into_iter()
        .map(|group| {
            let centre = group.centre();
            let cosines = centres.iter().map(|other| dot(other, &centre));
            let nearest = cosines.fold(-1.0, f32::max);
            (group.speech() * (1.0 - nearest), group)
        })
        .collect();
    valued.sort_by(|a, b| b.0.total_cmp(&a.0));
    valued.into_iter().map(|(_, group)| group).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "tests")]
    use super::*;

    fn group(voice: [f32; 3], frames: f32, window: usize) -> Group {
        Group::new(&crate::cluster::normalised(&voice), frames, window)
    }

    fn rule(speakers: (usize, usize)) -> Rule {
        Rule {
            cosine: 0.5,
            penalty: 0.1,
            min_weight: 24.0,
            speakers,
        }
    }

    /// Two who speak much and are fairly alike, and one unlike both who says little.
    fn three() -> Vec<Group> {
        vec![
            group([1.0, 0.0, 0.0], 3000.0, 0),
            group([0.45, 0.9, 0.0], 2000.0, 1),
            group([0.2, 0.0, 1.0], 60.0, 2),
        ]
    }

    #[test]
    fn a_small_group_is_merged_before_two_large_ones() {
        let found = choose_speakers(three(), rule((1, 2)));
        let speech: Vec<_> = found.speakers.iter().map(Group::speech).collect();
        assert_eq!(speech, [3060.0, 2000.0]);
        assert_eq!(choose_speakers(three(), rule((1, 1))).speakers.len(), 1);
        assert_eq!(choose_speakers(three(), rule((1, 9))).speakers.len(), 3);
    }

    #[test]
    fn two_known_voices_are_never_merged() {
        let known = |mut group: Group, known| {
            group.known = Some(known);
            group
        };
        let mut groups = three();
        groups[1] = known(groups[1].clone(), 1);
        groups[2] = known(groups[2].clone(), 2);
        let found = choose_speakers(groups, rule((1, 2)));
        let known: Vec<_> = found.speakers.iter().map(|group| group.known).collect();
        assert!(
            known.contains(&Some(1)) && known.contains(&Some(2)),
            "{known:?}"
        );
    }

    #[test]
    fn small_groups_wait_to_be_promoted_the_most_different_first() {
        let mut groups = three();
        groups.push(group([0.9, 0.1, 0.0], 20.0, 3));
        groups.push(group([0.0, -1.0, 0.1], 18.0, 4));
        let found = choose_speakers(groups, rule((1, 9)));
        assert_eq!(found.speakers.len(), 3);
        let speech: Vec<_> = found.spare.iter().map(Group::speech).collect();
        assert_eq!(speech, [18.0, 20.0]);
    }

    #[test]
    fn a_short_group_that_sounds_like_a_speaker_is_not_another() {
        let like = |frames| {
            let mut groups = three();
            groups.push(group([0.7, 0.0, -0.7], frames, 3));
            choose_speakers(groups, rule((1, 9))).speakers.len()
        };
        assert_eq!(like(50.0), 3, "less than a second");
        assert_eq!(like(80.0), 4);
    }
}
