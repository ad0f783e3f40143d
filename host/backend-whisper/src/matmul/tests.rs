#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    unsafe_code,
    reason = "tests"
)]

use super::operand::{BLOCK, Operand};
use super::product::{Product, is_supported};

/// Numbers between -1 and 1 that repeat from run to run.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).max(1);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (f64::from(state) / f64::from(u32::MAX) * 2.0 - 1.0) as f32
    };
    (0..count).map(|_| next()).collect()
}

/// Bytes of a matrix and the numbers that they stand for.
struct Stored {
    bytes: Vec<u8>,
    values: Vec<f32>,
    kind: i32,
    rows: usize,
    blocks: usize,
}

impl Stored {
    fn f32(rows: usize, inner: usize, seed: u32) -> Self {
        let values = numbers(rows * inner, seed);
        let bytes = values.iter().flat_map(|v| v.to_ne_bytes()).collect();
        Self::new(bytes, values, 0, rows, inner)
    }

    /// Sixteenths, which half precision holds exactly.
    fn f16(rows: usize, inner: usize, seed: u32) -> Self {
        let values: Vec<f32> = numbers(rows * inner, seed)
            .iter()
            .map(|v| (v * 16.0).round() / 16.0)
            .collect();
        let bytes = values.iter().flat_map(|&v| half(v).to_le_bytes()).collect();
        Self::new(bytes, values, 1, rows, inner)
    }

    fn q8_0(rows: usize, inner: usize, seed: u32) -> Self {
        let weights = numbers(rows * inner, seed);
        let (mut bytes, mut values) = (Vec::new(), Vec::new());
        for (index, block) in weights.chunks(BLOCK).enumerate() {
            let scale = [0.25_f32, 0.0625, 0.5][index % 3];
            bytes.extend(half(scale).to_le_bytes());
            for weight in block {
                let whole = (weight * 128.0).floor().clamp(-128.0, 127.0);
                bytes.push((whole as i8).cast_unsigned());
                values.push(whole * scale);
            }
        }
        Self::new(bytes, values, 8, rows, inner / BLOCK)
    }

    fn new(bytes: Vec<u8>, values: Vec<f32>, kind: i32, rows: usize, blocks: usize) -> Self {
        Self {
            bytes,
            values,
            kind,
            rows,
            blocks,
        }
    }

    fn operand(&self) -> Operand {
        let (rows, blocks) = (self.rows as i64, self.blocks as i64);
        // SAFETY: the bytes hold that many rows and outlive the operand in these tests.
        unsafe { Operand::new(self.bytes.as_ptr(), self.kind, rows, blocks, blocks) }.unwrap()
    }
}

/// Half precision of a number that it holds exactly.
fn half(value: f32) -> u16 {
    if value == 0.0 {
        return 0;
    }
    let bits = value.to_bits();
    let exponent = (bits >> 23 & 0xff) as i32 - 127 + 15;
    ((bits >> 16 & 0x8000) | (exponent as u32) << 10 | (bits >> 13 & 0x3ff)) as u16
}

/// Largest difference between the product and its definition, over the mean magnitude.
fn error_of(left: &Stored, right: &Stored) -> f64 {
    let (m, n) = (left.rows, right.rows);
    let inner = left.values.len() / m;
    // A wider stride shows writes beyond a row.
    let stride = m + 3;
    let mut result = vec![f32::NAN; stride * n];
    let product = Product::new(
        left.operand(),
        right.operand(),
        result.as_mut_ptr(),
        stride as i64,
    );
    assert!(product.unwrap().compute());
    let (mut worst, mut sum) = (0.0_f64, 0.0);
    for (j, row) in result.chunks(stride).enumerate() {
        for (i, &got) in row[..m].iter().enumerate() {
            let of = |s: &Stored, r: usize, k: usize| f64::from(s.values[r * inner + k]);
            let expected: f64 = (0..inner).map(|k| of(left, i, k) * of(right, j, k)).sum();
            worst = worst.max((f64::from(got) - expected).abs());
            sum += expected.abs();
        }
        assert!(row[m..].iter().all(|v| v.is_nan()), "wrote beyond row {j}");
    }
    worst / (sum / (m * n) as f64)
}

/// Sizes with and without rests of panels and tiles.
const SIZES: [(usize, usize, usize); 6] = [
    (16, 4, 32),
    (33, 7, 64),
    (64, 12, 96),
    (47, 13, 512),
    (512, 25, 64),
    (100, 6, 2048),
];

#[test]
fn floating_point_products_are_right_at_every_size() {
    if !is_supported() {
        return eprintln!("not tested: this processor has no AVX-512 VNNI");
    }
    for (m, n, k) in SIZES {
        let (half, whole) = (Stored::f16(m, k, 1), Stored::f32(m, k, 2));
        for right in [Stored::f16(n, k, 3), Stored::f32(n, k, 4)] {
            assert!(error_of(&half, &right) < 1e-5, "f16 {m} {n} {k}");
            assert!(error_of(&whole, &right) < 1e-5, "f32 {m} {n} {k}");
        }
    }
}

#[test]
fn an_inner_dimension_need_not_be_even() {
    if !is_supported() {
        return eprintln!("not tested: this processor has no AVX-512 VNNI");
    }
    for k in [1, 3, 31, 97] {
        assert!(error_of(&Stored::f16(40, k, 1), &Stored::f16(9, k, 2)) < 1e-5);
    }
}

#[test]
fn products_of_blocks_are_exact_but_for_rounding() {
    if !is_supported() {
        return eprintln!("not tested: this processor has no AVX-512 VNNI");
    }
    for (m, n, k) in SIZES {
        let error = error_of(&Stored::q8_0(m, k, 1), &Stored::q8_0(n, k, 2));
        assert!(error < 1e-5, "{m} {n} {k}: {error}");
    }
}

#[test]
fn right_rows_in_f32_lose_no_more_than_8_bits_lose() {
    if !is_supported() {
        return eprintln!("not tested: this processor has no AVX-512 VNNI");
    }
    for (m, n, k) in SIZES {
        let error = error_of(&Stored::q8_0(m, k, 1), &Stored::f32(n, k, 2));
        // Rounding 32 numbers to 1/127 of the largest, a few standard deviations.
        assert!(error < 0.05, "{m} {n} {k}: {error}");
    }
}

#[test]
fn a_single_row_is_multiplied_as_several_are() {
    if !is_supported() {
        return eprintln!("not tested: this processor has no AVX-512 VNNI");
    }
    for (m, _, k) in SIZES {
        let error = error_of(&Stored::q8_0(m, k, 1), &Stored::f32(1, k, 2));
        assert!(error < 0.05, "{m} {k}: {error}");
    }
}

#[test]
fn blocks_that_do_not_fill_a_row_are_left_to_ggml() {
    let (left, right) = (Stored::q8_0(32, 64, 1), Stored::f32(8, 32, 2));
    let mut result = vec![0.0; 32 * 8];
    // The right operand counts its blocks itself when it has any.
    let short = Stored::q8_0(8, 32, 2);
    assert!(Product::new(left.operand(), short.operand(), result.as_mut_ptr(), 32).is_none());
    let too_long = Product::new(right.operand(), right.operand(), result.as_mut_ptr(), -1);
    assert!(too_long.is_none(), "a negative stride");
}
