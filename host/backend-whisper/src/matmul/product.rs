//! A product and the choice of its kernel.

use std::cell::RefCell;

use super::operand::{self, Operand, Weights};
use super::{float, quantised, single};

/// Rows of the left operand in one panel: two registers of f32.
pub(super) const PANEL: usize = 32;

/// Largest inner dimension that is taken: far above that of any Whisper model (5120), it keeps
/// what a thread holds for packing in megabytes.
const MAX_INNER: usize = 1 << 15;

thread_local! {
    /// Packed operands. A device thread keeps them: they are a few megabytes, and are needed again
    /// for the next product.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// What one thread packs operands into.
#[derive(Default)]
struct Scratch {
    quantised: quantised::Scratch,
    float: float::Scratch,
    single: single::Scratch,
}

/// Whether the processor has the instructions that the kernels are compiled for.
pub(super) fn is_supported() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vnni")
        && is_x86_feature_detected!("f16c")
        && is_x86_feature_detected!("fma")
}

/// A product that the kernels can compute: row `j` of the result holds the products of row `j` of
/// the right operand with all rows of the left.
pub(super) struct Product {
    pub(super) left: Operand,
    pub(super) right: Operand,
    result: *mut f32,
    /// Floats between rows of the result.
    result_stride: usize,
}

impl Product {
    /// `None` when the operands do not fit each other or are too large.
    pub(super) fn new(
        left: Operand,
        right: Operand,
        result: *mut f32,
        result_stride: i64,
    ) -> Option<Self> {
        // ggml counts the inner dimension in blocks of the left operand's type.
        let right = right.with_inner(left.inner);
        let fits = left.inner == right.inner && (1..=MAX_INNER).contains(&left.inner);
        Some(Self {
            left,
            right,
            result,
            result_stride: usize::try_from(result_stride).ok()?,
        })
        .filter(|_| fits)
    }

    /// Computes it; `false` when no kernel takes these types. Only where `is_supported`.
    #[allow(unsafe_code, reason = "instructions that are checked at run time")]
    pub(super) fn compute(&self) -> bool {
        let (left, right) = (&self.left, &self.right);
        if !left.is_readable() || !right.is_readable() {
            return false;
        }
        let blocks = matches!(right.weights, Weights::F32 | Weights::Q8_0)
            && left.inner % operand::BLOCK == 0;
        // SAFETY: this is only called where `is_supported`.
        SCRATCH.with_borrow_mut(|scratch| unsafe {
            match left.is_float() {
                _ if right.rows == 1 => {
                    return left.weights == Weights::Q8_0
                        && single::multiply(self, &mut scratch.single);
                }
                true if right.is_float() => float::multiply(self, &mut scratch.float),
                false if blocks => quantised::multiply(self, &mut scratch.quantised),
                _ => return false,
            }
            true
        })
    }

    /// Sets one number of the result. Numbers outside of it are ignored.
    #[allow(unsafe_code, reason = "writes the result")]
    pub(super) fn set(&self, left: usize, right: usize, value: f32) {
        if left < self.left.rows && right < self.right.rows {
            // SAFETY: the place is inside the result.
            unsafe { *self.result_at(left, right) = value };
        }
    }

    /// Where the result of left row `left` and right row `right` goes.
    #[allow(unsafe_code, reason = "an address inside the result")]
    pub(super) fn result_at(&self, left: usize, right: usize) -> *mut f32 {
        debug_assert!(left < self.left.rows && right < self.right.rows);
        // SAFETY: the result has a row per right row, at this stride, of as many floats as there
        // are left rows.
        unsafe { self.result.add(right * self.result_stride + left) }
    }
}

/// Which of a panel's two halves are real, when `rows` of it are: masks for storing.
pub(super) fn masks(rows: usize) -> (u16, u16) {
    let mask = |rows: usize| ((1_u32 << rows.min(16)) - 1) as u16;
    (mask(rows), mask(rows.saturating_sub(16)))
}
