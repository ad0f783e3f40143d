//! What a device does: the trait of its jobs, and the jobs of the device that recognises speech.

use std::sync::Arc;
use std::time::{Duration, Instant};

use auricle_speech::{
    CancelFlag, Clip, DecodeOptions, DetectedSegments, Detection, Engine, EngineError,
    EngineSession, Language, LanguageScore, RequestClass, SAMPLE_RATE, Segment, Span, TenantId,
    amplified, clip_gain,
};

use crate::error::InferenceError;
use crate::registry::Lease;

/// Least audio that a span counts for: an encoder pass costs much the same for 1 s as for 5 s.
const MIN_COST_SAMPLES: u64 = 5 * SAMPLE_RATE as u64;

/// Account that measured device time is charged to.
pub trait DeviceMeter: std::fmt::Debug + Send + Sync {
    /// Charges the time that a worker has spent on a job, also when the job failed.
    fn charge(&self, time: Duration);
}

/// A piece of work for a thread of a device: bounded in length, cancellable, paid by a tenant.
pub trait Job: Send + 'static {
    /// What it runs on.
    type Engine: ?Sized + Send + Sync + 'static;
    /// One thread's working memory on that.
    type Session: ?Sized;
    /// What comes of it.
    type Output: Send + 'static;

    /// Who pays.
    fn tenant(&self) -> &TenantId;

    /// How urgent it is.
    fn class(&self) -> RequestClass;

    /// What it counts for in the queue, in samples of audio; at least 1.
    fn cost_samples(&self) -> u64;

    /// Samples of audio that it works on.
    fn audio_samples(&self) -> u64;

    /// Stops it, waiting or running.
    fn cancel(&self) -> &CancelFlag;

    /// When the result is no longer of use.
    fn deadline(&self) -> Option<Instant>;

    /// Audio of its tenant that may wait, if not as much as the device's configuration says.
    fn max_queued(&self) -> Option<Duration> {
        None
    }

    /// Account that its device time is charged to, in addition to its tenant's turns.
    fn meter(&self) -> Option<&dyn DeviceMeter> {
        None
    }

    /// The engine, kept loaded until the job is done.
    fn lease(&self) -> &Lease<Self::Engine>;

    /// Sets up working memory for one thread.
    ///
    /// # Errors
    /// What the engine says.
    fn open(engine: &Arc<Self::Engine>) -> Result<Box<Self::Session>, EngineError>;

    /// Does the work on the calling thread.
    ///
    /// # Errors
    /// What the engine says.
    fn run(&self, session: &mut Self::Session) -> Result<Self::Output, InferenceError>;
}

/// What to do with a span.
#[derive(Clone, Debug)]
pub enum Work {
    /// Recognise the speech in it.
    Transcribe {
        /// The spoken language.
        language: Language,
        /// How to decode.
        options: DecodeOptions,
    },
    /// Recognise the speech in it, in the language that is detected in it.
    TranscribeDetected {
        /// Which languages it may be.
        detection: Detection,
        /// How to decode.
        options: DecodeOptions,
    },
    /// Score the languages on its first 30 s.
    DetectLanguage,
}

/// One span of a clip for an engine.
#[derive(Debug)]
pub struct SpanJob {
    /// Who pays.
    pub tenant: TenantId,
    /// How urgent it is.
    pub class: RequestClass,
    /// The model, kept loaded until the job is done.
    pub lease: Lease,
    /// The audio.
    pub clip: Clip,
    /// Which part of it; at most the engine's window (30 s).
    pub span: Span,
    /// What to do.
    pub work: Work,
    /// Stops the job, waiting or running. Set when its [`Pending`](super::Pending) is dropped
    /// unfinished or when the deadline passes: jobs that share a flag end together.
    pub cancel: CancelFlag,
    /// When the result is no longer of use.
    pub deadline: Option<Instant>,
    /// Audio of its tenant that may wait, if not as much as the device's configuration says.
    pub max_queued: Option<Duration>,
    /// Account that its device time is charged to.
    pub meter: Option<Arc<dyn DeviceMeter>>,
}

/// What became of a span.
#[derive(Clone, Debug, PartialEq)]
pub enum SpanResult {
    /// For [`Work::Transcribe`]: times count from the start of the clip, ids from 0 in the span.
    Segments(Vec<Segment>),
    /// For [`Work::TranscribeDetected`]: the same, with the language.
    Detected(DetectedSegments),
    /// For [`Work::DetectLanguage`]: best first.
    Languages(Vec<LanguageScore>),
}

impl Job for SpanJob {
    type Engine = dyn Engine;
    type Session = dyn EngineSession;
    type Output = SpanResult;

    fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    fn class(&self) -> RequestClass {
        self.class
    }

    fn cost_samples(&self) -> u64 {
        self.span.len_samples().max(MIN_COST_SAMPLES)
    }

    fn audio_samples(&self) -> u64 {
        self.span.len_samples()
    }

    fn cancel(&self) -> &CancelFlag {
        &self.cancel
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn max_queued(&self) -> Option<Duration> {
        self.max_queued
    }

    fn meter(&self) -> Option<&dyn DeviceMeter> {
        self.meter.as_deref()
    }

    fn lease(&self) -> &Lease {
        &self.lease
    }

    fn open(engine: &Arc<dyn Engine>) -> Result<Box<dyn EngineSession>, EngineError> {
        engine.open_session()
    }

    fn run(&self, session: &mut Self::Session) -> Result<SpanResult, InferenceError> {
        let samples = self.clip.slice(self.span);
        let samples = &amplified(samples, clip_gain(samples));
        match &self.work {
            Work::Transcribe { language, options } => {
                let mut segments = session.transcribe(samples, *language, options, &self.cancel)?;
                shift(&mut segments, self.span.start_secs());
                Ok(SpanResult::Segments(segments))
            }
            Work::TranscribeDetected { detection, options } => {
                let mut found =
                    session.transcribe_detected(samples, detection, options, &self.cancel)?;
                shift(&mut found.segments, self.span.start_secs());
                Ok(SpanResult::Detected(found))
            }
            Work::DetectLanguage => Ok(SpanResult::Languages(
                session.detect_language(samples, &self.cancel)?,
            )),
        }
    }
}

/// Makes times count from the start of the clip.
fn shift(segments: &mut [Segment], by_secs: f64) {
    for segment in segments {
        segment.start += by_secs;
        segment.end += by_secs;
        for word in &mut segment.words {
            word.start += by_secs;
            word.end += by_secs;
        }
    }
}
