//! ggml's device, as far as its functions are replaced here.
//!
//! whisper-rs binds none of this. The layout is that of ggml-backend-impl.h of whisper.cpp 1.8.3,
//! to which whisper-rs-sys is pinned by Cargo.lock; who replaces a function checks that the
//! replacement is the one that runs, and puts the device back otherwise.

use std::ffi::{c_char, c_int, c_void};

/// `struct ggml_backend_device` up to the last member we replace.
#[repr(C)]
pub(crate) struct Device {
    get_name: *const c_void,
    get_description: *const c_void,
    get_memory: *const c_void,
    pub(crate) get_type: GetType,
    get_props: *const c_void,
    pub(crate) init_backend: InitBackend,
}

pub(crate) type Backend = *mut c_void;
pub(crate) type GetType = unsafe extern "C" fn(device: *mut Device) -> c_int;
pub(crate) type InitBackend =
    unsafe extern "C" fn(device: *mut Device, params: *const c_char) -> Backend;

/// `GGML_BACKEND_DEVICE_TYPE_CPU`.
pub(crate) const TYPE_CPU: c_int = 0;

/// `GGML_BACKEND_DEVICE_TYPE_ACCEL`: OpenBLAS.
pub(crate) const TYPE_ACCELERATOR: c_int = 3;

#[allow(
    unsafe_code,
    reason = "ggml's public C functions that whisper-rs does not bind"
)]
unsafe extern "C" {
    pub(crate) fn ggml_backend_dev_by_type(kind: c_int) -> *mut Device;
    pub(crate) fn ggml_backend_dev_init(device: *mut Device, params: *const c_char) -> Backend;
}
