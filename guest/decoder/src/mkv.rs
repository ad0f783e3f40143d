//! Matroska and WebM (RFC 9559): the packets of one audio track at their stamps.
//!
//! symphonia's reader loses all that follows a damaged element. This one goes on at the next cluster;
//! the timeline fills what is missing. Elements are taken as they come, whatever contains them, so
//! that sizes that are unknown or wrong matter little. The track is the first enabled
//! default track that can be decoded, otherwise the first track that can be decoded. A file starts
//! with its first packet of sound or pictures.
//!
//! # Limits
//! Blocks of at most [`MAX_BLOCK_BYTES`], descriptions of [`MAX_DESCRIPTION_BYTES`]. Nothing
//! encrypted, nor compressed other than by stripped headers.

mod block;
mod ebml;
mod track;

use std::io::Read;

use self::block::Block;
use self::ebml::{Header, id};
use self::track::{Info, Track};
use crate::codec::Decoder;
use crate::error::DecodeError;
use crate::out::Out;
use crate::player::Player;
use crate::timeline::{Timeline, ns_to_frames, ticks_to_ns};
use crate::window::Window;

use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, Timestamp};

/// Largest block that is believed; pictures of films have a few MiB.
const MAX_BLOCK_BYTES: u64 = 32 << 20;

/// Largest block of sound: FLAC's largest frames of 8 channels are 2 MiB.
const MAX_OWN_BLOCK_BYTES: u64 = 8 << 20;

/// Largest description of the tracks.
const MAX_DESCRIPTION_BYTES: u64 = 16 << 20;

/// Bytes of a block that are looked at, to know whose it is.
const BLOCK_HEAD_BYTES: usize = 32;

/// A start before zero that is encoder delay; more is the time of the file.
const MAX_DELAY_NS: i64 = 500_000_000;

/// Decodes the chosen audio track of `input` into `out`.
pub(crate) fn decode(input: impl Read, out: &mut Out<'_>) -> Result<(), DecodeError> {
    let mut reader = Reader {
        window: Window::new(input),
        info: Info::default(),
        playing: None,
        cluster: Cluster::default(),
        start: Start::default(),
    };
    let mut out = Some(out);
    let mut player: Option<Player<'_, '_>> = None;
    while let Some(event) = reader.next()? {
        match event {
            Event::Tracks(tracks) => {
                let (track, decoder) = track::select(tracks)?;
                reader.playing = Some(track);
                if let Some(player) = player.as_mut() {
                    player.timeline.chain();
                    player.change(decoder);
                    reader.start = Start::default();
                } else if let Some(out) = out.take() {
                    player = Some(reader.player(decoder, out));
                }
            }
            Event::Block(block) => {
                if let Some(player) = player.as_mut() {
                    reader.play(&block, player)?;
                }
            }
            Event::Damage => {
                if let Some(player) = player.as_mut() {
                    player.note("its structure is damaged");
                    player.reset();
                }
            }
        }
        if player.as_ref().is_some_and(Player::is_hopeless) {
            break;
        }
    }
    match player {
        Some(player) => player.finish(),
        None => Err(DecodeError::undecodable(
            "it ends before its tracks are described",
        )),
    }
}

/// What the file holds next.
enum Event {
    Tracks(Vec<Track>),
    /// A block of the track that is played.
    Block(Block),
    Damage,
}

/// Reads the elements that sound needs.
struct Reader<R> {
    window: Window<R>,
    info: Info,
    playing: Option<Track>,
    cluster: Cluster,
    start: Start,
}

/// The cluster that is being read.
#[derive(Default)]
struct Cluster {
    /// Its time in ticks; blocks without one are not heard.
    ticks: Option<i64>,
    /// Where it ends, if it says so.
    end: Option<u64>,
}

/// When the file starts.
#[derive(Default)]
struct Start {
    /// Earliest stamp of other tracks before the first sound.
    others_ns: Option<i64>,
    is_known: bool,
}

