//! What kind of data this is, told by its first bytes.
//!
//! Names and content types are not trusted: browsers and people get them wrong. They only help
//! to word a refusal. symphonia's own probe is not used, because it searches any file for
//! anything that looks like a marker and parses tags and pictures that nobody needs here.

use crate::Hint;
use crate::error::DecodeError;
use crate::input::{Input, LOOK_AHEAD_BYTES};

mod mpeg;

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
    for _ in 0..MAX_TAGS {
        let Some(tag_bytes) = id3_bytes(input.peek(10)?) else {
            break;
        };
        input.skip(tag_bytes)?;
    }
    if let Some(format) = by_magic(input)? {
        return Ok(format);
    }
    if let Some((skip, format)) = mpeg::find(input.peek(LOOK_AHEAD_BYTES)?) {
        input.skip(skip as u64)?;
        return Ok(format);
    }
    match hint.unsupported() {
        Some(what) => Err(DecodeError::unsupported(what)),
        None => Err(DecodeError::not_audio()),
    }
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
