//! Where somebody speaks in a clip: pieces of it to the device that runs graphs, and back.
//!
//! A long clip is read in pieces, on several threads at once. The model remembers what it heard, so
//! every piece but the first is begun [`WARM_FRAMES`] early, and what comes of those is thrown away.

use std::sync::Arc;

use auricle_capability::{RequestScope, SpeechError, Voices};
use auricle_speech::{
    Clip, GraphResult, GraphWork, MAX_GRAPH_JOB_SAMPLES, Span, VOICE_FRAME_SAMPLES, VoiceStream,
    clip_gain,
};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use tokio::sync::OnceCell;

use crate::graphs::GraphParts;
use crate::{Inner, Pipeline};

/// Frames that a piece is begun early: 10 s. The model remembers for long: on 7 minutes of speech 7 of
/// 13,329 frames then lie on the other side of 0.5 than in a single pass, and 31 are off by more than
/// 0.05 (2 s: 14 and 83; 15 s: 3 and 10).
const WARM_FRAMES: u64 = 312;

/// Frames of a piece; with those before it 60 s.
const PIECE_FRAMES: u64 = MAX_GRAPH_JOB_SAMPLES / VOICE_FRAME_SAMPLES - WARM_FRAMES;

/// The pieces that a clip of this length is read in; one, when it fits.
fn pieces(length_samples: u64) -> Vec<Span> {
    let step = if length_samples <= MAX_GRAPH_JOB_SAMPLES {
        MAX_GRAPH_JOB_SAMPLES
    } else {
        PIECE_FRAMES * VOICE_FRAME_SAMPLES
    };
    (0..length_samples.div_ceil(step))
        .map(|number| Span {
            start: number * step,
            end: length_samples.min((number + 1) * step),
        })
        .collect()
}

impl Inner {
    fn voice(&self) -> Result<(&GraphParts, &str), SpeechError> {
        let graphs = self.graphs.as_ref();
        let voice = graphs.and_then(|graphs| Some((graphs, graphs.voice.as_deref()?)));
        voice.ok_or_else(|| {
            SpeechError::Unavailable("this server has no voice activity model".into())
        })
    }

    async fn probabilities(
        &self,
        scope: &RequestScope,
        clip: &Clip,
    ) -> Result<Arc<[f32]>, SpeechError> {
        let (graphs, model) = self.voice()?;
        let lease = &graphs.lease(model).await?;
        let gain = gain(clip).await?;
        let pieces = pieces(clip.len_samples()).into_iter().enumerate();
        let found: Vec<Vec<f32>> = stream::iter(pieces)
            .map(|(number, span)| async move {
                let work = GraphWork::Voice {
                    clip: clip.clone(),
                    span,
                    warm_samples: WARM_FRAMES * VOICE_FRAME_SAMPLES,
                    gain,
                };
                match graphs.run(scope, lease, work, number > 0).await? {
                    GraphResult::Voice(probabilities) => Ok(probabilities),
                    _ => Err(SpeechError::Internal),
                }
            })
            .buffered(graphs.in_flight())
            .try_collect()
            .await?;
        Ok(found.concat().into())
    }
}

/// What the clip's samples are multiplied by. Reads all of them, away from other requests' threads.
async fn gain(clip: &Clip) -> Result<f32, SpeechError> {
    let clip = clip.clone();
    let read = tokio::task::spawn_blocking(move || clip_gain(clip.samples()));
    read.await.map_err(|_| SpeechError::Internal)
}

impl Voices for Pipeline {
    fn probabilities(
        &self,
        scope: &RequestScope,
        clip: Clip,
    ) -> BoxFuture<'static, Result<Arc<[f32]>, SpeechError>> {
        let (inner, scope) = (Arc::clone(&self.inner), self.inner.classed(scope, &clip));
        async move { inner.probabilities(&scope, &clip).await }.boxed()
    }

    fn listen(
        &self,
        scope: &RequestScope,
        stream: VoiceStream,
        samples: Vec<f32>,
        ends: bool,
    ) -> BoxFuture<'static, Result<(VoiceStream, Vec<f32>), SpeechError>> {
        let (inner, scope) = (Arc::clone(&self.inner), scope.clone());
        async move {
            let (graphs, model) = inner.voice()?;
            let lease = graphs.lease(model).await?;
            let work = GraphWork::VoiceStream {
                stream,
                samples,
                ends,
            };
            match graphs.run(&scope, &lease, work, true).await? {
                GraphResult::VoiceStream {
                    stream,
                    probabilities,
                } => Ok((stream, probabilities)),
                _ => Err(SpeechError::Internal),
            }
        }
        .boxed()
    }
}

/// Voice activity of one transcription: its clip is read once, whoever asks.
pub(crate) struct ClipVoices {
    pipeline: Pipeline,
    clip: Clip,
    found: Arc<OnceCell<Arc<[f32]>>>,
}

impl ClipVoices {
    pub(crate) fn new(pipeline: Pipeline, clip: Clip) -> Self {
        Self {
            pipeline,
            clip,
            found: Arc::default(),
        }
    }

    /// The probabilities of the transcription's own clip, when they are to be had.
    pub(crate) async fn own(&self, scope: &RequestScope) -> Option<Arc<[f32]>> {
        let found = Voices::probabilities(self, scope, self.clip.clone()).await;
        found.ok()
    }
}

impl Voices for ClipVoices {
    fn probabilities(
        &self,
        scope: &RequestScope,
        clip: Clip,
    ) -> BoxFuture<'static, Result<Arc<[f32]>, SpeechError>> {
        // A slice is another allocation, and read anew.
        if !std::ptr::eq(clip.samples(), self.clip.samples()) {
            return self.pipeline.probabilities(scope, clip);
        }
        let (inner, scope) = (Arc::clone(&self.pipeline.inner), scope.clone());
        let found = Arc::clone(&self.found);
        async move {
            let found = found.get_or_try_init(|| inner.probabilities(&scope, &clip));
            found.await.cloned()
        }
        .boxed()
    }

    fn listen(
        &self,
        scope: &RequestScope,
        stream: VoiceStream,
        samples: Vec<f32>,
        ends: bool,
    ) -> BoxFuture<'static, Result<(VoiceStream, Vec<f32>), SpeechError>> {
        self.pipeline.listen(scope, stream, samples, ends)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "tests")]
    use super::*;

    #[test]
    fn pieces_cover_a_clip_in_whole_frames_and_fit_a_job() {
        for length in [0, 1, 512, 960_000, 960_001, 57_600_001] {
            let pieces = pieces(length);
            let mut end = 0;
            for piece in &pieces {
                assert_eq!((piece.start, piece.start % VOICE_FRAME_SAMPLES), (end, 0));
                let warm = piece.start.min(WARM_FRAMES * VOICE_FRAME_SAMPLES);
                assert!(piece.len_samples() + warm <= MAX_GRAPH_JOB_SAMPLES);
                end = piece.end;
            }
            assert_eq!(end, length);
        }
        assert_eq!(pieces(960_000).len(), 1);
    }
}
