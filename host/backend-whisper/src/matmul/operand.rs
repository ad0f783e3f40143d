//! What ggml passes as a matrix, read row by row.

use std::ffi::{c_char, c_int, c_void};

/// `GGML_TYPE_F32`.
pub(super) const F32: c_int = 0;
/// `GGML_TYPE_F16`.
const F16: c_int = 1;
/// `GGML_TYPE_Q8_0`.
const Q8_0: c_int = 8;

/// Weights that share a scale in `q8_0`, and in what the kernels compute with.
pub(super) const BLOCK: usize = 32;

/// Bytes of a block of `q8_0`: the scale in f16, then the weights.
pub(super) const Q8_0_BYTES: usize = 2 + BLOCK;

/// Turns `count` elements of a type into f32.
type ToFloat = unsafe extern "C" fn(from: *const c_void, to: *mut f32, count: i64);

/// `struct ggml_type_traits` up to the last member that is read.
#[repr(C)]
struct TypeTraits {
    name: *const c_char,
    block: i64,
    block_interleave: i64,
    block_bytes: usize,
    is_quantised: bool,
    to_float: Option<ToFloat>,
}

#[allow(
    unsafe_code,
    reason = "a public C function that whisper-rs does not bind"
)]
unsafe extern "C" {
    fn ggml_get_type_traits(kind: c_int) -> *const TypeTraits;
}

/// How elements are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weights {
    F32,
    F16,
    Q8_0,
    /// Another quantised type.
    Quantised,
    /// Another floating-point type.
    Float,
}

/// A matrix of `rows` rows of `inner` elements each.
#[derive(Clone, Copy)]
pub(super) struct Operand {
    data: *const u8,
    pub(super) weights: Weights,
    pub(super) rows: usize,
    pub(super) inner: usize,
    row_bytes: usize,
    to_float: Option<ToFloat>,
}

impl Operand {
    /// A matrix as ggml describes it: `blocks` blocks in a row, `stride` blocks from row to row.
    /// `None` when the type is unknown or a number is negative.
    ///
    /// # Safety
    /// `data` must hold that much for as long as the operand is used, and `kind` must be one of
    /// ggml's types.
    #[allow(unsafe_code, reason = "takes what ggml passes")]
    pub(super) unsafe fn new(
        data: *const u8,
        kind: c_int,
        rows: i64,
        blocks: i64,
        stride: i64,
    ) -> Option<Self> {
        // SAFETY: ggml answers every one of its types with a static.
        let traits = unsafe { ggml_get_type_traits(kind).as_ref() }?;
        let block = usize::try_from(traits.block).ok()?;
        Some(Self {
            data,
            weights: match kind {
                F32 => Weights::F32,
                F16 => Weights::F16,
                Q8_0 => Weights::Q8_0,
                _ if traits.is_quantised => Weights::Quantised,
                _ => Weights::Float,
            },
            rows: usize::try_from(rows).ok()?,
            inner: usize::try_from(blocks).ok()?.checked_mul(block)?,
            row_bytes: usize::try_from(stride)
                .ok()?
                .checked_mul(traits.block_bytes)?,
            to_float: traits.to_float,
        })
    }

    /// Whether the elements are floating-point numbers.
    pub(super) fn is_float(&self) -> bool {
        matches!(self.weights, Weights::F32 | Weights::F16 | Weights::Float)
    }

    /// Whether [`Self::read_row`] can read it.
    pub(super) fn is_readable(&self) -> bool {
        self.weights == Weights::F32 || self.to_float.is_some()
    }

    /// The row's first byte. `row` must be below `rows`.
    #[allow(unsafe_code, reason = "an address inside the matrix")]
    fn row(&self, row: usize) -> *const u8 {
        debug_assert!(row < self.rows);
        // SAFETY: the matrix has that row.
        unsafe { self.data.add(row * self.row_bytes) }
    }

    /// A row of f32, where it is stored.
    #[allow(unsafe_code, reason = "reads the matrix")]
    pub(super) fn floats(&self, row: usize) -> Option<&[f32]> {
        let stored = self.weights == Weights::F32 && row < self.rows;
        // SAFETY: a row of f32 has `inner` of them, and ggml aligns tensors.
        stored.then(|| unsafe { std::slice::from_raw_parts(self.row(row).cast(), self.inner) })
    }

    /// A row of half-precision numbers, where it is stored.
    #[allow(unsafe_code, reason = "reads the matrix")]
    pub(super) fn halves(&self, row: usize) -> Option<&[u16]> {
        let stored = self.weights == Weights::F16 && row < self.rows;
        // SAFETY: a row of f16 has `inner` of them, and ggml aligns tensors.
        stored.then(|| unsafe { std::slice::from_raw_parts(self.row(row).cast(), self.inner) })
    }

    /// The blocks of a row of `q8_0`.
    #[allow(unsafe_code, reason = "reads the matrix")]
    pub(super) fn blocks(&self, row: usize) -> Option<&[[u8; Q8_0_BYTES]]> {
        let stored = self.weights == Weights::Q8_0 && row < self.rows;
        // SAFETY: a row of `q8_0` is that many blocks; bytes have no alignment.
        stored.then(|| unsafe {
            std::slice::from_raw_parts(self.row(row).cast(), self.inner / BLOCK)
        })
    }

    /// Reads a row into `floats`, which must hold `inner`.
    #[allow(unsafe_code, reason = "reads the matrix")]
    pub(super) fn read_row(&self, row: usize, floats: &mut [f32]) {
        if let Some(stored) = self.floats(row) {
            floats.copy_from_slice(stored);
        } else if let (Some(to_float), true) = (self.to_float, floats.len() == self.inner) {
            // SAFETY: the row has `inner` elements of the type that the function is for, and there
            // is room for as many.
            unsafe { to_float(self.row(row).cast(), floats.as_mut_ptr(), self.inner as i64) };
        }
    }

    /// Sets the inner dimension of floating-point rows, which ggml counts in the other operand's
    /// blocks.
    pub(super) fn with_inner(mut self, inner: usize) -> Self {
        if self.is_float() {
            self.inner = inner;
        }
        self
    }
}
