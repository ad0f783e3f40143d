//! The encodings of PCM samples, each to f32 in about -1.0..=1.0.

/// How one sample is written, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// 8-bit, unsigned, silence at 128.
    U8,
    /// 16-bit.
    I16,
    /// 24-bit in 3 bytes.
    I24,
    /// 32-bit, or 24-bit in the upper bytes.
    I32,
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
    /// ITU-T G.711 A-law.
    ALaw,
    /// ITU-T G.711 μ-law.
    MuLaw,
}

impl Encoding {
    /// The integer encoding with samples of `bytes` bytes.
    pub(crate) fn integer(bytes: u16) -> Option<Self> {
        match bytes {
            1 => Some(Self::U8),
            2 => Some(Self::I16),
            3 => Some(Self::I24),
            4 => Some(Self::I32),
            _ => None,
        }
    }

    /// The float encoding with samples of `bytes` bytes.
    pub(crate) fn float(bytes: u16) -> Option<Self> {
        match bytes {
            4 => Some(Self::F32),
            8 => Some(Self::F64),
            _ => None,
        }
    }

    /// Bytes of one sample.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::ALaw | Self::MuLaw => 1,
            Self::I16 => 2,
            Self::I24 => 3,
            Self::I32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// Appends the samples in `bytes` to `out`; bytes that are not a whole sample are left out.
    pub(crate) fn decode(self, bytes: &[u8], out: &mut Vec<f32>) {
        out.reserve(bytes.len() / self.bytes());
        match self {
            Self::U8 => out.extend(bytes.iter().map(|b| (f32::from(*b) - 128.0) / 128.0)),
            Self::ALaw => out.extend(bytes.iter().map(|b| f32::from(a_law(*b)) / 32_768.0)),
            Self::MuLaw => out.extend(bytes.iter().map(|b| f32::from(mu_law(*b)) / 32_768.0)),
            Self::I16 => each(bytes, out, |b| f32::from(i16::from_le_bytes(b)) / 32_768.0),
            Self::I24 => each(bytes, out, |[a, b, c]| {
                i32::from_le_bytes([0, a, b, c]) as f32 / 2_147_483_648.0
            }),
            Self::I32 => each(bytes, out, |b| {
                i32::from_le_bytes(b) as f32 / 2_147_483_648.0
            }),
            Self::F32 => each(bytes, out, f32::from_le_bytes),
            Self::F64 => each(bytes, out, |b| f64::from_le_bytes(b) as f32),
        }
    }
}

fn each<const N: usize>(bytes: &[u8], out: &mut Vec<f32>, decode: impl Fn([u8; N]) -> f32) {
    let (samples, _) = bytes.as_chunks::<N>();
    out.extend(samples.iter().map(|sample| decode(*sample)));
}

/// G.711 table 1: 13-bit samples, here in the upper bits of 16.
fn a_law(byte: u8) -> i16 {
    let byte = byte ^ 0x55;
    let exponent = (byte >> 4) & 7;
    let mantissa = i16::from(byte & 0x0F) << 4;
    let level = match exponent {
        0 => mantissa + 8,
        exponent => (mantissa + 0x108) << (exponent - 1),
    };
    if byte & 0x80 != 0 { level } else { -level }
}

/// G.711 table 2: 14-bit samples, here in the upper bits of 16; 0x84 is the encoder's bias.
fn mu_law(byte: u8) -> i16 {
    let byte = !byte;
    let exponent = (byte >> 4) & 7;
    let mantissa = i16::from(byte & 0x0F) << 3;
    let level = ((mantissa + 0x84) << exponent) - 0x84;
    if byte & 0x80 != 0 { -level } else { level }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(encoding: Encoding, bytes: &[u8]) -> Vec<f32> {
        let mut out = Vec::new();
        encoding.decode(bytes, &mut out);
        out
    }

    #[test]
    fn integers_reach_from_minus_one_to_almost_one() {
        assert_eq!(decode(Encoding::U8, &[0, 128, 192]), [-1.0, 0.0, 0.5]);
        assert_eq!(
            decode(Encoding::I16, &[0, 0x80, 0, 0, 0, 0x40]),
            [-1.0, 0.0, 0.5]
        );
        assert_eq!(
            decode(Encoding::I24, &[0, 0, 0x80, 0, 0, 0x40]),
            [-1.0, 0.5]
        );
        assert_eq!(decode(Encoding::I32, &[0, 0, 0, 0xC0]), [-0.5]);
    }

    #[test]
    fn the_laws_match_the_levels_of_g711() {
        assert_eq!([a_law(0xD5), a_law(0x55), a_law(0xAA)], [8, -8, 32_256]);
        assert_eq!(
            [mu_law(0xFF), mu_law(0x80), mu_law(0x00)],
            [0, 32_124, -32_124]
        );
    }

    #[test]
    fn half_a_sample_at_the_end_is_left_out() {
        assert_eq!(decode(Encoding::I16, &[0, 0x40, 0x7F]), [0.5]);
    }
}
