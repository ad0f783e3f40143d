//! The samples of a track in the order of the media: those of its tables, then those of fragments.
//! (A sample of an MP4 is a packet.)

use super::boxes::{find, u32_at, u64_at};
use super::entry::Entry;
use super::fragments::Fragments;
use super::source::Bytes;
use super::{Layout, Track};

/// Largest packet. Uncompressed audio is grouped to far less.
const MAX_SAMPLE_BYTES: u64 = 16 << 20;

/// Frames of uncompressed audio that are one packet.
const GROUPED_FRAMES: u64 = 4_096;

/// A packet: where it is, and when in the media, in ticks of the track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) at: u64,
    pub(super) bytes: u64,
    pub(super) time: i64,
    pub(super) duration: i64,
    /// The last one of the tables.
    pub(super) is_last: bool,
}

/// Whether the tables of a track have any.
pub(super) fn are_in(tables: &[u8]) -> bool {
    let sizes = find(tables, b"stsz").or_else(|| find(tables, b"stz2"));
    sizes
        .and_then(|it| u32_at(it, 8))
        .is_some_and(|count| count > 0)
}

/// The samples of a track, from the first.
pub(super) struct Samples<'t, 'b> {
    table: Table<'t>,
    fragments: Fragments<'t>,
    bytes: &'b mut Bytes,
}

impl<'t, 'b> Samples<'t, 'b> {
    pub(super) fn new(track: &Track<'t>, layout: &'t Layout, bytes: &'b mut Bytes) -> Self {
        Self {
            table: Table::new(track.tables, &track.entry),
            fragments: Fragments::new(track.id, layout),
            bytes,
        }
    }

    pub(super) fn next(&mut self) -> Option<Sample> {
        match self.table.next() {
            Some(sample) => Some(sample),
            None => self.fragments.next(self.table.time, self.bytes),
        }
    }

    pub(super) fn read(&mut self, sample: &Sample) -> Option<Vec<u8>> {
        if sample.bytes > MAX_SAMPLE_BYTES {
            return None;
        }
        match self.table.frame_bytes {
            // Of uncompressed audio the front is worth something.
            Some(frame_bytes) => self.bytes.read_front(sample.at, sample.bytes, frame_bytes),
            None => self.bytes.read(sample.at, sample.bytes),
        }
    }
}

/// The tables of a track that is not in fragments (`stbl`).
struct Table<'a> {
    /// Runs of samples of the same duration (`stts`).
    durations: Runs<'a, 2>,
    /// Runs of chunks of the same number of samples (`stsc`).
    chunk_runs: Runs<'a, 3>,
    /// The size of all samples, or 0 and the size of each (`stsz`, `stz2`).
    size: u32,
    sizes: &'a [u8],
    size_bits: u32,
    count: u64,
    chunks: &'a [u8],
    chunk_bytes: usize,
    /// Bytes of a frame of uncompressed audio, whose samples are frames.
    frame_bytes: Option<u64>,
    index: u64,
    chunk: u32,
    left_in_chunk: u64,
    at: u64,
    time: i64,
}

impl<'a> Table<'a> {
    fn new(tables: &'a [u8], entry: &Entry) -> Self {
        let content = |kind| {
            find(tables, kind)
                .and_then(|it| it.get(4..))
                .unwrap_or_default()
        };
        let (sizes, size_bits) = match find(tables, b"stz2").and_then(|it| it.get(4..)) {
            Some(compact) => (compact, u32_at(compact, 0).unwrap_or(0) & 0xFF),
            None => (content(b"stsz"), 32),
        };
        let (chunks, chunk_bytes) = match find(tables, b"co64") {
            Some(long) => (long.get(8..).unwrap_or_default(), 8),
            None => (content(b"stco").get(4..).unwrap_or_default(), 4),
        };
        Self {
            durations: Runs::new(content(b"stts")),
            chunk_runs: Runs::new(content(b"stsc")),
            size: if size_bits == 32 {
                u32_at(sizes, 0).unwrap_or(0)
            } else {
                0
            },
            count: u64::from(u32_at(sizes, 4).unwrap_or(0)),
            sizes: sizes.get(8..).unwrap_or_default(),
            size_bits,
            chunks,
            chunk_bytes,
            frame_bytes: entry.frame_bytes,
            index: 0,
            chunk: 0,
            left_in_chunk: 0,
            at: 0,
            time: 0,
        }
    }

