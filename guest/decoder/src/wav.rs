//! WAV, read by our own parser.
//!
//! symphonia has a WAV reader, but WAV is what most clients send, and much of it is written to
//! pipes: sizes of 0 or 0xFFFFFFFF, more data announced than sent, 64-bit sizes (RF64, BW64).
//! This parser takes all of them and allocates one block whatever the header says. ADPCM and
//! MPEG audio in WAV are handed on: the parser only finds their bytes.

pub(crate) mod samples;

use std::io::{Cursor, Read};

use self::samples::Encoding;
use crate::downmix;
use crate::error::DecodeError;
use crate::input::{Input, read_full};
use crate::out::Out;

/// Samples are decoded in blocks of about this size.
const BLOCK_BYTES: usize = 64 * 1024;

/// Longest format chunk that is kept: MS ADPCM with its coefficients is 50 bytes.
const MAX_FORMAT_BYTES: usize = 256;

/// What may follow a data chunk of unknown size, besides samples.
const KNOWN_CHUNKS: [&[u8; 4]; 12] = [
    b"data", b"LIST", b"fact", b"cue ", b"smpl", b"bext", b"iXML", b"id3 ", b"ID3 ", b"JUNK",
    b"PEAK", b"_PMX",
];

/// `WAVE_FORMAT_EXTENSIBLE`: the real tag is in the sub-format.
const TAG_EXTENSIBLE: u16 = 0xFFFE;

/// The bytes of a sub-format GUID behind its tag (`KSDATAFORMAT_SUBTYPE_…`).
const GUID_TAIL: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71];

/// What the samples of a WAV are.
pub(crate) enum Body {
    /// PCM that this module decodes.
    Pcm(Layout),
    /// ADPCM: symphonia reads it behind this freshly made header.
    Adpcm(Vec<u8>),
    /// A bare MPEG audio stream.
    Mpeg,
}

/// How PCM lies in the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) encoding: Encoding,
    pub(crate) channels: u16,
    pub(crate) rate_hz: u32,
    /// Which channel is where (`dwChannelMask`); 0 where the file does not tell.
    pub(crate) mask: u32,
}

/// A WAV's header, read up to the first byte of its samples.
pub(crate) struct Header {
    pub(crate) body: Body,
    /// Bytes of samples, or `None` where they reach to the end of the stream.
    pub(crate) data_bytes: Option<u64>,
}

/// Reads chunks up to the samples.
pub(crate) fn read_header(input: &mut Input) -> Result<Header, DecodeError> {
    let mut riff = [0; 12];
    read_header_bytes(input, &mut riff)?;
    let is_64_bit = !riff.starts_with(b"RIFF");
    let mut format = None;
    let mut long_data_bytes = None;
    loop {
        let mut chunk = [0; 8];
        read_header_bytes(input, &mut chunk)?;
        let [a, b, c, d, size @ ..] = chunk;
        let size = u32::from_le_bytes(size);
        match &[a, b, c, d] {
            b"fmt " => format = Some(read_format(input, size)?),
            b"ds64" => {
                let mut sizes = [0; 16];
                let kept = read_front(input, &mut sizes, size)?;
                let data: Option<[u8; 8]> = sizes.get(8..kept).and_then(|b| b.try_into().ok());
                long_data_bytes = data.map(u64::from_le_bytes);
            }
            b"data" => {
                let data_bytes = match size {
                    0 if next_is_chunk(input)? => continue,
                    0 => None,
                    u32::MAX if is_64_bit => long_data_bytes.filter(|bytes| *bytes > 0),
                    u32::MAX => None,
                    size => Some(u64::from(size)),
                };
                let body = format
                    .ok_or_else(|| DecodeError::undecodable("the WAV has no format chunk"))?;
                return Ok(Header { body, data_bytes });
            }
            _ => input.skip(u64::from(size) + u64::from(size % 2))?,
        }
    }
}

/// Decodes `layout` from the rest of `data` into `out`; a frame that is cut off is left out.
pub(crate) fn decode_pcm(
    data: &mut impl Read,
    layout: Layout,
    out: &mut Out<'_>,
) -> Result<(), DecodeError> {
    let Layout {
        encoding,
        channels,
        rate_hz,
        mask,
    } = layout;
    let mut weights = Vec::new();
    downmix::of_wave_mask(usize::from(channels), mask, &mut weights);
    // Refuses a layout that nobody takes, before a block is allocated for it.
    out.push(&[], &weights, rate_hz)?;
    let frame_bytes = (encoding.bytes() * usize::from(channels)).max(1);
    let block_bytes = (BLOCK_BYTES / frame_bytes).max(1) * frame_bytes;
    let mut block = vec![0; block_bytes];
    let mut decoded = Vec::new();
    loop {
        let len = read_full(data, &mut block)?;
        let whole = len - len % frame_bytes;
        decoded.clear();
        encoding.decode(block.get(..whole).unwrap_or_default(), &mut decoded);
        out.push(&decoded, &weights, rate_hz)?;
        if len < block_bytes {
            return Ok(());
        }
    }
}

