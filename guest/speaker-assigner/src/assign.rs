//! Who said a segment, given the turns.

use std::str::FromStr;

use auricle_guest::speaker_assigner::{Segment, Turn};

use crate::split;

/// A segment that no turn touches goes to a turn at most this many seconds away: the detector of
/// turns misses short answers, and a speaker further away has nothing to do with it.
const NEAREST_SECS: f64 = 1.0;

/// Two turns are as near to a word as each other when the difference is at most this: a word's times
/// are no more exact.
const SAME_GAP_SECS: f64 = 0.2;

/// How a segment's speaker is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The speaker whose turns cover the most of the segment.
    Overlap,
    /// The speaker whose turn holds the segment's middle.
    Midpoint,
}

impl FromStr for Rule {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "overlap" => Ok(Self::Overlap),
            "midpoint" => Ok(Self::Midpoint),
            _ => Err("use 'overlap' or 'midpoint'"),
        }
    }
}

/// The segments with speakers; as they are when there are no turns.
///
/// By [`Rule::Overlap`] a segment with words is split where the speaker changes.
pub fn speakers(segments: Vec<Segment>, turns: &[Turn], rule: Rule) -> Vec<Segment> {
    if turns.is_empty() {
        return segments;
    }
    let mut assigned = Vec::with_capacity(segments.len());
    for mut segment in segments {
        let near: Vec<&Turn> = turns
            .iter()
            .filter(|t| gap(segment.start, segment.end, t) <= NEAREST_SECS)
            .collect();
        let middle = f64::midpoint(segment.start, segment.end);
        let speaker = match rule {
            Rule::Overlap => most_overlap(&segment, &near),
            Rule::Midpoint => at(middle, &near, None),
        };
        let speaker = speaker.or_else(|| nearest(segment.start, segment.end, &near));
        segment.speaker = speaker.map(str::to_owned);
        words(&mut segment, &near);
        match rule {
            Rule::Overlap => assigned.extend(split::at_changes(segment)),
            Rule::Midpoint => assigned.push(segment),
        }
    }
    assigned
}

/// Gives each word its speaker. Where several speak, or nobody, the one who spoke before goes on.
fn words(segment: &mut Segment, near: &[&Turn]) {
    let mut before = segment.speaker.clone();
    for (number, word) in segment.words.iter_mut().enumerate() {
        let middle = f64::midpoint(word.start, word.end);
        let said_by = at(middle, near, before.as_deref());
        let said_by = said_by.or_else(|| {
            // Between two turns: the nearer one, unless the speaker before is as near.
            let gap_to = |t: &&&Turn| gap(word.start, word.end, t);
            let closest = near.iter().min_by(|a, b| gap_to(a).total_cmp(&gap_to(b)))?;
            let limit = gap_to(&closest) + SAME_GAP_SECS;
            let stays = number > 0
                && near
                    .iter()
                    .any(|t| Some(&t.speaker) == before.as_ref() && gap_to(&t) <= limit);
            (!stays).then_some(closest.speaker.as_str())
        });
        if let Some(said_by) = said_by {
            before = Some(said_by.to_owned());
        }
        word.speaker.clone_from(&before);
    }
}

/// Seconds between a stretch and a turn; 0 or less when they meet.
fn gap(start: f64, end: f64, turn: &Turn) -> f64 {
    (turn.start - end).max(start - turn.end)
}

/// The speaker with the most seconds of the segment; of equals, the one who begins first.
fn most_overlap<'a>(segment: &Segment, near: &[&'a Turn]) -> Option<&'a str> {
    let mut totals: Vec<(&str, f64)> = Vec::new();
    for turn in near {
        let secs = turn.end.min(segment.end) - turn.start.max(segment.start);
        if secs <= 0.0 {
            continue;
        }
        match totals
            .iter_mut()
            .find(|(speaker, _)| *speaker == turn.speaker)
        {
            Some((_, total)) => *total += secs,
            None => totals.push((&turn.speaker, secs)),
        }
    }
    let mut best: Option<(&str, f64)> = None;
    for (speaker, total) in totals {
        if best.is_none_or(|(_, most)| total > most) {
            best = Some((speaker, total));
        }
    }
    best.map(|(speaker, _)| speaker)
}

/// Who speaks at `time`: `preferred` when they are among those who do.
fn at<'a>(time: f64, near: &[&'a Turn], preferred: Option<&str>) -> Option<&'a str> {
    let mut speaking = near.iter().filter(|t| t.start <= time && time < t.end);
    let first = speaking.next()?;
    if Some(first.speaker.as_str()) == preferred {
        return Some(&first.speaker);
    }
    let other = speaking.find(|t| Some(t.speaker.as_str()) == preferred);
    Some(&other.unwrap_or(first).speaker)
}

