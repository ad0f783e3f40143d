//! Writes ONNX graphs: the two speaker models from the checkpoints that their authors publish, and the
//! voice activity model from its authors' own graph, laid out so that it costs a third.
//!
//! A checkpoint has weights and no network; the networks are written down here, layer by layer,
//! for pyannote's segmentation 3.0, 3D-Speaker's CAM++ and Silero VAD. That is all that set-up needs: no
//! torch and no Python. The same weights give the same bytes on every machine, so the results are
//! pinned ([`SEGMENTATION_SHA256`], [`CAMPPLUS_SHA256`], [`SILERO_SHA256`]); graphs with these digests
//! were compared with the authors' own: the segmentation's classes are equal and its probabilities
//! within 2e-5, the embeddings and the probabilities of speech within 1e-5.
//!
//! A model is built in memory and written when it is whole: at most 30 MB here.
//!
//! Not done here: any other architecture. A checkpoint whose weights have other names or shapes is
//! refused, as is one that has weights which the network does not use.

mod campplus;
mod constants;
mod graph;
mod proto;
mod segmentation;
mod silero;
mod weights;

use std::path::Path;

use super::ConvertError;
use super::output::Output;
use graph::Model;

/// What [`segmentation`] makes of pyannote's checkpoint (da85c298...).
pub const SEGMENTATION_SHA256: &str =
    "f0e15364625f418f9a587527e2d16943f8519cbf73896a68e665866ae4dae570";

/// What [`campplus`] makes of 3D-Speaker's checkpoint (92f29b94...).
pub const CAMPPLUS_SHA256: &str =
    "385d29bf350d65609663802407b95c51f5158dc57f92c4c72ce3942f1e4d0a9d";

/// What [`silero`] makes of `silero_vad_16k_sequence.onnx` of Silero VAD 6.2 (9ccdacc4...).
pub const SILERO_SHA256: &str = "ae82614bbe965a01d2e59bf0da6d29395c311975a4c73d8c57bb843b8c897c25";

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvertedGraph {
    /// Lower-case hexadecimal SHA-256 of the file.
    pub sha256: String,
    /// Size of the file.
    pub bytes: u64,
}

/// Writes pyannote's segmentation 3.0: input `x`, f32 [N, 1, T], 16 kHz samples in -1.0..=1.0;
/// output `y`, f32 [N, F, 7], log-probabilities (589 frames for a window of 10 s).
///
/// `checkpoint` is its pytorch_model.bin, or the state dictionary alone. `out` appears, or is
/// replaced, when it is whole and on the disk. Blocking, about 0.1 s.
///
/// # Errors
/// [`ConvertError::Io`]; [`ConvertError::Malformed`] for a checkpoint of another network.
pub fn segmentation(checkpoint: &Path, out: &Path) -> Result<ConvertedGraph, ConvertError> {
    write(&segmentation::model(checkpoint)?, out)
}

/// Writes 3D-Speaker's CAM++: input `x`, f32 [N, T, 80], Kaldi filter banks without their mean
/// over time; output `embedding`, f32 [N, 192].
///
/// `checkpoint` is campplus_cn_en_common.pt. Otherwise as [`segmentation`]; about 0.3 s.
///
/// # Errors
/// As [`segmentation`].
pub fn campplus(checkpoint: &Path, out: &Path) -> Result<ConvertedGraph, ConvertError> {
    write(&campplus::model(checkpoint)?, out)
}

/// Writes Silero VAD for 16 kHz with its convolutions as matrix products: the inputs `input`, f32
/// [T, 576], `h` and `c`, f32 [1, 1, 128], and the outputs `speech_probs`, f32 \[T\], `hn` and `cn` of
/// the graph that it is made from.
///
/// `graph` is silero_vad_16k_sequence.onnx. Otherwise as [`segmentation`]; about 0.05 s.
///
/// # Errors
/// As [`segmentation`].
pub fn silero(graph: &Path, out: &Path) -> Result<ConvertedGraph, ConvertError> {
    write(&silero::model(graph)?, out)
}

fn write(model: &Model, out: &Path) -> Result<ConvertedGraph, ConvertError> {
    let mut output = Output::create(out)?;
    output.put(&model.encode())?;
    let (sha256, bytes) = output.finish()?;
    Ok(ConvertedGraph { sha256, bytes })
}
