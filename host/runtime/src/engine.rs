//! The engine's settings and the epoch clock.
//!
//! One engine for the whole process: type indices of two engines must never meet, and the pool of
//! instances is the node's bound on live guests. Features that no role needs are off, because each
//! is code that a hostile component could reach.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::Deserialize;
use wasmtime::component::Component;
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig,
    Strategy,
};

use crate::cache::{CodeKind, ComponentCache};
use crate::compile::{CompileError, CompileLimits, CompileQueue, Compiler, Payer};
use crate::limits::{MAX_CORE_INSTANCES, MAX_MEMORIES, MAX_TABLE_ELEMENTS, MAX_TABLES};

/// How often running guests look at their CPU budget and let others go on. 2 ms cost nothing measurable,
/// and bound how late a spinning guest is stopped and how long a step of somebody's waits for it.
pub const EPOCH_TICK: Duration = Duration::from_millis(2);

/// Bytes of wasm stack of one instance; a guest that recurses deeper traps.
const MAX_WASM_STACK_BYTES: usize = 512 * 1024;

/// Bytes of a whole fiber stack; the difference to the wasm stack is the host's.
const ASYNC_STACK_BYTES: usize = 2 * 1024 * 1024;

/// Bytes of an instance's memory that are cleared by hand for the next one, of those that were written to;
/// the system clears the rest, and makes it anew when it is touched. A short call writes to less, and more
/// would be cleared with each call once a longer one has written to it.
const KEPT_MEMORY_BYTES: usize = 32 << 10;

/// Live instances per request at most: handler, chunker, speaker-assigner and decoder.
const INSTANCES_PER_REQUEST: u32 = 4;

/// Settings of the runtime, from the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuntimeConfig {
    /// Requests and live sessions whose components may be instantiated at once. Default 256.
    pub max_requests: u32,
    /// Bytes that the linear memory of any instance may reach, whatever its own limit. Default
    /// 256 MiB. The pool reserves address space for it, not memory.
    pub max_memory_bytes: usize,
    /// Bytes of a component file at most. Default 64 MiB.
    pub max_component_bytes: usize,
    /// What compiling a tenant's component may use.
    pub compile: CompileLimits,
    /// Where compiled components are kept; nothing is kept without it.
    #[serde(skip)]
    pub cache_dir: Option<PathBuf>,
    /// This program, which compiles tenants' components in a process of its own. Without it they
    /// are refused.
    #[serde(skip)]
    pub compiler: Option<PathBuf>,
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        Self {
            max_requests: 256,
            max_memory_bytes: 256 << 20,
            max_component_bytes: 64 << 20,
            compile: CompileLimits::default(),
            cache_dir: None,
            compiler: None,
        }
    }
}

/// Why the runtime does not start or does not take a component.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// wasmtime does not accept the settings on this machine.
    #[error("the WebAssembly engine cannot be set up: {0}")]
    Engine(#[source] wasmtime::Error),
    /// The component cache cannot be used.
    #[error("the component cache cannot be used: {0}")]
    Cache(#[from] crate::cache::CacheError),
    /// A component is larger than the limit.
    #[error("the component has {bytes} bytes; the limit is {limit_bytes}")]
    TooLarge {
        /// Size of the file.
        bytes: usize,
        /// The limit.
        limit_bytes: usize,
    },
    /// A tenant's component could not be compiled.
    #[error("the component cannot be compiled: {0}")]
    Compile(#[from] CompileError),
    /// The bytes are not a component that this engine runs.
    #[error("not a component that this server runs: {0}")]
    Invalid(#[source] wasmtime::Error),
    /// The component does not fit its role.
    #[error("the component does not fit the role '{role}': {misfit}")]
    WrongWorld {
        /// The role it was offered for.
        role: &'static str,
        /// What is missing and too much.
        misfit: Misfit,
    },
    /// The component imports what its deployment is not granted.
    #[error(
        "the component imports {import}, which is not granted: name the graphs that it may use, with \
         `--grant wasi:nn=GRAPH` of `auricle deploy set`, or as `nn = [...]` in \
         [tenants.NAME.{role}] of the configuration"
    )]
    NotGranted {
        /// The role it was offered for, as the configuration names it.
        role: &'static str,
        /// The interface.
        import: String,
    },
}

/// Why a component does not fit its role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Misfit {
    /// Interfaces of the role that it does not export.
    pub missing: Vec<String>,
    /// Interfaces that it imports and the role has not.
    pub extra: Vec<String>,
    /// What the linker said.
    pub detail: String,
}

impl std::fmt::Display for Misfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut parts = Vec::new();
        if !self.missing.is_empty() {
            parts.push(format!("it does not export {}", self.missing.join(", ")));
        }
        if !self.extra.is_empty() {
            let extra = self.extra.join(", ");
            parts.push(format!("it imports {extra}, which the role has not"));
        }
        if parts.is_empty() {
            parts.push(self.detail.clone());
        }
        f.write_str(&parts.join("; "))
    }
}

/// Whose bytes a component is.
#[derive(Clone, Copy, Debug)]
pub enum Origin<'a> {
    /// Part of this program, or named by who runs it: compiled here.
    Own,
    /// A tenant's: compiled in a process of its own, on the tenant's account.
    Tenant(&'a Payer),
}

/// The engine, its epoch clock and the cache of compiled components.
pub struct Runtime {
    engine: Engine,
    config: RuntimeConfig,
    cache: Option<ComponentCache>,
    compilers: CompileQueue,
    _clock: EpochClock,
}

