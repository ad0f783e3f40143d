//! Who spoke when: the diarization's questions to the device that runs graphs, and back.
//!
//! Runs beside recognition, as a task of its own that ends with the request. Both share the cores;
//! the segments wait for the turns, because a speaker's label is known only when every voice of the
//! clip has been heard.

use std::sync::Arc;

use auricle_capability::{RequestScope, SpeechError};
use auricle_diarization::{
    Diarization, DiarizationError, DiarizeOptions, Diarized, KnownSpeaker, VoiceJob, is_silent,
};
use auricle_inference::Lease;
use auricle_speech::audio::samples_to_bytes;
use auricle_speech::{
    CancelFlag, Clip, GraphEngine, GraphResult, GraphWork, KnownVoice, Span, SpeakerOptions, Turn,
};
use auricle_telemetry::step;
use auricle_tenancy::HeldKind;
use futures::{StreamExt, pin_mut, stream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::Instrument;

use crate::graphs::{GraphParts, SpeakerModels};
use crate::{Inner, Pipeline, no_memory};

/// Windows of one piece of work: 20 s of audio, some 0.15 s of one core. Four (and five voices) are
/// no faster and keep 100 MB more in each thread.
const BATCH_WINDOWS: usize = 2;

/// Voices or passages of one piece of work: at most 8 s of audio.
const BATCH_VOICES: usize = 2;

/// The share of the time that the windows take; the voices take the rest.
const WINDOWS_SHARE: f32 = 0.4;

/// A diarization under way. Dropping it cancels it.
pub(crate) struct Diarizing {
    task: JoinHandle<Result<Diarized, SpeechError>>,
    share: watch::Receiver<f32>,
}

impl Diarizing {
    /// Starts one. The server must have a diarizer, and `options` be checked.
    pub(crate) fn start(
        pipeline: &Pipeline,
        scope: &RequestScope,
        clip: &Clip,
        options: SpeakerOptions,
    ) -> Self {
        let (done, share) = watch::channel(0.0);
        let inner = Arc::clone(&pipeline.inner);
        let (scope, clip) = (scope.clone(), clip.clone());
        let work = async move {
            let line = Line::new(&inner, &scope).await?;
            let mut known = Vec::with_capacity(options.known.len());
            for voice in &options.known {
                known.push(line.enrol(voice).await?);
            }
            let asked = DiarizeOptions {
                known,
                ..numbers(&options)
            };
            line.diarize(&clip, asked, &done).await
        };
        let task = tokio::spawn(work.instrument(step!("diarize")));
        Self { task, share }
    }

    /// Whether the turns, or an error, are there.
    pub(crate) fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// The share that is done, 0.0..=1.0.
    pub(crate) fn share(&self) -> f32 {
        *self.share.borrow()
    }

    /// Waits until the share has grown; false at the end.
    pub(crate) async fn grows(&mut self) -> bool {
        self.share.changed().await.is_ok()
    }

    /// The turns in order of start; waits for them.
    pub(crate) async fn turns(mut self) -> Result<Vec<Turn>, SpeechError> {
        match (&mut self.task).await {
            Ok(diarized) => diarized.map(|diarized| diarized.turns),
            Err(error) => {
                tracing::error!(%error, "a diarization ended early");
                Err(SpeechError::Internal)
            }
        }
    }
}

impl Drop for Diarizing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Refuses numbers of speakers that cannot be.
pub(crate) fn check(options: &SpeakerOptions) -> Result<(), SpeechError> {
    numbers(options).speakers().map(drop).map_err(refused)
}

fn numbers(options: &SpeakerOptions) -> DiarizeOptions {
    let number = |speakers: Option<u32>| speakers.and_then(|n| usize::try_from(n).ok());
    DiarizeOptions {
        num_speakers: number(options.num_speakers),
        min_speakers: number(options.min_speakers),
        max_speakers: number(options.max_speakers),
        ..DiarizeOptions::default()
    }
}

fn refused(error: DiarizationError) -> SpeechError {
    match error {
        DiarizationError::InvalidOption { .. } => SpeechError::InvalidOption(error.to_string()),
        error => {
            tracing::error!(%error, "a diarization failed");
            SpeechError::Internal
        }
    }
}

impl Inner {
    pub(crate) fn diarizer(&self) -> Result<(&GraphParts, &SpeakerModels), SpeechError> {
        let graphs = self.graphs.as_ref();
        let speakers = graphs.and_then(|graphs| Some((graphs, graphs.speakers.as_ref()?)));
        speakers.ok_or_else(|| {
            let text = "Diarization not available: this server lacks ONNX Runtime or the speaker \
                        models, which `make setup` installs; until then leave 'diarize' out";
            SpeechError::Unavailable(text.to_owned())
        })
    }
}

/// What one request's questions go through.
struct Line<'a> {
    graphs: &'a GraphParts,
    scope: &'a RequestScope,
    segmentation: Lease<dyn GraphEngine>,
    embedding: Lease<dyn GraphEngine>,
}

impl<'a> Line<'a> {
    async fn new(inner: &'a Inner, scope: &'a RequestScope) -> Result<Self, SpeechError> {
        let (graphs, models) = inner.diarizer()?;
        Ok(Self {
            graphs,
            scope,
            segmentation: graphs.lease(&models.segmentation).await?,
            embedding: graphs.lease(&models.embedding).await?,
        })
    }

