//! Who speaks when.

pub use crate::bindings::auricle::speech::diarization::{KnownSpeaker, SpeakerOptions, diarize};

impl Default for SpeakerOptions {
    /// An unknown number of unknown speakers.
    fn default() -> Self {
        Self {
            num_speakers: None,
            min_speakers: None,
            max_speakers: None,
            known: Vec::new(),
        }
    }
}
