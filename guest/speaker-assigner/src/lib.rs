//! First-party speaker-assigner: gives every segment and word the speaker whose turn it is.
//!
//! Owns nothing between calls.
//!
//! # Configuration
//! - `rule`: `overlap` (default): each word gets the speaker at its middle, and a segment is split
//!   where that changes; one without words goes to the speaker who has the most of it. Or
//!   `midpoint`: the segment stays whole and goes to the speaker whose turn holds its middle.

mod assign;
mod split;

use auricle_guest::speaker_assigner::{AssignError, Segment, SpeakerAssigner, Turn};
use auricle_guest::{config, log};

use crate::assign::Rule;

struct TurnAssigner;

impl SpeakerAssigner for TurnAssigner {
    fn assign(segments: Vec<Segment>, turns: Vec<Turn>) -> Result<Vec<Segment>, AssignError> {
        log::panics();
        let rule = config::parse_or("rule", Rule::Overlap)?;
        Ok(assign::speakers(segments, &turns, rule))
    }
}

auricle_guest::speaker_assigner::export!(TurnAssigner);
