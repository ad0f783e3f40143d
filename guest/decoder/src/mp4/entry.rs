//! What an audio track says of its codec (`stsd`), in the forms of ISO MP4 and of QuickTime.

use symphonia::core::audio::{Channels, Position};
use symphonia::core::codecs::audio::well_known as id;
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters};

use super::boxes::{Boxes, find, find_path, u16_at, u32_at, u64_at};
use crate::error::DecodeError;

/// The codec of a track.
pub(super) struct Entry {
    pub(super) params: AudioCodecParameters,
    /// Bytes of a frame of uncompressed audio.
    pub(super) frame_bytes: Option<u64>,
}

impl Entry {
    pub(super) fn is_opus(&self) -> bool {
        self.params.codec == id::CODEC_ID_OPUS
    }
}

/// The fields of a sample entry that all codecs have.
struct Common<'a> {
    channels: u32,
    rate_hz: u32,
    bits: u32,
    /// Flags of linear PCM, which only QuickTime's second version has.
    pcm_flags: Option<u32>,
    children: &'a [u8],
}

/// Codecs by the name of their entry that are not decoded.
const UNSUPPORTED: [(&[u8; 4], &str); 11] = [
    (b"ac-3", "AC-3"),
    (b"ec-3", "E-AC-3"),
    (b"ac-4", "AC-4"),
    (b"samr", "AMR"),
    (b"sawb", "AMR-WB"),
    (b"dtsc", "DTS"),
    (b"dtsh", "DTS"),
    (b"mlpa", "TrueHD"),
    (b"enca", "encrypted audio"),
    (b"drms", "encrypted audio"),
    (b"QDM2", "QDesign Music"),
];

/// Reads the content of `stsd`: its first entry.
pub(super) fn read(description: &[u8]) -> Result<Entry, DecodeError> {
    let damaged = || DecodeError::undecodable("the description of its audio track is damaged");
    let entries = description.get(8..).ok_or_else(damaged)?;
    let (kind, body) = Boxes::new(entries).next().ok_or_else(damaged)?;
    if let Some((_, what)) = UNSUPPORTED.iter().find(|(it, _)| **it == kind) {
        return Err(DecodeError::unsupported(what));
    }
    let is_iso_v1 = description.first() == Some(&1);
    let common = Common::read(body, is_iso_v1).ok_or_else(damaged)?;
    match compressed(&kind, &common) {
        Some(Known(params)) => Ok(Entry {
            params: *params,
            frame_bytes: None,
        }),
        Some(Unknown(what)) => Err(DecodeError::unsupported(what)),
        Some(Damaged) => Err(damaged()),
        None => pcm(&kind, &common).ok_or_else(|| {
            let name: String = kind.iter().map(|byte| printable(*byte)).collect();
            DecodeError::unsupported(format!("the audio codec '{name}' in MP4 or QuickTime"))
        }),
    }
}

fn printable(byte: u8) -> char {
    match byte {
        b' '..=b'~' => char::from(byte),
        _ => '?',
    }
}

impl<'a> Common<'a> {
    fn read(body: &'a [u8], is_iso_v1: bool) -> Option<Self> {
        let version = u16_at(body, 8)?;
        let mut common = Self {
            channels: u32::from(u16_at(body, 16)?),
            bits: u32::from(u16_at(body, 18)?),
            rate_hz: u32_at(body, 24)? >> 16,
            pcm_flags: None,
            children: &[],
        };
        let children_at = match version {
            1 if !is_iso_v1 => 44,
            2 => {
                let rate = f64::from_bits(u64_at(body, 32)?);
                common.rate_hz = rate as u32;
                common.channels = u32_at(body, 40)?;
                common.bits = u32_at(body, 48)?;
                common.pcm_flags = Some(u32_at(body, 52)?);
                64
            }
            _ => 28,
        };
        common.children = body.get(children_at..).unwrap_or_default();
        Some(common)
    }

