//! How a set cancel flag reaches a running computation.
//!
//! `whisper_full` takes an abort callback, but whisper.cpp 1.8.3 asks it only after a whole
//! encoder pass (1.7 s for `base` on one core, a minute for `large`). ggml's CPU backend can ask
//! between two nodes of a graph, yet whisper.cpp hands it no callback and does not expose the
//! backend. So [`install`] wraps the CPU device's `init_backend`: a backend that is made while
//! [`with_slot`] runs (that is, with a new whisper state) gets our callback for its whole life.
//!
//! whisper-rs has a safe-looking `set_abort_callback_safe`; it casts a `Box<Box<dyn FnMut>>` to
//! the closure's own type and is unsound.

use std::cell::Cell;
use std::ffi::{c_char, c_void};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Once, OnceLock, PoisonError};

use auricle_speech::CancelFlag;

use crate::device::{
    Backend, Device, InitBackend, TYPE_CPU, ggml_backend_dev_by_type, ggml_backend_dev_init,
};
use crate::encoder;

/// The cancel flag of the call in progress, where ggml's callbacks can read it.
///
/// Lives at least as long as the whisper state whose backends point to it.
#[derive(Debug, Default)]
pub(crate) struct AbortSlot {
    flag: Mutex<CancelFlag>,
    /// Whether a graph may be stopped midway. whisper.cpp calls `abort()` when the decoder pass
    /// for word times fails, so this is only true until the encoder is done.
    graphs: AtomicBool,
}

impl AbortSlot {
    /// Makes `cancel` the flag to watch and lets it stop graphs.
    pub(crate) fn arm(&self, cancel: &CancelFlag) {
        *self.flag.lock().unwrap_or_else(PoisonError::into_inner) = cancel.clone();
        self.graphs.store(true, Ordering::Relaxed);
    }

    /// From here on graphs run to their end.
    pub(crate) fn disarm_graphs(&self) {
        self.graphs.store(false, Ordering::Relaxed);
    }

    /// Whether the watched flag is set.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.flag
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_cancelled()
    }

    /// What ggml's callbacks take as user data. Valid while the `Arc` lives.
    pub(crate) fn as_user_data(self: &Arc<Self>) -> *mut c_void {
        Arc::as_ptr(self).cast_mut().cast()
    }
}

/// For `whisper_full`, which asks between encoder, decoder steps and passes.
///
/// # Safety
/// `data` must come from [`AbortSlot::as_user_data`] of a slot that is still alive.
#[allow(unsafe_code, reason = "a C callback with user data")]
pub(crate) unsafe extern "C" fn abort_call(data: *mut c_void) -> bool {
    // It is asked first when the encoder is done.
    encoder::end();
    // SAFETY: the caller keeps the slot alive for the duration of the call; shared access only.
    unsafe { data.cast::<AbortSlot>().as_ref() }.is_some_and(AbortSlot::is_cancelled)
}

/// For ggml's CPU backend, which asks between the nodes of a graph.
///
/// # Safety
/// As [`abort_call`].
#[allow(unsafe_code, reason = "a C callback with user data")]
unsafe extern "C" fn abort_graph(data: *mut c_void) -> bool {
    // SAFETY: the slot outlives the whisper state and with it the backend that calls this.
    unsafe { data.cast::<AbortSlot>().as_ref() }
        .is_some_and(|slot| slot.graphs.load(Ordering::Relaxed) && slot.is_cancelled())
}

type AbortCallback = unsafe extern "C" fn(data: *mut c_void) -> bool;

#[allow(
    unsafe_code,
    reason = "ggml's public C functions that whisper-rs does not bind"
)]
unsafe extern "C" {
    fn ggml_backend_is_cpu(backend: Backend) -> bool;
    fn ggml_backend_free(backend: Backend);
    fn ggml_backend_cpu_set_abort_callback(
        backend: Backend,
        callback: Option<AbortCallback>,
        data: *mut c_void,
    );
}

static ORIGINAL: OnceLock<InitBackend> = OnceLock::new();

thread_local! {
    /// The slot for CPU backends made on this thread now; null outside of [`with_slot`].
    static SLOT: Cell<*mut c_void> = const { Cell::new(std::ptr::null_mut()) };
    /// Whether [`init_backend`] has run on this thread since it was last cleared.
    static SEEN: Cell<bool> = const { Cell::new(false) };
}

/// Stands in for the CPU device's `init_backend`.
///
/// # Safety
/// Called by ggml with the device it was read from.
#[allow(unsafe_code, reason = "called by ggml")]
unsafe extern "C" fn init_backend(device: *mut Device, params: *const c_char) -> Backend {
    SEEN.set(true);
    let Some(original) = ORIGINAL.get() else {
        return std::ptr::null_mut();
    };
    // SAFETY: the arguments are passed through unchanged to the function they were meant for.
    let backend = unsafe { original(device, params) };
    let data = SLOT.get();
    // SAFETY: `backend` is a CPU backend just made by the CPU device. `data` stays valid for the
    // backend's life by the contract of `with_slot`.
    unsafe {
        if !data.is_null() && !backend.is_null() && ggml_backend_is_cpu(backend) {
            ggml_backend_cpu_set_abort_callback(backend, Some(abort_graph), data);
            encoder::hook_cpu(backend);
        }
    }
    backend
}

/// Wraps the CPU device once per process. Call it before the first whisper state is made.
///
/// When ggml's layout is not the expected one the device is put back as it was: cancelling then
/// waits for the encoder, and a warning says so.
#[allow(unsafe_code, reason = "replaces a function pointer inside ggml")]
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the device is a static of ggml that lives as long as the process and is
        // writable; nobody else reads it now, since every user of ggml in this process comes
        // through the loader, which waits for this `Once`. Should the layout differ, a pointer
        // between `get_name` and the end of the interface (16 pointers) is replaced for the
        // moment of one `ggml_backend_dev_init` on this thread, then restored.
        let wrapped = unsafe {
            let device = ggml_backend_dev_by_type(TYPE_CPU);
            if device.is_null() {
                false
            } else {
                let original = (*device).init_backend;
                let _ = ORIGINAL.set(original);
                (*device).init_backend = init_backend;
                SEEN.set(false);
                let backend = ggml_backend_dev_init(device, std::ptr::null());
                let wrapped = SEEN.get() && !backend.is_null() && ggml_backend_is_cpu(backend);
                if !backend.is_null() {
                    ggml_backend_free(backend);
                }
                if !wrapped {
                    (*device).init_backend = original;
                }
                wrapped
            }
        };
        if !wrapped {
            tracing::warn!(
                "ggml's CPU device is not laid out as expected: cancelling waits for the encoder"
            );
        }
    });
}

/// Runs `make`, giving every CPU backend made in it on this thread the slot.
///
/// The slot must outlive whatever `make` returns.
pub(crate) fn with_slot<T>(slot: &Arc<AbortSlot>, make: impl FnOnce() -> T) -> T {
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            SLOT.set(std::ptr::null_mut());
        }
    }
    SLOT.set(slot.as_user_data());
    let _reset = Reset;
    make()
}
