//! Encoder passes: counted, and left out where the state has the result already.
//!
//! whisper.cpp 1.8.3 runs the encoder once to detect a language and again to transcribe the same
//! window. What the second pass would compute is still in the state (the keys and values of the
//! decoder's cross-attention), so its graphs need not run. whisper.cpp has no switch for that; the
//! backends of a state get a `graph_compute` of ours, which passes over the graphs of an encoder pass
//! that [`begin`] declares to be known. `whisper_full` brackets its encoder with two callbacks, which
//! call [`begin`] and [`end`].
//!
//! Not with GPU backends: there every pass is computed.

use std::cell::Cell;
use std::ffi::{c_char, c_int, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::device::{
    Backend, Device, InitBackend, TYPE_ACCELERATOR, TYPE_CPU, ggml_backend_dev_by_type,
};

/// `struct ggml_backend`, as far as it is read: the tenth pointer of the interface computes a graph.
#[repr(C)]
struct BackendLayout {
    guid: *const c_void,
    before: [*const c_void; 10],
    graph_compute: GraphCompute,
    after: [*const c_void; 3],
    device: *mut Device,
}

type GraphCompute = unsafe extern "C" fn(backend: Backend, graph: *mut c_void) -> c_int;

/// `GGML_STATUS_SUCCESS`.
const SUCCESS: c_int = 0;

#[allow(
    unsafe_code,
    reason = "ggml's public C functions that whisper-rs does not bind"
)]
unsafe extern "C" {
    fn ggml_backend_get_device(backend: Backend) -> *mut Device;
}

/// What the graphs that run on this thread belong to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The decoder, or anything else.
    Other,
    /// An encoder pass of which no graph ran yet.
    Encoder,
    /// An encoder pass whose result is in the state.
    Known,
}

thread_local! {
    static PHASE: Cell<Phase> = const { Cell::new(Phase::Other) };
    /// Encoder passes computed on this thread.
    static PASSES: Cell<u64> = const { Cell::new(0) };
}

/// Whether the backends of every state have our function.
static HOOKED: AtomicBool = AtomicBool::new(false);

/// The backends' own functions, by [`CPU`] and [`ACCELERATOR`].
static ORIGINALS: [OnceLock<GraphCompute>; 2] = [const { OnceLock::new() }; 2];
const CPU: usize = 0;
const ACCELERATOR: usize = 1;

/// The accelerator's own `init_backend`.
static INIT_ACCELERATOR: OnceLock<InitBackend> = OnceLock::new();

/// Encoder passes computed on the calling thread so far.
#[must_use]
pub fn passes() -> u64 {
    PASSES.get()
}

/// Whether a pass may be declared known.
pub(crate) fn can_reuse() -> bool {
    HOOKED.load(Ordering::Relaxed) && cfg!(not(feature = "cuda"))
}

/// The graphs that follow on this thread are an encoder pass, whose result the state has already where
/// it `is_known`.
pub(crate) fn begin(is_known: bool) {
    PHASE.set(match is_known && can_reuse() {
        true => Phase::Known,
        false => Phase::Encoder,
    });
}

/// The encoder pass is over.
pub(crate) fn end() {
    PHASE.set(Phase::Other);
}

/// Stands in for a backend's `graph_compute`.
///
/// # Safety
/// Called by ggml with a backend that [`hook`] has seen and a graph for it.
#[allow(unsafe_code, reason = "called by ggml")]
unsafe extern "C" fn graph_compute<const KIND: usize>(
    backend: Backend,
    graph: *mut c_void,
) -> c_int {
    match PHASE.get() {
        Phase::Known => return SUCCESS,
        Phase::Encoder => {
            PASSES.set(PASSES.get() + 1);
            PHASE.set(Phase::Other);
        }
        Phase::Other => {}
    }
    match ORIGINALS.get(KIND).and_then(OnceLock::get) {
        // SAFETY: the arguments are passed through unchanged to the function they were meant for.
        Some(original) => unsafe { original(backend, graph) },
        // `hook` sets it before it sets this function.
        None => -1,
    }
}

/// Gives a backend our function, unless ggml's layout is not the expected one.
///
/// # Safety
/// `backend` is null or a backend just made, of the kind that `KIND` says.
#[allow(unsafe_code, reason = "replaces a function pointer inside ggml")]
unsafe fn hook<const KIND: usize>(backend: Backend) -> bool {
    let layout = backend.cast::<BackendLayout>();
    // SAFETY: the backend was just made and has no other user. Where the layout differs, the
    // device is not in its place (or outside of the allocation by a few pointers that are only
    // read), and nothing is written.
    unsafe {
        if backend.is_null() || (*layout).device != ggml_backend_get_device(backend) {
            return false;
        }
        let Some(original) = ORIGINALS.get(KIND) else {
            return false;
        };
        let _ = original.set((*layout).graph_compute);
        (*layout).graph_compute = graph_compute::<KIND>;
    }
    true
}

/// As [`hook`], for a CPU backend that a state is made with.
///
/// # Safety
/// `backend` is a CPU backend just made.
#[allow(unsafe_code, reason = "replaces a function pointer inside ggml")]
pub(crate) unsafe fn hook_cpu(backend: Backend) {
    // SAFETY: the caller's promise.
    if !unsafe { hook::<CPU>(backend) } {
        HOOKED.store(false, Ordering::Relaxed);
    }
}

/// Stands in for OpenBLAS's `init_backend`.
///
/// # Safety
/// Called by ggml with the device it was read from.
#[allow(unsafe_code, reason = "called by ggml")]
unsafe extern "C" fn init_accelerator(device: *mut Device, params: *const c_char) -> Backend {
    let Some(original) = INIT_ACCELERATOR.get() else {
        return std::ptr::null_mut();
    };
    // SAFETY: the arguments are passed through unchanged; the backend was just made by them.
    unsafe {
        let backend = original(device, params);
        if !hook::<ACCELERATOR>(backend) {
            HOOKED.store(false, Ordering::Relaxed);
        }
        backend
    }
}

/// Prepares the devices, once per process. Call it before the first whisper state is made, and after
/// OpenBLAS may have been retired.
#[allow(unsafe_code, reason = "replaces a function pointer inside ggml")]
pub(crate) fn install() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        HOOKED.store(true, Ordering::Relaxed);
        // SAFETY: a device is a static of ggml that lives as long as the process and is writable;
        // nobody else reads it now, since every user of ggml in this process comes through the
        // loader, which waits for this `Once`.
        unsafe {
            let device = ggml_backend_dev_by_type(TYPE_ACCELERATOR);
            if !device.is_null() && device != ggml_backend_dev_by_type(TYPE_CPU) {
                let _ = INIT_ACCELERATOR.set((*device).init_backend);
                (*device).init_backend = init_accelerator;
            }
        }
    });
}
