//! The file behind the boxes: reads at positions, with some bytes ahead.

use std::io::{self, SeekFrom};

use symphonia::core::io::MediaSource;

use crate::input::read_full;

/// Bytes that are read at once: audio lies between pictures, or in a row.
const AHEAD_BYTES: u64 = 64 * 1024;

/// Bytes that are read for the head of a box, which may be followed by pictures.
const HEAD_BYTES: u64 = 64;

/// A source that is read by position.
pub(super) struct Bytes {
    source: Box<dyn MediaSource>,
    len_bytes: u64,
    /// Bytes in memory, and where they begin.
    ahead: Vec<u8>,
    ahead_at: u64,
}

/// A box's head.
pub(super) struct Head {
    pub(super) kind: [u8; 4],
    pub(super) body_at: u64,
    pub(super) body_bytes: u64,
}

impl Head {
    pub(super) fn end(&self) -> u64 {
        self.body_at.saturating_add(self.body_bytes)
    }
}

impl Bytes {
    pub(super) fn new(mut source: Box<dyn MediaSource>) -> io::Result<Self> {
        let len_bytes = source.seek(SeekFrom::End(0))?;
        Ok(Self {
            source,
            len_bytes,
            ahead: Vec::new(),
            ahead_at: 0,
        })
    }

    /// The bytes at a position, if the file has all of them.
    pub(super) fn read(&mut self, at: u64, length: u64) -> Option<Vec<u8>> {
        self.read_ahead(at, length, AHEAD_BYTES)
    }

    fn read_ahead(&mut self, at: u64, length: u64, ahead_bytes: u64) -> Option<Vec<u8>> {
        if at.checked_add(length)? > self.len_bytes {
            return None;
        }
        if let Some(bytes) = self.held(at, length) {
            return Some(bytes.to_vec());
        }
        self.source.seek(SeekFrom::Start(at)).ok()?;
        if length >= ahead_bytes {
            // A long index is not held twice.
            let mut bytes = vec![0; usize::try_from(length).ok()?];
            let read = read_full(&mut self.source, &mut bytes).ok()?;
            return (read == bytes.len()).then_some(bytes);
        }
        let want = ahead_bytes.min(self.len_bytes - at);
        self.ahead.clear();
        self.ahead.resize(usize::try_from(want).ok()?, 0);
        let read = read_full(&mut self.source, &mut self.ahead).ok()?;
        self.ahead.truncate(read);
        self.ahead_at = at;
        self.held(at, length).map(<[u8]>::to_vec)
    }

    /// The bytes at a position, as far as the file has them, in whole units.
    pub(super) fn read_front(&mut self, at: u64, length: u64, unit: u64) -> Option<Vec<u8>> {
        let there = self.len_bytes.saturating_sub(at).min(length);
        let whole = there - there % unit.max(1);
        if whole == 0 {
            return None;
        }
        self.read(at, whole)
    }

    /// The head of the box at a position; none at the end of the file.
    pub(super) fn head(&mut self, at: u64) -> Option<Head> {
        let short = self.read_ahead(at, 8, HEAD_BYTES)?;
        let (size, kind) = short.split_first_chunk::<4>()?;
        let (head_bytes, size) = match u32::from_be_bytes(*size) {
            0 => (8, self.len_bytes.saturating_sub(at)),
            1 => {
                let long = self.read_ahead(at.checked_add(8)?, 8, HEAD_BYTES)?;
                (16, u64::from_be_bytes(long.try_into().ok()?))
            }
            size => (8, u64::from(size)),
        };
        Some(Head {
            kind: kind.try_into().ok()?,
            body_at: at.checked_add(head_bytes)?,
            body_bytes: size.checked_sub(head_bytes)?,
        })
    }

    /// Position of the next fragment's index from a position on.
    pub(super) fn next_fragment(&mut self, mut at: u64) -> Option<u64> {
        loop {
            let length = AHEAD_BYTES.min(self.len_bytes.checked_sub(at)?);
            let ahead = self.read(at, length)?;
            let is_index = |bytes: &[u8]| {
                bytes.get(4..8) == Some(b"moof".as_slice())
                    && bytes.get(12..16) == Some(b"mfhd".as_slice())
            };
            if let Some(found) = ahead.windows(16).position(is_index) {
                return Some(at + found as u64);
            }
            if length < AHEAD_BYTES {
                return None;
            }
            at += AHEAD_BYTES - 15;
        }
    }

    /// Bytes of the file.
    pub(super) fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    fn held(&self, at: u64, length: u64) -> Option<&[u8]> {
        let from = usize::try_from(at.checked_sub(self.ahead_at)?).ok()?;
        let length = usize::try_from(length).ok()?;
        self.ahead.get(from..from.checked_add(length)?)
    }
}
