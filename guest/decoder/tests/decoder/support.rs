//! WAV writing, measurements, and the decoder as tests call it.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

use auricle_audio::DecodeLimits;
use auricle_decoder::native::{self, NativeError};
use auricle_decoder::{Hint, MediaSource};
use auricle_speech::Clip;

pub use crate::tones::{levels, s16, sine};

/// Decodes bytes in memory with the default limits.
pub fn decode_all(bytes: &[u8]) -> Result<Clip, NativeError> {
    native::decode_bytes(bytes.to_vec(), Hint::default(), &DecodeLimits::default())
}

/// Decodes bytes that arrive in small pieces.
pub fn decode_stream(bytes: &[u8]) -> Result<Clip, NativeError> {
    let trickle = Trickle {
        bytes: bytes.to_vec(),
        at: 0,
    };
    native::decode_source(Box::new(trickle), Hint::default(), &DecodeLimits::default())
}

/// Gives 1 to 997 bytes at a time.
struct Trickle {
    bytes: Vec<u8>,
    at: usize,
}

impl Read for Trickle {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let want = (self.at * 7919 % 997 + 1).min(buf.len());
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let len = (&rest[..want.min(rest.len())]).read(buf)?;
        self.at += len;
        Ok(len)
    }
}

impl Seek for Trickle {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(offset) => (self.at as u64).checked_add_signed(offset),
            SeekFrom::End(offset) => (self.bytes.len() as u64).checked_add_signed(offset),
        };
        let to = to.ok_or(io::ErrorKind::InvalidInput)?;
        self.at = usize::try_from(to).map_err(|_| io::ErrorKind::InvalidInput)?;
        Ok(to)
    }
}

impl MediaSource for Trickle {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.bytes.len() as u64)
    }
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

/// The part of a clip without 50 ms at each end, where the resampler's filter is cut off.
pub fn middle(clip: &Clip) -> &[f32] {
    let samples = clip.samples();
    &samples[800..samples.len() - 800]
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
