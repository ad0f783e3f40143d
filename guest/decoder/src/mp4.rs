//! Makes an MP4 that was cut off look whole to symphonia.
//!
//! symphonia drops a box that reaches over the end of the file, and with it all audio of an
//! upload whose last bytes are missing. Told that the file is as long as its last box says, it
//! reads packets until there are none.

use std::io::{self, Read, Seek, SeekFrom};

use symphonia::core::io::MediaSource;

/// Boxes looked at; a fragmented recording of hours has two per second or so.
const MAX_BOXES: usize = 1 << 16;

/// `source`, at its start and as long as its last box claims.
pub(crate) fn stretch(mut source: Box<dyn MediaSource>) -> io::Result<Box<dyn MediaSource>> {
    let real_bytes = source.seek(SeekFrom::End(0))?;
    let len_bytes = claimed_bytes(&mut *source, real_bytes)?;
    source.rewind()?;
    Ok(Box::new(Stretched { source, len_bytes }))
}

/// Where the last box ends, or the true length if that is more.
fn claimed_bytes(source: &mut dyn MediaSource, real_bytes: u64) -> io::Result<u64> {
    let mut at = 0u64;
    for _ in 0..MAX_BOXES {
        if at.saturating_add(16) > real_bytes {
            break;
        }
        source.seek(SeekFrom::Start(at))?;
        let mut head = [0; 16];
        source.read_exact(&mut head)?;
        let [a, b, c, d, _, _, _, _, long @ ..] = head;
        let size = match u32::from_be_bytes([a, b, c, d]) {
            0 => break, // it reaches to the end of the file
            1 => u64::from_be_bytes(long),
            size => u64::from(size),
        };
        if size < 8 {
            break;
        }
        at = at.saturating_add(size);
    }
    // A 64-bit size can be anything; positions stay where arithmetic on them is safe.
    Ok(at.clamp(real_bytes, real_bytes.max(1 << 48)))
}

struct Stretched {
    source: Box<dyn MediaSource>,
    len_bytes: u64,
}

impl Read for Stretched {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.source.read(buf)
    }
}

impl Seek for Stretched {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match to {
            SeekFrom::End(offset) => {
                let at = self.len_bytes.checked_add_signed(offset);
                let at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
                self.source.seek(SeekFrom::Start(at))
            }
            to => self.source.seek(to),
        }
    }
}

impl MediaSource for Stretched {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.len_bytes)
    }
}
