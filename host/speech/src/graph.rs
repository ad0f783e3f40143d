//! The traits behind which the second engine lives: graphs that are not Whisper.
//!
//! A [`GraphEngine`] is a verified graph; a [`GraphSession`] is one thread's loaded copy of it with
//! its working memory. Work and results are plain data, so that the engine can move into a process
//! of its own. A graph cannot be stopped while it runs: work is bounded ([`MAX_GRAPH_JOB_SAMPLES`])
//! and the flag is read between batches of a few seconds.

use std::sync::Arc;

use crate::audio::{Clip, SAMPLE_RATE, Span};
use crate::engine::{CancelFlag, EngineError, ModelFiles};
use crate::level::VoiceGain;
use crate::tensor::NamedTensor;

/// Samples of a frame of voice activity: 32 ms, fixed by the model (Silero VAD at 16 kHz).
pub const VOICE_FRAME_SAMPLES: u64 = 512;

/// Longest audio of one piece of work: 60 s (1,875 voice frames; about 0.2 s of one core).
pub const MAX_GRAPH_JOB_SAMPLES: u64 = 60 * SAMPLE_RATE as u64;

/// A place in a sound, for voice activity: what the model remembers, and the samples that are no
/// whole frame yet. Plain data of about 4 kB; the default is the start of a sound.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VoiceStream {
    /// The model's state; empty at the start.
    pub state: Vec<f32>,
    /// The samples that the next frame is read with, then those that wait; empty at the start.
    pub waiting: Vec<f32>,
    /// What frames are multiplied by; of live audio by default.
    pub gain: VoiceGain,
}

/// What to compute.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum GraphWork {
    /// The probability of speech in each frame of a part of a clip.
    Voice {
        /// The sound.
        clip: Clip,
        /// Which part; its start is a multiple of [`VOICE_FRAME_SAMPLES`].
        span: Span,
        /// Samples before the part that the model is run over first, so that its state fits; fewer
        /// when the clip has fewer.
        warm_samples: u64,
        /// What samples are multiplied by: the gain of the whole clip
        /// ([`clip_gain`](crate::clip_gain)).
        gain: f32,
    },
    /// Live audio: the probabilities of the frames that become whole.
    VoiceStream {
        /// Where the sound stands.
        stream: VoiceStream,
        /// What came since.
        samples: Vec<f32>,
        /// Whether that was the last of it: a frame begun is filled up with silence.
        ends: bool,
    },
    /// Who speaks when, in windows of 10 s of a clip.
    Speakers {
        /// The sound.
        clip: Clip,
        /// The windows' parts of it.
        windows: Vec<Span>,
    },
    /// What voices sound like.
    Embeddings {
        /// The sound.
        clip: Clip,
        /// The parts, joined, in which each voice alone is heard; equally long together.
        voices: Vec<Vec<Span>>,
    },
    /// One run of the graph on plain tensors, whatever it is for.
    Compute {
        /// All inputs of the graph, in any order.
        inputs: Arc<[NamedTensor]>,
    },
}

impl GraphWork {
    /// Samples of audio that it is about; plain tensors are not known to be audio.
    #[must_use]
    pub fn audio_samples(&self) -> u64 {
        let sum = |spans: &[Span]| spans.iter().map(|span| span.len_samples()).sum::<u64>();
        match self {
            Self::Voice {
                span, warm_samples, ..
            } => {
                // There is nothing before the clip to warm up on.
                let warm_samples = span.start.min(*warm_samples);
                span.len_samples().saturating_add(warm_samples)
            }
            Self::VoiceStream { samples, .. } => samples.len() as u64,
            Self::Speakers { windows, .. } => sum(windows),
            Self::Embeddings { voices, .. } => voices.iter().map(|voice| sum(voice)).sum(),
            Self::Compute { .. } => 0,
        }
    }

    /// What it counts for in the queue, at most [`MAX_GRAPH_JOB_SAMPLES`]: its audio, and as much for
    /// plain tensors as for audio of as many bytes.
    #[must_use]
    pub fn cost_samples(&self) -> u64 {
        match self {
            Self::Compute { inputs } => tensor_samples(inputs),
            audio => audio.audio_samples(),
        }
    }
}

/// What tensors count for in the queue: a sample for every four bytes.
#[must_use]
pub fn tensor_samples(tensors: &[NamedTensor]) -> u64 {
    let bytes = tensors.iter().fold(0_u64, |sum, named| {
        sum.saturating_add(named.tensor.size_bytes())
    });
    bytes.div_ceil(size_of::<f32>() as u64)
}

/// What was computed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum GraphResult {
    /// For [`GraphWork::Voice`]: one number in 0.0..=1.0 for each frame that begins in the part,
    /// the last frame filled up with silence.
    Voice(Vec<f32>),
    /// For [`GraphWork::VoiceStream`].
    VoiceStream {
        /// Where the sound stands now.
        stream: VoiceStream,
        /// As [`GraphResult::Voice`], for the new whole frames.
        probabilities: Vec<f32>,
    },
    /// For [`GraphWork::Speakers`]: natural logarithms of the classes' probabilities of each frame
    /// of each window.
    Speakers(Vec<Vec<f32>>),
    /// For [`GraphWork::Embeddings`]: numbers of length 1 together.
    Embeddings(Vec<Vec<f32>>),
    /// For [`GraphWork::Compute`]: all outputs, in the graph's order.
    Compute(Vec<NamedTensor>),
}

/// Loads graphs. Blocking: call it on a thread that may wait.
pub trait GraphLoader: Send + Sync {
    /// Verifies a graph.
    ///
    /// # Errors
    /// [`EngineError::Model`] when the file is missing, foreign or not what was pinned.
    fn load(&self, files: &ModelFiles) -> Result<Arc<dyn GraphEngine>, EngineError>;
}

/// A verified graph. Shared by all threads; immutable.
pub trait GraphEngine: Send + Sync {
    /// Bytes of weights, about, of one session.
    fn memory_bytes(&self) -> u64;

    /// Loads it for one thread.
    ///
    /// # Errors
    /// [`EngineError::Model`] when the engine does not take it.
    fn open_session(&self) -> Result<Box<dyn GraphSession>, EngineError>;
}

/// One thread's copy of a graph. Keeps nothing of a sound from one call to the next.
pub trait GraphSession {
    /// Computes.
    ///
    /// # Errors
    /// [`EngineError::Cancelled`] within some 0.3 s after `cancel` is set; [`EngineError::Model`]
    /// when the graph is not one for this work; [`EngineError::InvalidInput`] and
    /// [`EngineError::TooLarge`] for tensors that the graph does not take; [`EngineError::Failed`].
    fn run(&mut self, work: &GraphWork, cancel: &CancelFlag) -> Result<GraphResult, EngineError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clip_that_fits_a_job_is_not_longer_for_what_could_have_been_before_it() {
        let samples = |start, end| {
            GraphWork::Voice {
                clip: Clip::new(Vec::new()),
                span: Span { start, end },
                warm_samples: 159_744,
                gain: 1.0,
            }
            .audio_samples()
        };
        assert_eq!(samples(0, MAX_GRAPH_JOB_SAMPLES), MAX_GRAPH_JOB_SAMPLES);
        assert_eq!(samples(51_200, 102_400), 102_400);
        assert_eq!(samples(800_256, 900_000), 99_744 + 159_744);
    }
}