    /// What a known speaker sounds like.
    async fn enrol(&self, voice: &KnownVoice) -> Result<KnownSpeaker, SpeechError> {
        let alone = DiarizeOptions {
            num_speakers: Some(1),
            ..DiarizeOptions::default()
        };
        let heard = self
            .diarize(&voice.clip, alone, &watch::channel(0.0).0)
            .await?;
        match heard.speakers.into_iter().next() {
            Some(speaker) => Ok(KnownSpeaker {
                name: voice.name.clone(),
                embedding: speaker.embedding,
            }),
            None => Err(SpeechError::InvalidOption(format!(
                "nobody speaks in the audio of the known speaker '{}': send some seconds of speech",
                voice.name
            ))),
        }
    }

    async fn diarize(
        &self,
        clip: &Clip,
        options: DiarizeOptions,
        share: &watch::Sender<f32>,
    ) -> Result<Diarized, SpeechError> {
        let bytes = clip_analysis_bytes(clip);
        let reserved = self.scope.account.reserve(HeldKind::Clip, bytes);
        let _reserved = reserved.map_err(no_memory)?;
        let mut diarization = Diarization::new(clip.len_samples());
        self.segment(clip, &mut diarization, share).await?;
        self.embed(clip, &mut diarization, share).await?;
        // Comparing the voices is arithmetic alone, some 0.1 s an hour of audio.
        let cancel = CancelFlag::new();
        let _on_drop = CancelOnDrop(cancel.clone());
        let finish = move || diarization.finish(&options, &cancel);
        let finished = tokio::task::spawn_blocking(finish).await;
        finished
            .map_err(|_| SpeechError::Internal)?
            .map_err(refused)
    }

    async fn segment(
        &self,
        clip: &Clip,
        diarization: &mut Diarization,
        share: &watch::Sender<f32>,
    ) -> Result<(), SpeechError> {
        let windows: Vec<(usize, Span)> = diarization.windows().into_iter().enumerate().collect();
        let (mut loud, total) = (Vec::new(), windows.len());
        for (window, span) in windows {
            match is_silent(clip.slice(span)) {
                true => diarization.silent(window).map_err(refused)?,
                false => loud.push((window, span)),
            }
        }
        let batches: Vec<_> = loud.chunks(BATCH_WINDOWS).map(<[_]>::to_vec).collect();
        let answers = stream::iter(batches.into_iter().enumerate())
            .map(|(number, batch)| async move {
                let work = GraphWork::Speakers {
                    clip: clip.clone(),
                    windows: batch.iter().map(|(_, span)| *span).collect(),
                };
                let lease = &self.segmentation;
                match self.graphs.run(self.scope, lease, work, number > 0).await? {
                    GraphResult::Speakers(answers) if answers.len() == batch.len() => {
                        Ok((batch, answers))
                    }
                    _ => Err(SpeechError::Internal),
                }
            })
            .buffer_unordered(self.graphs.in_flight());
        pin_mut!(answers);
        let mut done = total - loud.len();
        while let Some(answer) = answers.next().await {
            let (batch, answers) = answer?;
            for ((window, _), answer) in batch.iter().zip(&answers) {
                diarization.segmented(*window, answer).map_err(refused)?;
            }
            done += batch.len();
            // Nobody may be listening.
            let _ = share.send(WINDOWS_SHARE * done as f32 / total.max(1) as f32);
        }
        Ok(())
    }

    async fn embed(
        &self,
        clip: &Clip,
        diarization: &mut Diarization,
        share: &watch::Sender<f32>,
    ) -> Result<(), SpeechError> {
        let windows = 0..diarization.windows().len();
        let voices = windows.flat_map(|w| diarization.voices(w));
        let jobs: Vec<VoiceJob> = voices.chain(diarization.passages()).collect();
        let (mut done, total) = (0, jobs.len());
        let answers = stream::iter(of_one_length(jobs))
            .map(|batch| async move {
                let work = GraphWork::Embeddings {
                    clip: clip.clone(),
                    voices: batch.iter().map(|job| job.spans.clone()).collect(),
                };
                match self
                    .graphs
                    .run(self.scope, &self.embedding, work, true)
                    .await?
                {
                    GraphResult::Embeddings(answers) if answers.len() == batch.len() => {
                        Ok((batch, answers))
                    }
                    _ => Err(SpeechError::Internal),
                }
            })
            .buffer_unordered(self.graphs.in_flight());
        pin_mut!(answers);
        while let Some(answer) = answers.next().await {
            let (batch, answers) = answer?;
            for (job, voice) in batch.iter().zip(&answers) {
                diarization.embedded(job, voice).map_err(refused)?;
            }
            done += batch.len();
            let share_done = done as f32 / total.max(1) as f32;
            let _ = share.send(WINDOWS_SHARE + (1.0 - WINDOWS_SHARE) * share_done);
        }
        Ok(())
    }
}

/// Memory of a diarization between its model calls. For each second of audio (64,000 bytes) it keeps
/// a window's 589 frames of four bytes and up to three voices of 1 KiB, and the matrix of voices while
/// it compares them: an eighth of the clip.
fn clip_analysis_bytes(clip: &Clip) -> u64 {
    samples_to_bytes(clip.len_samples()) / 8
}

/// The voices in batches of at most [`BATCH_VOICES`], those of a batch equally long together.
fn of_one_length(mut jobs: Vec<VoiceJob>) -> Vec<Vec<VoiceJob>> {
    let len = |job: &VoiceJob| job.spans.iter().map(|span| span.len_samples()).sum::<u64>();
    jobs.sort_by_key(len);
    jobs.chunk_by(|a, b| len(a) == len(b))
        .flat_map(|same| same.chunks(BATCH_VOICES).map(<[_]>::to_vec))
        .collect()
}

struct CancelOnDrop(CancelFlag);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
