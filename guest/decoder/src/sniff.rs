//! What kind of data this is, told by its first bytes.
//!
//! Names and content types are not trusted: browsers and people get them wrong. They only help
//! to word a refusal. symphonia's own probe is not used, because it searches any file for
//! anything that looks like a marker and parses tags and pictures that nobody needs here.

use crate::Hint;
use crate::error::DecodeError;
use crate::input::{Input, LOOK_AHEAD_BYTES};

pub(crate) mod mpeg;

/// A container or stream that can be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Wav,
    Aiff,
    Caf,
    Flac,
    Ogg,
    Mpeg,
    Adts,
    IsoMp4,
    Matroska,
}

/// Longest chain of ID3v2 tags in front of the audio; taggers write one, careless ones two.
const MAX_TAGS: usize = 8;

/// Bytes in front of the audio that are neither audio nor tags: a download that was allocated before
/// it arrived, the end of a damaged tag. With the look ahead less than the 1 MiB after which a source
/// need not seek.
const MAX_JUNK_BYTES: usize = 896 * 1024;

/// Zeros in front of a file that are taken for junk.
const MIN_ZEROS: usize = 16;

/// Bytes that tell how long a tag is.
const TAG_HEAD_BYTES: usize = 32;

/// Formats known by their first bytes that are not decoded.
const UNSUPPORTED_MAGIC: [(&[u8], &str); 14] = [
    (
        b"\x30\x26\xB2\x75\x8E\x66\xCF\x11",
        "Windows Media (ASF, WMA)",
    ),
    (b"#!AMR", "AMR"),
    (b"wvpk", "WavPack"),
    (b"MAC ", "Monkey's Audio"),
    (b"TTA1", "True Audio"),
    (b"MPCK", "Musepack"),
    (b"MP+", "Musepack"),
    (b"DSD ", "DSD"),
    (b"FLV\x01", "Flash video"),
    (b"\x00\x00\x01\xBA", "MPEG program stream"),
    (b".snd", "Sun audio (AU)"),
    (b"RIFX", "big-endian WAV (RIFX)"),
    (b"\x0B\x77", "AC-3"),
    (b"MThd", "MIDI"),
];

/// Words of file names and content types for what has no telling first bytes.
const UNSUPPORTED_NAMES: [(&str, &str); 8] = [
    ("amr", "AMR"),
    ("wma", "Windows Media (ASF, WMA)"),
    ("ac3", "AC-3"),
    ("pcm", "PCM without a header"),
    ("raw", "PCM without a header"),
    ("l16", "PCM without a header"),
    ("g722", "G.722"),
    ("gsm", "GSM"),
];

/// Box types with which an ISO MP4 or QuickTime file may begin.
const MP4_BOXES: [&[u8; 4]; 8] = [
    b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp",
];

/// Finds out what `input` is and leaves it at the first byte of the container.
pub(crate) fn sniff(input: &mut Input, hint: Hint<'_>) -> Result<Format, DecodeError> {
    if input.peek(1)?.is_empty() {
        return Err(DecodeError::Empty);
    }
    let mut junk_bytes = 0;
    for _ in 0..MAX_TAGS {
        junk_bytes += skip_zeros(input, MAX_JUNK_BYTES - junk_bytes)?;
        let Some(tag_bytes) = tag_bytes(input.peek(TAG_HEAD_BYTES)?) else {
            break;
        };
        input.skip(tag_bytes)?;
    }
    if let Some(format) = by_magic(input)? {
        return Ok(format);
    }
    while junk_bytes <= MAX_JUNK_BYTES {
        let ahead = input.peek(LOOK_AHEAD_BYTES)?;
        if let Some((skip, format)) = mpeg::find(ahead) {
            input.skip(skip as u64)?;
            return Ok(format);
        }
        if ahead.len() < LOOK_AHEAD_BYTES {
            break;
        }
        // Frames may lie across the end of what was looked at.
        let step = LOOK_AHEAD_BYTES / 2;
        input.skip(step as u64)?;
        junk_bytes += step;
    }
    match hint.unsupported() {
        Some(what) => Err(DecodeError::unsupported(what)),
        None => Err(DecodeError::not_audio()),
    }
}

/// Skips zeros, at most `max_bytes`; how many.
fn skip_zeros(input: &mut Input, max_bytes: usize) -> Result<usize, DecodeError> {
    // A box of an MP4 begins with its length, which has zeros in front.
    let front = input.peek(MIN_ZEROS)?;
    if front.iter().any(|byte| *byte != 0) {
        return Ok(0);
    }
    let mut skipped = 0;
    while skipped < max_bytes {
        let ahead = input.peek(LOOK_AHEAD_BYTES.min(max_bytes - skipped))?;
        let zeros = ahead.iter().take_while(|byte| **byte == 0).count();
        if zeros == 0 {
            break;
        }
        input.skip(zeros as u64)?;
        skipped += zeros;
    }
    Ok(skipped)
}