impl<R: Read> Reader<R> {
    fn player<'o, 's>(&self, decoder: Decoder, out: &'o mut Out<'s>) -> Player<'o, 's> {
        let mut timeline = Timeline::default();
        timeline.declare(self.info.duration_ns());
        Player::new(decoder, timeline, out)
    }

    /// The next event; `None` at the end.
    fn next(&mut self) -> Result<Option<Event>, DecodeError> {
        loop {
            let ahead = self.window.peek(ebml::HEADER_BYTES)?;
            if ahead.is_empty() {
                return Ok(None);
            }
            let Some(header) = ebml::header(ahead).filter(|it| self.is_plausible(it)) else {
                self.resync()?;
                return Ok(Some(Event::Damage));
            };
            let body = header.bytes.unwrap_or(0);
            if header.id == id::SEGMENT || header.id == id::CLUSTER {
                self.window.pass(header.head_bytes)?;
                let position = self.window.position();
                self.cluster = Cluster {
                    ticks: None,
                    end: header
                        .bytes
                        .filter(|_| header.id == id::CLUSTER)
                        .map(|bytes| position + bytes),
                };
                continue;
            }
            if let Some(event) = self.read(&header, body)? {
                return Ok(Some(event));
            }
        }
    }

    /// Reads or skips an element; the event that it is.
    fn read(&mut self, header: &Header, body: u64) -> Result<Option<Event>, DecodeError> {
        match header.id {
            id::INFO | id::TRACKS | id::TIMESTAMP => {
                self.window.pass(header.head_bytes)?;
                let body = self.body(body)?;
                match header.id {
                    id::INFO => self.info = Info::read(&body),
                    id::TRACKS => return Ok(Some(Event::Tracks(track::read(&body)))),
                    _ => self.cluster.ticks = i64::try_from(ebml::unsigned(&body)).ok(),
                }
                Ok(None)
            }
            id::SIMPLE_BLOCK | id::BLOCK_GROUP => {
                self.window.pass(header.head_bytes)?;
                self.read_block(header.id, body)
            }
            _ => {
                self.window.pass(header.head_bytes.saturating_add(body))?;
                Ok(None)
            }
        }
    }

    /// Reads a block, if it is one of the track that is played.
    fn read_block(&mut self, kind: u32, body: u64) -> Result<Option<Event>, DecodeError> {
        // Pictures are passed without being read.
        let head_bytes = usize::try_from(body).unwrap_or(0).min(BLOCK_HEAD_BYTES);
        let head = self.window.peek(head_bytes)?.get(..head_bytes);
        let head = head.unwrap_or_default();
        let (head, must_tell) = match kind {
            id::SIMPLE_BLOCK => (block::head(head), true),
            _ => (block::head_of_group(head), false),
        };
        let is_own = match head {
            Some((track, ticks)) => self.is_own(track, ticks),
            None => !must_tell,
        };
        if !is_own || body > MAX_OWN_BLOCK_BYTES {
            self.window.pass(body)?;
            return Ok(None);
        }
        let body = self.body(body)?;
        let block = match kind {
            id::SIMPLE_BLOCK => Block::read(&body, 0),
            _ => block::of_group(&body),
        };
        let own = block.filter(|block| self.is_own(block.track, block.ticks));
        Ok(own.map(Event::Block))
    }

    /// Whether a block is of the track that is played; notes when the others start.
    fn is_own(&mut self, track: u64, ticks: i16) -> bool {
        let Some(playing) = &self.playing else {
            return false;
        };
        if playing.number == track {
            return true;
        }
        if !self.start.is_known
            && playing.others.contains(&track)
            && let Some(ns) = self.stamp_ns(ticks)
        {
            let earliest = self.start.others_ns.map_or(ns, |it| it.min(ns));
            self.start.others_ns = Some(earliest);
        }
        false
    }

    fn body(&mut self, bytes: u64) -> Result<Vec<u8>, DecodeError> {
        let length = usize::try_from(bytes).unwrap_or(0);
        let ahead = self.window.peek(length)?;
        let body = ahead.get(..length.min(ahead.len()));
        let body = body.unwrap_or_default().to_vec();
        self.window.pass(bytes)?;
        Ok(body)
    }

