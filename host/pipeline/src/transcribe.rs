//! The line of a transcription: chunker, language, recognition, guards, speaker-assigner, events.

use std::sync::Arc;

use auricle_capability::{Event, RequestScope, SpeechError, Summary};
use auricle_runtime::GuestFailure;
use auricle_speech::{Clip, DroppedSegment, Language, Segment, Span, TranscribeOptions};
use futures::{StreamExt, pin_mut};
use tokio::sync::mpsc::Sender;

use crate::recognise::{detect_language, recognise};
use crate::voice::ClipVoices;
use crate::{Pipeline, guards};

type Events = Sender<Result<Event, SpeechError>>;

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
    let lease = inner
        .lease(options.model.as_deref(), options.decode.word_timestamps)
        .await?;
    let mut assigner = inner
        .guests
        .assigner(&assigner, scope)
        .await
        .map_err(failed("speaker-assigner", scope))?;
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
    let mut done = Done::new(&spans);
    let recognised = recognise(inner, scope, &lease, clip, spans, language, &options.decode);
    pin_mut!(recognised);
    while let Some(batch) = recognised.next().await {
        let (span, segments) = batch?;
        let voice = match segments.is_empty() {
            true => None,
            false => voices.own(scope).await,
        };
        let (segments, dropped) = guards::sort(segments, voice.as_deref());
        if !dropped.is_empty() {
            send(events, Event::Dropped(done.drop(scope, dropped))).await?;
        }
        let segments = assigner
            .assign(segments, &[])
            .await
            .map_err(failed("speaker-assigner", scope))?;
        if !segments.is_empty() {
            send(events, Event::Segments(done.number(segments))).await?;
        }
        send(events, Event::Progress(done.share(span))).await?;
    }
    let duration_secs = clip.span().end_secs();
    send(
        events,
        Event::Finished(Summary {
            language,
            speakers: Vec::new(),
            duration_secs,
        }),
    )
    .await
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
async fn send(events: &Events, event: Event) -> Result<(), SpeechError> {
    events
        .send(Ok(event))
        .await
        .map_err(|_| SpeechError::Internal)
}

fn failed(role: &'static str, scope: &RequestScope) -> impl Fn(GuestFailure) -> SpeechError {
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

/// How far a transcription is.
struct Done {
    total_samples: u64,
    done_samples: u64,
    segments: u32,
    dropped: u32,
}

impl Done {
    fn new(spans: &[Span]) -> Self {
        let total_samples = spans.iter().map(|span| span.len_samples()).sum();
        Self {
            total_samples,
            done_samples: 0,
            segments: 0,
            dropped: 0,
        }
    }

    /// Numbers segments through the whole transcript.
    fn number(&mut self, mut segments: Vec<Segment>) -> Vec<Segment> {
        for segment in &mut segments {
            segment.id = self.segments;
            self.segments += 1;
        }
        segments
    }

    /// Numbers what is left out, and tells the operator of it.
    fn drop(
        &mut self,
        scope: &RequestScope,
        mut dropped: Vec<DroppedSegment>,
    ) -> Vec<DroppedSegment> {
        for one in &mut dropped {
            one.segment.id = self.dropped;
            self.dropped += 1;
            let (tenant, request_id, segment) = (&scope.tenant, &scope.request_id, &one.segment);
            tracing::debug!(
                %tenant, %request_id, reason = one.reason.as_str(), score = one.score,
                start = segment.start, end = segment.end, text = segment.text,
                "segment dropped"
            );
        }
        dropped
    }

    /// The share that is done with `span`, 0.0..=1.0.
    fn share(&mut self, span: Span) -> f32 {
        self.done_samples += span.len_samples();
        (self.done_samples as f64 / self.total_samples.max(1) as f64) as f32
    }
}
