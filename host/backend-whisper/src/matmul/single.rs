//! Products with a single right row: what the decoder computes for every token.
//!
//! Each weight is used once, so that memory sets the pace. Rows are read one after the other, as
//! they lie. Rows of f16 are left to ggml, which is as fast there.

use std::arch::x86_64::{
    __m256, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_movehdup_ps, _mm_movehl_ps, _mm256_abs_epi8,
    _mm256_castps256_ps128, _mm256_cvtepi32_ps, _mm256_dpbusd_epi32, _mm256_extractf128_ps,
    _mm256_fmadd_ps, _mm256_loadu_si256, _mm256_mask_sub_epi8, _mm256_movepi8_mask, _mm256_set1_ps,
    _mm256_setzero_ps, _mm256_setzero_si256,
};

use super::float::half;
use super::operand::Q8_0_BYTES;
use super::product::Product;
use super::quantised::{Block, quantise};

/// The right row in blocks, and their scales.
#[derive(Default)]
pub(super) struct Scratch {
    blocks: Vec<(Block, f32)>,
}

/// Computes a product of `q8_0` with one row of f32; `false` when it is none.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,f16c,fma")]
pub(super) fn multiply(product: &Product, scratch: &mut Scratch) -> bool {
    let Some(row) = product.right.floats(0) else {
        return false;
    };
    scratch.blocks.clear();
    for values in row.as_chunks().0 {
        scratch.blocks.push(quantise(values));
    }
    for index in 0..product.left.rows {
        let Some(weights) = product.left.blocks(index) else {
            return false;
        };
        let sum = sum_of_blocks(weights, &scratch.blocks);
        product.set(index, 0, sum);
    }
    true
}

/// The product of two rows of blocks.
#[allow(unsafe_code, reason = "loads of whole blocks")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,f16c,fma")]
#[inline]
fn sum_of_blocks(left: &[[u8; Q8_0_BYTES]], right: &[(Block, f32)]) -> f32 {
    let mut sums = _mm256_setzero_ps();
    for ([low, high, weights @ ..], (block, scale)) in left.iter().zip(right) {
        // SAFETY: both are 32 bytes.
        let (weights, block) = unsafe {
            (
                _mm256_loadu_si256(weights.as_ptr().cast()),
                _mm256_loadu_si256(block.as_ptr().cast()),
            )
        };
        // The instruction takes one operand unsigned: the sign moves to the other.
        let negative = _mm256_movepi8_mask(weights);
        let block = _mm256_mask_sub_epi8(block, negative, _mm256_setzero_si256(), block);
        let whole = _mm256_dpbusd_epi32(_mm256_setzero_si256(), _mm256_abs_epi8(weights), block);
        let scale = half(u16::from_le_bytes([*low, *high])) * scale;
        sums = _mm256_fmadd_ps(_mm256_set1_ps(scale), _mm256_cvtepi32_ps(whole), sums);
    }
    sum_of_8(sums)
}

#[target_feature(enable = "avx512f,avx512vl")]
#[inline]
fn sum_of_8(values: __m256) -> f32 {
    let fours = _mm_add_ps(
        _mm256_castps256_ps128(values),
        _mm256_extractf128_ps::<1>(values),
    );
    let twos = _mm_add_ps(fours, _mm_movehl_ps(fours, fours));
    _mm_cvtss_f32(_mm_add_ss(twos, _mm_movehdup_ps(twos)))
}
