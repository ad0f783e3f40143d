//! Products in f32.

use std::arch::x86_64::{
    __m512, _mm_cvtph_ps, _mm_cvtsi32_si128, _mm_cvtss_f32, _mm256_loadu_si256, _mm512_cvtph_ps,
    _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_mask_storeu_ps, _mm512_set1_ps, _mm512_setzero_ps,
    _mm512_storeu_ps,
};

use super::operand::Operand;
use super::product::{PANEL, Product, masks};

/// Right rows computed at once: 12 x 2 sums, two registers of the panel and one more fit into 32.
const TILE_ROWS: usize = 12;

/// Floats of panels that are computed with before the next ones are packed: 256 KiB, a quarter of
/// the second-level cache.
const PANEL_FLOATS: usize = 64 << 10;

/// Packed operands.
#[derive(Default)]
pub(super) struct Scratch {
    /// Panel by panel, for each inner index the elements of 32 left rows.
    panels: Vec<f32>,
    /// The right rows of a tile.
    rows: Vec<f32>,
    /// One left row.
    row: Vec<f32>,
}

/// Computes a product of floating-point matrices.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,f16c")]
pub(super) fn multiply(product: &Product, scratch: &mut Scratch) {
    let (left, right) = (&product.left, &product.right);
    let (inner, panels) = (left.inner, left.rows.div_ceil(PANEL));
    let at_once = (PANEL_FLOATS / (inner * PANEL)).clamp(1, panels);
    let Scratch {
        panels: packed,
        rows,
        row,
    } = scratch;
    packed.resize(at_once * inner * PANEL, 0.0);
    rows.resize(TILE_ROWS * inner, 0.0);
    row.resize(inner, 0.0);
    for first_panel in (0..panels).step_by(at_once) {
        let packed_panels = packed.chunks_exact_mut(inner * PANEL);
        for (panel, packed) in (first_panel..panels).zip(packed_panels) {
            pack(left, panel * PANEL, packed, row);
        }
        for first_row in (0..right.rows).step_by(TILE_ROWS) {
            let count = TILE_ROWS.min(right.rows - first_row);
            let tile: [&[f32]; TILE_ROWS] = tile_rows(right, first_row, rows);
            let packed_panels = packed.chunks_exact(inner * PANEL);
            for (panel, packed) in (first_panel..panels).zip(packed_panels) {
                let place = Place {
                    product,
                    left: panel * PANEL,
                    right: first_row,
                };
                place.compute(count, packed, &tile);
            }
        }
    }
}

/// Packs 32 left rows from `first` on; rows beyond the last repeat it and are not stored later.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,f16c")]
fn pack(left: &Operand, first: usize, packed: &mut [f32], row: &mut [f32]) {
    for index in 0..PANEL {
        read_row(left, (first + index).min(left.rows - 1), row);
        let column = packed.iter_mut().skip(index).step_by(PANEL);
        for (to, from) in column.zip(row.iter()) {
            *to = *from;
        }
    }
}

/// The right rows from `first` on, read into `rows` where they are not stored as f32.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,f16c")]
fn tile_rows<'a>(right: &'a Operand, first: usize, rows: &'a mut [f32]) -> [&'a [f32]; TILE_ROWS] {
    let last = right.rows - 1;
    if right.floats(first).is_none() {
        for (index, row) in rows.chunks_exact_mut(right.inner).enumerate() {
            if first + index <= last {
                read_row(right, first + index, row);
            }
        }
    }
    let rows: &'a [f32] = rows;
    std::array::from_fn(|index| {
        let kept = rows.get(index * right.inner..(index + 1) * right.inner);
        right
            .floats((first + index).min(last))
            .or(kept)
            .unwrap_or_default()
    })
}

/// Where a tile's sums belong.
struct Place<'a> {
    product: &'a Product,
    left: usize,
    right: usize,
}

impl Place<'_> {
    /// Computes the first `count` rows of a tile.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,f16c")]
    fn compute(&self, count: usize, packed: &[f32], tile: &[&[f32]; TILE_ROWS]) {
        macro_rules! of_rows {
            ($($rows:literal)*) => {
                match count {
                    $($rows => self.sums::<$rows>(packed, tile),)*
                    _ => {}
                }
            };
        }
        of_rows!(1 2 3 4 5 6 7 8 9 10 11 12);
    }

    /// The sums of `ROWS` right rows with a panel.
    #[allow(unsafe_code, reason = "pointers whose bounds are checked once")]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,f16c")]
    fn sums<const ROWS: usize>(&self, packed: &[f32], tile: &[&[f32]; TILE_ROWS]) {
        let inner = self.product.left.inner;
        let Some(rows) = tile.first_chunk::<ROWS>() else {
            return;
        };
        if packed.len() != inner * PANEL || rows.iter().any(|row| row.len() != inner) {
            return;
        }
        let rows = rows.map(<[f32]>::as_ptr);
        let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
        for (index, column) in packed.as_chunks::<PANEL>().0.iter().enumerate() {
            // SAFETY: a column has 32 floats.
            let (first, second) = unsafe {
                (
                    _mm512_loadu_ps(column.as_ptr()),
                    _mm512_loadu_ps(column.as_ptr().add(PANEL / 2)),
                )
            };
            for (sums, row) in sums.iter_mut().zip(&rows) {
                // SAFETY: rows are as long as there are columns.
                let factor = _mm512_set1_ps(unsafe { *row.add(index) });
                let [low, high] = *sums;
                *sums = [
                    _mm512_fmadd_ps(first, factor, low),
                    _mm512_fmadd_ps(second, factor, high),
                ];
            }
        }
        store(self.product, self.left, self.right, &sums);
    }
}

/// Writes the sums of right rows from `right` on with the panel of left rows from `left` on.
#[allow(unsafe_code, reason = "writes the result")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,f16c")]
#[inline]
pub(super) fn store<const ROWS: usize>(
    product: &Product,
    left: usize,
    right: usize,
    sums: &[[__m512; 2]; ROWS],
) {
    let (low, high) = masks(product.left.rows - left);
    for (row, [first, second]) in sums.iter().enumerate() {
        let to = product.result_at(left, right + row);
        // SAFETY: the masks leave out what is beyond the last left row.
        unsafe {
            _mm512_mask_storeu_ps(to, low, *first);
            _mm512_mask_storeu_ps(to.wrapping_add(PANEL / 2), high, *second);
        }
    }
}

/// Reads a row as f32.
#[allow(unsafe_code, reason = "loads and stores of whole chunks")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,f16c")]
#[inline]
fn read_row(operand: &Operand, row: usize, floats: &mut [f32]) {
    let Some(halves) = operand.halves(row) else {
        return operand.read_row(row, floats);
    };
    let (chunks, rest) = halves.as_chunks::<16>();
    let (to_chunks, to_rest) = floats.as_chunks_mut::<16>();
    for (to, from) in to_chunks.iter_mut().zip(chunks) {
        // SAFETY: both are 16 elements long.
        unsafe {
            let halves = _mm256_loadu_si256(from.as_ptr().cast());
            _mm512_storeu_ps(to.as_mut_ptr(), _mm512_cvtph_ps(halves));
        }
    }
    for (to, from) in to_rest.iter_mut().zip(rest) {
        *to = half(*from);
    }
}

/// The value of a half-precision number.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,f16c")]
#[inline]
pub(super) fn half(bits: u16) -> f32 {
    _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(i32::from(bits))))
}
