//! ISO MP4 and QuickTime: plays the presentation of one audio track.
//!
//! symphonia has a reader for MP4, which knows neither edit lists nor the times of fragments, and
//! refuses a file for any box that it does not expect. This one reads the boxes that audio needs.
//!
//! What is heard is what the edit list says: parts of the media that are cut out are never given
//! out, empty edits become silence, and parts may repeat or be in another order. The rate of an edit
//! is not applied, as in ffmpeg; an edit of rate 0 is silence. The first enabled track that can
//! be decoded is chosen, otherwise the first track that can be decoded.
//!
//! # Limits
//! An index of at most [`MAX_INDEX_BYTES`], and [`MAX_FRAGMENTS`] fragments. No encrypted tracks, no
//! compressed index. A file that was cut off gives what it holds, if its index is whole.

mod boxes;
mod edits;
mod entry;
mod fragments;
mod samples;
mod source;

use symphonia::core::io::MediaSource;
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, Timestamp};

use self::boxes::{Boxes, find, find_path};
use self::edits::Edit;
use self::entry::Entry;
use self::fragments::Fragments;
use self::samples::{Sample, Samples};
use self::source::{Bytes, Head};
use crate::codec::Decoder;
use crate::error::DecodeError;
use crate::out::Out;
use crate::player::Player;
use crate::timeline::{Timeline, ns_to_frames, ticks_to_ns};

/// Largest index, well below the 64 MiB that the sandbox has: 20 h of video have 30 MiB.
const MAX_INDEX_BYTES: u64 = 40 << 20;

/// Most fragments; a recording of hours has two per second or so.
const MAX_FRAGMENTS: usize = 1 << 16;

/// Boxes on the top level that are looked at.
const MAX_BOXES: usize = 4 * MAX_FRAGMENTS;

/// Audio that is decoded and dropped before a part that begins inside of the media: 80 ms of Opus
/// (RFC 7845, section 4.6), and two frames of AAC at 24 kHz.
const PREROLL_NS: i64 = 100_000_000;

/// An audio track of the file.
struct Track<'a> {
    id: u32,
    is_enabled: bool,
    timescale: u32,
    duration: u64,
    edits: Vec<Edit>,
    tables: &'a [u8],
    entry: Entry,
}

impl Track<'_> {
    /// Whether the index itself has samples, not only the fragments.
    fn has_samples(&self) -> bool {
        samples::are_in(self.tables)
    }
}

/// Where things are in the file.
struct Layout {
    index: Vec<u8>,
    /// Positions of the fragments' indexes.
    fragments: Vec<u64>,
}

/// Decodes the chosen track of `source` into `out`.
pub(crate) fn decode(source: Box<dyn MediaSource>, out: &mut Out<'_>) -> Result<(), DecodeError> {
    let mut bytes = Bytes::new(source).map_err(|_| DecodeError::Stopped)?;
    let layout = scan(&mut bytes)?;
    let (mut track, decoder) = select(&layout.index)?;
    if !layout.fragments.is_empty() && track.has_samples() {
        // Muxers write the list with the first samples, and do not know of the fragments that follow.
        edits::open_end(&mut track.edits);
    }
    let origin_ns = Fragments::start_ns(&layout.index, &layout.fragments, &mut bytes);
    let mut timeline = Timeline::starting_at(origin_ns);
    if layout.fragments.is_empty() {
        let edited = edits::duration_ns(&track.edits);
        let media_ns = ticks_to_ns(i64::try_from(track.duration).unwrap_or(0), track.timescale);
        timeline.declare(edited.unwrap_or(media_ns));
    }
    let mut player = Player::new(decoder, timeline, out);
    let mut position_ns = 0_i64;
    for edit in &track.edits {
        if let Some(media_ns) = edit.media_ns {
            let end_ns = match edit.duration_ns {
                Some(ns) => media_ns.saturating_add(ns),
                None => i64::MAX,
            };
            let part = Part {
                media_ns,
                end_ns,
                position_ns,
            };
            let mut samples = Samples::new(&track, &layout, &mut bytes);
            if !part.play(&track, &mut samples, &mut player)? {
                break;
            }
        }
        position_ns = position_ns.saturating_add(edit.duration_ns.unwrap_or(0));
    }
    player.finish()
}

/// A part of the media and where it is heard.
struct Part {
    media_ns: i64,
    end_ns: i64,
    position_ns: i64,
}

