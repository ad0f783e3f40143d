//! The second engine: ONNX Runtime, loaded at run time, and the models that run on it.
//!
//! Owns the one environment that a process may have ([`OnnxRuntime`]) and, per [`OnnxSession`],
//! one loaded graph with its working memory. A session computes on the thread that calls it: its
//! own pool has no second thread, because the server's device threads are the unit of parallelism
//! and must not be multiplied behind the scheduler's back. `run` takes `&mut self`, so that no two
//! threads are ever inside one session.
//!
//! The library is loaded and not linked: a server without it starts, transcribes, and says what to
//! do when somebody asks who spoke.
//!
//! # Layout
//! - `runtime`: the library, its version, its environment and its log.
//! - `session`: a graph checked by digest, and runs on plain tensors with budgets.
//! - `voice`: Silero VAD, whole clips and streams. `voice/spans`: probabilities to spans (no
//!   engine).
//! - `segmenter`: who speaks when within ten seconds (pyannote segmentation 3.0).
//! - `embedder`: what a voice sounds like (CAM++). `fbank`: the features it reads.
//! - `graph`: all of it behind the engine-free traits ([`OnnxLoader`]).
//! - `gpu`: CUDA, in builds with that feature. `error`: [`OnnxError`].
//!
//! # Limits
//! - What a graph allocates while it runs is bounded by nothing but the graph: only its inputs and
//!   outputs are counted. Graphs come from the operator, never from a tenant; a tenant's component
//!   that is granted one gives it inputs of at most 3.84 MB.
//! - A running graph cannot be stopped. The models here are called in pieces of a few seconds of
//!   audio, and the caller's flag is read between them.
//! - Tensors of f16, bf16, bool and text are refused when a graph is loaded.
//! - Weights in files beside the graph ("external data") are refused: their digest is unknown.

mod embedder;
mod error;
mod fbank;
#[cfg(feature = "cuda")]
mod gpu;
mod graph;
mod runtime;
mod segmenter;
mod session;
mod voice;

pub use auricle_speech::{ElementType, NamedTensor, Tensor, TensorData, VoiceStream};
pub use embedder::{EMBEDDING_LEN, Embedder, Embedding, MIN_EMBED_SAMPLES};
pub use error::OnnxError;
pub use fbank::{FBANK_BINS, Fbank, Features};
pub use graph::OnnxLoader;
pub use runtime::{MIN_RUNTIME_MINOR, OnnxRuntime};
pub use segmenter::{
    SEGMENT_CLASSES, SEGMENT_FRAME_SPAN_SAMPLES, SEGMENT_FRAME_STEP_SAMPLES, SEGMENT_FRAMES,
    SEGMENT_SPEAKERS, SEGMENT_WINDOW_SAMPLES, SegmentWindow, Segmenter,
};
pub use session::{OnnxSession, Port, RunLimits};
pub use voice::spans::{SpeechEvent, SpeechFinder, SpeechOptions, speech_spans};
pub use voice::{VAD_FRAME_SAMPLES, VoiceActivity};
