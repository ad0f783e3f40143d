//! A speaker-assigner whose times are not numbers and whose text has grown a thousandfold.

use auricle_guest::speaker_assigner::{AssignError, Segment, SpeakerAssigner, Turn};

struct Hostile;

impl SpeakerAssigner for Hostile {
    fn assign(mut segments: Vec<Segment>, _: Vec<Turn>) -> Result<Vec<Segment>, AssignError> {
        for segment in &mut segments {
            segment.start = f64::NAN;
            segment.end = f64::NEG_INFINITY;
            segment.text = segment.text.repeat(1000);
        }
        Ok(segments)
    }
}

auricle_guest::speaker_assigner::export!(Hostile);