    /// A box of the entry, or of QuickTime's box for decoders.
    fn child(&self, kind: &[u8; 4]) -> Option<&'a [u8]> {
        find(self.children, kind).or_else(|| find_path(self.children, &[b"wave", kind]))
    }

    fn params(&self, codec: AudioCodecId, extra: Option<&[u8]>) -> Box<AudioCodecParameters> {
        let mut params = AudioCodecParameters::new();
        params.for_codec(codec);
        if self.rate_hz > 0 {
            params.with_sample_rate(self.rate_hz);
        }
        if let Some(positions) = Position::from_count(self.channels).filter(|_| self.channels > 0) {
            params.with_channels(Channels::Positioned(positions));
        }
        if let Some(extra) = extra {
            params.with_extra_data(extra.into());
        }
        Box::new(params)
    }
}

/// A codec's description.
enum Outcome {
    Known(Box<AudioCodecParameters>),
    Unknown(&'static str),
    Damaged,
}

use Outcome::{Damaged, Known, Unknown};

/// A compressed codec; `None` if the entry is of no known one.
fn compressed(kind: &[u8; 4], common: &Common<'_>) -> Option<Outcome> {
    // Version and flags precede what the codec's own box holds.
    let own = |kind| common.child(kind).and_then(|it| it.get(4..));
    let outcome = match kind {
        b"mp4a" => match own(b"esds").and_then(elementary) {
            Some((object, config)) => by_object(object, config, common),
            None => Damaged,
        },
        b"alac" => match own(b"alac") {
            // The cookie may be followed by more boxes inside of its own.
            Some(cookie) => Known(common.params(id::CODEC_ID_ALAC, cookie.get(..24))),
            None => Damaged,
        },
        // A metadata block of 34 bytes behind its head.
        b"fLaC" => match own(b"dfLa").and_then(|blocks| blocks.get(4..38)) {
            Some(info) => Known(common.params(id::CODEC_ID_FLAC, Some(info))),
            None => Damaged,
        },
        b"Opus" => match common.child(b"dOps") {
            Some(head) => {
                let head = [b"OpusHead".as_slice(), head].concat();
                Known(common.params(id::CODEC_ID_OPUS, Some(&head)))
            }
            None => Damaged,
        },
        b".mp3" | b"ms\0\x55" => Known(common.params(id::CODEC_ID_MP3, None)),
        b".mp2" => Known(common.params(id::CODEC_ID_MP2, None)),
        _ => return None,
    };
    Some(outcome)
}

/// A codec by the number that MPEG-4 gives it (<https://mp4ra.org/registered-types/object-types>).
fn by_object(object: u8, config: Option<&[u8]>, common: &Common<'_>) -> Outcome {
    match object {
        0x40 | 0x66..=0x68 => Known(common.params(id::CODEC_ID_AAC, config)),
        // MPEG audio tells its layer in every frame; layer III is what files have.
        0x69 | 0x6B => Known(common.params(id::CODEC_ID_MP3, None)),
        0xA5 => Unknown("AC-3"),
        0xA6 => Unknown("E-AC-3"),
        0xA9..=0xAC => Unknown("DTS"),
        _ => Unknown("the codec of its audio track"),
    }
}

/// Number of the codec and its configuration in an elementary stream descriptor (ISO 14496-1,
/// section 7.2.6).
fn elementary(bytes: &[u8]) -> Option<(u8, Option<&[u8]>)> {
    let (tag, stream, _) = descriptor(bytes)?;
    if tag != 3 {
        return None;
    }
    let flags = *stream.get(2)?;
    let mut at = 3;
    if flags & 0x80 != 0 {
        at += 2;
    }
    if flags & 0x40 != 0 {
        at += 1 + usize::from(*stream.get(at)?);
    }
    if flags & 0x20 != 0 {
        at += 2;
    }
    let mut rest = stream.get(at..)?;
    loop {
        let (tag, decoder, behind) = descriptor(rest)?;
        if tag == 4 {
            let config = descriptor(decoder.get(13..)?).filter(|(tag, _, _)| *tag == 5);
            return Some((*decoder.first()?, config.map(|(_, config, _)| config)));
        }
        rest = behind;
    }
}

/// A descriptor's tag and content, and what follows it.
fn descriptor(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, mut rest) = bytes.split_first()?;
    let mut length = 0;
    for _ in 0..4 {
        let (byte, behind) = rest.split_first()?;
        rest = behind;
        length = length << 7 | usize::from(byte & 0x7F);
        if byte & 0x80 == 0 {
            break;
        }
    }
    let (content, behind) = rest.split_at(length.min(rest.len()));
    Some((*tag, content, behind))
}

