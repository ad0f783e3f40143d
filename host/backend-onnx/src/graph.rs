//! The engine behind the traits that the rest of the server knows ([`auricle_speech::graph`]).
//!
//! A graph is verified once, when it is loaded into the registry, and built for each device thread
//! from the file, whose digest is compared again: what changed on the disk in between is refused.
//! A session builds what the first work asks for (a voice activity model for voices, and so on), so
//! that a graph needs no kind beside its name.

use std::path::PathBuf;
use std::sync::Arc;

use auricle_speech::{
    CancelFlag, Clip, EngineError, GraphEngine, GraphLoader, GraphResult, GraphSession, GraphWork,
    MAX_GRAPH_JOB_SAMPLES, ModelFiles, NamedTensor, Span, VOICE_FRAME_SAMPLES, VoiceStream,
};

use crate::session::verified;
use crate::{Embedder, OnnxError, OnnxRuntime, OnnxSession, RunLimits, Segmenter, VoiceActivity};

/// Loads graphs with ONNX Runtime.
#[derive(Clone, Debug)]
pub struct OnnxLoader {
    runtime: OnnxRuntime,
}

impl OnnxLoader {
    /// Loads graphs with this runtime.
    #[must_use]
    pub fn new(runtime: OnnxRuntime) -> Self {
        Self { runtime }
    }
}

impl GraphLoader for OnnxLoader {
    fn load(&self, files: &ModelFiles) -> Result<Arc<dyn GraphEngine>, EngineError> {
        let bytes = verified(&files.path, &files.sha256)?;
        Ok(Arc::new(Graph {
            runtime: self.runtime.clone(),
            path: files.path.clone(),
            sha256: files.sha256.clone(),
            bytes: bytes.len() as u64,
        }))
    }
}

#[derive(Clone, Debug)]
struct Graph {
    runtime: OnnxRuntime,
    path: PathBuf,
    sha256: String,
    bytes: u64,
}

impl GraphEngine for Graph {
    fn memory_bytes(&self) -> u64 {
        self.bytes
    }

    fn open_session(&self) -> Result<Box<dyn GraphSession>, EngineError> {
        Ok(Box::new(Session {
            graph: self.clone(),
            voice: None,
            segmenter: None,
            embedder: None,
            plain: None,
        }))
    }
}

/// What has been built of a graph so far; one of the four, unless a guest computes on a graph that
/// the server itself uses.
#[derive(Debug)]
struct Session {
    graph: Graph,
    voice: Option<VoiceActivity>,
    segmenter: Option<Segmenter>,
    embedder: Option<Embedder>,
    /// The graph itself, for [`GraphWork::Compute`].
    plain: Option<OnnxSession>,
}

/// What one run on plain tensors may take: as many bytes as the longest audio. What it may give is
/// the engine's own limit, because the graph decides it and not who calls.
fn compute_limits() -> RunLimits {
    RunLimits {
        max_input_bytes: MAX_GRAPH_JOB_SAMPLES * size_of::<f32>() as u64,
        ..RunLimits::default()
    }
}

impl Session {
    fn voice(&mut self) -> Result<&mut VoiceActivity, OnnxError> {
        let Graph {
            runtime,
            path,
            sha256,
            ..
        } = &self.graph;
        built(&mut self.voice, || {
            VoiceActivity::load(runtime, path, sha256)
        })
    }

    fn probabilities(
        &mut self,
        clip: &Clip,
        span: Span,
        warm_samples: u64,
        gain: f32,
        cancel: &CancelFlag,
    ) -> Result<Vec<f32>, OnnxError> {
        // Whole frames of warming, so that the frames after it are those of the clip.
        let warm = warm_samples.min(span.start) / VOICE_FRAME_SAMPLES;
        let samples = clip.slice(Span {
            start: span.start - warm * VOICE_FRAME_SAMPLES,
            end: span.end,
        });
        let mut probabilities = self.voice()?.read(samples, gain, cancel)?;
        probabilities.drain(..probabilities.len().min(warm as usize));
        Ok(probabilities)
    }

