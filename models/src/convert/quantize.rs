//! ggml's block formats: 32 weights share one or two f16 numbers and keep 4, 5 or 8 bits each.
//!
//! The rounding is that of ggml's reference quantizer (`quantize_row_*_ref`), in f32 and without
//! fused multiply-add, so that a file has the same digest wherever it is made.

use std::fmt;
use std::str::FromStr;

use half::f16;

use super::ConvertError;

/// Weights in a block (`QK4_0` and its kin).
pub(super) const BLOCK: usize = 32;

/// How the large matrices of a model are stored. Fewer bits need less memory and lose accuracy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(non_camel_case_types, reason = "the names are ggml's")]
pub enum Quantization {
    /// 4 bits and a scale: 18 bytes for 32 weights.
    Q4_0,
    /// 4 bits, a scale and a minimum: 20 bytes for 32 weights.
    Q4_1,
    /// 5 bits and a scale: 22 bytes for 32 weights.
    Q5_0,
    /// 5 bits, a scale and a minimum: 24 bytes for 32 weights.
    Q5_1,
    /// 8 bits and a scale: 34 bytes for 32 weights.
    Q8_0,
}

impl Quantization {
    /// All of them, smallest first.
    pub const ALL: [Self; 5] = [Self::Q4_0, Self::Q4_1, Self::Q5_0, Self::Q5_1, Self::Q8_0];

    /// The name as users write it: `q5_1`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Q4_0 => "q4_0",
            Self::Q4_1 => "q4_1",
            Self::Q5_0 => "q5_0",
            Self::Q5_1 => "q5_1",
            Self::Q8_0 => "q8_0",
        }
    }

    /// `GGML_FTYPE_MOSTLY_*`, the number in a file's header.
    pub(super) fn file_type(self) -> u32 {
        match self {
            Self::Q4_0 => 2,
            Self::Q4_1 => 3,
            Self::Q8_0 => 7,
            Self::Q5_0 => 8,
            Self::Q5_1 => 9,
        }
    }

    /// `GGML_TYPE_*`, the number before each tensor.
    pub(super) fn tensor_type(self) -> u32 {
        match self {
            Self::Q4_0 => 2,
            Self::Q4_1 => 3,
            Self::Q5_0 => 6,
            Self::Q5_1 => 7,
            Self::Q8_0 => 8,
        }
    }

    /// Bytes of a block.
    pub(super) fn block_bytes(self) -> usize {
        match self {
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q8_0 => 34,
        }
    }

    /// How many f16 numbers a block begins with.
    pub(super) fn scales(self) -> usize {
        match self {
            Self::Q4_0 | Self::Q5_0 | Self::Q8_0 => 1,
            Self::Q4_1 | Self::Q5_1 => 2,
        }
    }

    /// Appends `block` to `out`, in [`Quantization::block_bytes`] bytes.
    pub(super) fn encode(self, block: &[f32; BLOCK], out: &mut Vec<u8>) {
        match self {
            Self::Q4_0 => {
                let (scale, codes) = signed(block, 8.0);
                put(scale, out);
                put_low_bits(&codes, out);
            }
            Self::Q4_1 => {
                let (scale, least, codes) = affine(block, 15.0);
                put(scale, out);
                put(least, out);
                put_low_bits(&codes, out);
            }
            Self::Q5_0 => {
                let (scale, codes) = signed(block, 16.0);
                put(scale, out);
                put_fifth_bits(&codes, out);
                put_low_bits(&codes, out);
            }
            Self::Q5_1 => {
                let (scale, least, codes) = affine(block, 31.0);
                put(scale, out);
                put(least, out);
                put_fifth_bits(&codes, out);
                put_low_bits(&codes, out);
            }
            Self::Q8_0 => {
                let largest = block.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
                let scale = largest / 127.0;
                let inverse = inverse(scale);
                put(scale, out);
                out.extend(block.iter().map(|x| (x * inverse).round() as i8 as u8));
            }
        }
    }
}

/// Codes `0..2*half` around zero, scaled so that the weight furthest from zero becomes code 0.
fn signed(block: &[f32; BLOCK], half: f32) -> (f32, [u8; BLOCK]) {
    let mut furthest = 0.0_f32;
    for &x in block {
        if furthest.abs() < x.abs() {
            furthest = x;
        }
    }
    let scale = furthest / -half;
    let inverse = inverse(scale);
    let most = 2.0 * half - 1.0;
    let codes = block.map(|x| (x * inverse + (half + 0.5)).min(most) as u8);
    (scale, codes)
}

/// Codes `0..=most` from the least weight of the block to its greatest.
fn affine(block: &[f32; BLOCK], most: f32) -> (f32, f32, [u8; BLOCK]) {
    let (mut least, mut greatest) = (f32::MAX, f32::MIN);
    for &x in block {
        if x < least {
            least = x;
        }
        if x > greatest {
            greatest = x;
        }
    }
    let scale = (greatest - least) / most;
    let inverse = inverse(scale);
    let codes = block.map(|x| ((x - least) * inverse + 0.5).min(most) as u8);
    (scale, least, codes)
}

