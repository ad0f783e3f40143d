//! What an instance may use, and the count of what it used.
//!
//! A limit is refused at the moment it would be exceeded: `memory.grow` and `table.grow` answer -1
//! as the WebAssembly rules have it, host resources fail their call. The refusal is remembered, so
//! that the trap which usually follows is reported as what it was.

use std::sync::Arc;
use std::time::Duration;

use auricle_tenancy::{LiveInstance, MemoryRefusal, OverQuota};
use serde::Deserialize;
use wasmtime::{Engine, ResourceLimiter, Store, UpdateDeadline};

use crate::cpu::{CpuExhausted, CpuMeter};

/// Elements that a table can have in the pool; more is refused whatever an instance's own limit.
pub const MAX_TABLE_ELEMENTS: usize = 20_000;

/// Core modules that a component may be made of: one made of Python has 38, each of our own 3 or 4.
pub(crate) const MAX_CORE_INSTANCES: u32 = 64;

/// Memories and tables that it may have.
pub(crate) const MAX_MEMORIES: u32 = 4;
pub(crate) const MAX_TABLES: u32 = 20;

/// CPU time for which an instance needs no core of its own: ten of our own calls and more.
const UNNOTICED_CPU: Duration = Duration::from_millis(10);

/// An instance earns one part in this many of the time that it waits as CPU time, beside its budget.
/// Of its age it would be too much: where many compute, each gets less than that of a core, and none of
/// them would ever be stopped.
const CPU_IDLE_DIVISOR: u32 = 10;

/// What one instance may use.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InstanceLimits {
    /// Bytes of linear memory. Default 64 MiB.
    pub memory_bytes: usize,
    /// Elements of each table, at most 20,000. Default 20,000.
    pub table_elements: usize,
    /// Handles that the component holds at once. Default 1,000.
    pub handles: usize,
    /// Things that the host holds for the component at once: clips, streams, pollables. Default 256.
    pub host_resources: usize,
    /// Bytes that the host holds for the component at once: clips, recordings, tensors. Default
    /// 1 GiB, a clip of 4 h 39 min.
    pub host_bytes: u64,
    /// Bytes that one call may carry from the guest to the host. Default 8 MiB.
    pub call_bytes: usize,
    /// Milliseconds of CPU time, to which a tenth of the time that the instance waits is added, so that
    /// a live session of hours does not run out. Default 10,000.
    pub cpu_ms: u64,
}

impl Default for InstanceLimits {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            table_elements: MAX_TABLE_ELEMENTS,
            handles: 1_000,
            host_resources: 256,
            host_bytes: 1 << 30,
            call_bytes: 8 << 20,
            cpu_ms: 10_000,
        }
    }
}

/// What an instance has used and was refused.
#[derive(Debug)]
pub struct LimitState {
    limits: InstanceLimits,
    /// What it uses of its tenant's.
    instance: LiveInstance,
    memory_bytes: usize,
    memory_refused: bool,
    over_quota: Option<OverQuota>,
    node_full: bool,
    table_refused: bool,
}

impl LimitState {
    /// Nothing used yet.
    #[must_use]
    pub fn new(limits: InstanceLimits, instance: LiveInstance) -> Self {
        Self {
            limits,
            instance,
            memory_bytes: 0,
            memory_refused: false,
            over_quota: None,
            node_full: false,
            table_refused: false,
        }
    }

    /// Bytes of linear memory at the highest point. Memory of an instance never shrinks.
    #[must_use]
    pub fn peak_memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// Whether memory was asked for and refused.
    #[must_use]
    pub fn memory_refused(&self) -> bool {
        self.memory_refused
    }

    /// Whether memory was asked for and refused because the tenant's other instances hold it.
    #[must_use]
    pub fn over_quota(&self) -> Option<OverQuota> {
        self.over_quota
    }

    /// Whether memory was asked for and refused because the node has none left.
    #[must_use]
    pub fn node_full(&self) -> bool {
        self.node_full
    }

    /// Whether table elements were asked for and refused.
    #[must_use]
    pub fn table_refused(&self) -> bool {
        self.table_refused
    }
}

impl ResourceLimiter for LimitState {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // A component may have several memories: the limit is on their sum.
        let total = self
            .memory_bytes
            .saturating_sub(current)
            .saturating_add(desired);
        if total > self.limits.memory_bytes {
            self.memory_refused = true;
            return Ok(false);
        }
        let more = total.saturating_sub(self.memory_bytes);
        match self.instance.hold_memory(more as u64) {
            Ok(()) => {}
            Err(MemoryRefusal::Alone) => {
                self.memory_refused = true;
                return Ok(false);
            }
            Err(MemoryRefusal::Shared(over)) => {
                self.over_quota = Some(over);
                return Ok(false);
            }
            Err(MemoryRefusal::Node) => {
                self.node_full = true;
                return Ok(false);
            }
        }
        self.memory_bytes = total;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let allowed = desired <= self.limits.table_elements;
        self.table_refused |= !allowed;
        Ok(allowed)
    }

    fn instances(&self) -> usize {
        MAX_CORE_INSTANCES as usize
    }

    fn tables(&self) -> usize {
        MAX_TABLES as usize
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES as usize
    }
}

/// What the data of every store must offer.
pub trait GuestData: Send + 'static {
    /// The count of what the instance used.
    fn limit_state(&mut self) -> &mut LimitState;

    /// The CPU time that the instance used.
    fn cpu_meter(&self) -> &Arc<CpuMeter>;
}

/// A store for one instance, with every limit set.
///
/// The data's own [`LimitState`] and [`CpuMeter`] must have been made from the same `limits`.
pub fn new_store<T: GuestData>(engine: &Engine, data: T, limits: &InstanceLimits) -> Store<T> {
    let mut store = Store::new(engine, data);
    store.limiter(|data| data.limit_state());
    store.set_hostcall_fuel(limits.call_bytes);
    store.set_max_component_handles(limits.handles);
    store.set_epoch_deadline(1);
    let budget = Duration::from_millis(limits.cpu_ms);
    store.epoch_deadline_callback(move |store| {
        // Yielding at each tick keeps a long computation from holding up the executor's other work.
        let meter = store.data().cpu_meter();
        let used = meter.used();
        if used > budget + meter.earned() + meter.idle() / CPU_IDLE_DIVISOR {
            return Err(wasmtime::Error::new(CpuExhausted));
        }
        if let Some(over) = meter.overdrawn() {
            return Err(wasmtime::Error::new(over));
        }
        meter.tick();
        let pause = (used >= UNNOTICED_CPU).then(|| meter.pause()).flatten();
        Ok(match pause {
            Some(pause) => UpdateDeadline::YieldCustom(1, pause),
            // Not wasmtime's own, which goes on at once: a thread of tokio looks for what has come from
            // clients only when it has nothing to do, or after 61 turns of a tick.
            None => UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())),
        })
    });
    store
}
