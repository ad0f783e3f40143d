//! WAV writing, sines and measurements.

use std::f64::consts::TAU;
use std::io::Read;
use std::path::PathBuf;

use auricle_audio::{AudioError, DecodeLimits, Hint, decode, decode_bytes};
use auricle_speech::Clip;

/// Decodes bytes in memory with the default limits.
pub fn decode_all(bytes: &[u8]) -> Result<Clip, AudioError> {
    decode_bytes(
        bytes.to_vec(),
        Hint::default(),
        &DecodeLimits::default(),
        &|| false,
    )
}

/// Decodes bytes that arrive in small pieces from a reader that cannot seek.
pub fn decode_stream(bytes: &[u8]) -> Result<Clip, AudioError> {
    let reader = Trickle {
        bytes: bytes.to_vec(),
        at: 0,
    };
    decode(
        Box::new(reader),
        Hint::default(),
        &DecodeLimits::default(),
        &|| false,
    )
}

/// Gives 1 to 997 bytes at a time.
struct Trickle {
    bytes: Vec<u8>,
    at: usize,
}

impl Read for Trickle {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let want = (self.at * 7919 % 997 + 1).min(buf.len());
        let len = (&self.bytes[self.at..]).read(&mut buf[..want])?;
        self.at += len;
        Ok(len)
    }
}

/// `secs` of a sine at `level`.
pub fn sine(hz: f64, level: f64, rate_hz: u32, secs: f64) -> Vec<f64> {
    let count = (secs * f64::from(rate_hz)).round() as usize;
    (0..count)
        .map(|n| level * (TAU * hz * n as f64 / f64::from(rate_hz)).sin())
        .collect()
}

/// A `fmt ` chunk's first fields.
#[derive(Clone, Copy)]
pub struct Fmt {
    pub tag: u16,
    pub channels: u16,
    pub rate_hz: u32,
    pub bits: u16,
    pub extensible: bool,
}

impl Fmt {
    pub fn pcm16(channels: u16, rate_hz: u32) -> Self {
        Self {
            tag: 1,
            channels,
            rate_hz,
            bits: 16,
            extensible: false,
        }
    }

    fn chunk(self) -> Vec<u8> {
        let block = self.channels.wrapping_mul(self.bits.div_ceil(8));
        let tag = if self.extensible { 0xFFFE } else { self.tag };
        let mut out = Vec::new();
        out.extend(tag.to_le_bytes());
        out.extend(self.channels.to_le_bytes());
        out.extend(self.rate_hz.to_le_bytes());
        out.extend(self.rate_hz.wrapping_mul(u32::from(block)).to_le_bytes());
        out.extend(block.to_le_bytes());
        out.extend(self.bits.to_le_bytes());
        if self.extensible {
            out.extend(22u16.to_le_bytes());
            out.extend(self.bits.to_le_bytes());
            out.extend(3u32.to_le_bytes());
            out.extend(self.tag.to_le_bytes());
            out.extend(b"\0\0\0\0\x10\0\x80\0\0\xAA\0\x38\x9B\x71");
        }
        out
    }
}

/// A WAV whose sizes can lie: `None` is the true size.
pub fn wav(fmt: Fmt, data: &[u8], riff_size: Option<u32>, data_size: Option<u32>) -> Vec<u8> {
    let chunk = fmt.chunk();
    let total = 20 + chunk.len() + data.len();
    let mut out = b"RIFF".to_vec();
    out.extend(riff_size.unwrap_or(total as u32).to_le_bytes());
    out.extend(b"WAVEfmt ");
    out.extend((chunk.len() as u32).to_le_bytes());
    out.extend(chunk);
    out.extend(b"data");
    out.extend(data_size.unwrap_or(data.len() as u32).to_le_bytes());
    out.extend(data);
    out
}

/// Samples as 16-bit little-endian.
pub fn s16(samples: &[f64]) -> Vec<u8> {
    samples
        .iter()
        .flat_map(|s| ((s * 32_767.0).round() as i16).to_le_bytes())
        .collect()
}

/// The part of a clip without 50 ms at each end, where the resampler's filter is cut off.
pub fn middle(clip: &Clip) -> &[f32] {
    let samples = clip.samples();
    &samples[800..samples.len() - 800]
}

/// Level of the sine of `hz` in `samples`, and of everything else.
pub fn levels(samples: &[f32], hz: f64) -> (f64, f64) {
    let n = samples.len() as f64;
    let (mut re, mut im, mut power) = (0.0, 0.0, 0.0);
    for (at, sample) in samples.iter().enumerate() {
        let sample = f64::from(*sample);
        let phase = TAU * hz * at as f64 / 16_000.0;
        re += sample * phase.cos();
        im += sample * phase.sin();
        power += sample * sample;
    }
    let level = 2.0 * re.hypot(im) / n;
    let rest = (power / n - level * level / 2.0).max(0.0).sqrt();
    (level, rest)
}

/// A file of the evaluation data, or `None` and one line when the data is absent.
pub fn eval_file(name: &str) -> Option<Vec<u8>> {
    let root = std::env::var_os("AURICLE_EVAL_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    match std::fs::read(root.join("codecs").join(name)) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            println!("skipped: no evaluation file {name}: {error}");
            None
        }
    }
}

/// A small generator (SplitMix64), so that damage is the same in every run.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}
