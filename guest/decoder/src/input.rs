//! The bytes on their way in: a look ahead for the sniffer, and seeking for containers that need it.
//!
//! Owns the source for one decoding. Nothing is held as a whole: the look ahead is at most
//! [`LOOK_AHEAD_BYTES`]. Only a container that must seek (ISO MP4 with its index at the end, CAF
//! with its packet table behind the data) asks the source to, which keeps such a file outside of
//! this memory.

use std::io::{self, Read, Seek, SeekFrom};

use symphonia::core::io::MediaSource;

use crate::error::DecodeError;

/// How far the sniffer may look: room for an ID3-less MP3 with junk in front.
pub(crate) const LOOK_AHEAD_BYTES: usize = 64 * 1024;

/// The bytes of one decoding, read from the front.
pub(crate) struct Input {
    /// Bytes looked at and not yet read.
    head: Vec<u8>,
    /// How many of `head` have been read or skipped.
    head_read: usize,
    /// Bytes skipped or read before what `head` holds.
    passed: u64,
    source: Box<dyn MediaSource>,
}

impl Input {
    pub(crate) fn new(source: Box<dyn MediaSource>) -> Self {
        Self {
            head: Vec::new(),
            head_read: 0,
            passed: 0,
            source,
        }
    }

    /// The next bytes without reading them: `want` of them (at most [`LOOK_AHEAD_BYTES`]), or
    /// fewer where the input ends.
    pub(crate) fn peek(&mut self, want: usize) -> Result<&[u8], DecodeError> {
        let want = want.min(LOOK_AHEAD_BYTES);
        if self.head_read > 0 {
            self.head.drain(..self.head_read);
            self.passed += self.head_read as u64;
            self.head_read = 0;
        }
        if let Some(missing) = want.checked_sub(self.head.len()).filter(|n| *n > 0) {
            (&mut self.source)
                .take(missing as u64)
                .read_to_end(&mut self.head)
                .map_err(|_| DecodeError::Stopped)?;
        }
        Ok(self.head.get(..want).unwrap_or(&self.head))
    }

    /// Reads and drops `count` bytes; stops without an error where the input ends.
    pub(crate) fn skip(&mut self, count: u64) -> Result<(), DecodeError> {
        let mut left = count;
        let mut block = [0; 4096];
        while left > 0 {
            let want = usize::try_from(left).unwrap_or(usize::MAX);
            let want = want.min(block.len());
            let len = read_full(self, block.get_mut(..want).unwrap_or_default())?;
            if len == 0 {
                break;
            }
            left -= len as u64;
        }
        Ok(())
    }

    /// Turns the input into one that can seek and begins where reading stopped.
    pub(crate) fn into_seekable(mut self) -> Result<Box<dyn MediaSource>, DecodeError> {
        let start = self.passed + self.head_read as u64;
        let len_bytes = self.source.byte_len().ok_or(DecodeError::Stopped)?;
        self.source
            .seek(SeekFrom::Start(start))
            .map_err(|_| DecodeError::Stopped)?;
        Ok(Box::new(Tail {
            source: self.source,
            start,
            len_bytes: len_bytes.saturating_sub(start),
        }))
    }
}

impl Read for Input {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut rest = self.head.get(self.head_read..).unwrap_or_default();
        if rest.is_empty() {
            return self.source.read(buf);
        }
        let len = rest.read(buf)?;
        self.head_read += len;
        Ok(len)
    }
}

/// Fills `buf` as far as the input reaches; less than its length means the end.
pub(crate) fn read_full(reader: &mut impl Read, buf: &mut [u8]) -> Result<usize, DecodeError> {
    let mut filled = 0;
    while let Some(rest) = buf.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(len) => filled += len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Err(DecodeError::Stopped),
        }
    }
    Ok(filled)
}

/// A source from its byte `start` on.
struct Tail {
    source: Box<dyn MediaSource>,
    start: u64,
    len_bytes: u64,
}

impl Read for Tail {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.source.read(buf)
    }
}

impl Seek for Tail {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(offset) => self.len_bytes.checked_add_signed(offset),
            SeekFrom::Current(offset) => {
                let at = self.source.stream_position()?.saturating_sub(self.start);
                at.checked_add_signed(offset)
            }
        }
        .ok_or_else(invalid)?;
        let there = at.checked_add(self.start).ok_or_else(invalid)?;
        self.source.seek(SeekFrom::Start(there))?;
        Ok(at)
    }
}

impl MediaSource for Tail {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.len_bytes)
    }
}