fn read_header_bytes(input: &mut Input, buf: &mut [u8]) -> Result<(), DecodeError> {
    if read_full(input, buf)? < buf.len() {
        return Err(DecodeError::undecodable(
            "the WAV ends before its audio begins",
        ));
    }
    Ok(())
}

/// Reads the front of a chunk of `size` bytes into `buf`, skips the rest and the padding, and
/// says how many bytes of `buf` are the chunk's.
fn read_front(input: &mut Input, buf: &mut [u8], size: u32) -> Result<usize, DecodeError> {
    let kept = buf.len().min(size as usize);
    read_header_bytes(input, buf.get_mut(..kept).unwrap_or_default())?;
    let rest = u64::from(size) - kept as u64 + u64::from(size % 2);
    input.skip(rest)?;
    Ok(kept)
}

/// Whether a chunk of the kinds that files end with comes next, or nothing at all comes.
fn next_is_chunk(input: &mut Input) -> Result<bool, DecodeError> {
    let next = input.peek(8)?;
    Ok(next.len() == 8 && KNOWN_CHUNKS.iter().any(|id| next.starts_with(*id)))
}

fn read_format(input: &mut Input, size: u32) -> Result<Body, DecodeError> {
    let mut buf = [0; MAX_FORMAT_BYTES];
    let kept = read_front(input, &mut buf, size)?;
    let chunk = buf.get(..kept).unwrap_or_default();
    let short = || DecodeError::undecodable("the WAV's format chunk is too short");
    let u16_at = |at: usize| -> Option<u16> {
        let bytes = chunk.get(at..at + 2)?.try_into().ok()?;
        Some(u16::from_le_bytes(bytes))
    };
    let mut tag = u16_at(0).ok_or_else(short)?;
    let channels = u16_at(2).ok_or_else(short)?;
    let rate_hz =
        u32::from(u16_at(4).ok_or_else(short)?) | u32::from(u16_at(6).ok_or_else(short)?) << 16;
    let block_bytes = u16_at(12).ok_or_else(short)?;
    // The last field is missing in files with the oldest header.
    let bits = u16_at(14).unwrap_or(8);
    let mut mask = 0;
    if tag == TAG_EXTENSIBLE && kept >= 40 {
        mask = u32::from(u16_at(20).unwrap_or(0)) | u32::from(u16_at(22).unwrap_or(0)) << 16;
        let guid_tail = chunk.get(26..40).unwrap_or_default();
        tag = u16_at(24).filter(|_| guid_tail == GUID_TAIL).unwrap_or(tag);
    } else if tag == TAG_EXTENSIBLE {
        tag = 1;
    }
    let pcm = |encoding: Option<Encoding>| {
        encoding
            .map(|encoding| {
                Body::Pcm(Layout {
                    encoding,
                    channels,
                    rate_hz,
                    mask,
                })
            })
            .ok_or_else(|| DecodeError::unsupported(format!("WAV with {bits}-bit samples")))
    };
    match tag {
        1 => pcm(Encoding::integer(container_bytes(
            block_bytes,
            channels,
            bits,
        ))),
        3 => pcm(Encoding::float(container_bytes(
            block_bytes,
            channels,
            bits,
        ))),
        6 => pcm(Some(Encoding::ALaw)),
        7 => pcm(Some(Encoding::MuLaw)),
        2 | 0x11 => Ok(Body::Adpcm(adpcm_header(chunk))),
        0x50 | 0x55 => Ok(Body::Mpeg),
        tag => Err(DecodeError::unsupported(format!(
            "WAV with the codec of tag 0x{tag:04X}"
        ))),
    }
}

/// Bytes of one sample: what the block size says, or where it cannot be, the bits.
fn container_bytes(block_bytes: u16, channels: u16, bits: u16) -> u16 {
    let from_bits = bits.div_ceil(8);
    match block_bytes.checked_div(channels) {
        Some(bytes) if block_bytes.is_multiple_of(channels) && (from_bits..=8).contains(&bytes) => {
            bytes
        }
        _ => from_bits,
    }
}

/// A header for symphonia's reader: the same format chunk, and data without an end.
fn adpcm_header(format: &[u8]) -> Vec<u8> {
    let mut header = Vec::with_capacity(28 + format.len());
    header.extend_from_slice(b"RIFF\xFF\xFF\xFF\xFFWAVEfmt ");
    header.extend_from_slice(&(format.len() as u32).to_le_bytes());
    header.extend_from_slice(format);
    if format.len() % 2 == 1 {
        header.push(0);
    }
    header.extend_from_slice(b"data\xFF\xFF\xFF\xFF");
    header
}

/// `header` and then `data`.
pub(crate) fn behind(header: Vec<u8>, data: impl Read) -> impl Read {
    Cursor::new(header).chain(data)
}
