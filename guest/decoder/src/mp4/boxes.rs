//! Boxes in memory (ISO 14496-12, section 4.2). Nothing here trusts a size.

/// The boxes that some bytes consist of: kind and content of each.
pub(super) struct Boxes<'a>(&'a [u8]);

impl<'a> Boxes<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

impl<'a> Iterator for Boxes<'a> {
    type Item = ([u8; 4], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (size, rest) = self.0.split_first_chunk::<4>()?;
        let (kind, mut body) = rest.split_first_chunk::<4>()?;
        let mut length = match u32::from_be_bytes(*size) {
            0 => body.len(),
            1 => {
                let (long, behind) = body.split_first_chunk::<8>()?;
                body = behind;
                usize::try_from(u64::from_be_bytes(*long))
                    .ok()?
                    .checked_sub(16)?
            }
            size => usize::try_from(size).ok()?.checked_sub(8)?,
        };
        // A box that reaches over its parent ends with it.
        length = length.min(body.len());
        let (body, rest) = body.split_at_checked(length)?;
        self.0 = rest;
        Some((*kind, body))
    }
}

/// The content of the first box of a kind.
pub(super) fn find<'a>(bytes: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    let found = Boxes::new(bytes).find(|(it, _)| it == kind);
    found.map(|(_, body)| body)
}

/// The content of a box inside of others.
pub(super) fn find_path<'a>(bytes: &'a [u8], path: &[&[u8; 4]]) -> Option<&'a [u8]> {
    path.iter().try_fold(bytes, |bytes, kind| find(bytes, kind))
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(
        bytes.get(at..at.checked_add(4)?)?.try_into().ok()?,
    ))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(
        bytes.get(at..at.checked_add(8)?)?.try_into().ok()?,
    ))
}

/// Ticks per second that `mvhd` or `mdhd` declares; never 0.
pub(super) fn timescale(header: &[u8]) -> Option<u32> {
    let at = if header.first()? == &1 { 20 } else { 12 };
    u32_at(header, at).filter(|scale| *scale > 0)
}

/// Duration that `mdhd` declares, in its ticks; none where it is unknown.
pub(super) fn duration(header: &[u8]) -> Option<u64> {
    match header.first()? {
        1 => u64_at(header, 24).filter(|it| *it != u64::MAX),
        _ => u32_at(header, 16)
            .filter(|it| *it != u32::MAX)
            .map(u64::from),
    }
}

/// Number of the track of `tkhd`.
pub(super) fn track_id(header: &[u8]) -> Option<u32> {
    let at = if header.first()? == &1 { 20 } else { 12 };
    u32_at(header, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_of_any_size_are_read_without_harm() {
        let bytes = b"\0\0\0\x0Afreeab\0\0\0\x01wide\0\0\0\0\0\0\0\x12cd\0\0\0\0mdatxyz";
        let found: Vec<_> = Boxes::new(bytes).collect();
        assert_eq!(
            found,
            [
                (*b"free", b"ab".as_slice()),
                (*b"wide", b"cd"),
                (*b"mdat", b"xyz")
            ]
        );
        // Too long for its parent, too short for itself.
        assert_eq!(find(b"\x7F\0\0\0moovab", b"moov"), Some(b"ab".as_slice()));
        assert_eq!(find(b"\0\0\0\x03moovab", b"moov"), None);
        let long = b"\0\0\0\x01moov\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFFa";
        assert_eq!(find(long, b"moov"), Some(b"a".as_slice()));
    }
}
