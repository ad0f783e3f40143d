//! Turns Whisper weights of four formats into whisper.cpp's ggml, the one format that is served.
//!
//! Conversion is done once, when a model is pulled or imported. It reads and writes tensor by
//! tensor, so its memory does not depend on the model's size, and the same weights give the same
//! bytes whatever format they came in: f16 output of OpenAI's checkpoints is byte for byte what
//! whisper.cpp publishes, and the manifest can pin it.
//!
//! Weights are data from elsewhere: nothing in them is executed, every length is checked before
//! memory is taken for it, and a file that is truncated, foreign or has absurd dimensions is an
//! error that says which rule it breaks.
//!
//! Not done here: fetching, the store, and checking digests (the caller compares [`Converted`] with
//! its manifest). Not supported: GGUF, k-quants, PyTorch files other than OpenAI's checkpoints
//! (and those of the two speaker models, which [`onnx`] makes ONNX graphs of), and vocabularies of
//! other sizes than Whisper's.

mod blob;
mod ct2;
mod detect;
mod error;
mod ggml;
mod huggingface;
mod layout;
mod mel;
pub mod onnx;
mod openai;
mod output;
mod pickle;
mod quantize;
mod torch;
mod vocabulary;
mod weights;

use std::path::{Path, PathBuf};

pub use detect::detect;
pub use error::ConvertError;
pub use quantize::Quantization;

use ggml::FileType;
use layout::HyperParameters;
use output::Output;

/// Where weights are and in which format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source<'a> {
    /// CTranslate2's model.bin (faster-whisper's format).
    CTranslate2 {
        /// The file, or its parts in order.
        model_parts: &'a [PathBuf],
        /// vocabulary.txt or vocabulary.json.
        vocabulary: &'a Path,
    },
    /// A Hugging Face directory: config.json, model.safetensors or its shards with their index,
    /// and vocab.json or tokenizer.json.
    SafetensorsDir(&'a Path),
    /// A checkpoint as OpenAI publishes it.
    OpenAiPt {
        /// The .pt file.
        file: &'a Path,
        /// A vocabulary.txt, vocabulary.json, vocab.json, tokenizer.json or ggml file of any
        /// Whisper model of the same kind (English-only or multilingual); the checkpoint has none, so `None` is an error that
        /// says so.
        vocabulary: Option<&'a Path>,
    },
    /// A file that whisper.cpp can load already: f32, f16 or quantized.
    Ggml(&'a Path),
}

/// A [`Source`] that owns its paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnedSource {
    /// See [`Source::CTranslate2`].
    CTranslate2 {
        /// The file, or its parts in order.
        model_parts: Vec<PathBuf>,
        /// vocabulary.txt or vocabulary.json.
        vocabulary: PathBuf,
    },
    /// See [`Source::SafetensorsDir`].
    SafetensorsDir(PathBuf),
    /// See [`Source::OpenAiPt`].
    OpenAiPt {
        /// The .pt file.
        file: PathBuf,
        /// The vocabulary, if one was found or given.
        vocabulary: Option<PathBuf>,
    },
    /// See [`Source::Ggml`].
    Ggml(PathBuf),
}

impl OwnedSource {
    /// Borrows it for [`to_ggml`].
    #[must_use]
    pub fn as_source(&self) -> Source<'_> {
        match self {
            Self::CTranslate2 {
                model_parts,
                vocabulary,
            } => Source::CTranslate2 {
                model_parts,
                vocabulary,
            },
            Self::SafetensorsDir(dir) => Source::SafetensorsDir(dir),
            Self::OpenAiPt { file, vocabulary } => Source::OpenAiPt {
                file,
                vocabulary: vocabulary.as_deref(),
            },
            Self::Ggml(file) => Source::Ggml(file),
        }
    }
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converted {
    /// Lower-case hexadecimal SHA-256 of the file.
    pub sha256: String,
    /// Size of the file.
    pub bytes: u64,
    /// Whether the model knows languages other than English.
    pub multilingual: bool,
    /// Layers of the encoder: 4 in tiny, 6 in base, 12 in small, 24 in medium, 32 in large.
    pub n_audio_layer: u32,
    /// Layers of the decoder; fewer than the encoder's in turbo and distilled models.
    pub n_text_layer: u32,
    /// Mel bands: 80, or 128 in large-v3.
    pub n_mels: u32,
    /// `None` for f16 (and for an f32 ggml file, which is kept as it is).
    pub quantization: Option<Quantization>,
}

/// Reads the model at `source`, checks it in full and writes it to `out` as ggml: the large
/// matrices as f16, or as blocks of `quantize`.
///
/// A ggml source with `quantize` of `None`, or already in the quantization asked for, is checked
/// and copied byte for byte. `out` appears, or is replaced, when it is whole and on the disk;
/// after an error nothing is left. Blocking, and bound by the disk and by hashing: about a second
/// per 100 MB.
///
/// # Errors
/// [`ConvertError`]: files that cannot be read or written, weights that are truncated, foreign or
/// unsound, a vocabulary that is missing or of another kind of model, and a quantization of what
/// is quantized already.
pub fn to_ggml(
    source: &Source<'_>,
    quantize: Option<Quantization>,
    out: &Path,
) -> Result<Converted, ConvertError> {
    let weights = match *source {
        Source::CTranslate2 {
            model_parts,
            vocabulary,
        } => ct2::read(model_parts, vocabulary)?,
        Source::SafetensorsDir(dir) => huggingface::read(dir)?,
        Source::OpenAiPt { file, vocabulary } => openai::read(file, vocabulary)?,
        Source::Ggml(path) => {
            let file = ggml::read(path)?;
            let present = match file.file_type {
                FileType::F32 | FileType::F16 => None,
                FileType::Quantized(present) => Some(present),
            };
            match (quantize, present) {
                (Some(wanted), None) => return write(&file.into_weights()?, Some(wanted), out),
                (Some(wanted), Some(present)) if wanted != present => {
                    return Err(ConvertError::Quantize {
                        path: path.to_path_buf(),
                        quantization: wanted,
                        reason: format!("it is {present} already: start from the f16 file"),
                    });
                }
                _ => {}
            }
            let mut output = Output::create(out)?;
            file.copy(&mut output)?;
            return converted(output, &file.hyper, present);
        }
    };
    write(&weights, quantize, out)
}

fn write(
    weights: &weights::WhisperWeights,
    quantize: Option<Quantization>,
    out: &Path,
) -> Result<Converted, ConvertError> {
    let mut output = Output::create(out)?;
    ggml::write(weights, quantize, &mut output)?;
    converted(output, &weights.hyper, quantize)
}

fn converted(
    output: Output,
    hyper: &HyperParameters,
    quantization: Option<Quantization>,
) -> Result<Converted, ConvertError> {
    let (sha256, bytes) = output.finish()?;
    Ok(Converted {
        sha256,
        bytes,
        multilingual: hyper.is_multilingual(),
        n_audio_layer: hyper.n_audio_layer,
        n_text_layer: hyper.n_text_layer,
        n_mels: hyper.n_mels,
        quantization,
    })
}
