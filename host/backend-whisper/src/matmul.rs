//! Matrix products for processors with AVX-512 VNNI (Intel since 2019, AMD since 2022).
//!
//! ggml hands every product on the CPU to `llamafile_sgemm` before it computes it itself. The
//! build renames that call in ggml's C sources to [`auricle_sgemm`] (`.cargo/config.toml`), which
//! takes the products it is faster at and passes the others on to the original. Without the new
//! name nothing here is called, and all works as whisper.cpp was built.
//!
//! - Quantised weights stay in 8 bits: 4 multiplications in the place of one (`quantised`).
//! - The rest, attention above all, is computed in f32 from panels that fit the cache (`float`).
//! - OpenBLAS, which would get the products of weights first and computes them in f32, steps
//!   aside. It stays for all other processors.
//!
//! With `base` q8_0 an encoder pass over 30 s took 0.8 s of one core where whisper.cpp with
//! OpenBLAS took 1.9 s (Zen 4).
//!
//! Refuses (passes on) products for more than one thread, since a session has only one; single
//! columns, which are bound by memory; and types that ggml does not give in these layouts.
//!
//! Why not a library: OpenBLAS has no 8-bit product; oneDNN has one, without the scale per 32
//! weights that ggml's formats rest on.

use std::ffi::{c_int, c_void};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::device::{Device, TYPE_ACCELERATOR, ggml_backend_dev_by_type};

#[cfg(target_arch = "x86_64")]
mod float;
#[cfg(target_arch = "x86_64")]
mod operand;
#[cfg(target_arch = "x86_64")]
mod product;
#[cfg(target_arch = "x86_64")]
mod quantised;
#[cfg(target_arch = "x86_64")]
mod single;
#[cfg(all(test, target_arch = "x86_64"))]
mod tests;

/// Least rows of the left operand. Below, a panel is mostly padding.
const MIN_LEFT_ROWS: i64 = 16;

/// Least rows of the right operand: below, packing the left costs more than it saves.
const MIN_RIGHT_ROWS: i64 = 4;

/// Whether this processor has what the kernels need and [`install`] was called.
static ACTIVE: AtomicBool = AtomicBool::new(false);

/// `struct ggml_compute_params` up to the last member that is read.
#[repr(C)]
struct ComputeParams {
    thread: c_int,
    threads: c_int,
}

#[allow(unsafe_code, reason = "ggml's own product")]
unsafe extern "C" {
    fn llamafile_sgemm(
        params: *const ComputeParams,
        m: i64,
        n: i64,
        k: i64,
        a: *const c_void,
        lda: i64,
        b: *const c_void,
        ldb: i64,
        c: *mut c_void,
        ldc: i64,
        a_type: c_int,
        b_type: c_int,
        c_type: c_int,
    ) -> bool;
}

/// C = A·B in ggml's terms: row `j` of C holds the products of row `j` of B with the `m` rows of
/// A. `k` and the strides count blocks of the operand's type. `false` leaves the work to ggml.
///
/// # Safety
/// Called by ggml's CPU backend, whose operands are as large as the numbers say.
#[allow(unsafe_code, reason = "called by ggml in the place of its own product")]
#[unsafe(no_mangle)]
unsafe extern "C" fn auricle_sgemm(
    params: *const ComputeParams,
    m: i64,
    n: i64,
    k: i64,
    a: *const c_void,
    lda: i64,
    b: *const c_void,
    ldb: i64,
    c: *mut c_void,
    ldc: i64,
    a_type: c_int,
    b_type: c_int,
    c_type: c_int,
) -> bool {
    // SAFETY: ggml passes parameters that live as long as the call.
    let alone = unsafe { params.as_ref() }.is_some_and(|params| params.threads == 1);
    let enough = m >= MIN_LEFT_ROWS && (n == 1 || n >= MIN_RIGHT_ROWS);
    if ACTIVE.load(Ordering::Relaxed) && alone && enough {
        // SAFETY: the operands have `m` and `n` rows of `k` blocks at these strides.
        let computed = unsafe {
            let (left, right) = ((a, a_type, m, lda), (b, b_type, n, ldb));
            compute(left, right, k, (c, c_type, ldc))
        };
        if computed {
            return true;
        }
    }
    // SAFETY: the arguments are passed on unchanged to the function they were meant for.
    unsafe {
        llamafile_sgemm(
            params, m, n, k, a, lda, b, ldb, c, ldc, a_type, b_type, c_type,
        )
    }
}

/// A matrix as ggml passes it: data, type, rows and stride.
type Matrix = (*const c_void, c_int, i64, i64);

/// Computes a product, if a kernel takes it.
///
/// # Safety
/// The matrices must be as large as the numbers say, `k` being blocks of their type.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "takes what ggml passes")]
unsafe fn compute(
    left: Matrix,
    right: Matrix,
    k: i64,
    (result, result_type, result_stride): (*mut c_void, c_int, i64),
) -> bool {
    // SAFETY: the caller's promise.
    let operand = |(data, kind, rows, stride): Matrix| unsafe {
        operand::Operand::new(data.cast(), kind, rows, k, stride)
    };
    let (Some(left), Some(right), operand::F32) = (operand(left), operand(right), result_type)
    else {
        return false;
    };
    product::Product::new(left, right, result.cast(), result_stride)
        .is_some_and(|product| product.compute())
}

#[cfg(not(target_arch = "x86_64"))]
#[allow(unsafe_code, reason = "the same as elsewhere")]
unsafe fn compute(_: Matrix, _: Matrix, _: i64, _: (*mut c_void, c_int, i64)) -> bool {
    false
}

/// Takes over, once per process, where the processor is fit for it. Call it before the first
/// whisper state is made.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let active = cfg!(own_matmul) && is_supported() && retire_accelerator();
        ACTIVE.store(active, Ordering::Relaxed);
        tracing::debug!(active, "matrix products for AVX-512 VNNI");
        // Names the function, so that the linker finds it before ggml asks for it.
        std::hint::black_box(auricle_sgemm as *const c_void);
    });
}

fn is_supported() -> bool {
    #[cfg(target_arch = "x86_64")]
    return product::is_supported();
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// Has OpenBLAS's device call itself something that whisper.cpp does not look for. `false` when it
/// is still found.
#[allow(unsafe_code, reason = "replaces a function pointer inside ggml")]
fn retire_accelerator() -> bool {
    /// No type of ggml's.
    unsafe extern "C" fn retired(_: *mut Device) -> c_int {
        -1
    }
    // SAFETY: a device is a static of ggml that lives as long as the process and is writable;
    // nobody else reads it now, since every user of ggml in this process comes through the loader,
    // which waits for the `Once` around this. Should the layout differ, another pointer of the
    // interface is replaced for the moment until it is put back.
    unsafe {
        let device = ggml_backend_dev_by_type(TYPE_ACCELERATOR);
        if device.is_null() {
            return true;
        }
        let original = (*device).get_type;
        (*device).get_type = retired;
        if ggml_backend_dev_by_type(TYPE_ACCELERATOR).is_null() {
            return true;
        }
        (*device).get_type = original;
    }
    false
}
