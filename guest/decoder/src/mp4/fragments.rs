//! Fragments (ISO 14496-12, section 8.8): the samples of a track in `moof` boxes, which say when
//! they are to be heard.

use std::collections::VecDeque;

use super::Layout;
use super::boxes::{self, Boxes, find, find_path, u32_at, u64_at};
use super::samples::{self, Sample};
use super::source::Bytes;
use crate::timeline::ticks_to_ns;

/// Largest index of a fragment; usual are a few KiB.
const MAX_FRAGMENT_BYTES: u64 = 16 << 20;

/// Samples of one fragment; more have no time to be in one.
const MAX_FRAGMENT_SAMPLES: u32 = 1 << 20;

/// The samples of a track in fragments, from the first.
pub(super) struct Fragments<'a> {
    track_id: u32,
    layout: &'a Layout,
    next_fragment: usize,
    samples: VecDeque<Sample>,
    /// End of the last sample, where the next fragment does not tell its time.
    end: Option<i64>,
}

/// Duration and size of samples that do not tell their own.
#[derive(Clone, Copy, Default)]
struct Defaults {
    duration: u32,
    bytes: u32,
}

impl<'a> Fragments<'a> {
    pub(super) fn new(track_id: u32, layout: &'a Layout) -> Self {
        Self {
            track_id,
            layout,
            next_fragment: 0,
            samples: VecDeque::new(),
            end: None,
        }
    }

    /// Earliest time of the first fragment, of all tracks together: a recording that was joined
    /// while it ran starts there. 0 for a file without fragments, or with samples before them.
    pub(super) fn start_ns(index: &[u8], fragments: &[u64], bytes: &mut Bytes) -> i64 {
        let first = fragments.first().and_then(|at| read(*at, bytes));
        let Some(fragment) = first else {
            return 0;
        };
        let scales: Vec<_> = Boxes::new(index)
            .filter(|(kind, _)| kind == b"trak")
            .filter_map(|(_, track)| {
                let id = boxes::track_id(find(track, b"tkhd")?)?;
                let tables = find_path(track, &[b"mdia", b"minf", b"stbl"]);
                let has_samples = tables.is_some_and(samples::are_in);
                let scale = boxes::timescale(find_path(track, &[b"mdia", b"mdhd"])?)?;
                Some((id, scale, has_samples))
            })
            .collect();
        if scales.iter().any(|(_, _, has_samples)| *has_samples) {
            return 0;
        }
        let starts = Boxes::new(&fragment)
            .filter(|(kind, _)| kind == b"traf")
            .filter_map(|(_, run)| {
                let id = u32_at(find(run, b"tfhd")?, 4)?;
                let (_, scale, _) = scales.iter().find(|(it, _, _)| *it == id)?;
                Some(ticks_to_ns(time(run)?, *scale))
            });
        starts.min().unwrap_or(0).max(0)
    }

    /// The next sample; `start` is the time of the first where it does not tell.
    pub(super) fn next(&mut self, start: i64, bytes: &mut Bytes) -> Option<Sample> {
        while self.samples.is_empty() {
            let at = *self.layout.fragments.get(self.next_fragment)?;
            self.next_fragment += 1;
            if let Some(fragment) = read(at, bytes) {
                let end = self.end.unwrap_or(start);
                self.end = Some(self.read_fragment(&fragment, at, end).unwrap_or(end));
            }
        }
        self.samples.pop_front()
    }

    /// Adds the samples of one fragment; where they end.
    fn read_fragment(&mut self, fragment: &[u8], moof_at: u64, mut end: i64) -> Option<i64> {
        let mut at = moof_at;
        for (_, body) in Boxes::new(fragment).filter(|(kind, _)| kind == b"traf") {
            let header = find(body, b"tfhd")?;
            let is_own = u32_at(header, 4)? == self.track_id;
            let (base, defaults) = read_header(header, moof_at, self.defaults())?;
            at = base.unwrap_or(at);
            let mut now = time(body).unwrap_or(end);
            for (_, run) in Boxes::new(body).filter(|(kind, _)| kind == b"trun") {
                let samples = is_own.then_some(&mut self.samples);
                let origin = base.unwrap_or(moof_at);
                (at, now) = read_run(run, origin, at, now, defaults, samples)?;
            }
            if is_own {
                end = now;
            }
        }
        Some(end)
    }

