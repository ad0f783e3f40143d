//! The elements that a Matroska file consists of (RFC 8794). Nothing here trusts a size.

/// Numbers of the elements that are read or passed (RFC 9559, section 5.1).
pub(super) mod id {
    pub(in super::super) const SEGMENT: u32 = 0x1853_8067;
    pub(in super::super) const CLUSTER: u32 = 0x1F43_B675;
    /// The first byte of it.
    pub(in super::super) const CLUSTER_BYTE: u8 = 0x1F;
    pub(in super::super) const INFO: u32 = 0x1549_A966;
    pub(in super::super) const TRACKS: u32 = 0x1654_AE6B;
    pub(in super::super) const TIMESTAMP: u32 = 0xE7;
    pub(in super::super) const SIMPLE_BLOCK: u32 = 0xA3;
    pub(in super::super) const BLOCK_GROUP: u32 = 0xA0;
}

/// Bytes of the longest head of an element.
pub(super) const HEADER_BYTES: usize = 12;

/// Where an element may be, and how far its size is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Of the file or the segment, with a number of four bytes.
    Level1,
    /// Of the segment, and read as a whole.
    Description,
    InCluster,
}

/// Classifies an element by its number; `None` if it does not belong here.
pub(super) fn kind(number: u32) -> Option<Kind> {
    Some(match number {
        // The file's head, segment, cluster, positions, index, tags, attachments, chapters.
        0x1A45_DFA3
        | id::SEGMENT
        | id::CLUSTER
        | 0x114D_9B74
        | 0x1C53_BB6B
        | 0x1254_C367
        | 0x1941_A469
        | 0x1043_A770 => Kind::Level1,
        id::INFO | id::TRACKS => Kind::Description,
        // Position, previous size, silent tracks, encrypted block, void and checksum. Void and
        // checksum occur outside of clusters too.
        id::TIMESTAMP
        | id::SIMPLE_BLOCK
        | id::BLOCK_GROUP
        | 0xA7
        | 0xAB
        | 0x5854
        | 0xAF
        | 0xEC
        | 0xBF => Kind::InCluster,
        _ => return None,
    })
}

/// The head of an element.
pub(super) struct Header {
    pub(super) id: u32,
    pub(super) head_bytes: u64,
    /// Bytes of its content; `None` where they are not known.
    pub(super) bytes: Option<u64>,
}

/// The head that `bytes` begin with.
pub(super) fn header(bytes: &[u8]) -> Option<Header> {
    let mut rest = bytes;
    let id = u32::try_from(number(&mut rest, false)?).ok()?;
    let size_bytes = rest.first()?.leading_zeros() + 1;
    let size = number(&mut rest, true)?;
    let unknown = 1_u64.checked_shl(7 * size_bytes)?.wrapping_sub(1);
    Some(Header {
        id,
        head_bytes: (bytes.len() - rest.len()) as u64,
        bytes: (size != unknown).then_some(size),
    })
}

/// A number whose first byte says how long it is; with or without the mark of its length.
pub(super) fn number(bytes: &mut &[u8], bare: bool) -> Option<u64> {
    let first = *bytes.first()?;
    let length = first.leading_zeros() as usize + 1;
    let (digits, rest) = bytes.split_at_checked(length).filter(|_| length <= 8)?;
    *bytes = rest;
    let mark = 1_u64 << (7 * length);
    Some(if bare {
        unsigned(digits) & !mark
    } else {
        unsigned(digits)
    })
}

/// An unsigned number, big-endian; the lowest 64 bits of a longer one.
pub(super) fn unsigned(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// A float of 4 or 8 bytes.
pub(super) fn float(bytes: &[u8]) -> Option<f64> {
    match bytes.len() {
        4 => Some(f64::from(f32::from_be_bytes(bytes.try_into().ok()?))),
        8 => Some(f64::from_be_bytes(bytes.try_into().ok()?)),
        _ => None,
    }
}

/// The elements inside of another: number and content of each.
pub(super) struct Elements<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Elements<'a> {
    type Item = (u32, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let header = header(self.0)?;
        let head = usize::try_from(header.head_bytes).ok()?;
        let rest = self.0.get(head..)?;
        let length = usize::try_from(header.bytes?).ok()?;
        let (body, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((header.id, body))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_are_read_without_harm() {
        for first in 0..=255 {
            for length in 0..20 {
                let bytes = vec![first; length];
                let _ = header(&bytes);
                assert!(Elements(&bytes).count() <= length);
            }
        }
        let unknown = header(b"\x1F\x43\xB6\x75\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF").unwrap();
        assert_eq!((unknown.id, unknown.bytes), (id::CLUSTER, None));
        let short = header(b"\xA3\x81\0").unwrap();
        assert_eq!(
            (short.id, short.head_bytes, short.bytes),
            (0xA3, 2, Some(1))
        );
    }
}