fn nearest<'a>(start: f64, end: f64, near: &[&'a Turn]) -> Option<&'a str> {
    let nearest = near
        .iter()
        .min_by(|a, b| gap(start, end, a).total_cmp(&gap(start, end, b)))?;
    Some(&nearest.speaker)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "tests")]
    use auricle_guest::speaker_assigner::Word;

    use super::*;

    fn segment(start: f64, end: f64, words: &[(f64, f64)]) -> Segment {
        let word = |&(start, end): &(f64, f64)| Word {
            word: "w".to_owned(),
            start,
            end,
            probability: 1.0,
            speaker: None,
        };
        Segment {
            id: 0,
            start,
            end,
            text: "w".to_owned(),
            tokens: Vec::new(),
            logprobs: Vec::new(),
            temperature: 0.0,
            avg_logprob: -0.1,
            compression_ratio: 1.0,
            no_speech_prob: 0.0,
            words: words.iter().map(word).collect(),
            speaker: None,
            language: None,
        }
    }

    fn turns(turns: &[(&str, f64, f64)]) -> Vec<Turn> {
        turns
            .iter()
            .map(|&(speaker, start, end)| Turn {
                speaker: speaker.to_owned(),
                start,
                end,
            })
            .collect()
    }

    fn who(segment: Segment, turns: &[Turn], rule: Rule) -> Option<String> {
        speakers(vec![segment], turns, rule).remove(0).speaker
    }

    #[test]
    fn without_turns_nothing_changes() {
        let mut before = segment(0.0, 1.0, &[(0.0, 1.0)]);
        before.speaker = Some("known".to_owned());
        assert_eq!(who(before, &[], Rule::Overlap).as_deref(), Some("known"));
    }

    #[test]
    fn overlap_adds_up_the_turns_of_a_speaker_and_midpoint_does_not() {
        let turns = turns(&[("A", 0.0, 2.0), ("B", 2.0, 3.5), ("A", 3.5, 5.0)]);
        let overlap = who(segment(0.5, 5.0, &[]), &turns, Rule::Overlap);
        let midpoint = who(segment(0.5, 5.0, &[]), &turns, Rule::Midpoint);
        assert_eq!(overlap.as_deref(), Some("A"));
        assert_eq!(midpoint.as_deref(), Some("B"));
    }

    #[test]
    fn a_segment_between_turns_goes_to_a_near_one_only() {
        let turns = turns(&[("A", 0.0, 2.0), ("B", 8.0, 9.0)]);
        let near = who(segment(2.6, 3.0, &[]), &turns, Rule::Overlap);
        let far = who(segment(4.0, 5.0, &[]), &turns, Rule::Midpoint);
        assert_eq!(near.as_deref(), Some("A"));
        assert_eq!(far, None);
    }

    fn words_by(segment: Segment, turns: &[Turn], rule: Rule) -> Vec<Option<String>> {
        let done = speakers(vec![segment], turns, rule);
        let words = done.into_iter().flat_map(|segment| segment.words);
        words.map(|word| word.speaker).collect()
    }

    #[test]
    fn words_get_the_speaker_at_their_middle_and_keep_theirs_where_two_speak() {
        let turns = turns(&[("A", 0.0, 2.0), ("B", 2.0, 6.0), ("A", 4.9, 5.2)]);
        let words = [(0.0, 1.0), (2.1, 2.5), (5.0, 5.1), (6.1, 6.3)];
        for rule in [Rule::Overlap, Rule::Midpoint] {
            let who = words_by(segment(0.0, 6.3, &words), &turns, rule);
            let who: Vec<_> = who.iter().map(Option::as_deref).collect();
            assert_eq!(who, [Some("A"), Some("B"), Some("B"), Some("B")]);
        }
    }

    #[test]
    fn a_word_between_two_turns_goes_to_the_nearer_one() {
        let turns = turns(&[("A", 0.0, 1.0), ("B", 3.0, 4.0)]);
        let words = [(0.5, 0.8), (1.1, 1.3), (2.4, 2.8), (3.0, 3.4)];
        let who = words_by(segment(0.5, 3.4, &words), &turns, Rule::Overlap);
        let who: Vec<_> = who.iter().map(Option::as_deref).collect();
        assert_eq!(who, [Some("A"), Some("A"), Some("B"), Some("B")]);
    }
}
