//! Which models are loaded, and for how long.
//!
//! A model is loaded when it is first asked for, by one thread however many ask, and unloaded when
//! nobody has used it for a while or when another needs its memory. A [`Lease`] keeps it loaded.
//! Engines with and without word times are two entries, because they are set up differently.
//!
//! [`Models`] holds whatever a loader makes: [`Registry`] Whisper models, [`GraphRegistry`] the
//! graphs of the second engine.

mod source;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use auricle_speech::{Engine, EngineError, EngineLoader, GraphEngine, GraphLoader, ModelFiles};
use tokio::sync::watch;

use crate::error::{InferenceError, panic_message};

pub use source::{ModelSource, ModelSourceError};

/// How long models stay and how many fit.
#[derive(Clone, Debug)]
pub struct RegistryConfig {
    /// How long an unused model stays loaded; zero unloads it within 0.1 s,
    /// `None` never.
    pub idle: Option<Duration>,
    /// Bytes of weights that may be loaded at a time; `None` is no limit.
    pub memory_budget_bytes: Option<u64>,
}

impl Default for RegistryConfig {
    /// 5 minutes, as comparable servers have it; no limit.
    fn default() -> Self {
        Self {
            idle: Some(Duration::from_secs(300)),
            memory_budget_bytes: None,
        }
    }
}

/// How often at most a model is looked at for idleness.
const MIN_IDLE_CHECK: Duration = Duration::from_millis(50);

/// A loaded model, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedModel {
    /// Its name.
    pub name: String,
    /// Whether it was set up for word times.
    pub word_timestamps: bool,
    /// Bytes of its weights.
    pub memory_bytes: u64,
    /// Leases on it now.
    pub leases: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    name: String,
    word_timestamps: bool,
}

/// What a registry can hold.
pub trait Loadable: Send + Sync {
    /// Bytes of weights held, about.
    fn memory_bytes(&self) -> u64;
}

impl Loadable for dyn Engine {
    fn memory_bytes(&self) -> u64 {
        Engine::memory_bytes(self)
    }
}

impl Loadable for dyn GraphEngine {
    fn memory_bytes(&self) -> u64 {
        GraphEngine::memory_bytes(self)
    }
}

/// Makes an engine of a model's files.
type Load<E> = Box<dyn Fn(&ModelFiles) -> Result<Arc<E>, EngineError> + Send + Sync>;

struct Loaded<E: ?Sized> {
    key: Key,
    engine: Arc<E>,
    last_used: Mutex<Instant>,
    /// Whether somebody means never to give it back.
    pinned: AtomicBool,
}