impl Runtime {
    /// Sets up the engine and starts the epoch clock.
    ///
    /// # Errors
    /// [`RuntimeError::Engine`] when wasmtime refuses the settings, [`RuntimeError::Cache`] when the
    /// cache directory cannot be made private.
    pub fn start(config: RuntimeConfig) -> Result<Self, RuntimeError> {
        let engine = Engine::new(&engine_config(&config)).map_err(RuntimeError::Engine)?;
        let cache = config
            .cache_dir
            .as_deref()
            .map(ComponentCache::open)
            .transpose()?;
        let clock = EpochClock::start(engine.clone());
        Ok(Self {
            engine,
            compilers: CompileQueue::new(config.compile.max_at_once),
            config,
            cache,
            _clock: clock,
        })
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &RuntimeConfig {
        &self.config
    }

    /// Instances that the pool has.
    #[must_use]
    pub fn max_instances(&self) -> usize {
        max_instances(&self.config) as usize
    }

    /// Compiles a component, or takes it from the cache. Blocking: a large one takes seconds.
    ///
    /// # Errors
    /// [`RuntimeError::TooLarge`], [`RuntimeError::Invalid`] and, for a tenant's,
    /// [`RuntimeError::Compile`].
    pub fn component(&self, bytes: &[u8], origin: Origin<'_>) -> Result<Component, RuntimeError> {
        let limit_bytes = self.config.max_component_bytes;
        if bytes.len() > limit_bytes {
            return Err(RuntimeError::TooLarge {
                bytes: bytes.len(),
                limit_bytes,
            });
        }
        let compile = || match origin {
            Origin::Own => {
                Component::from_binary(&self.engine, bytes).map_err(RuntimeError::Invalid)
            }
            Origin::Tenant(payer) => self.compile_apart(bytes, payer),
        };
        let kind = match origin {
            Origin::Own => CodeKind::Own,
            Origin::Tenant(_) => CodeKind::Tenant,
        };
        match &self.cache {
            Some(cache) => cache.load_or_compile(&self.engine, bytes, kind, compile),
            None => compile(),
        }
    }

    /// The cache of compiled components, where there is one.
    #[must_use]
    pub fn cache(&self) -> Option<&ComponentCache> {
        self.cache.as_ref()
    }

    /// Kills the compilers of tenants' components and starts no other one: the server stops.
    pub fn stop_compilers(&self) {
        self.compilers.stop();
    }

    /// Whether [`Runtime::stop_compilers`] was called.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.compilers.is_stopped()
    }

    #[allow(
        unsafe_code,
        reason = "code that this program's own compiler process has just made"
    )]
    fn compile_apart(&self, bytes: &[u8], payer: &Payer) -> Result<Component, RuntimeError> {
        let no_program = || CompileError::Failed(std::io::ErrorKind::NotFound.into());
        let compiler = Compiler {
            program: self.config.compiler.as_ref().ok_or_else(no_program)?,
            config: &self.config,
            queue: &self.compilers,
        };
        let code = compiler.compile(bytes, payer)?;
        // SAFETY: the bytes came through a pipe from this same program, which made them with
        // `Engine::precompile_component` for an engine with the same settings, and from nowhere else.
        unsafe { Component::deserialize(&self.engine, code) }.map_err(RuntimeError::Invalid)
    }
}

pub(crate) fn engine_config(config: &RuntimeConfig) -> Config {
    let mut engine = Config::new();
    engine
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(true)
        .max_wasm_stack(MAX_WASM_STACK_BYTES)
        .async_stack_size(ASYNC_STACK_BYTES)
        .wasm_component_model(true)
        .wasm_memory64(false)
        .wasm_threads(false)
        .wasm_gc(false)
        .wasm_exceptions(false)
        .wasm_stack_switching(false)
        .wasm_multi_memory(false)
        .wasm_custom_page_sizes(false)
        // Component-model async is where most of wasmtime's guest-to-host faults of 2026 were.
        .concurrency_support(false)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(16))
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(config)));
    engine
}

fn max_instances(config: &RuntimeConfig) -> u32 {
    config.max_requests.saturating_mul(INSTANCES_PER_REQUEST)
}

/// Of what an instance has several of there is as much as all of them may have: who has half of the
/// instances cannot use up the whole of anything else. It costs address space, not memory.
fn pool(config: &RuntimeConfig) -> PoolingAllocationConfig {
    let instances = max_instances(config);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(MAX_CORE_INSTANCES))
        .total_memories(instances.saturating_mul(MAX_MEMORIES))
        .total_tables(instances.saturating_mul(MAX_TABLES))
        .total_stacks(instances)
        .max_core_instances_per_component(MAX_CORE_INSTANCES)
        .max_memories_per_component(MAX_MEMORIES)
        .max_tables_per_component(MAX_TABLES)
        .max_component_instance_size(8 << 20)
        .max_core_instance_size(1 << 20)
        .max_memory_size(config.max_memory_bytes)
        .table_elements(MAX_TABLE_ELEMENTS)
        .max_unused_warm_slots(32)
        .linear_memory_keep_resident(KEPT_MEMORY_BYTES)
        .pagemap_scan(Enabled::Auto)
        .table_keep_resident(4 << 10);
    pool
}

/// The thread that advances the engine's epoch, until it is dropped.
struct EpochClock {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl EpochClock {
    fn start(engine: Engine) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("auricle-epoch".into())
            .spawn(move || {
                while !stopped.load(Ordering::Relaxed) {
                    std::thread::sleep(EPOCH_TICK);
                    engine.increment_epoch();
                }
            })
            .map_err(|error| tracing::error!(%error, "no thread for the epoch clock"))
            .ok();
        Self { stop, thread }
    }
}

impl Drop for EpochClock {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the epoch clock had panicked");
        }
    }
}
