//! Products of quantised weights in 8 bits.
//!
//! Both operands are blocks of 32 signed bytes with a scale each, as in ggml's `q8_0`. The
//! instruction multiplies unsigned with signed bytes, so that 128 is added to the weights and
//! 128 times the sum of the other block taken off again. Weights of other quantised types are
//! brought to this form first: it adds to their error 1/254 of a block's largest weight.

use std::arch::x86_64::{
    __m256i, _mm256_set_m128i, _mm256_storeu_si256, _mm512_abs_ps, _mm512_cvtepi32_ps,
    _mm512_cvtps_epi32, _mm512_cvtsepi32_epi8, _mm512_dpbusd_epi32, _mm512_fmadd_ps,
    _mm512_loadu_ps, _mm512_loadu_si512, _mm512_max_ps, _mm512_mul_ps, _mm512_reduce_max_ps,
    _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps, _mm512_setzero_si512,
};

use super::float::{half, store};
use super::operand::{BLOCK, Operand};
use super::product::{PANEL, Product};

/// Right rows computed at once: 6 x 2 sums as integers and as floats, two registers of weights and
/// two of scales fit into 32.
const TILE_ROWS: usize = 6;

/// Groups of four weights, which one lane multiplies at once, in a block.
const GROUPS: usize = BLOCK / 4;

/// A block of 32 weights, four to a number.
pub(super) type Block = [i32; GROUPS];

/// What lies in a panel for one block: for each group the weights of 32 rows, then their scales.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct PanelBlock {
    weights: [[i32; PANEL]; GROUPS],
    scales: [f32; PANEL],
}

/// A block of a right row.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct RowBlock {
    weights: Block,
    scale: f32,
    /// -128 times the sum of the weights.
    correction: i32,
}

/// Packed operands.
#[derive(Default)]
pub(super) struct Scratch {
    panel: Vec<PanelBlock>,
    rows: Vec<RowBlock>,
    /// One row of another type.
    floats: Vec<f32>,
}

/// Computes a product of quantised weights with `q8_0` or f32. The inner dimension is a multiple
/// of 32.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,f16c")]
pub(super) fn multiply(product: &Product, scratch: &mut Scratch) {
    let (left, right) = (&product.left, &product.right);
    let blocks = left.inner / BLOCK;
    let Scratch {
        panel,
        rows,
        floats,
    } = scratch;
    floats.resize(left.inner, 0.0);
    rows.resize(right.rows * blocks, RowBlock::default());
    for (row, packed) in rows.chunks_exact_mut(blocks).enumerate() {
        read_blocks(right, row, floats, |block, weights, scale| {
            if let Some(to) = packed.get_mut(block) {
                *to = RowBlock {
                    weights,
                    scale,
                    correction: -128 * sum(weights),
                };
            }
        });
    }
    let empty = PanelBlock {
        weights: [[0; PANEL]; GROUPS],
        scales: [0.0; PANEL],
    };
    panel.resize(blocks, empty);
    for first in (0..left.rows).step_by(PANEL) {
        pack(left, first, panel, floats);
        for (tile, rows) in rows.chunks(TILE_ROWS * blocks).enumerate() {
            let place = Place {
                product,
                left: first,
                right: tile * TILE_ROWS,
            };
            place.compute(panel, rows);
        }
    }
}

/// Packs 32 left rows from `first` on; rows beyond the last repeat it and are not stored later.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,f16c")]
fn pack(left: &Operand, first: usize, panel: &mut [PanelBlock], floats: &mut [f32]) {
    // Adds 128 to each of four signed bytes, which makes them unsigned.
    const UNSIGNED: i32 = i32::from_ne_bytes([0x80; 4]);
    for lane in 0..PANEL {
        let row = (first + lane).min(left.rows - 1);
        read_blocks(left, row, floats, |block, weights, scale| {
            let Some(to) = panel.get_mut(block) else {
                return;
            };
            for (group, four) in to.weights.iter_mut().zip(weights) {
                if let Some(to) = group.get_mut(lane) {
                    *to = four ^ UNSIGNED;
                }
            }
            if let Some(to) = to.scales.get_mut(lane) {
                *to = scale;
            }
        });
    }
}

/// Calls `each` with the number, weights and scale of every block of a row.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,f16c")]
#[inline]
fn read_blocks(
    operand: &Operand,
    row: usize,
    floats: &mut [f32],
    mut each: impl FnMut(usize, Block, f32),
) {
    if let Some(stored) = operand.blocks(row) {
        for (number, [low, high, weights @ ..]) in stored.iter().enumerate() {
            let (fours, _) = weights.as_chunks::<4>();
            let mut block = Block::default();
            for (to, four) in block.iter_mut().zip(fours) {
                *to = i32::from_ne_bytes(*four);
            }
            each(number, block, half(u16::from_le_bytes([*low, *high])));
        }
        return;
    }
    let floats = match operand.floats(row) {
        Some(stored) => stored,
        None => {
            operand.read_row(row, floats);
            floats
        }
    };
    for (number, values) in floats.as_chunks::<BLOCK>().0.iter().enumerate() {
        let (block, scale) = quantise(values);
        each(number, block, scale);
    }
}

