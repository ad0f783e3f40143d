//! A real, small engine for the tests of queue and registry: its text says which audio it was
//! given. The first sample chooses what it does besides.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use auricle_inference::{
    Lease, ModelSource, ModelSourceError, Registry, RegistryConfig, SpanJob, Work,
};
use auricle_speech::{
    CancelFlag, Clip, DecodeOptions, Engine, EngineError, EngineLoader, EngineSession, Language,
    LanguageScore, ModelFiles, RequestClass, Segment, Span, TenantId, Word,
};

/// First sample of audio on which the engine panics.
pub const PANIC: f32 = -1.0;
/// First sample of audio on which the engine computes until it is cancelled.
pub const ENDLESS: f32 = -0.5;

/// What all sessions share: switches and records.
#[derive(Default)]
pub struct Desk {
    /// While set, sessions do not get past their start.
    pub held: AtomicBool,
    pub loads: AtomicUsize,
    pub sessions_open: AtomicUsize,
    pub started: AtomicUsize,
    /// First samples, in the order in which jobs were begun.
    pub order: Mutex<Vec<f32>>,
    /// How long a load takes.
    pub load_ms: AtomicUsize,
}

impl Desk {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    pub fn hold(&self, held: bool) {
        self.held.store(held, Ordering::SeqCst);
    }

    pub fn started(&self) -> usize {
        self.started.load(Ordering::SeqCst)
    }

    pub fn sessions_open(&self) -> usize {
        self.sessions_open.load(Ordering::SeqCst)
    }
}

struct DoubleEngine(Arc<Desk>);

impl Engine for DoubleEngine {
    fn is_multilingual(&self) -> bool {
        true
    }

    fn memory_bytes(&self) -> u64 {
        1000
    }

    fn open_session(&self) -> Result<Box<dyn EngineSession>, EngineError> {
        self.0.sessions_open.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(DoubleSession(Arc::clone(&self.0))))
    }
}

struct DoubleSession(Arc<Desk>);

impl Drop for DoubleSession {
    fn drop(&mut self) {
        self.0.sessions_open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl DoubleSession {
    fn work(&self, samples: &[f32], cancel: &CancelFlag) -> Result<(), EngineError> {
        let first = samples.first().copied().unwrap_or_default();
        self.0.started.fetch_add(1, Ordering::SeqCst);
        self.0.order.lock().unwrap().push(first);
        assert!(first != PANIC, "told to panic");
        while self.0.held.load(Ordering::SeqCst) || first == ENDLESS {
            if cancel.is_cancelled() {
                return Err(EngineError::Cancelled);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

impl EngineSession for DoubleSession {
    fn transcribe(
        &mut self,
        samples: &[f32],
        language: Language,
        _options: &DecodeOptions,
        cancel: &CancelFlag,
    ) -> Result<Vec<Segment>, EngineError> {
        self.work(samples, cancel)?;
        let text = format!("{language} {}", samples.len());
        Ok(vec![Segment {
            id: 0,
            start: 0.0,
            end: 1.0,
            text: text.clone(),
            tokens: vec![1],
            logprobs: Vec::new(),
            temperature: 0.0,
            avg_logprob: -0.1,
            compression_ratio: 1.0,
            no_speech_prob: 0.0,
            words: vec![Word {
                word: text,
                start: 0.25,
                end: 0.5,
                probability: 1.0,
                speaker: None,
            }],
            speaker: None,
            channel: None,
            language: None,
        }])
    }

    fn detect_language(
        &mut self,
        samples: &[f32],
        cancel: &CancelFlag,
    ) -> Result<Vec<LanguageScore>, EngineError> {
        self.work(samples, cancel)?;
        Ok(vec![LanguageScore {
            language: Language::ENGLISH,
            probability: 1.0,
        }])
    }
}

struct DoubleLoader(Arc<Desk>);

impl EngineLoader for DoubleLoader {
    fn load(&self, files: &ModelFiles) -> Result<Arc<dyn Engine>, EngineError> {
        self.0.loads.fetch_add(1, Ordering::SeqCst);
        let took = self.0.load_ms.load(Ordering::SeqCst) as u64;
        std::thread::sleep(Duration::from_millis(took));
        match files.name.as_str() {
            "broken" => Err(EngineError::Model("its weights are cut off".to_owned())),
            "panics" => panic!("told to panic"),
            _ => Ok(Arc::new(DoubleEngine(Arc::clone(&self.0)))),
        }
    }
}

struct DoubleSource;

impl ModelSource for DoubleSource {
    fn find(&self, name: &str) -> Result<ModelFiles, ModelSourceError> {
        match name {
            "unknown" => Err(ModelSourceError::Unknown),
            "missing" => Err(ModelSourceError::Missing {
                reason: "run make setup".to_owned(),
            }),
            _ => Ok(ModelFiles {
                name: name.to_owned(),
                // A file of this package, so that it has a length.
                path: concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml").into(),
                sha256: String::new(),
                word_timestamps: false,
            }),
        }
    }
}

pub fn registry(desk: &Arc<Desk>, config: RegistryConfig) -> Registry {
    Registry::new(
        Arc::new(DoubleSource),
        Arc::new(DoubleLoader(Arc::clone(desk))),
        config,
    )
}

pub fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

/// A job over `secs` of audio whose samples are all `tag`.
pub fn job(tenant_name: &str, lease: &Lease, secs: usize, tag: f32) -> SpanJob {
    let clip = Clip::new(vec![tag; secs * 16_000]);
    SpanJob {
        tenant: tenant(tenant_name),
        class: RequestClass::Interactive,
        lease: lease.clone(),
        span: Span {
            start: 0,
            end: clip.len_samples(),
        },
        clip,
        work: Work::Transcribe {
            language: Language::ENGLISH,
            options: DecodeOptions::default(),
        },
        cancel: CancelFlag::new(),
        deadline: None,
        max_queued: None,
        meter: None,
    }
}

/// Waits until `done`, for at most 5 s.
pub async fn until(what: &str, done: impl Fn() -> bool) {
    for _ in 0..1000 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("waited 5 s in vain until {what}");
}