    fn next(&mut self) -> Option<Sample> {
        if self.index >= self.count {
            return None;
        }
        while self.left_in_chunk == 0 {
            self.at = self.chunk_at(self.chunk)?;
            self.chunk += 1;
            let [_, samples, _] = self.chunk_runs.starting_at_or_before(self.chunk)?;
            self.left_in_chunk = u64::from(samples);
        }
        let run = self.durations.current();
        let mut count = 1;
        let bytes = match self.frame_bytes {
            Some(frame_bytes) => {
                let together = GROUPED_FRAMES.min(self.left_in_chunk);
                count = together.min(run.left).min(self.count - self.index).max(1);
                frame_bytes.saturating_mul(count)
            }
            None => self.size_of(self.index)?,
        };
        let duration = i64::try_from(count)
            .ok()?
            .saturating_mul(i64::from(run.value));
        let sample = Sample {
            at: self.at,
            bytes,
            time: self.time,
            duration,
            is_last: self.index + count >= self.count,
        };
        self.durations.pass(count);
        self.index += count;
        self.left_in_chunk -= count;
        self.at = self.at.saturating_add(bytes);
        self.time = self.time.saturating_add(duration);
        Some(sample)
    }

    fn chunk_at(&self, chunk: u32) -> Option<u64> {
        let at = usize::try_from(chunk).ok()?.checked_mul(self.chunk_bytes)?;
        match self.chunk_bytes {
            8 => u64_at(self.chunks, at),
            _ => u32_at(self.chunks, at).map(u64::from),
        }
    }

    fn size_of(&self, index: u64) -> Option<u64> {
        if self.size > 0 {
            return Some(u64::from(self.size));
        }
        let index = usize::try_from(index).ok()?;
        match self.size_bits {
            4 => {
                let pair = self.sizes.get(index / 2)?;
                Some(u64::from(if index % 2 == 0 {
                    pair >> 4
                } else {
                    pair & 15
                }))
            }
            8 => self.sizes.get(index).copied().map(u64::from),
            16 => {
                let bytes = self
                    .sizes
                    .get(index.checked_mul(2)?..)?
                    .first_chunk::<2>()?;
                Some(u64::from(u16::from_be_bytes(*bytes)))
            }
            _ => u32_at(self.sizes, index.checked_mul(4)?).map(u64::from),
        }
    }
}

/// A table of runs, read in order: entries of `N` numbers behind their count.
struct Runs<'a, const N: usize> {
    entries: &'a [u8],
    entry: usize,
    /// Of the current entry, for a table of counts and values.
    passed: u64,
}

/// The rest of a run.
#[derive(Clone, Copy)]
struct Run {
    left: u64,
    value: u32,
}

impl<'a, const N: usize> Runs<'a, N> {
    fn new(content: &'a [u8]) -> Self {
        let count = u32_at(content, 0).unwrap_or(0) as usize;
        let entries = content.get(4..).unwrap_or_default();
        let bytes = entries.len().min(count.saturating_mul(4 * N));
        Self {
            entries: entries.get(..bytes).unwrap_or_default(),
            entry: 0,
            passed: 0,
        }
    }

    fn entry(&self, entry: usize) -> Option<[u32; N]> {
        let at = entry.checked_mul(4 * N)?;
        let mut numbers = [0; N];
        for (index, number) in numbers.iter_mut().enumerate() {
            *number = u32_at(self.entries, at + 4 * index)?;
        }
        Some(numbers)
    }

    /// The last entry that starts at `first` or before; asked for in ascending order.
    fn starting_at_or_before(&mut self, first: u32) -> Option<[u32; N]> {
        while self
            .entry(self.entry + 1)
            .is_some_and(|it| it.first().is_some_and(|it| *it <= first))
        {
            self.entry += 1;
        }
        self.entry(self.entry)
    }
}

impl Runs<'_, 2> {
    /// What is left of the current run; the last one never ends.
    fn current(&mut self) -> Run {
        while let (Some([count, _]), Some(_)) = (self.entry(self.entry), self.entry(self.entry + 1))
        {
            if self.passed < u64::from(count) {
                break;
            }
            self.passed = 0;
            self.entry += 1;
        }
        match self.entry(self.entry) {
            Some([count, value]) => Run {
                left: u64::from(count).saturating_sub(self.passed),
                value,
            },
            None => Run { left: 0, value: 0 },
        }
    }

    fn pass(&mut self, count: u64) {
        self.passed = self.passed.saturating_add(count);
    }
}
