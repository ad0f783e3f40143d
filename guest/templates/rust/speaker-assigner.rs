//! A speaker-assigner: says who speaks, and hides words.
//!
//! Setting `hide`: words that become "***", with commas between them; default none.

wit_bindgen::generate!({ path: "wit", world: "component", generate_all });

use std::collections::HashSet;

use auricle::runtime::configuration;
use exports::auricle::pipeline::speaker_assigner::{AssignError, Guest, Segment, Turn};

struct Component;

impl Guest for Component {
    fn assign(mut segments: Vec<Segment>, turns: Vec<Turn>) -> Result<Vec<Segment>, AssignError> {
        let hidden = hidden_words();
        for segment in &mut segments {
            segment.speaker = longest_heard(segment, &turns);
            segment.text = hide(&segment.text, &hidden);
            for word in &mut segment.words {
                word.speaker.clone_from(&segment.speaker);
                word.word = hide(&word.word, &hidden);
            }
        }
        Ok(segments)
    }
}

export!(Component);

fn hidden_words() -> HashSet<String> {
    let words = configuration::get("hide")
        .unwrap_or_default()
        .to_lowercase();
    let words = words
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

/// The text with the words in it hidden.
fn hide(text: &str, hidden: &HashSet<String>) -> String {
    let mut shown = String::new();
    // Every piece but the last ends with the character that ends a word.
    for piece in text.split_inclusive(|c: char| !c.is_alphanumeric()) {
        let word = piece.trim_end_matches(|c: char| !c.is_alphanumeric());
        let rest = &piece[word.len()..];
        let known = hidden.contains(&word.to_lowercase());
        shown.push_str(if known { "***" } else { word });
        shown.push_str(rest);
    }
    shown
}

/// Who speaks for longest while the segment lasts; nobody when there are no turns.
fn longest_heard(segment: &Segment, turns: &[Turn]) -> Option<String> {
    let mut heard: Vec<(&str, f64)> = Vec::new();
    for turn in turns {
        let together = turn.end.min(segment.end) - turn.start.max(segment.start);
        if together <= 0.0 {
            continue;
        }
        match heard
            .iter_mut()
            .find(|(speaker, _)| *speaker == turn.speaker)
        {
            Some((_, secs)) => *secs += together,
            None => heard.push((&turn.speaker, together)),
        }
    }
    let longest = heard.into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
    longest.map(|(speaker, _)| speaker.to_owned())
}
