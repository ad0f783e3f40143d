//! The line of a transcription: chunker, language, recognition, guards, speaker-assigner, events.

use std::sync::Arc;

use auricle_capability::{Event, RequestScope, SpeechError};
use auricle_runtime::GuestFailure;
use auricle_speech::{Clip, DecodeOptions, Language, Span, TranscribeOptions};
use futures::{StreamExt, pin_mut};
use tokio::sync::mpsc::Sender;

use crate::out::{Done, Out, Turns};
use crate::recognise::{detect_language, recognise};
use crate::speakers::Diarizing;
use crate::voice::ClipVoices;
use crate::{Pipeline, guards, use_audio};

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
    let voices = Arc::new(ClipVoices::new(pipeline.clone(), clip.clone()));
    let deployments = inner.deployments.of(&scope.tenant);
    let (chunker, assigner) = (
        deployments.chunker.current(),
        deployments.assigner.current(),
    );
    // Segments are split where the speaker changes, which only words' times can tell.
    let diarizes = options.diarize.is_some();
    let decode = DecodeOptions {
        word_timestamps: options.decode.word_timestamps || diarizes,
        ..options.decode.clone()
    };
    let lease = inner
        .lease(scope, options.model.as_deref(), decode.word_timestamps)
        .await?;
    use_audio(scope, clip.len_samples())?;
    let assigner = inner
        .guests
        .assigner(&assigner, scope)
        .await
        .map_err(failed("speaker-assigner", scope))?;
    let start = |speakers| Diarizing::start(pipeline, scope, clip, speakers);
    let diarizing = options.diarize.clone().map(start);
    let spans = match clip.is_empty() {
        true => Vec::new(),
        false => inner
            .guests
            .split_heard(&chunker, scope, Some(Arc::clone(&voices) as _), clip)
            .await
            .map_err(failed("chunker", scope))?,
    };
    tracing::debug!(request_id = %scope.request_id, spans = ?spans, "cut");
    let language = match (options.language, spans.first()) {
        (Some(language), _) if known(&lease, language) => language,
        (Some(language), _) => return Err(SpeechError::UnknownLanguage(language.code().into())),
        (None, Some(first)) => {
            let speech = Clip::new(clip.slice(window(clip, *first)).to_vec());
            best(&detect_language(inner, scope, &lease, &speech).await?)
        }
        (None, None) => Language::ENGLISH,
    };
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

fn known(lease: &auricle_inference::Lease, language: Language) -> bool {
    lease.engine().is_multilingual() || language == Language::ENGLISH
}

fn best(scores: &[auricle_speech::LanguageScore]) -> Language {
    scores
        .first()
        .map_or(Language::ENGLISH, |score| score.language)
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
        failure => {
            tracing::warn!(%tenant, %request_id, role, kind = failure.kind(), error = %failure, "a component failed");
            SpeechError::ComponentFailed
        }
    }
}
