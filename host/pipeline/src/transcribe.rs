//! The line of a transcription: chunker, language, recognition, guards, speaker-assigner, events.

use std::sync::Arc;

use auricle_capability::{
    AssignerComponent, ChunkerComponent, Event, Listening, RequestScope, SpeechError,
};
use auricle_runtime::{GuestFailure, Revision};
use auricle_speech::{
    Clip, DecodeOptions, Language, SAMPLE_RATE, Silence, SilenceReason, Span, TranscribeOptions,
};
use futures::{StreamExt, pin_mut};
use tokio::sync::mpsc::{self, Sender};

use crate::mixed::Mixed;
use crate::out::{Done, Out, Turns};
use crate::recognise::{ChunkWork, recognise};
use crate::script::Script;
use crate::speakers::Diarizing;
use crate::spoken::{Chunk, Languages, Settled, SpeechTimes, Spoken};
use crate::voice::ClipVoices;
use crate::{Inner, Pipeline, guards, over_limit, shadow};

/// Shorter stretches between spans are no news: 0.25 s, the shortest word.
const MIN_SILENCE_SAMPLES: u64 = SAMPLE_RATE as u64 / 4;

pub(crate) type Events = Sender<Result<Event, SpeechError>>;

/// Transcribes a clip and sends what happens to `events`.
pub(crate) async fn transcribe(
    pipeline: &Pipeline,
    scope: &RequestScope,
    clip: &Clip,
    options: &TranscribeOptions,
    events: &Events,
) -> Result<(), SpeechError> {
    let inner = &pipeline.inner;
    let deployments = inner.deployments_of(scope).await?;
    let revisions = RoleRevisions {
        chunker: deployments.chunker.revision_for(&scope.request_id),
        assigner: deployments.assigner.revision_for(&scope.request_id),
    };
    let line = Line {
        pipeline,
        scope,
        clip,
        options,
    };
    let Some(shadow) = shadow::wanted(&inner.shadows, &deployments, &revisions, scope) else {
        return line.run(&revisions, events).await;
    };
    let (sender, receiver) = mpsc::channel(crate::QUEUED_EVENTS);
    let work = async move { line.run(&revisions, &sender).await };
    let (done, said) = tokio::join!(work, shadow::overhear(receiver, Some(events)));
    done?;
    shadow.compare(pipeline, scope, clip, options, said?);
    Ok(())
}

/// The revisions that work on one request.
#[derive(Clone)]
pub(crate) struct RoleRevisions {
    pub(crate) chunker: Arc<Revision<ChunkerComponent>>,
    pub(crate) assigner: Arc<Revision<AssignerComponent>>,
}

/// One way of a clip to its transcript.
pub(crate) struct Line<'a> {
    pub(crate) pipeline: &'a Pipeline,
    pub(crate) scope: &'a RequestScope,
    pub(crate) clip: &'a Clip,
    pub(crate) options: &'a TranscribeOptions,
}