    /// Whether an element may be what it says.
    fn is_plausible(&self, header: &Header) -> bool {
        let Some(kind) = ebml::kind(header.id) else {
            return false;
        };
        let Some(bytes) = header.bytes else {
            return matches!(header.id, id::SEGMENT | id::CLUSTER);
        };
        let start = self.window.position();
        let end = start
            .saturating_add(header.head_bytes)
            .saturating_add(bytes);
        match kind {
            ebml::Kind::InCluster => {
                let cluster = self.cluster.end.filter(|cluster| start < *cluster);
                bytes <= MAX_BLOCK_BYTES && cluster.is_none_or(|cluster| end <= cluster)
            }
            ebml::Kind::Description => bytes <= MAX_DESCRIPTION_BYTES,
            ebml::Kind::Level1 => true,
        }
    }

    /// Goes on to the next cluster, which begins with its time or a checksum.
    fn resync(&mut self) -> Result<(), DecodeError> {
        self.cluster = Cluster::default();
        self.window.pass(1)?;
        loop {
            let ahead = self.window.peek(2 * ebml::HEADER_BYTES)?;
            if ahead.is_empty() {
                return Ok(());
            }
            let is_cluster = ebml::header(ahead)
                .filter(|it| it.id == id::CLUSTER)
                .is_some_and(|it| {
                    let inside = usize::try_from(it.head_bytes)
                        .ok()
                        .and_then(|at| ahead.get(at..));
                    let first = inside.and_then(ebml::header);
                    first.is_some_and(|it| ebml::kind(it.id) == Some(ebml::Kind::InCluster))
                });
            if is_cluster {
                return Ok(());
            }
            let next = ahead
                .iter()
                .skip(1)
                .position(|byte| *byte == id::CLUSTER_BYTE);
            let junk = next.map_or(ahead.len(), |at| at + 1);
            self.window.pass(junk as u64)?;
        }
    }

    fn stamp_ns(&self, ticks: i16) -> Option<i64> {
        let ticks = self.cluster.ticks?.saturating_add(i64::from(ticks));
        Some(ticks.saturating_mul(self.info.tick_ns))
    }

    /// Decodes the packets of a block and places them.
    fn play(&mut self, block: &Block, player: &mut Player<'_, '_>) -> Result<(), DecodeError> {
        let Some((track, stamp_ns)) = self.playing.as_ref().zip(self.stamp_ns(block.ticks)) else {
            return Ok(());
        };
        let mut start_ns = stamp_ns.saturating_sub(track.delay_ns);
        let last = block.packets.len().saturating_sub(1);
        for (number, data) in block.packets.iter().enumerate() {
            let data = [track.stripped.as_slice(), data].concat();
            let packet = Packet::new(0, Timestamp::ZERO, Duration::ZERO, data);
            if !player.decode(&packet)? {
                continue;
            }
            let decoded = player.decoded();
            let rate_hz = decoded.rate_hz;
            if number == last {
                let padding = ns_to_frames(block.padding_ns, rate_hz);
                decoded.keep(0..decoded.frames().saturating_sub(padding));
            }
            let to_ns = |frames: u64| ticks_to_ns(i64::try_from(frames).unwrap_or(0), rate_hz);
            let (skipped, frames) = (to_ns(decoded.skipped), to_ns(decoded.frames()));
            start_ns = start_ns.saturating_add(skipped);
            if !std::mem::replace(&mut self.start.is_known, true) {
                let others_ns = self.start.others_ns.unwrap_or(start_ns);
                let earliest_ns = others_ns.min(start_ns);
                let is_delay = (-MAX_DELAY_NS..0).contains(&earliest_ns);
                player
                    .timeline
                    .start(if is_delay { 0 } else { earliest_ns });
            }
            player.place(start_ns)?;
            start_ns = start_ns.saturating_add(frames);
        }
        Ok(())
    }
}
