//! What symphonia does not tell of a Matroska file: how much of its last Opus packet is padding.
//!
//! The element `DiscardPadding` stands behind the packet in its block group. It is looked for in the
//! last bytes that were read, behind the bytes of that packet, when the file has ended.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

use symphonia::core::io::MediaSource;

/// Bytes that are kept: the index of hours may stand behind the last packet.
const KEPT_BYTES: usize = 64 << 10;

/// Elements of a block group that may stand between its block and its padding.
const MAX_ELEMENTS: usize = 8;

/// `DiscardPadding` (RFC 9559, 5.1.3.5.7): nanoseconds, signed.
const DISCARD_PADDING: u32 = 0x75A2;

/// The last bytes that were read of a source.
#[derive(Clone, Default)]
pub(crate) struct Tail(Arc<Mutex<Vec<u8>>>);

impl Tail {
    /// `source`, whose last bytes stay here.
    pub(crate) fn of(&self, source: Box<dyn MediaSource>) -> Box<dyn MediaSource> {
        let tail = self.clone();
        Box::new(Watched { source, tail })
    }

    fn push(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(bytes);
        // Not at every read: moving what is kept costs as much as keeping it.
        if kept.len() > 2 * KEPT_BYTES {
            let old = kept.len() - KEPT_BYTES;
            kept.drain(..old);
        }
    }

    /// Nanoseconds of padding at the end of the last packet, whose bytes these are.
    pub(crate) fn padding_ns(&self, packet: &[u8]) -> u64 {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept
            .windows(packet.len().max(1))
            .rposition(|it| it == packet);
        let behind = found.and_then(|at| kept.get(at + packet.len()..));
        behind.and_then(padding).unwrap_or(0)
    }
}

/// The padding among the elements that `bytes` begin with.
fn padding(mut bytes: &[u8]) -> Option<u64> {
    for _ in 0..MAX_ELEMENTS {
        let id = number(&mut bytes, false)?;
        let length = usize::try_from(number(&mut bytes, true)?).ok()?;
        let (content, rest) = bytes.split_at_checked(length)?;
        if id == u64::from(DISCARD_PADDING) {
            // Of the start of a packet it would be negative.
            let negative = content.first()? & 0x80 != 0;
            let value = content
                .iter()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte));
            return (content.len() <= 8 && !negative).then_some(value);
        }
        bytes = rest;
    }
    None
}

/// A number whose first byte says how long it is; with or without the mark of its length.
fn number(bytes: &mut &[u8], bare: bool) -> Option<u64> {
    let first = *bytes.first()?;
    let length = first.leading_zeros() as usize + 1;
    let (digits, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    let value = digits
        .iter()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    let mark = 1_u64.checked_shl(7 * length as u32).unwrap_or(0);
    Some(if bare { value & !mark } else { value })
}

struct Watched {
    source: Box<dyn MediaSource>,
    tail: Tail,
}

impl Read for Watched {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let length = self.source.read(buf)?;
        self.tail.push(buf.get(..length).unwrap_or_default());
        Ok(length)
    }
}

impl Seek for Watched {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.source.seek(to)
    }
}

impl MediaSource for Watched {
    fn is_seekable(&self) -> bool {
        self.source.is_seekable()
    }

    fn byte_len(&self) -> Option<u64> {
        self.source.byte_len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_found_behind_the_packet_and_other_elements() {
        let tail = Tail::default();
        tail.push(&[7; 3 * KEPT_BYTES]);
        // A packet, a reference to another, 8.5 ms of padding, the index.
        let end = b"packet\xFB\x81\x00\x75\xA2\x83\x81\xB3\x20\x1C\x53\xBB\x6B\x80";
        let positive = b"packet\xFB\x81\x00\x75\xA2\x84\x00\x81\xB3\x20\x1C\x53\xBB\x6B\x80";
        tail.push(end);
        assert_eq!(tail.padding_ns(b"packet"), 0, "a negative number");
        tail.push(positive);
        assert_eq!(tail.padding_ns(b"packet"), 8_500_000);
        for nothing in [b"packets".as_slice(), b"", b"index"] {
            assert_eq!(tail.padding_ns(nothing), 0);
        }
    }

    #[test]
    fn any_bytes_behind_a_packet_are_read_without_harm() {
        for first in 0..=255 {
            for length in 0..12 {
                let _ = padding(&vec![first; length]);
            }
        }
    }
}