impl Line<'_> {
    pub(crate) async fn run(
        &self,
        revisions: &RoleRevisions,
        events: &Events,
    ) -> Result<(), SpeechError> {
        let Self {
            pipeline,
            scope,
            clip,
            options,
        } = *self;
        let inner = &pipeline.inner;
        let voices = Arc::new(ClipVoices::new(pipeline.clone(), clip.clone()));
        // Segments are split where the speaker changes, which only words' times can tell.
        let diarizes = options.diarize.is_some();
        let decode = DecodeOptions {
            word_timestamps: options.decode.word_timestamps || diarizes,
            ..options.decode.clone()
        };
        let lease = inner
            .lease(scope, options.model.as_deref(), decode.word_timestamps)
            .await?;
        let spoken = Spoken::requested(options, &lease)?;
        pipeline.use_audio(scope, clip.len_samples())?;
        let assigner = inner
            .guests
            .assigner(&revisions.assigner, scope)
            .await
            .map_err(failed("speaker-assigner", scope))?;
        let start = |speakers| Diarizing::start(pipeline, scope, clip, speakers);
        let diarizing = options.diarize.clone().map(start);
        let listening = Listening {
            voices: Some(Arc::clone(&voices) as _),
            options: options.chunking,
        };
        let spans = cut(inner, &revisions.chunker, scope, listening, clip).await?;
        let mut out = Out {
            scope,
            events,
            language: None,
            script: Script::new(options.script),
            silence: silence(clip, &spans),
            times: SpeechTimes::default(),
            done: Done::new(&spans, diarizes),
            assigner,
            keeps_words: options.decode.word_timestamps,
            turns: Turns::new(diarizing),
            speakers: Vec::new(),
        };
        if let Spoken::Known(language) = &spoken {
            out.begin(*language).await?;
        }
        let work = ChunkWork {
            inner,
            scope,
            lease: &lease,
            clip,
            spoken: &spoken,
            options: &decode,
        };
        self.recognise(work, spans, &voices, &mut out).await?;
        out.finish(spoken.of_silence(), clip.span().end_secs())
            .await
    }

    /// Recognises the spans, each in its language, and passes them on in order.
    async fn recognise(
        &self,
        work: ChunkWork<'_>,
        spans: Vec<Span>,
        voices: &ClipVoices,
        out: &mut Out<'_>,
    ) -> Result<(), SpeechError> {
        let recognised = recognise(work, spans);
        pin_mut!(recognised);
        let (mut languages, mut mixed) = (Languages::default(), Mixed::default());
        loop {
            let next = recognised.next().await.transpose()?;
            let ended = next.is_none();
            let settled = match next {
                Some(chunk) => {
                    let previous = languages.current();
                    let parts = self.parts(work, chunk, previous, voices, &mut mixed);
                    let parts = parts.await?.into_iter();
                    parts.flat_map(|part| languages.push(part)).collect()
                }
                None => languages.release(),
            };
            for settled in settled {
                let chunk = match settled {
                    Settled::Done(chunk) => chunk,
                    Settled::Again(span, language) => work.in_language(span, language).await?,
                };
                self.emit(chunk, voices, out).await?;
            }
            if ended {
                return Ok(());
            }
        }
    }

    /// The chunk, or its two parts where the language changes within it.
    async fn parts(
        &self,
        work: ChunkWork<'_>,
        chunk: Chunk,
        previous: Option<Language>,
        voices: &ClipVoices,
        mixed: &mut Mixed,
    ) -> Result<Vec<Chunk>, SpeechError> {
        if chunk.found.detected.other.is_none() {
            return Ok(vec![chunk]);
        }
        let voice = voices.own(self.scope).await.unwrap_or_default();
        let Some([head, tail]) = mixed.parts(&chunk, &voice) else {
            return Ok(vec![chunk]);
        };
        let tail = work.span(tail, true).await?;
        // Where the speech before is in the same language, so is the head.
        let same = tail.language() == chunk.language() && previous == Some(chunk.language());
        let parts = match same {
            true => vec![tail],
            false => vec![work.span(head, true).await?, tail],
        };
        match mixed.are_two(&parts) {
            true => Ok(parts),
            false => Ok(vec![chunk]),
        }
    }

    /// Passes a chunk's segments through the guards and on.
    async fn emit(
        &self,
        chunk: Chunk,
        voices: &ClipVoices,
        out: &mut Out<'_>,
    ) -> Result<(), SpeechError> {
        out.begin(chunk.language()).await?;
        let mut segments = chunk.found.segments;
        out.script.apply(&mut segments);
        let voice = match segments.is_empty() {
            true => None,
            false => voices.own(self.scope).await,
        };
        let heard = guards::Heard {
            clip: self.clip,
            span: chunk.span,
            voice: voice.as_deref(),
        };
        let (segments, dropped) = guards::sort(segments, heard);
        out.drop(dropped).await?;
        out.segments(segments).await?;
        out.recognised(chunk.span).await
    }
}

/// The stretches of a clip between `spans` that are long enough to hold a word.
fn silence(clip: &Clip, spans: &[Span]) -> Vec<Silence> {
    let ends = std::iter::once(0).chain(spans.iter().map(|span| span.end));
    let starts = spans.iter().map(|span| span.start);
    let starts = starts.chain(std::iter::once(clip.len_samples()));
    let gaps = ends.zip(starts).map(|(start, end)| Span { start, end });
    let silent = gaps.filter(|gap| gap.len_samples() >= MIN_SILENCE_SAMPLES);
    silent
        .map(|gap| Silence {
            start: gap.start_secs(),
            end: gap.end_secs(),
            reason: SilenceReason::NoVoice,
            channel: None,
        })
        .collect()
}

/// Has the chunker cut the clip.
async fn cut(
    inner: &Inner,
    chunker: &Revision<ChunkerComponent>,
    scope: &RequestScope,
    listening: Listening,
    clip: &Clip,
) -> Result<Vec<Span>, SpeechError> {
    if clip.is_empty() {
        return Ok(Vec::new());
    }
    let spans = inner
        .guests
        .split_heard(chunker, scope, listening, clip)
        .await
        .map_err(failed("chunker", scope))?;
    tracing::debug!(request_id = %scope.request_id, spans = ?spans, "cut");
    Ok(spans)
}

/// A consumer that is gone ends the transcription; its error is seen by nobody.
pub(crate) async fn send(events: &Events, event: Event) -> Result<(), SpeechError> {
    events
        .send(Ok(event))
        .await
        .map_err(|_| SpeechError::Internal)
}

pub(crate) fn failed(
    role: &'static str,
    scope: &RequestScope,
) -> impl Fn(GuestFailure) -> SpeechError {
    let (tenant, request_id) = (&scope.tenant, &scope.request_id);
    move |failure| match failure {
        GuestFailure::PoolExhausted => SpeechError::Overloaded {
            retry_after_secs: 1,
        },
        GuestFailure::OverQuota(over) => over_limit(&over),
        failure => {
            tracing::warn!(%tenant, %request_id, role, kind = failure.kind(), error = %failure, "a component failed");
            SpeechError::ComponentFailed
        }
    }
}