fn sum(weights: Block) -> i32 {
    weights
        .iter()
        .flat_map(|four| four.to_ne_bytes())
        .map(|weight| i32::from(weight.cast_signed()))
        .sum()
}

/// A block as signed bytes and its scale: the largest magnitude is 127.
#[allow(unsafe_code, reason = "loads from an array")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,f16c")]
#[inline]
pub(super) fn quantise(values: &[f32; BLOCK]) -> (Block, f32) {
    let (low, high) = values.split_at(BLOCK / 2);
    // SAFETY: both halves have 16 floats.
    let (low, high) = unsafe {
        (
            _mm512_loadu_ps(low.as_ptr()),
            _mm512_loadu_ps(high.as_ptr()),
        )
    };
    let largest = _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(low), _mm512_abs_ps(high)));
    let scale = largest / 127.0;
    let steps = _mm512_set1_ps(if scale > 0.0 { 1.0 / scale } else { 0.0 });
    let bytes = |values| _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(values, steps)));
    let packed: __m256i = _mm256_set_m128i(bytes(high), bytes(low));
    let mut block = Block::default();
    // SAFETY: a block is 32 bytes.
    unsafe { _mm256_storeu_si256(block.as_mut_ptr().cast(), packed) };
    (block, scale)
}

/// Where a tile's sums belong.
struct Place<'a> {
    product: &'a Product,
    left: usize,
    right: usize,
}

impl Place<'_> {
    /// Computes a tile of as many rows as `rows` holds.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,f16c")]
    fn compute(&self, panel: &[PanelBlock], rows: &[RowBlock]) {
        match rows.len() / panel.len().max(1) {
            1 => self.sums::<1>(panel, rows),
            2 => self.sums::<2>(panel, rows),
            3 => self.sums::<3>(panel, rows),
            4 => self.sums::<4>(panel, rows),
            5 => self.sums::<5>(panel, rows),
            TILE_ROWS => self.sums::<TILE_ROWS>(panel, rows),
            _ => {}
        }
    }

    /// The sums of `ROWS` right rows with a panel.
    #[allow(unsafe_code, reason = "loads of whole registers from arrays")]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,f16c")]
    fn sums<const ROWS: usize>(&self, panel: &[PanelBlock], rows: &[RowBlock]) {
        if rows.len() != ROWS * panel.len() {
            return;
        }
        let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
        for (number, block) in panel.iter().enumerate() {
            let mut of_rows = [rows.as_ptr(); ROWS];
            let mut whole = [[_mm512_setzero_si512(); 2]; ROWS];
            for (row, (of_row, whole)) in of_rows.iter_mut().zip(&mut whole).enumerate() {
                // SAFETY: there are `ROWS` times as many blocks as in the panel.
                let correction = unsafe {
                    *of_row = rows.as_ptr().add(row * panel.len() + number);
                    (**of_row).correction
                };
                *whole = [_mm512_set1_epi32(correction); 2];
            }
            for (group, weights) in block.weights.iter().enumerate() {
                // SAFETY: a group has the weights of 32 rows.
                let (first, second) = unsafe {
                    (
                        _mm512_loadu_si512(weights.as_ptr().cast()),
                        _mm512_loadu_si512(weights.as_ptr().add(PANEL / 2).cast()),
                    )
                };
                for (whole, of_row) in whole.iter_mut().zip(&of_rows) {
                    // SAFETY: `group` is below the number of groups.
                    let four = unsafe { *(**of_row).weights.as_ptr().add(group) };
                    let four = _mm512_set1_epi32(four);
                    let [low, high] = *whole;
                    *whole = [
                        _mm512_dpbusd_epi32(low, first, four),
                        _mm512_dpbusd_epi32(high, second, four),
                    ];
                }
            }
            // SAFETY: there are scales for 32 rows.
            let (first, second) = unsafe {
                (
                    _mm512_loadu_ps(block.scales.as_ptr()),
                    _mm512_loadu_ps(block.scales.as_ptr().add(PANEL / 2)),
                )
            };
            for ((sums, whole), of_row) in sums.iter_mut().zip(whole).zip(&of_rows) {
                // SAFETY: as above.
                let scale = _mm512_set1_ps(unsafe { (**of_row).scale });
                let ([low, high], [low_sum, high_sum]) = (whole, *sums);
                let (low, high) = (_mm512_cvtepi32_ps(low), _mm512_cvtepi32_ps(high));
                *sums = [
                    _mm512_fmadd_ps(low, _mm512_mul_ps(first, scale), low_sum),
                    _mm512_fmadd_ps(high, _mm512_mul_ps(second, scale), high_sum),
                ];
            }
        }
        store(self.product, self.left, self.right, &sums);
    }
}
