//! Who speaks when within ten seconds: pyannote segmentation 3.0.
//!
//! The network tells up to three speakers of a window apart, two of them at a time, but does not
//! know who they are: speaker 0 of one window may be speaker 2 of the next. Whoever wants labels
//! for a whole clip compares voices ([`Embedder`](crate::Embedder)) across windows.

use std::path::Path;

use auricle_speech::CancelFlag;

use crate::{NamedTensor, OnnxError, OnnxRuntime, OnnxSession, RunLimits, Tensor};

/// Samples of a window: 10 s at 16 kHz, what the network was trained on.
pub const SEGMENT_WINDOW_SAMPLES: usize = 160_000;

/// Frames that the network gives for a window.
pub const SEGMENT_FRAMES: usize = 589;

/// Samples from the start of a frame to the start of the next: 16.875 ms.
pub const SEGMENT_FRAME_STEP_SAMPLES: u64 = 270;

/// Samples that a frame sees: frame `k` those from `270 k` to `270 k + 991`.
pub const SEGMENT_FRAME_SPAN_SAMPLES: u64 = 991;

/// Speakers of a window that are told apart.
pub const SEGMENT_SPEAKERS: usize = 3;

/// Classes of a frame: nobody, one of three speakers, or two of them.
pub const SEGMENT_CLASSES: usize = 7;

/// Who speaks in each class.
const CLASS_SPEAKERS: [[bool; SEGMENT_SPEAKERS]; SEGMENT_CLASSES] = [
    [false, false, false],
    [true, false, false],
    [false, true, false],
    [false, false, true],
    [true, true, false],
    [true, false, true],
    [false, true, true],
];

/// Windows computed at once: about 0.3 s on one core, and 50 MB.
const BATCH_WINDOWS: usize = 4;

/// What the network says of one window.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentWindow {
    log_probabilities: Vec<f32>,
}

impl SegmentWindow {
    /// Natural logarithms of the classes' probabilities, [`SEGMENT_CLASSES`] for each of
    /// [`SEGMENT_FRAMES`] frames. The classes are nobody, 0, 1, 2, 0 and 1, 0 and 2, 1 and 2.
    #[must_use]
    pub fn log_probabilities(&self) -> &[f32] {
        &self.log_probabilities
    }

    /// The most probable class of each frame, 0..[`SEGMENT_CLASSES`].
    pub fn classes(&self) -> impl Iterator<Item = usize> {
        let frames = self.log_probabilities.chunks_exact(SEGMENT_CLASSES);
        frames.map(|frame| {
            let mut best = (0, f32::NEG_INFINITY);
            for (class, &value) in frame.iter().enumerate() {
                if value > best.1 {
                    best = (class, value);
                }
            }
            best.0
        })
    }

    /// Who speaks in each frame.
    pub fn speakers(&self) -> impl Iterator<Item = [bool; SEGMENT_SPEAKERS]> {
        self.classes()
            .map(|class| CLASS_SPEAKERS.get(class).copied().unwrap_or_default())
    }
}

/// The loaded network, for one thread at a time.
#[derive(Debug)]
pub struct Segmenter {
    session: OnnxSession,
}

impl Segmenter {
    /// Loads `pyannote-segmentation-3.0.onnx`, whose SHA-256 must be `sha256`.
    ///
    /// # Errors
    /// As [`OnnxSession::load`]; [`OnnxError::ModelRefused`] when it is another graph.
    pub fn load(runtime: &OnnxRuntime, path: &Path, sha256: &str) -> Result<Self, OnnxError> {
        let session = OnnxSession::load(runtime, path, sha256, RunLimits::default())?;
        session.require(path, "x", &[None, Some(1), None])?;
        Ok(Self { session })
    }

    /// Computes windows of at most [`SEGMENT_WINDOW_SAMPLES`] samples (mono, 16 kHz); a shorter one
    /// is filled up with silence.
    ///
    /// # Errors
    /// [`OnnxError::InvalidArgument`] for a longer window; [`OnnxError::Cancelled`] within a batch
    /// of four windows (some 0.3 s) after `cancel` is set; [`OnnxError::Failed`].
    pub fn segment(
        &mut self,
        windows: &[&[f32]],
        cancel: &CancelFlag,
    ) -> Result<Vec<SegmentWindow>, OnnxError> {
        let mut out = Vec::with_capacity(windows.len());
        for batch in windows.chunks(BATCH_WINDOWS) {
            if cancel.is_cancelled() {
                return Err(OnnxError::Cancelled);
            }
            self.segment_batch(batch, &mut out)?;
        }
        Ok(out)
    }

    fn segment_batch(
        &mut self,
        batch: &[&[f32]],
        out: &mut Vec<SegmentWindow>,
    ) -> Result<(), OnnxError> {
        let mut samples = Vec::with_capacity(batch.len() * SEGMENT_WINDOW_SAMPLES);
        for window in batch {
            let Some(missing) = SEGMENT_WINDOW_SAMPLES.checked_sub(window.len()) else {
                let reason = format!("a window of {} samples is too long", window.len());
                return Err(OnnxError::invalid("x", reason));
            };
            samples.extend_from_slice(window);
            samples.resize(samples.len() + missing, 0.0);
        }
        let shape = vec![batch.len() as u64, 1, SEGMENT_WINDOW_SAMPLES as u64];
        let input = NamedTensor::new("x", Tensor::f32(shape, samples)?);
        let output = self.session.run_one(input)?;
        let per_window = SEGMENT_FRAMES * SEGMENT_CLASSES;
        if output.len() != batch.len() * per_window {
            return Err(OnnxError::failed(
                "the segmentation model gave another number of frames than segmentation 3.0 does",
            ));
        }
        out.extend(output.chunks_exact(per_window).map(|window| SegmentWindow {
            log_probabilities: window.to_vec(),
        }));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_belongs_to_the_speakers_of_its_most_probable_class() {
        let mut log_probabilities = vec![-9.0; 2 * SEGMENT_CLASSES];
        for (at, value) in log_probabilities.iter_mut().enumerate() {
            if at == 5 || at == SEGMENT_CLASSES {
                *value = -0.1;
            }
        }
        let window = SegmentWindow { log_probabilities };
        let speakers: Vec<_> = window.speakers().collect();
        assert_eq!(speakers, [[true, false, true], [false, false, false]]);
    }
}
