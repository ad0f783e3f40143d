//! Spans to the device and back, in order.
//!
//! A request keeps a few spans queued and no more: enough that no worker waits for it, few enough
//! that another request's spans come in between.

use std::time::Duration;

use auricle_capability::{RequestScope, SpeechError};
use auricle_inference::{InferenceError, Lease, SpanJob, SpanResult, Work};
use auricle_speech::{
    CancelFlag, Clip, DecodeOptions, Language, LanguageScore, MAX_CHUNK_SAMPLES, Segment, Span,
};
use auricle_telemetry::step;
use futures::{Stream, StreamExt, stream};
use tracing::Instrument;

use crate::{Inner, speech_error};

/// How long to wait before a span of a request under way is offered to a full queue again.
pub(crate) const FULL_QUEUE_PAUSE: Duration = Duration::from_millis(100);

/// Recognises `spans` of a clip; yields each span with its segments, in order.
///
/// The first span of a request is refused when the queue is full; later ones wait, so that work
/// already done is not thrown away.
pub(crate) fn recognise<'a>(
    inner: &'a Inner,
    scope: &'a RequestScope,
    lease: &'a Lease,
    clip: &'a Clip,
    spans: Vec<Span>,
    language: Language,
    options: &'a DecodeOptions,
) -> impl Stream<Item = Result<(Span, Vec<Segment>), SpeechError>> + 'a {
    let queued_spans = inner.scheduler.stats().workers.saturating_mul(2);
    stream::iter(spans.into_iter().enumerate())
        .map(move |(number, span)| async move {
            let work = Work::Transcribe {
                language,
                options: options.clone(),
            };
            let step = step!(
                "recognise",
                start_secs = span.start_secs(),
                end_secs = span.end_secs()
            );
            let work = run(inner, scope, lease, clip, span, work, number > 0);
            match work.instrument(step).await? {
                SpanResult::Segments(segments) => Ok((span, segments)),
                SpanResult::Languages(_) => Err(SpeechError::Internal),
            }
        })
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
        SpanResult::Segments(_) => Err(SpeechError::Internal),
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