    /// What `trex` says of samples that do not tell.
    fn defaults(&self) -> Defaults {
        let extends = find(&self.layout.index, b"mvex").unwrap_or_default();
        Boxes::new(extends)
            .filter(|(kind, body)| kind == b"trex" && u32_at(body, 4) == Some(self.track_id))
            .find_map(|(_, body)| {
                Some(Defaults {
                    duration: u32_at(body, 12)?,
                    bytes: u32_at(body, 16)?,
                })
            })
            .unwrap_or_default()
    }
}

fn read(at: u64, bytes: &mut Bytes) -> Option<Vec<u8>> {
    let head = bytes.head(at)?;
    if head.body_bytes > MAX_FRAGMENT_BYTES {
        return None;
    }
    bytes.read(head.body_at, head.body_bytes)
}

/// The time of a track's first sample in a fragment (`tfdt`).
fn time(run: &[u8]) -> Option<i64> {
    let body = find(run, b"tfdt")?;
    match body.first()? {
        1 => i64::try_from(u64_at(body, 4)?).ok(),
        _ => u32_at(body, 4).map(i64::from),
    }
}

/// Where the data of a track's runs is counted from, if the fragment says so, and its defaults.
fn read_header(
    header: &[u8],
    moof_at: u64,
    mut defaults: Defaults,
) -> Option<(Option<u64>, Defaults)> {
    let flags = u32_at(header, 0)? & 0xFF_FFFF;
    let mut base = (flags & 0x2_0000 != 0).then_some(moof_at);
    let mut at = 8;
    if flags & 1 != 0 {
        base = Some(u64_at(header, at)?);
        at += 8;
    }
    if flags & 2 != 0 {
        at += 4;
    }
    if flags & 8 != 0 {
        defaults.duration = u32_at(header, at)?;
        at += 4;
    }
    if flags & 0x10 != 0 {
        defaults.bytes = u32_at(header, at)?;
    }
    Some((base, defaults))
}

/// Reads a run that starts at the byte `at` and the time `now`; where both end.
fn read_run(
    run: &[u8],
    origin: u64,
    mut at: u64,
    mut now: i64,
    defaults: Defaults,
    mut samples: Option<&mut VecDeque<Sample>>,
) -> Option<(u64, i64)> {
    let flags = u32_at(run, 0)? & 0xFF_FFFF;
    let count = u32_at(run, 4)?.min(MAX_FRAGMENT_SAMPLES);
    let mut cursor = 8;
    if flags & 1 != 0 {
        let offset = i64::from(u32_at(run, cursor)?.cast_signed());
        at = origin.checked_add_signed(offset)?;
        cursor += 4;
    }
    if flags & 4 != 0 {
        cursor += 4;
    }
    for _ in 0..count {
        let mut field = |flag: u32| {
            let value = (flags & flag != 0).then(|| u32_at(run, cursor));
            cursor += if value.is_some() { 4 } else { 0 };
            value
        };
        let (duration, bytes, _, _) = (field(0x100), field(0x200), field(0x400), field(0x800));
        // A run that is cut off has fewer samples than it claims.
        let (Some(duration), Some(bytes)) = (
            duration.unwrap_or(Some(defaults.duration)),
            bytes.unwrap_or(Some(defaults.bytes)),
        ) else {
            break;
        };
        if let Some(samples) = &mut samples {
            samples.push_back(Sample {
                at,
                bytes: u64::from(bytes),
                time: now,
                duration: i64::from(duration),
                is_last: false,
            });
        }
        at = at.saturating_add(u64::from(bytes));
        now = now.saturating_add(i64::from(duration));
    }
    Some((at, now))
}
