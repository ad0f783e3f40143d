//! A speaker-assigner that panics.

#![allow(clippy::panic, reason = "this is the misdeed")]

use auricle_guest::speaker_assigner::{AssignError, Segment, SpeakerAssigner, Turn};

struct Hostile;

impl SpeakerAssigner for Hostile {
    fn assign(_: Vec<Segment>, _: Vec<Turn>) -> Result<Vec<Segment>, AssignError> {
        panic!("on purpose")
    }
}

auricle_guest::speaker_assigner::export!(Hostile);