fn inverse(scale: f32) -> f32 {
    if scale == 0.0 { 0.0 } else { 1.0 / scale }
}

fn put(value: f32, out: &mut Vec<u8>) {
    out.extend(f16::from_f32(value).to_le_bytes());
}

/// The low four bits: each byte holds one weight of the first half of the block and one of the
/// second.
fn put_low_bits(codes: &[u8; BLOCK], out: &mut Vec<u8>) {
    let (first, second) = codes.split_at(BLOCK / 2);
    let pairs = first.iter().zip(second);
    out.extend(pairs.map(|(a, b)| (a & 0x0f) | (b << 4)));
}

/// Bit `i` of the word is the fifth bit of weight `i`.
fn put_fifth_bits(codes: &[u8; BLOCK], out: &mut Vec<u8>) {
    let word = codes
        .iter()
        .rev()
        .fold(0_u32, |word, code| (word << 1) | u32::from(code >> 4));
    out.extend(word.to_le_bytes());
}

impl fmt::Display for Quantization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Quantization {
    type Err = ConvertError;

    fn from_str(given: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|quantization| quantization.as_str().eq_ignore_ascii_case(given))
            .ok_or_else(|| ConvertError::UnknownQuantization {
                given: given.to_owned(),
            })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;

    fn f16_at(bytes: &[u8], at: usize) -> f32 {
        f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32()
    }

    fn decode(quantization: Quantization, bytes: &[u8]) -> [f32; BLOCK] {
        let scale = f16_at(bytes, 0);
        if quantization == Quantization::Q8_0 {
            return std::array::from_fn(|i| f32::from(bytes[2 + i] as i8) * scale);
        }
        let mut at = 2 * quantization.scales();
        let fifth = match quantization {
            Quantization::Q5_0 | Quantization::Q5_1 => {
                at += 4;
                u32::from_le_bytes(bytes[at - 4..at].try_into().unwrap())
            }
            _ => 0,
        };
        std::array::from_fn(|i| {
            let byte = bytes[at + i % 16];
            let low = if i < 16 { byte & 15 } else { byte >> 4 };
            let code = f32::from(low | ((fifth >> i & 1) as u8) << 4);
            match quantization {
                Quantization::Q4_0 => (code - 8.0) * scale,
                Quantization::Q5_0 => (code - 16.0) * scale,
                _ => code * scale + f16_at(bytes, 2),
            }
        })
    }

    /// Steps of a deterministic generator, in -1..1.
    fn noise(seed: u32) -> impl Iterator<Item = f32> {
        let mut state = seed;
        std::iter::repeat_with(move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1_u32 << 23) as f32 - 1.0
        })
    }

    #[test]
    fn quantized_blocks_decode_within_a_step() {
        for quantization in Quantization::ALL {
            for seed in 0..200 {
                let mut noise = noise(seed);
                let block: [f32; BLOCK] = std::array::from_fn(|_| noise.next().unwrap());
                let mut bytes = Vec::new();
                quantization.encode(&block, &mut bytes);
                assert_eq!(bytes.len(), quantization.block_bytes());
                let least = block.iter().copied().fold(f32::MAX, f32::min);
                let most = block.iter().copied().fold(f32::MIN, f32::max);
                let largest = most.max(-least);
                // Half a step, a whole one at the end that the code range of the symmetric
                // formats leaves out, and the rounding of the scale to f16.
                let bound = match quantization {
                    Quantization::Q4_0 => largest / 8.0,
                    Quantization::Q5_0 => largest / 16.0,
                    Quantization::Q4_1 => (most - least) / 15.0 * 0.5,
                    Quantization::Q5_1 => (most - least) / 31.0 * 0.5,
                    Quantization::Q8_0 => largest / 127.0 * 0.5,
                } + largest * 2e-3;
                for (x, y) in block.iter().zip(decode(quantization, &bytes)) {
                    assert!((x - y).abs() <= bound, "{quantization}: {x} became {y}");
                }
            }
        }
    }

    #[test]
    fn a_block_of_zeros_decodes_to_zeros() {
        for quantization in Quantization::ALL {
            let mut bytes = Vec::new();
            quantization.encode(&[0.0; BLOCK], &mut bytes);
            assert_eq!(decode(quantization, &bytes), [0.0; BLOCK]);
        }
    }

    #[test]
    fn a_quantization_is_read_as_it_is_written() {
        for quantization in Quantization::ALL {
            assert_eq!(
                quantization.to_string().parse::<Quantization>().unwrap(),
                quantization
            );
        }
        assert_eq!("Q5_1".parse::<Quantization>().unwrap(), Quantization::Q5_1);
        let message = "q6_k".parse::<Quantization>().unwrap_err().to_string();
        assert!(message.contains("use q4_0"), "{message}");
    }
}
