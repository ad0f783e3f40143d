//! What a voice sounds like: CAM++ (3D-Speaker, Chinese and English).
//!
//! An [`Embedding`] is a direction in 192 dimensions; the cosine between two says whether they are
//! of one voice: about 0.8 for the same and 0.1 for another, with a second of speech or more.

use std::path::Path;

use auricle_speech::CancelFlag;

use crate::fbank::{FBANK_BINS, FRAME_SAMPLES, Fbank, SHIFT_SAMPLES};
use crate::{NamedTensor, OnnxError, OnnxRuntime, OnnxSession, RunLimits, Tensor};

/// Numbers of an embedding.
pub const EMBEDDING_LEN: usize = 192;

/// Shortest sound that is embedded: 20 frames, 215 ms. The network takes less and says little then.
pub const MIN_EMBED_SAMPLES: usize = FRAME_SAMPLES + 19 * SHIFT_SAMPLES;

/// Frames computed at once, over all sounds of a batch: 20 s of audio, about 100 MB while it runs.
const BATCH_FRAMES: usize = 2000;

/// A voice: 192 numbers of length 1 together.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    values: Vec<f32>,
}

impl Embedding {
    /// Takes over numbers and divides them by their length; `None` when they are not
    /// [`EMBEDDING_LEN`] finite numbers of which one at least is not 0.
    #[must_use]
    pub fn new(mut values: Vec<f32>) -> Option<Self> {
        let square: f64 = values.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
        let usable = values.len() == EMBEDDING_LEN && square.is_finite() && square > 0.0;
        for value in &mut values {
            *value = (f64::from(*value) / square.sqrt()) as f32;
        }
        usable.then_some(Self { values })
    }

    /// The numbers.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// How alike two voices are: -1.0..=1.0.
    #[must_use]
    pub fn cosine(&self, other: &Self) -> f32 {
        let products = self.values.iter().zip(&other.values);
        products.map(|(a, b)| a * b).sum::<f32>().clamp(-1.0, 1.0)
    }
}

/// The loaded network, for one thread at a time.
#[derive(Debug)]
pub struct Embedder {
    session: OnnxSession,
    fbank: Fbank,
}

impl Embedder {
    /// Loads `campplus.onnx`, whose SHA-256 must be `sha256`.
    ///
    /// # Errors
    /// As [`OnnxSession::load`]; [`OnnxError::ModelRefused`] when it is another graph.
    pub fn load(runtime: &OnnxRuntime, path: &Path, sha256: &str) -> Result<Self, OnnxError> {
        let session = OnnxSession::load(runtime, path, sha256, RunLimits::default())?;
        session.require(path, "x", &[None, None, Some(FBANK_BINS as u64)])?;
        Ok(Self {
            session,
            fbank: Fbank::new(),
        })
    }

    /// Embeds sounds (mono, 16 kHz) of one length; give only samples in which the speaker alone is
    /// heard, joined.
    ///
    /// # Errors
    /// [`OnnxError::InvalidArgument`] for a sound shorter than [`MIN_EMBED_SAMPLES`] or of another
    /// length than the first; [`OnnxError::Cancelled`] within a batch of 20 s of audio after
    /// `cancel` is set; [`OnnxError::TooLarge`] for a sound of more than half an hour;
    /// [`OnnxError::Failed`].
    pub fn embed(
        &mut self,
        sounds: &[&[f32]],
        cancel: &CancelFlag,
    ) -> Result<Vec<Embedding>, OnnxError> {
        let Some(len) = sounds.first().map(|sound| sound.len()) else {
            return Ok(Vec::new());
        };
        if len < MIN_EMBED_SAMPLES {
            let reason = format!("a sound of {len} samples is shorter than {MIN_EMBED_SAMPLES}");
            return Err(OnnxError::invalid("x", reason));
        }
        if let Some(other) = sounds.iter().find(|sound| sound.len() != len) {
            let reason = format!("sounds of {len} and of {} samples", other.len());
            return Err(OnnxError::invalid("x", reason));
        }
        let frames = Fbank::frames_of(len);
        let mut out = Vec::with_capacity(sounds.len());
        for batch in sounds.chunks((BATCH_FRAMES / frames).max(1)) {
            if cancel.is_cancelled() {
                return Err(OnnxError::Cancelled);
            }
            self.embed_batch(batch, frames, &mut out)?;
        }
        Ok(out)
    }

    fn embed_batch(
        &mut self,
        batch: &[&[f32]],
        frames: usize,
        out: &mut Vec<Embedding>,
    ) -> Result<(), OnnxError> {
        let mut features = Vec::with_capacity(batch.len() * frames * FBANK_BINS);
        for sound in batch {
            features.extend_from_slice(self.fbank.compute(sound)?.data());
        }
        let shape = vec![batch.len() as u64, frames as u64, FBANK_BINS as u64];
        let input = NamedTensor::new("x", Tensor::f32(shape, features)?);
        let output = self.session.run_one(input)?;
        let wrong = || OnnxError::failed("the speaker model gave no embedding of 192 numbers");
        if output.len() != batch.len() * EMBEDDING_LEN {
            return Err(wrong());
        }
        for values in output.chunks_exact(EMBEDDING_LEN) {
            out.push(Embedding::new(values.to_vec()).ok_or_else(wrong)?);
        }
        Ok(())
    }
}
