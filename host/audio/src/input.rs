//! The bytes on their way in: a look ahead for the sniffer, and a spool for containers that seek.
//!
//! Owns the source for one decoding. Formats that stream are never held as a whole: the look
//! ahead is at most [`LOOK_AHEAD_BYTES`]. Only a container that must seek (ISO MP4 with its index
//! at the end, CAF with its packet table behind the data) is spooled: [`SPOOL_MEMORY_BYTES`] in
//! memory and the rest in an unlinked temporary file, which the system removes with the process.
//!
//! A failing source is remembered in a [`Fault`], because symphonia takes any read error in the
//! middle of a stream for its end, and a broken upload must not become a short transcript.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};

use symphonia::core::io::MediaSource;
use tempfile::SpooledTempFile;

use crate::error::AudioError;
use crate::{Context, DecodeLimits};

/// How far the sniffer may look: room for an ID3-less MP3 with junk in front.
pub(crate) const LOOK_AHEAD_BYTES: usize = 64 * 1024;

/// Below this a spooled file stays in memory; most voice notes are smaller.
const SPOOL_MEMORY_BYTES: usize = 4 * 1024 * 1024;

/// The unit of reading: the ring of symphonia's stream is as large.
const BLOCK_BYTES: usize = 64 * 1024;

/// The first error of the source, shared by all that read from it.
#[derive(Clone, Default)]
pub(crate) struct Fault(Arc<Mutex<Option<io::Error>>>);

impl Fault {
    /// Keeps `error` if it is the first, and gives back one of the same kind.
    fn record(&self, error: io::Error) -> io::Error {
        let kind = error.kind();
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(error);
        io::Error::from(kind)
    }

    /// The error, if there was one.
    pub(crate) fn take(&self) -> Option<io::Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Gives a reader that only one thread can use the `Sync` that symphonia's sources need: it is
/// never shared, and `&mut` goes past the lock.
pub(crate) struct Exclusive(Mutex<Box<dyn Read + Send>>);

impl Exclusive {
    pub(crate) fn new(reader: Box<dyn Read + Send>) -> Self {
        Self(Mutex::new(reader))
    }
}

impl Read for Exclusive {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .read(buf)
    }
}

/// A source whose errors are remembered.
struct Watched {
    source: Box<dyn MediaSource>,
    fault: Fault,
}

impl Read for Watched {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.source.read(buf) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.fault.record(error)),
                Ok(len) => return Ok(len),
            }
        }
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

/// The bytes of one decoding, read from the front.
pub(crate) struct Input {
    /// Bytes looked at and not yet read.
    head: Vec<u8>,
    /// How many of `head` have been read or skipped.
    head_read: usize,
    /// Bytes skipped or read before what `head` holds.
    passed: u64,
    source: Watched,
}

impl Input {
    pub(crate) fn new(source: Box<dyn MediaSource>, fault: Fault) -> Self {
        Self {
            head: Vec::new(),
            head_read: 0,
            passed: 0,
            source: Watched { source, fault },
        }
    }

    /// The next bytes without reading them: `want` of them (at most [`LOOK_AHEAD_BYTES`]), or
    /// fewer where the input ends.
    pub(crate) fn peek(&mut self, want: usize) -> Result<&[u8], AudioError> {
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
                .map_err(AudioError::Read)?;
        }
        Ok(&self.head)
    }

    /// Reads and drops `count` bytes; stops without an error where the input ends.
    pub(crate) fn skip(&mut self, count: u64, context: &Context<'_>) -> Result<(), AudioError> {
        let mut left = count;
        let mut block = [0; 4096];
        while left > 0 {
            context.check_cancelled()?;
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
    pub(crate) fn into_seekable(
        mut self,
        context: &Context<'_>,
    ) -> Result<Box<dyn MediaSource>, AudioError> {
        if self.source.is_seekable() && self.passed == 0 && self.head_read == 0 {
            self.source
                .seek(SeekFrom::Start(0))
                .map_err(AudioError::Read)?;
            return Ok(Box::new(self.source));
        }
        let DecodeLimits {
            max_spool_bytes, ..
        } = *context.limits;
        let mut file = SpooledTempFile::new(SPOOL_MEMORY_BYTES);
        let mut block = vec![0; BLOCK_BYTES];
        let mut len_bytes = 0;
        loop {
            context.check_cancelled()?;
            let len = read_full(&mut self, &mut block)?;
            if len == 0 {
                break;
            }
            len_bytes += len as u64;
            if len_bytes > max_spool_bytes {
                return Err(AudioError::TooLarge {
                    max_bytes: max_spool_bytes,
                });
            }
            file.write_all(block.get(..len).unwrap_or_default())
                .map_err(AudioError::Spool)?;
        }
        file.rewind().map_err(AudioError::Spool)?;
        Ok(Box::new(Spool { file, len_bytes }))
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
pub(crate) fn read_full(reader: &mut impl Read, buf: &mut [u8]) -> Result<usize, AudioError> {
    let mut filled = 0;
    while let Some(rest) = buf.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(len) => filled += len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(AudioError::Read(error)),
        }
    }
    Ok(filled)
}

/// A whole file, kept for seeking.
struct Spool {
    file: SpooledTempFile,
    len_bytes: u64,
}

impl Read for Spool {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.file.read(buf)
    }
}

impl Seek for Spool {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

impl MediaSource for Spool {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.len_bytes)
    }
}
