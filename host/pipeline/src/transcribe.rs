//! The line of a transcription: chunker, language, recognition, guards, speaker-assigner, events.

use std::sync::Arc;

use auricle_capability::{
    AssignerComponent, ChunkerComponent, Event, Listening, RequestScope, SpeechError,
};
use auricle_inference::Lease;
use auricle_runtime::{GuestFailure, Revision};
use auricle_speech::{Clip, DecodeOptions, Language, LanguageScore, Span, TranscribeOptions};
use futures::{StreamExt, pin_mut};
use tokio::sync::mpsc::{self, Sender};

use crate::out::{Done, Out, Turns};
use crate::recognise::{detect_language, recognise};
use crate::speakers::Diarizing;
use crate::voice::ClipVoices;
use crate::{Inner, Pipeline, guards, over_limit, shadow};

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
        let language = self.language(&lease, spans.first()).await?;
        send(events, Event::Language(language)).await?;
        let mut out = Out {
            scope,
            events,
            done: Done::new(&spans, diarizes),
            assigner,
            keeps_words: options.decode.word_timestamps,
            turns: Turns::new(diarizing),
            speakers: Vec::new(),
        };
        let recognised = recognise(inner, scope, &lease, clip, spans, language, &decode);
        pin_mut!(recognised);
        while let Some(batch) = recognised.next().await {
            let (span, segments) = batch?;
            let voice = match segments.is_empty() {
                true => None,
                false => voices.own(scope).await,
            };
            let (segments, dropped) = guards::sort(segments, voice.as_deref());
            out.drop(dropped).await?;
            out.segments(segments).await?;
            out.recognised(span).await?;
        }
        out.finish(language, clip.span().end_secs()).await
    }

    /// The language that was asked for, or that the first span is in.
    async fn language(&self, lease: &Lease, first: Option<&Span>) -> Result<Language, SpeechError> {
        let (inner, clip) = (&self.pipeline.inner, self.clip);
        match (asked_language(self.options, lease)?, first) {
            (Some(language), _) => Ok(language),
            (None, Some(first)) => {
                let speech = clip.part(window(clip, *first));
                let scores = detect_language(inner, self.scope, lease, &speech).await?;
                Ok(best(&scores, &self.options.languages))
            }
            (None, None) => Ok(Language::ENGLISH),
        }
    }
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

/// The model's window from the start of a span: what the language is detected on.
fn window(clip: &Clip, first: Span) -> Span {
    let end = first
        .start
        .saturating_add(auricle_speech::MAX_CHUNK_SAMPLES);
    Span {
        start: first.start,
        end: end.min(clip.len_samples()),
    }
}

/// The language that needs no detection: the one that was said, or the only one of several said that
/// the model knows.
fn asked_language(
    options: &TranscribeOptions,
    lease: &Lease,
) -> Result<Option<Language>, SpeechError> {
    let said = match &options.language {
        Some(one) => std::slice::from_ref(one),
        None => options.languages.as_slice(),
    };
    let mut knows = said.iter().copied().filter(|one| known(lease, *one));
    match (knows.next(), knows.next(), said.first()) {
        (Some(only), None, _) => Ok(Some(only)),
        (None, None, Some(unknown)) => Err(SpeechError::UnknownLanguage(unknown.code().into())),
        _ => Ok(None),
    }
}

fn known(lease: &Lease, language: Language) -> bool {
    lease.engine().is_multilingual() || language == Language::ENGLISH
}

/// The likeliest language, of `candidates` where there are some.
fn best(scores: &[LanguageScore], candidates: &[Language]) -> Language {
    let mut languages = scores.iter().map(|score| score.language);
    let fits = |language: &Language| candidates.is_empty() || candidates.contains(language);
    languages.find(fits).unwrap_or(Language::ENGLISH)
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
