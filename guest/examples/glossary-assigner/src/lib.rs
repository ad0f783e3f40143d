//! Example of a speaker-assigner: writes words as a glossary has them.
//!
//! A recogniser writes names and terms by ear. Here each word of the glossary is replaced wherever it
//! stands alone, in any case, in the text and among the words with times; what a word becomes may be
//! several. A segment gets the speaker who speaks for longest while it lasts.
//!
//! # Configuration
//! - `glossary`: what is heard and what is written, as `oracle=Auricle; cuban=Kuban`: pairs with
//!   semicolons between them. What is heard is one word.

mod glossary;

use auricle_guest::config;
use auricle_guest::speaker_assigner::{AssignError, Segment, SpeakerAssigner, Turn};
use glossary::Glossary;

struct GlossaryAssigner;

impl SpeakerAssigner for GlossaryAssigner {
    fn assign(mut segments: Vec<Segment>, turns: Vec<Turn>) -> Result<Vec<Segment>, AssignError> {
        let glossary: Glossary = config::parse_or("glossary", Glossary::default())?;
        for segment in &mut segments {
            segment.text = glossary.applied(&segment.text);
            segment.speaker = longest_heard(segment, &turns);
            for word in &mut segment.words {
                word.word = glossary.applied(&word.word);
                word.speaker.clone_from(&segment.speaker);
            }
        }
        Ok(segments)
    }
}

auricle_guest::speaker_assigner::export!(GlossaryAssigner);

/// Who speaks for longest while the segment lasts; of equals, the one who began first.
fn longest_heard(segment: &Segment, turns: &[Turn]) -> Option<String> {
    let mut longest: Option<(&str, f64)> = None;
    for turn in turns {
        let secs = heard(segment, turns, &turn.speaker);
        if secs > longest.map_or(0.0, |(_, most)| most) {
            longest = Some((&turn.speaker, secs));
        }
    }
    longest.map(|(speaker, _)| speaker.to_owned())
}

/// Seconds for which the speaker is heard in the segment.
fn heard(segment: &Segment, turns: &[Turn], speaker: &str) -> f64 {
    let own = turns.iter().filter(|turn| turn.speaker == speaker);
    own.map(|turn| turn.end.min(segment.end) - turn.start.max(segment.start))
        .filter(|&secs| secs > 0.0)
        .sum()
}