fn by_magic(input: &mut Input) -> Result<Option<Format>, DecodeError> {
    let head = input.peek(16)?;
    let form = head.get(8..12);
    let unsupported = |what: &str| Err(DecodeError::unsupported(what));
    if head.starts_with(b"fLaC") {
        return Ok(Some(Format::Flac));
    }
    if [b"RIFF", b"RF64", b"BW64"]
        .iter()
        .any(|id| head.starts_with(*id))
    {
        return match form {
            Some(b"WAVE") => Ok(Some(Format::Wav)),
            Some(b"AVI ") => unsupported("AVI"),
            None => Err(DecodeError::undecodable("the WAV ends in its header")),
            _ => Err(DecodeError::not_audio()),
        };
    }
    if head.starts_with(b"FORM") && matches!(form, Some(b"AIFF" | b"AIFC")) {
        return Ok(Some(Format::Aiff));
    }
    if head.starts_with(b"caff") {
        return Ok(Some(Format::Caf));
    }
    if head
        .get(4..8)
        .is_some_and(|kind| MP4_BOXES.iter().any(|it| kind == *it))
    {
        return Ok(Some(Format::IsoMp4));
    }
    if let Some((_, what)) = UNSUPPORTED_MAGIC
        .iter()
        .find(|(id, _)| head.starts_with(id))
    {
        return unsupported(what);
    }
    if head.starts_with(b"\x1A\x45\xDF\xA3") {
        return Ok(Some(Format::Matroska));
    }
    if head.starts_with(b"OggS") {
        return ogg(input.peek(4096)?).map(Some);
    }
    let transport = input.peek(189)?;
    if transport.first() == Some(&0x47) && transport.get(188) == Some(&0x47) {
        return unsupported("MPEG transport stream");
    }
    Ok(None)
}

/// Length of the tag that `data` begins with: ID3v2, APE, or the 128 bytes of ID3v1 at a file's end.
pub(crate) fn tag_bytes(data: &[u8]) -> Option<u64> {
    if let Some(ape) = data.strip_prefix(b"APETAGEX") {
        let size: [u8; 4] = ape.get(4..8)?.try_into().ok()?;
        // The size counts all but the header; a footer says the same and is the last of a tag.
        let is_header = ape.get(15)? & 0x20 != 0;
        let size = if is_header {
            u32::from_le_bytes(size)
        } else {
            0
        };
        return Some(32 + u64::from(size));
    }
    if data.starts_with(b"TAG") {
        return Some(128);
    }
    id3_bytes(data.get(..10)?)
}

/// Length of the ID3v2 tag that `head` begins with.
fn id3_bytes(head: &[u8]) -> Option<u64> {
    let [b'I', b'D', b'3', _, _, flags, size @ ..] = head else {
        return None;
    };
    let [a, b, c, d]: [u8; 4] = size.try_into().ok()?;
    if (a | b | c | d) & 0x80 != 0 {
        return None;
    }
    let size = [a, b, c, d]
        .iter()
        .fold(0, |sum, byte| sum << 7 | u64::from(*byte));
    let footer = if flags & 0x10 != 0 { 10 } else { 0 };
    Some(10 + size + footer)
}

/// The codec of an Ogg stream, by the first packets.
fn ogg(head: &[u8]) -> Result<Format, DecodeError> {
    let holds = |id: &[u8]| head.windows(id.len()).any(|window| window == id);
    if holds(b"\x01vorbis") || holds(b"OpusHead") || holds(b"\x7FFLAC") {
        return Ok(Format::Ogg);
    }
    if holds(b"Speex   ") {
        return Err(DecodeError::unsupported("Speex"));
    }
    Ok(Format::Ogg)
}

impl Hint<'_> {
    /// What the name or the content type say that is known not to be decoded.
    fn unsupported(self) -> Option<&'static str> {
        let extension = self.file_name.and_then(|name| name.rsplit_once('.'));
        let extension = extension.map_or("", |(_, extension)| extension);
        let content_type = self.content_type.unwrap_or_default();
        let subtype = content_type.split(';').next().unwrap_or_default();
        let subtype = subtype.rsplit('/').next().unwrap_or_default().trim();
        UNSUPPORTED_NAMES
            .iter()
            .find(|(word, _)| {
                extension.eq_ignore_ascii_case(word) || subtype.eq_ignore_ascii_case(word)
            })
            .map(|(_, what)| *what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_with_a_footer_is_twenty_bytes_longer_than_its_body() {
        assert_eq!(id3_bytes(b"ID3\x04\x00\x10\x00\x00\x01\x00"), Some(148));
        assert_eq!(id3_bytes(b"ID3\x04\x00\x00\x00\x00\x81\x00"), None);
        assert_eq!(id3_bytes(b"ID3"), None);
    }

    #[test]
    fn a_name_only_words_the_refusal() {
        let hint = Hint {
            file_name: Some("a.b.RAW"),
            content_type: None,
        };
        assert_eq!(hint.unsupported(), Some("PCM without a header"));
        let hint = Hint {
            file_name: Some("voice"),
            content_type: Some("audio/L16; rate=8000"),
        };
        assert_eq!(hint.unsupported(), Some("PCM without a header"));
    }
}
