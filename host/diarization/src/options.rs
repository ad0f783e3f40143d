//! What a caller asks for, and the numbers behind the answer.

use crate::DiarizationError;

/// A voice with a name.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownSpeaker {
    /// The label that this speaker's turns get.
    pub name: String,
    /// The voice, of any length greater than 0.
    pub embedding: Vec<f32>,
}

/// What a caller asks for. The default is an unknown number of unknown speakers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DiarizeOptions {
    /// Exactly so many speakers, where there are as many different voices.
    pub num_speakers: Option<usize>,
    /// At least so many, where there are as many different voices.
    pub min_speakers: Option<usize>,
    /// At most so many.
    pub max_speakers: Option<usize>,
    /// Voices with names. Who matches none gets a label like `SPEAKER_00`.
    pub known: Vec<KnownSpeaker>,
    /// For experiments; the default is what the benchmarks measure.
    pub tuning: Tuning,
}

/// The numbers behind the answer: one setting for every kind of audio. How they were found is in
/// docs/benchmarks/diarization.md.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuning {
    /// Mean cosine from which two groups of voices are one speaker: -1.0..=1.0.
    pub same_speaker_cosine: f32,
    /// What the cosine of two groups loses when they share windows, where the segmentation holds
    /// them apart: all of it when the smaller group lies in such windows entirely.
    pub same_window_penalty: f32,
    /// Cosine from which a speaker is a known one: -1.0..=1.0.
    pub known_speaker_cosine: f32,
    /// A stranger's clean speech in one window from which the voice takes part in clustering.
    pub min_voice_secs: f64,
    /// Clean speech from which a group of voices is a speaker, in a short clip.
    pub min_speaker_secs: f64,
    /// The same as a share of all clean speech, 0.0..=1.0: chance finds look-alikes in long clips.
    /// At most [`Tuning::MAX_MIN_SPEAKER_SECS`].
    pub min_speaker_share: f64,
    /// The share of all speech that a third speaker has at least whom only the segmentation tells
    /// apart from two: 0.0..=1.0; more switches that off.
    pub third_speaker_share: f64,
    /// A pause of the same speaker up to so long does not end a turn.
    pub max_pause_secs: f64,
    /// A shorter turn is left out.
    pub min_turn_secs: f64,
    /// Expected number of speakers in a frame from which one speaks: 0.0..=1.0.
    pub speech_threshold: f32,
    /// What must be expected of each further one at the same time: 0.0..=1.0.
    pub overlap_threshold: f32,
    /// Cosine with a speaker from which a passage may be given to that speaker: -1.0..=1.0.
    pub move_cosine: f32,
    /// How much greater that cosine must be than the one with the speaker of the passage's
    /// stranger: 0.0..=2.0; more switches that off.
    pub move_margin: f32,
    /// Whether turns may overlap.
    pub overlap: bool,
}

impl Tuning {
    /// Whoever speaks so long alone is a speaker in a clip of any length.
    pub const MAX_MIN_SPEAKER_SECS: f64 = 4.0;
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            same_speaker_cosine: 0.5,
            same_window_penalty: 0.1,
            known_speaker_cosine: 0.5,
            min_voice_secs: 1.0,
            min_speaker_secs: 0.4,
            min_speaker_share: 0.005,
            third_speaker_share: 0.03,
            max_pause_secs: 0.35,
            min_turn_secs: 0.25,
            speech_threshold: 0.5,
            overlap_threshold: 0.35,
            move_cosine: 0.4,
            move_margin: 0.15,
            overlap: true,
        }
    }
}

impl DiarizeOptions {
    /// The least and the greatest number of speakers.
    ///
    /// # Errors
    /// [`DiarizationError::InvalidOption`] for 0 speakers, or for numbers against each other.
    pub fn speakers(&self) -> Result<(usize, usize), DiarizationError> {
        let refuse = |option, reason| Err(DiarizationError::InvalidOption { option, reason });
        for (option, value) in [
            ("num_speakers", self.num_speakers),
            ("min_speakers", self.min_speakers),
            ("max_speakers", self.max_speakers),
        ] {
            if value == Some(0) {
                return refuse(option, "must be at least 1");
            }
        }
        let (min, max) = (
            self.min_speakers.unwrap_or(1),
            self.max_speakers.unwrap_or(usize::MAX),
        );
        if min > max {
            return refuse("min_speakers", "is greater than max_speakers");
        }
        match self.num_speakers {
            Some(number) if number < min || number > max => refuse(
                "num_speakers",
                "is not between min_speakers and max_speakers",
            ),
            Some(number) => Ok((number, number)),
            None => Ok((min, max)),
        }
    }
}
