//! A file seen through a window that moves forward: bytes to look at before they are passed.

use std::io::Read;

use crate::error::DecodeError;
use crate::input::read_full;

/// Bytes that are read at once.
const AHEAD_BYTES: usize = 64 * 1024;

/// The bytes of a file from some position on.
pub(crate) struct Window<R> {
    input: R,
    bytes: Vec<u8>,
    /// Where the window stands in `bytes`.
    at: usize,
    /// Bytes of the file before `bytes`.
    passed: u64,
    ended: bool,
}

impl<R: Read> Window<R> {
    pub(crate) fn new(input: R) -> Self {
        Self {
            input,
            bytes: Vec::new(),
            at: 0,
            passed: 0,
            ended: false,
        }
    }

    /// The bytes from here on: at least `want`, unless the file ends.
    pub(crate) fn peek(&mut self, want: usize) -> Result<&[u8], DecodeError> {
        if !self.ended && self.bytes.len() - self.at < want {
            self.bytes.drain(..self.at);
            self.passed += self.at as u64;
            self.at = 0;
            let kept = self.bytes.len();
            // A long element is not believed to be there before it is.
            while !self.ended && self.bytes.len() < want {
                let from = self.bytes.len();
                self.bytes
                    .resize(from + AHEAD_BYTES.max(kept.min(1 << 20)), 0);
                let free = self.bytes.get_mut(from..).unwrap_or_default();
                let free_bytes = free.len();
                let read = read_full(&mut self.input, free)?;
                self.bytes.truncate(from + read);
                self.ended = read < free_bytes;
            }
        }
        Ok(self.ahead())
    }

    /// What was read and not passed.
    pub(crate) fn ahead(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Position in the file.
    pub(crate) fn position(&self) -> u64 {
        self.passed + self.at as u64
    }

    /// Passes bytes; fewer where the file ends.
    pub(crate) fn pass(&mut self, bytes: u64) -> Result<(), DecodeError> {
        let mut left = bytes;
        while left > 0 {
            let here = self.peek(1)?.len() as u64;
            if here == 0 {
                break;
            }
            let step = left.min(here);
            self.at += usize::try_from(step).unwrap_or(0);
            left -= step;
        }
        Ok(())
    }
}