impl Part {
    /// Plays the part; `false` when nothing more can be played.
    fn play(
        &self,
        track: &Track<'_>,
        samples: &mut Samples<'_, '_>,
        player: &mut Player<'_, '_>,
    ) -> Result<bool, DecodeError> {
        let mut started = false;
        while let Some(sample) = samples.next() {
            let start_ns = ticks_to_ns(sample.time, track.timescale);
            let end_ns = ticks_to_ns(sample.time.saturating_add(sample.duration), track.timescale);
            if start_ns >= self.end_ns {
                break;
            }
            if end_ns <= self.media_ns.saturating_sub(PREROLL_NS) {
                continue;
            }
            if !std::mem::replace(&mut started, true) {
                player.reset();
            }
            let Some(data) = samples.read(&sample) else {
                // The file was cut off, or lies about where it is.
                if !player.note_missing() {
                    return Ok(false);
                }
                continue;
            };
            let packet = Packet::new(
                track.id,
                Timestamp::ZERO,
                Duration::new(u64::try_from(sample.duration).unwrap_or(0)),
                data,
            );
            if player.decode(&packet)? {
                let heard_ns = self.heard(track, &sample, start_ns, end_ns, player);
                player.place(heard_ns)?;
            } else if player.is_hopeless() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Keeps what is heard of the packet that was decoded; from when on.
    fn heard(
        &self,
        track: &Track<'_>,
        sample: &Sample,
        start_ns: i64,
        end_ns: i64,
        player: &mut Player<'_, '_>,
    ) -> i64 {
        let decoded = player.decoded();
        let rate_hz = decoded.rate_hz;
        let skipped = i64::try_from(decoded.skipped).unwrap_or(0);
        let first_ns = start_ns.saturating_add(ticks_to_ns(skipped, rate_hz));
        // A packet that ends early is padded: the last one, and with Opus any.
        let end_ns = match sample.is_last || track.entry.is_opus() {
            true if sample.duration > 0 => end_ns.min(self.end_ns),
            _ => self.end_ns,
        };
        let front = ns_to_frames(self.media_ns.saturating_sub(first_ns), rate_hz);
        let end = ns_to_frames(end_ns.saturating_sub(first_ns), rate_hz);
        let end = end.min(decoded.frames());
        decoded.keep(front.min(end)..end);
        let heard_ns = first_ns.max(self.media_ns);
        self.position_ns
            .saturating_add(heard_ns.saturating_sub(self.media_ns))
    }
}

/// Finds the index and the fragments.
fn scan(bytes: &mut Bytes) -> Result<Layout, DecodeError> {
    let mut layout = Layout {
        index: Vec::new(),
        fragments: Vec::new(),
    };
    let mut at = 0;
    for _ in 0..MAX_BOXES {
        let Some(head) = bytes
            .head(at)
            .filter(|head| is_plausible(head, bytes.len_bytes()))
        else {
            // Damage between fragments: the others are found by what they begin with.
            match bytes.next_fragment(at.saturating_add(1)) {
                Some(next) => at = next,
                None => break,
            }
            continue;
        };
        match &head.kind {
            b"moov" if layout.index.is_empty() => {
                if head.body_bytes > MAX_INDEX_BYTES {
                    return Err(DecodeError::undecodable("its index is impossibly long"));
                }
                let body = bytes.read(head.body_at, head.body_bytes);
                layout.index = body.ok_or_else(cut_off)?;
            }
            b"moof" if layout.fragments.len() < MAX_FRAGMENTS => layout.fragments.push(at),
            _ => {}
        }
        at = head.end();
    }
    if layout.index.is_empty() {
        return Err(cut_off());
    }
    Ok(layout)
}

/// Whether a box may be what it says. Only the data may reach over the end of the file.
fn is_plausible(head: &Head, len_bytes: u64) -> bool {
    let is_named = head
        .kind
        .iter()
        .all(|byte| matches!(byte, b' '..=b'~' | 0xA9));
    is_named && (head.end() <= len_bytes || &head.kind == b"mdat")
}

fn cut_off() -> DecodeError {
    DecodeError::undecodable(
        "the index of the MP4 (its moov box) is missing: the file is cut off, or its recording was \
         not finished",
    )
}

/// The track to play, and its decoder.
fn select(index: &[u8]) -> Result<(Track<'_>, Decoder), DecodeError> {
    let movie_scale = find(index, b"mvhd").and_then(boxes::timescale).unwrap_or(1);
    let tracks: Vec<_> = Boxes::new(index)
        .filter(|(kind, _)| kind == b"trak")
        .filter_map(|(_, body)| read_track(body, movie_scale))
        .collect();
    let (enabled, others): (Vec<_>, Vec<_>) = tracks.into_iter().partition(|it| match it {
        Ok(track) => track.is_enabled,
        Err(_) => true,
    });
    let mut refusal = None;
    for track in enabled.into_iter().chain(others) {
        let opened = track.and_then(|track| {
            // An edit list that starts behind the pre-skip has counted it.
            let first = track.edits.iter().find_map(|edit| edit.media_ns);
            let skip = first.filter(|ns| *ns > 0).map(|_| 0);
            let decoder = Decoder::new(&track.entry.params, skip)?;
            Ok((track, decoder))
        });
        match opened {
            Ok(opened) => return Ok(opened),
            Err(error) => {
                refusal.get_or_insert(error);
            }
        }
    }
    Err(refusal.unwrap_or_else(|| DecodeError::undecodable("the file has no audio track")))
}

/// A track, if it is one of sound; or why it cannot be played.
fn read_track(body: &[u8], movie_scale: u32) -> Option<Result<Track<'_>, DecodeError>> {
    let header = find(body, b"tkhd")?;
    let media = find(body, b"mdia")?;
    if find(media, b"hdlr")?.get(8..12)? != b"soun" {
        return None;
    }
    let media_header = find(media, b"mdhd")?;
    let timescale = boxes::timescale(media_header)?;
    let tables = find_path(media, &[b"minf", b"stbl"])?;
    let list = find_path(body, &[b"edts", b"elst"]);
    let entry = match entry::read(find(tables, b"stsd")?) {
        Ok(entry) => entry,
        Err(error) => return Some(Err(error)),
    };
    let edits = match edits::read(list, movie_scale, timescale) {
        Ok(edits) => edits,
        Err(error) => return Some(Err(error)),
    };
    Some(Ok(Track {
        id: boxes::track_id(header)?,
        is_enabled: header.get(3)? & 1 == 1,
        timescale,
        duration: boxes::duration(media_header).unwrap_or(0),
        edits,
        tables,
        entry,
    }))
}