impl<E: ?Sized> Loaded<E> {
    fn touch(&self) {
        *self
            .last_used
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last_used(&self) -> Instant {
        *self
            .last_used
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// What those who wait for a load are told. Weak, so that the news does not count as a use.
type News<E> = Result<Weak<Loaded<E>>, InferenceError>;

enum Slot<E: ?Sized> {
    /// Tells when the load is over.
    Loading(watch::Receiver<Option<News<E>>>),
    Loaded(Arc<Loaded<E>>),
}

struct Inner<E: ?Sized> {
    slots: Mutex<HashMap<Key, Slot<E>>>,
    /// Held by the one thread that loads: two at a time could both find the budget sufficient.
    loading: Mutex<()>,
    source: Arc<dyn ModelSource>,
    load: Load<E>,
    config: RegistryConfig,
}

impl<E: Loadable + ?Sized + 'static> Inner<E> {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Slot<E>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loads a model and puts it, or nothing, in its slot. Blocks.
    fn load(&self, key: &Key) -> News<E> {
        let _one_at_a_time = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        let attempt = catch_unwind(AssertUnwindSafe(|| self.load_engine(key)));
        let result = attempt
            .unwrap_or_else(|panic| {
                Err(InferenceError::Load {
                    name: key.name.clone(),
                    reason: format!("the engine panicked: {}", panic_message(panic.as_ref())),
                })
            })
            .map(|engine| {
                Arc::new(Loaded {
                    key: key.clone(),
                    engine,
                    last_used: Mutex::new(Instant::now()),
                    pinned: AtomicBool::new(false),
                })
            });
        let mut slots = self.lock();
        match result {
            Ok(loaded) => {
                let news = Arc::downgrade(&loaded);
                slots.insert(key.clone(), Slot::Loaded(loaded));
                Ok(news)
            }
            Err(error) => {
                slots.remove(key);
                Err(error)
            }
        }
    }

    fn load_engine(&self, key: &Key) -> Result<Arc<E>, InferenceError> {
        let name = || key.name.clone();
        let mut files = self.source.find(&key.name).map_err(|error| match error {
            ModelSourceError::Unknown => InferenceError::UnknownModel { name: name() },
            ModelSourceError::Missing { reason } => InferenceError::Load {
                name: name(),
                reason,
            },
        })?;
        files.word_timestamps = key.word_timestamps;
        if let Some(budget_bytes) = self.config.memory_budget_bytes {
            // Weights take as much memory as their file. A missing file is the loader's to report.
            let needed = std::fs::metadata(&files.path).map_or(0, |file| file.len());
            self.make_room(needed, budget_bytes)
                .map_err(|passing| InferenceError::NoMemory {
                    name: name(),
                    needed_bytes: needed,
                    budget_bytes,
                    passing,
                })?;
        }
        let started = Instant::now();
        let engine = (self.load)(&files).map_err(|error| InferenceError::Load {
            name: name(),
            reason: error.to_string(),
        })?;
        tracing::info!(
            model = key.name,
            word_timestamps = key.word_timestamps,
            bytes = engine.memory_bytes(),
            took_ms = started.elapsed().as_millis() as u64,
            "model loaded"
        );
        Ok(engine)
    }

    /// Unloads unused models, longest unused first, until `needed` bytes fit; none where it is of no
    /// use. The error says whether they may fit when others are done with theirs.
    fn make_room(&self, needed: u64, budget: u64) -> Result<(), bool> {
        let mut slots = self.lock();
        let pinned = loaded_in(&slots).filter(|loaded| loaded.pinned.load(Ordering::Relaxed));
        let pinned: u64 = pinned.map(|loaded| loaded.engine.memory_bytes()).sum();
        if pinned.saturating_add(needed) > budget {
            return Err(false);
        }
        let mut unloaded = Vec::new();
        let fits = loop {
            let used: u64 = loaded_in(&slots).map(|l| l.engine.memory_bytes()).sum();
            if used.saturating_add(needed) <= budget {
                break true;
            }
            let oldest = loaded_in(&slots)
                .filter(|loaded| is_unused(loaded))
                .min_by_key(|loaded| loaded.last_used())
                .map(|loaded| loaded.key.clone());
            match oldest {
                Some(key) => unloaded.extend(slots.remove(&key)),
                None => break false,
            }
        };
        drop(slots);
        log_unloaded(&unloaded);
        fits.then_some(()).ok_or(true)
    }

    /// Unloads what nobody has used for `idle`.
    fn unload_idle(&self, idle: Duration) {
        let unloaded: Vec<Slot<E>> = {
            let mut slots = self.lock();
            let expired: Vec<Key> = loaded_in(&slots)
                .filter(|loaded| is_unused(loaded) && loaded.last_used().elapsed() >= idle)
                .map(|loaded| loaded.key.clone())
                .collect();
            expired.iter().filter_map(|key| slots.remove(key)).collect()
        };
        log_unloaded(&unloaded);
    }
}

fn loaded_in<E: ?Sized>(slots: &HashMap<Key, Slot<E>>) -> impl Iterator<Item = &Arc<Loaded<E>>> {
    slots.values().filter_map(|slot| match slot {
        Slot::Loaded(loaded) => Some(loaded),
        Slot::Loading(_) => None,
    })
}

/// Whether only the registry holds a model. Sure while the slots are locked: new handles are only
/// made from them.
fn is_unused<E: ?Sized>(loaded: &Arc<Loaded<E>>) -> bool {
    Arc::strong_count(loaded) == 1
}

fn log_unloaded<E: ?Sized>(slots: &[Slot<E>]) {
    for slot in slots {
        if let Slot::Loaded(loaded) = slot {
            tracing::info!(
                model = loaded.key.name,
                word_timestamps = loaded.key.word_timestamps,
                "model unloaded"
            );
        }
    }
}

/// The loaded models of one kind. Cheap to clone: clones share them.
pub struct Models<E: ?Sized> {
    inner: Arc<Inner<E>>,
}

/// Whisper models.
pub type Registry = Models<dyn Engine>;

/// Graphs: voice activity and its like.
pub type GraphRegistry = Models<dyn GraphEngine>;

impl<E: ?Sized> Clone for Models<E> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<E: Loadable + ?Sized + 'static> std::fmt::Debug for Models<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry")
            .field("loaded", &self.loaded())
            .finish()
    }
}

impl Registry {
    /// A registry without loaded models.
    #[must_use]
    pub fn new(
        source: Arc<dyn ModelSource>,
        loader: Arc<dyn EngineLoader>,
        config: RegistryConfig,
    ) -> Self {
        Self::with_load(source, Box::new(move |files| loader.load(files)), config)
    }
}

impl GraphRegistry {
    /// A registry without loaded graphs.
    #[must_use]
    pub fn of_graphs(
        source: Arc<dyn ModelSource>,
        loader: Arc<dyn GraphLoader>,
        config: RegistryConfig,
    ) -> Self {
        Self::with_load(source, Box::new(move |files| loader.load(files)), config)
    }
}