/// Uncompressed audio, and G.711.
fn pcm(kind: &[u8; 4], common: &Common<'_>) -> Option<Entry> {
    let is_little = common
        .child(b"enda")
        .is_some_and(|it| u16_at(it, 0) == Some(1));
    let (codec, bytes) = match kind {
        b"sowt" => integer(common.bits.max(16), true)?,
        b"twos" => integer(common.bits, false)?,
        b"raw " => (id::CODEC_ID_PCM_U8, 1),
        b"NONE" if common.bits == 8 => (id::CODEC_ID_PCM_U8, 1),
        b"NONE" => integer(common.bits, false)?,
        b"in24" => integer(24, is_little)?,
        b"in32" => integer(32, is_little)?,
        b"fl32" => float(32, is_little)?,
        b"fl64" => float(64, is_little)?,
        b"ulaw" => (id::CODEC_ID_PCM_MULAW, 1),
        b"alaw" => (id::CODEC_ID_PCM_ALAW, 1),
        b"lpcm" => match common.pcm_flags {
            Some(flags) if flags & 1 != 0 => float(common.bits, flags & 2 == 0)?,
            Some(flags) => integer(common.bits, flags & 2 == 0)?,
            None => integer(common.bits, is_little)?,
        },
        // ISO 23003-5.
        b"ipcm" | b"fpcm" => {
            let config = common.child(b"pcmC")?;
            let (is_little, bits) = (config.get(4)? & 1 == 1, u32::from(*config.get(5)?));
            match kind {
                b"fpcm" => float(bits, is_little)?,
                _ => integer(bits, is_little)?,
            }
        }
        _ => return None,
    };
    let params = common.params(codec, None);
    params.channels.as_ref()?;
    Some(Entry {
        params: *params,
        frame_bytes: Some(bytes * u64::from(common.channels)),
    })
}

/// Signed integers: codec, and bytes of each.
fn integer(bits: u32, is_little: bool) -> Option<(AudioCodecId, u64)> {
    Some(match (bits, is_little) {
        (8, _) => (id::CODEC_ID_PCM_S8, 1),
        (16, true) => (id::CODEC_ID_PCM_S16LE, 2),
        (16, false) => (id::CODEC_ID_PCM_S16BE, 2),
        (24, true) => (id::CODEC_ID_PCM_S24LE, 3),
        (24, false) => (id::CODEC_ID_PCM_S24BE, 3),
        (32, true) => (id::CODEC_ID_PCM_S32LE, 4),
        (32, false) => (id::CODEC_ID_PCM_S32BE, 4),
        _ => return None,
    })
}

fn float(bits: u32, is_little: bool) -> Option<(AudioCodecId, u64)> {
    Some(match (bits, is_little) {
        (32, true) => (id::CODEC_ID_PCM_F32LE, 4),
        (32, false) => (id::CODEC_ID_PCM_F32BE, 4),
        (64, true) => (id::CODEC_ID_PCM_F64LE, 8),
        (64, false) => (id::CODEC_ID_PCM_F64BE, 8),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_read_at_any_length_of_their_length() {
        let config = [0x12, 0x10];
        let decoder = [
            [0x40; 1].as_slice(),
            &[0; 12],
            &[5, 0x80, 0x80, 0x80, 2],
            &config,
        ]
        .concat();
        let mut stream = vec![0, 1, 0, 4, decoder.len() as u8];
        stream.extend(&decoder);
        let mut bytes = vec![3, 0x80, stream.len() as u8];
        bytes.extend(&stream);
        assert_eq!(elementary(&bytes), Some((0x40, Some(config.as_slice()))));
        for length in 0..bytes.len() {
            let _ = elementary(bytes.get(..length).unwrap_or_default());
        }
    }
}
