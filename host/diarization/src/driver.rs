//! The three phases in a row, for whoever has the models at hand.

use auricle_speech::{CancelFlag, Clip, Span};

use crate::error::DiarizationError;
use crate::options::DiarizeOptions;
use crate::session::{Diarization, Diarized, VoiceJob, is_silent};

/// Windows given to [`Models::segment`] at once: 10 s of audio each.
const BATCH_WINDOWS: usize = 4;

/// The two models.
pub trait Models {
    /// Why a model did not do its work; also what becomes of this crate's errors.
    type Error: From<DiarizationError>;

    /// The natural logarithms of the classes' probabilities for each window of at most 10 s.
    ///
    /// # Errors
    /// The model's.
    fn segment(
        &mut self,
        windows: &[&[f32]],
        cancel: &CancelFlag,
    ) -> Result<Vec<Vec<f32>>, Self::Error>;

    /// The voice of a sound of 0.2 s to 4 s.
    ///
    /// # Errors
    /// The model's.
    fn embed(&mut self, sound: &[f32], cancel: &CancelFlag) -> Result<Vec<f32>, Self::Error>;
}

/// Diarizes a clip on the calling thread. `cancel` is read between model calls.
///
/// # Errors
/// The models', and those of [`Diarization`].
pub fn diarize<M: Models>(
    clip: &Clip,
    models: &mut M,
    options: &DiarizeOptions,
    cancel: &CancelFlag,
) -> Result<Diarized, M::Error> {
    options.speakers()?;
    let mut diarization = Diarization::new(clip.len_samples());
    let windows: Vec<(usize, Span)> = diarization.windows().into_iter().enumerate().collect();
    for batch in windows.chunks(BATCH_WINDOWS) {
        if cancel.is_cancelled() {
            return Err(DiarizationError::Cancelled.into());
        }
        segment(clip, batch, models, &mut diarization, cancel)?;
    }
    let voices = windows.iter().flat_map(|&(w, _)| diarization.voices(w));
    let jobs: Vec<VoiceJob> = voices.chain(diarization.passages()).collect();
    for job in jobs {
        if cancel.is_cancelled() {
            return Err(DiarizationError::Cancelled.into());
        }
        let embedding = models.embed(&job.sound(clip), cancel)?;
        diarization.embedded(&job, &embedding)?;
    }
    Ok(diarization.finish(options, cancel)?)
}

fn segment<M: Models>(
    clip: &Clip,
    batch: &[(usize, Span)],
    models: &mut M,
    diarization: &mut Diarization,
    cancel: &CancelFlag,
) -> Result<(), M::Error> {
    let sounds = batch
        .iter()
        .map(|&(window, span)| (window, clip.slice(span)));
    let (silent, loud): (Vec<_>, Vec<_>) = sounds.partition(|(_, sound)| is_silent(sound));
    for (window, _) in silent {
        diarization.silent(window)?;
    }
    let sounds: Vec<_> = loud.iter().map(|&(_, sound)| sound).collect();
    let answers = models.segment(&sounds, cancel)?;
    if answers.len() != loud.len() {
        let (found, expected) = (answers.len(), loud.len());
        return Err(DiarizationError::WrongAnswer {
            model: "segmentation",
            found,
            expected,
        }
        .into());
    }
    for ((window, _), answer) in loud.into_iter().zip(answers) {
        diarization.segmented(window, &answer)?;
    }
    Ok(())
}

impl VoiceJob {
    /// The sound to embed: the spans' samples, joined.
    #[must_use]
    pub fn sound(&self, clip: &Clip) -> Vec<f32> {
        let pieces = self.spans.iter().map(|&span| clip.slice(span));
        pieces.flatten().copied().collect()
    }
}