impl<E: Loadable + ?Sized + 'static> Models<E> {
    fn with_load(source: Arc<dyn ModelSource>, load: Load<E>, config: RegistryConfig) -> Self {
        Self {
            inner: Arc::new(Inner {
                slots: Mutex::default(),
                loading: Mutex::default(),
                source,
                load,
                config,
            }),
        }
    }

    /// The right to use a model while it stays loaded; loads it first if need be. However many
    /// ask at once, a model is loaded once; a caller that stops waiting does not stop the load.
    ///
    /// Must be called within a tokio runtime with its timer on.
    ///
    /// # Errors
    /// [`InferenceError::UnknownModel`], [`InferenceError::Load`], [`InferenceError::NoMemory`].
    /// A failure is not remembered: the next call tries again.
    pub async fn lease(&self, name: &str, words: bool) -> Result<Lease<E>, InferenceError> {
        let key = Key {
            name: name.to_owned(),
            word_timestamps: words,
        };
        loop {
            let mut loading = {
                let mut slots = self.inner.lock();
                match slots.get(&key) {
                    Some(Slot::Loaded(loaded)) => return Ok(lease_on(loaded)),
                    Some(Slot::Loading(receiver)) => receiver.clone(),
                    None => {
                        let receiver = self.start_loading(key.clone());
                        slots.insert(key.clone(), Slot::Loading(receiver.clone()));
                        receiver
                    }
                }
            };
            let news = loading.wait_for(Option::is_some).await;
            match news.ok().and_then(|news| news.clone()) {
                Some(Ok(loaded)) => {
                    if let Some(loaded) = loaded.upgrade() {
                        return Ok(lease_on(&loaded));
                    }
                    // Unloaded again before this caller came to it.
                }
                Some(Err(error)) => return Err(error),
                // The runtime is shutting down and dropped the load.
                None => return Err(InferenceError::Draining),
            }
        }
    }

    /// Loads a model ahead of its first use.
    ///
    /// # Errors
    /// As [`Registry::lease`].
    pub async fn preload(&self, name: &str, words: bool) -> Result<(), InferenceError> {
        self.lease(name, words).await.map(drop)
    }

    /// The models loaded now, by name.
    #[must_use]
    pub fn loaded(&self) -> Vec<LoadedModel> {
        let mut models: Vec<LoadedModel> = loaded_in(&self.inner.lock())
            .map(|loaded| LoadedModel {
                name: loaded.key.name.clone(),
                word_timestamps: loaded.key.word_timestamps,
                memory_bytes: loaded.engine.memory_bytes(),
                leases: Arc::strong_count(loaded) - 1,
            })
            .collect();
        models.sort_by(|a, b| (&a.name, a.word_timestamps).cmp(&(&b.name, b.word_timestamps)));
        models
    }

    /// Loads on a blocking thread, then watches for idleness.
    fn start_loading(&self, key: Key) -> watch::Receiver<Option<News<E>>> {
        let (sender, receiver) = watch::channel(None);
        let inner = Arc::clone(&self.inner);
        let idle = inner.config.idle;
        tokio::task::spawn_blocking(move || {
            let news = inner.load(&key);
            if let (Ok(loaded), Some(idle)) = (&news, idle) {
                let watched = (Arc::downgrade(&inner), Weak::clone(loaded));
                tokio::runtime::Handle::current().spawn(unload_when_idle(watched, idle));
            }
            sender.send_replace(Some(news));
        });
        receiver
    }
}

fn lease_on<E: ?Sized>(loaded: &Arc<Loaded<E>>) -> Lease<E> {
    Lease {
        loaded: Arc::clone(loaded),
    }
}

/// Waits until a model has been idle long enough and has it unloaded; ends with the model.
async fn unload_when_idle<E: Loadable + ?Sized + 'static>(
    (inner, loaded): (Weak<Inner<E>>, Weak<Loaded<E>>),
    idle: Duration,
) {
    let mut wait = idle.max(MIN_IDLE_CHECK);
    loop {
        tokio::time::sleep(wait).await;
        let Some(inner) = inner.upgrade() else {
            return;
        };
        inner.unload_idle(idle);
        let Some(loaded) = loaded.upgrade() else {
            return;
        };
        // Not at once: a model may be expired by the clock and in use.
        wait = idle
            .saturating_sub(loaded.last_used().elapsed())
            .max(idle / 10)
            .max(MIN_IDLE_CHECK);
    }
}

/// The right to use a model while it stays loaded. A clone is another lease.
pub struct Lease<E: ?Sized = dyn Engine> {
    loaded: Arc<Loaded<E>>,
}

impl<E: ?Sized> Clone for Lease<E> {
    fn clone(&self) -> Self {
        lease_on(&self.loaded)
    }
}

impl<E: ?Sized> Lease<E> {
    /// The model's name.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.loaded.key.name
    }

    /// Says that this lease is never given back: who waits for its memory waits in vain.
    pub fn pin(&self) {
        self.loaded.pinned.store(true, Ordering::Relaxed);
    }

    /// The loaded model.
    #[must_use]
    pub fn engine(&self) -> &Arc<E> {
        &self.loaded.engine
    }
}

impl<E: ?Sized> Drop for Lease<E> {
    fn drop(&mut self) {
        // The idle time counts from here.
        self.loaded.touch();
    }
}

impl<E: ?Sized> std::fmt::Debug for Lease<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease")
            .field("model", &self.loaded.key.name)
            .field("word_timestamps", &self.loaded.key.word_timestamps)
            .finish()
    }
}
