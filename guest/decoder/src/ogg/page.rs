//! Pages of an Ogg file: found by their capture pattern, believed if their checksum is right.

use std::io::Read;

use symphonia::core::checksum::Crc32;
use symphonia::core::io::Monitor;

use crate::error::DecodeError;
use crate::window::Window;

/// Bytes of the largest page: 27 of its head, a table of 255 and as many times 255.
const MAX_PAGE_BYTES: usize = 27 + 255 + 255 * 255;

const CAPTURE: &[u8] = b"OggS";

/// A page.
pub(super) struct Page {
    /// It begins with the rest of a packet.
    pub(super) is_continued: bool,
    /// The first of its stream, and the last.
    pub(super) is_first: bool,
    pub(super) is_last: bool,
    /// Position behind the last packet that ends here; negative if none does.
    pub(super) granule: i64,
    pub(super) serial: u32,
    pub(super) sequence: u32,
    /// Ends of the packets that end here.
    ends: Vec<usize>,
    body: Vec<u8>,
}

impl Page {
    /// The page that `bytes` begin with, and its length.
    fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let head = bytes.get(..27).filter(|head| head.starts_with(CAPTURE))?;
        let field = |at: usize| {
            head.get(at..at + 4)?
                .try_into()
                .ok()
                .map(u32::from_le_bytes)
        };
        let (low, high) = (u64::from(field(6)?), u64::from(field(10)?));
        let table = bytes.get(27..27 + usize::from(*head.get(26)?))?;
        let body_at = 27 + table.len();
        let body_bytes: usize = table.iter().map(|length| usize::from(*length)).sum();
        let length = body_at + body_bytes;
        let body = bytes.get(body_at..length)?;
        if *head.get(4)? != 0 || checksum(head, table, body) != field(22)? {
            return None;
        }
        let (mut ends, mut end) = (Vec::new(), 0);
        for length in table {
            end += usize::from(*length);
            if *length < 255 {
                ends.push(end);
            }
        }
        let flags = *head.get(5)?;
        let page = Self {
            is_continued: flags & 1 != 0,
            is_first: flags & 2 != 0,
            is_last: flags & 4 != 0,
            granule: (high << 32 | low).cast_signed(),
            serial: field(14)?,
            sequence: field(18)?,
            ends,
            body: body.to_vec(),
        };
        Some((page, length))
    }

    /// The packets that end here; the first may be the rest of one.
    pub(super) fn packets(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let spans = starts.zip(&self.ends);
        spans.map(|(start, end)| self.body.get(start..*end).unwrap_or_default())
    }

    /// The front of a packet that ends later.
    pub(super) fn unfinished(&self) -> &[u8] {
        let start = self.ends.last().copied().unwrap_or(0);
        self.body.get(start..).unwrap_or_default()
    }
}

fn checksum(head: &[u8], table: &[u8], body: &[u8]) -> u32 {
    let mut crc = Crc32::new(0);
    crc.process_buf_bytes(head.get(..22).unwrap_or_default());
    crc.process_buf_bytes(&[0; 4]);
    crc.process_buf_bytes(head.get(26..).unwrap_or_default());
    crc.process_buf_bytes(table);
    crc.process_buf_bytes(body);
    crc.crc()
}

/// The pages of a file; damage between them is skipped.
pub(super) struct Pages<R>(Window<R>);

impl<R: Read> Pages<R> {
    pub(super) fn new(input: R) -> Self {
        Self(Window::new(input))
    }

    pub(super) fn next(&mut self) -> Result<Option<Page>, DecodeError> {
        loop {
            let rest = self.0.peek(MAX_PAGE_BYTES)?;
            if rest.is_empty() {
                return Ok(None);
            }
            if let Some((page, length)) = Page::parse(rest) {
                self.0.pass(length as u64)?;
                return Ok(Some(page));
            }
            let next = rest.iter().skip(1).position(|byte| *byte == b'O');
            let junk = next.map_or(rest.len(), |at| at + 1);
            self.0.pass(junk as u64)?;
        }
    }
}