    fn stream(
        &mut self,
        mut stream: VoiceStream,
        samples: &[f32],
        ends: bool,
    ) -> Result<GraphResult, OnnxError> {
        let voice = self.voice()?;
        let mut probabilities = voice.push(&mut stream, samples)?;
        if ends {
            probabilities.extend(voice.finish(&mut stream)?);
        }
        Ok(GraphResult::VoiceStream {
            stream,
            probabilities,
        })
    }

    fn speakers(
        &mut self,
        clip: &Clip,
        windows: &[Span],
        cancel: &CancelFlag,
    ) -> Result<Vec<Vec<f32>>, OnnxError> {
        let graph = &self.graph;
        let segmenter = built(&mut self.segmenter, || {
            Segmenter::load(&graph.runtime, &graph.path, &graph.sha256)
        })?;
        let windows: Vec<_> = windows.iter().map(|span| clip.slice(*span)).collect();
        let found = segmenter.segment(&windows, cancel)?;
        Ok(found
            .iter()
            .map(|window| window.log_probabilities().to_vec())
            .collect())
    }

    fn embeddings(
        &mut self,
        clip: &Clip,
        voices: &[Vec<Span>],
        cancel: &CancelFlag,
    ) -> Result<Vec<Vec<f32>>, OnnxError> {
        let graph = &self.graph;
        let embedder = built(&mut self.embedder, || {
            Embedder::load(&graph.runtime, &graph.path, &graph.sha256)
        })?;
        let joined = |voice: &Vec<Span>| -> Vec<f32> {
            let parts = voice.iter().flat_map(|span| clip.slice(*span));
            parts.copied().collect()
        };
        let sounds: Vec<_> = voices.iter().map(joined).collect();
        let sounds: Vec<&[f32]> = sounds.iter().map(Vec::as_slice).collect();
        let found = embedder.embed(&sounds, cancel)?;
        Ok(found.iter().map(|voice| voice.values().to_vec()).collect())
    }
}

impl Session {
    fn compute(
        &mut self,
        inputs: &[NamedTensor],
        cancel: &CancelFlag,
    ) -> Result<Vec<NamedTensor>, OnnxError> {
        if cancel.is_cancelled() {
            return Err(OnnxError::Cancelled);
        }
        let graph = &self.graph;
        let session = built(&mut self.plain, || {
            OnnxSession::load(&graph.runtime, &graph.path, &graph.sha256, compute_limits())
        })?;
        session.run(inputs)
    }
}

impl GraphSession for Session {
    fn run(&mut self, work: &GraphWork, cancel: &CancelFlag) -> Result<GraphResult, EngineError> {
        Ok(match work {
            GraphWork::Voice {
                clip,
                span,
                warm_samples,
                gain,
            } => {
                let found = self.probabilities(clip, *span, *warm_samples, *gain, cancel)?;
                GraphResult::Voice(found)
            }
            GraphWork::VoiceStream {
                stream,
                samples,
                ends,
            } => self.stream(stream.clone(), samples, *ends)?,
            GraphWork::Speakers { clip, windows } => {
                GraphResult::Speakers(self.speakers(clip, windows, cancel)?)
            }
            GraphWork::Embeddings { clip, voices } => {
                GraphResult::Embeddings(self.embeddings(clip, voices, cancel)?)
            }
            GraphWork::Compute { inputs } => GraphResult::Compute(self.compute(inputs, cancel)?),
            _ => {
                let reason = "this engine does not know the work".to_owned();
                return Err(EngineError::Failed(reason));
            }
        })
    }
}

/// What is in the slot, built first if there is nothing.
fn built<T>(
    slot: &mut Option<T>,
    build: impl FnOnce() -> Result<T, OnnxError>,
) -> Result<&mut T, OnnxError> {
    if slot.is_none() {
        *slot = Some(build()?);
    }
    slot.as_mut()
        .ok_or_else(|| OnnxError::failed("a graph was built and is not there"))
}
