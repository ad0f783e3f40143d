//! First-party speaker-assigner: gives every segment and word the speaker whose turn it is.
//!
//! Owns nothing between calls. It does not split a segment at a change of speaker: the segment gets
//! one speaker, its words may have another.
//!
//! # Configuration
//! - `rule`: `overlap` (default), the speaker who has the most of the segment; or `midpoint`, the
//!   speaker whose turn holds the segment's middle.

mod assign;

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
