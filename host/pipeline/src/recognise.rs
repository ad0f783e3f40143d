//! Spans to the device and back, in order.
//!
//! A request keeps a few spans queued and no more: enough that no worker waits for it, few enough
//! that another request's spans come in between.

use std::time::Duration;

use auricle_capability::{RequestScope, SpeechError};
use auricle_inference::{InferenceError, Lease, SpanJob, SpanResult, Work};
use auricle_speech::{
    CancelFlag, Clip, DecodeOptions, Language, LanguageScore, MAX_CHUNK_SAMPLES, Span,
};
use auricle_telemetry::step;
use futures::{Stream, StreamExt, stream};
use tracing::Instrument;

use crate::meter::meter;
use crate::spoken::{Chunk, Spoken};
use crate::{Inner, speech_error};

/// How long to wait before a span of a request under way is offered to a full queue again.
pub(crate) const FULL_QUEUE_PAUSE: Duration = Duration::from_millis(100);

/// What is recognised, for whom and how: the same for all chunks of a request.
#[derive(Clone, Copy)]
pub(crate) struct ChunkWork<'a> {
    pub(crate) inner: &'a Inner,
    pub(crate) scope: &'a RequestScope,
    pub(crate) lease: &'a Lease,
    pub(crate) clip: &'a Clip,
    pub(crate) spoken: &'a Spoken,
    pub(crate) options: &'a DecodeOptions,
}

impl ChunkWork<'_> {
    /// Recognises a span in the language that was requested or is detected in it. Unless it `waits`, it
    /// is refused when the queue is full.
    pub(crate) async fn span(self, span: Span, waits: bool) -> Result<Chunk, SpeechError> {
        match self.spoken {
            Spoken::Known(language) => self.known(span, *language, waits).await,
            Spoken::Detected(detection) => {
                let work = Work::TranscribeDetected {
                    detection: detection.clone(),
                    options: self.options.clone(),
                };
                match self.run(span, work, waits).await? {
                    SpanResult::Detected(found) => Ok(Chunk { span, found }),
                    _ => Err(SpeechError::Internal),
                }
            }
        }
    }

    /// Recognises a span again, in another language.
    pub(crate) async fn in_language(
        self,
        span: Span,
        language: Language,
    ) -> Result<Chunk, SpeechError> {
        self.known(span, language, true).await
    }

    async fn known(
        self,
        span: Span,
        language: Language,
        waits: bool,
    ) -> Result<Chunk, SpeechError> {
        let work = Work::Transcribe {
            language,
            options: self.options.clone(),
        };
        match self.run(span, work, waits).await? {
            SpanResult::Segments(segments) => Ok(Chunk::known(span, language, segments)),
            _ => Err(SpeechError::Internal),
        }
    }

    async fn run(self, span: Span, work: Work, waits: bool) -> Result<SpanResult, SpeechError> {
        let step = step!(
            "recognise",
            start_secs = span.start_secs(),
            end_secs = span.end_secs()
        );
        let work = run(
            self.inner, self.scope, self.lease, self.clip, span, work, waits,
        );
        work.instrument(step).await
    }
}

/// Recognises `spans`; yields them in order.
///
/// The first span of a request is refused when the queue is full; later ones wait, so that work
/// already done is not thrown away.
pub(crate) fn recognise<'a>(
    work: ChunkWork<'a>,
    spans: Vec<Span>,
) -> impl Stream<Item = Result<Chunk, SpeechError>> + 'a {
    let queued_spans = work.inner.scheduler.stats().workers.saturating_mul(2);
    stream::iter(spans.into_iter().enumerate())
        .map(move |(number, span)| work.span(span, number > 0))
        .buffered(queued_spans)
}

/// Scores all languages on the first 30 s of a clip, best first.
pub(crate) async fn detect_language(
    inner: &Inner,
    scope: &RequestScope,
    lease: &Lease,
    clip: &Clip,
) -> Result<Vec<LanguageScore>, SpeechError> {
    let span = Span {
        start: 0,
        end: clip.len_samples().min(MAX_CHUNK_SAMPLES),
    };
    let work = run(inner, scope, lease, clip, span, Work::DetectLanguage, false);
    match work.instrument(step!("detect_language")).await? {
        SpanResult::Languages(scores) => Ok(scores),
        _ => Err(SpeechError::Internal),
    }
}

/// Audio that the scope's tenant may have waiting for the device, if not the device's own limit.
pub(crate) fn max_queued(scope: &RequestScope) -> Option<Duration> {
    let secs = scope.account.quotas().max_queued_audio_secs?;
    Some(Duration::from_secs(secs.into()))
}

async fn run(
    inner: &Inner,
    scope: &RequestScope,
    lease: &Lease,
    clip: &Clip,
    span: Span,
    work: Work,
    waits: bool,
) -> Result<SpanResult, SpeechError> {
    loop {
        let job = SpanJob {
            tenant: scope.tenant.clone(),
            class: scope.class,
            lease: lease.clone(),
            clip: clip.clone(),
            span,
            work: work.clone(),
            cancel: CancelFlag::new(),
            deadline: Some(scope.deadline),
            max_queued: max_queued(scope),
            meter: Some(meter(scope)),
        };
        match inner.scheduler.submit(job) {
            Ok(pending) => return pending.await.map_err(speech_error),
            Err(InferenceError::Full { .. } | InferenceError::TenantFull { .. }) if waits => {
                if std::time::Instant::now() >= scope.deadline {
                    return Err(SpeechError::DeadlineExceeded);
                }
                tokio::time::sleep(FULL_QUEUE_PAUSE).await;
            }
            Err(error) => return Err(speech_error(error)),
        }
    }
}
