//! Ogg (RFC 3533): the audio of each page at the time that its granule position says.
//!
//! A page tells when its audio ends, and only decoding tells how long it is; so it is decoded as a
//! whole, and placed. Lost and damaged pages thereby become silence of their length, which symphonia's
//! reader notices one page late. Of the streams in a file the first one of sound that can be decoded
//! is played; of streams that follow one another (chains) each.
//!
//! # Limits
//! A packet has at most [`MAX_PACKET_BYTES`]. A page that decodes to more than [`MAX_PAGE_NS`] is
//! placed behind the one before it.

mod page;
mod stream;

use std::io::Read;

use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, Timestamp};

use self::page::{Page, Pages};
use self::stream::{Codec, Identified};
use crate::codec::{Decoded, Decoder};
use crate::error::DecodeError;
use crate::out::Out;
use crate::player::Player;
use crate::timeline::{Timeline, ns_to_frames, ticks_to_ns};

/// Largest packet that is put together: FLAC's largest blocks of 8 channels are 2 MiB.
const MAX_PACKET_BYTES: usize = 8 << 20;

/// Audio of one page that is held; encoders write pages of 1 to 5 s.
const MAX_PAGE_NS: i64 = 8_000_000_000;

/// Longest time that a page usually takes, for judging how much of the start of a file is missing.
const USUAL_PAGE_NS: i64 = 5_000_000_000;

/// Decodes the first audio stream of `input` into `out`, and of each chain that follows.
pub(crate) fn decode(input: impl Read, out: &mut Out<'_>) -> Result<(), DecodeError> {
    let mut pages = Pages::new(input);
    let mut player: Option<Player<'_, '_>> = None;
    let mut out = Some(out);
    let mut stream: Option<Stream> = None;
    let mut refusal = None;
    let mut has_others = false;
    while let Some(page) = pages.next()? {
        if page.is_first && stream.as_ref().is_none_or(Stream::has_begun) {
            // The streams of a chain begin together; the first of sound is taken.
            match stream::identify(page.packets().next().unwrap_or_default()) {
                Identified::Audio(codec) => stream = Some(Stream::new(&page, codec)),
                Identified::Unsupported(what) => {
                    refusal.get_or_insert_with(|| DecodeError::unsupported(what));
                }
                Identified::Other => has_others = true,
            }
            continue;
        }
        let Some(own) = stream.as_mut().filter(|it| it.serial == page.serial) else {
            continue;
        };
        if !own.read(&page) {
            continue;
        }
        if let Some(decoder) = own.open() {
            match (decoder, player.as_mut()) {
                (Ok(decoder), Some(player)) => {
                    player.timeline.chain();
                    player.change(decoder);
                }
                (Ok(decoder), None) => {
                    let out = out.take();
                    player = out.map(|out| Player::new(decoder, Timeline::default(), out));
                }
                (Err(error), _) => {
                    refusal.get_or_insert(error);
                    stream = None;
                    continue;
                }
            }
        }
        own.starts_at_zero = has_others;
        if let Some(player) = player.as_mut() {
            own.play(&page, player)?;
            if player.is_hopeless() {
                break;
            }
        }
    }
    match player {
        Some(player) => player.finish(),
        None => {
            Err(refusal.unwrap_or_else(|| DecodeError::undecodable("the file has no audio track")))
        }
    }
}

/// A logical stream.
struct Stream {
    serial: u32,
    codec: Codec,
    is_open: bool,
    last_sequence: u32,
    /// Pages that are missing before the current one.
    lost_pages: u32,
    /// The front of a packet that the next page continues.
    partial: Option<Vec<u8>>,
    /// Packets that ended in the current page.
    packets: Vec<Vec<u8>>,
    /// Granule position of the last page.
    end: Option<i64>,
    has_audio: bool,
    /// There are other streams, such as pictures, whose time is that of the file.
    starts_at_zero: bool,
}

impl Stream {
    fn new(page: &Page, codec: Codec) -> Self {
        Self {
            serial: page.serial,
            codec,
            is_open: false,
            last_sequence: page.sequence,
            lost_pages: 0,
            partial: None,
            packets: Vec::new(),
            end: None,
            has_audio: false,
            starts_at_zero: false,
        }
    }

    /// Whether more than its first page came: a first page now begins a chain.
    fn has_begun(&self) -> bool {
        self.is_open
    }

    /// The decoder, when the headers have just become complete.
    fn open(&mut self) -> Option<Result<Decoder, DecodeError>> {
        if self.is_open {
            return None;
        }
        self.is_open = true;
        let params = self.codec.params();
        Some(Decoder::new(&params, None))
    }

    /// Takes the packets of a page; whether audio may come now.
    fn read(&mut self, page: &Page) -> bool {
        let step = page.sequence.wrapping_sub(self.last_sequence);
        self.last_sequence = page.sequence;
        self.lost_pages = step.saturating_sub(1);
        if self.lost_pages > 0 || !page.is_continued {
            self.partial = None;
        }
        let mut skips_first = page.is_continued && self.partial.is_none();
        self.packets.clear();
        for packet in page.packets() {
            if std::mem::take(&mut skips_first) {
                continue;
            }
            let mut whole = self.partial.take().unwrap_or_default();
            whole.extend_from_slice(packet);
            if !self.codec.take_header(&whole) {
                self.packets.push(whole);
            }
        }
        let rest = page.unfinished();
        if !rest.is_empty() && !skips_first {
            let partial = self.partial.get_or_insert_default();
            partial.extend_from_slice(rest);
            if partial.len() > MAX_PACKET_BYTES {
                self.partial = None;
            }
        }
        self.codec.is_complete() && (self.is_open || !self.packets.is_empty())
    }

    /// Decodes the packets of the page and places them.
    fn play(&mut self, page: &Page, player: &mut Player<'_, '_>) -> Result<(), DecodeError> {
        if self.lost_pages > 0 {
            player.reset();
        }
        let mut audio = Decoded::default();
        for data in std::mem::take(&mut self.packets) {
            let packet = Packet::new(0, Timestamp::ZERO, Duration::ZERO, data);
            if !player.decode(&packet)? {
                // What Opus skips of its first packets has its place too.
                audio.skipped += std::mem::take(&mut player.decoded().skipped);
                continue;
            }
            let decoded = player.decoded();
            let fits = audio.weights == decoded.weights && audio.rate_hz == decoded.rate_hz;
            let is_long = ns_to_frames(MAX_PAGE_NS, audio.rate_hz) < audio.frames();
            if !audio.samples.is_empty() && (!fits || is_long) {
                let following = std::mem::take(decoded);
                self.place_early(&mut audio, player)?;
                *player.decoded() = following;
            }
            let decoded = player.decoded();
            if audio.samples.is_empty() {
                let skipped = audio.skipped;
                std::mem::swap(&mut audio, decoded);
                audio.skipped += skipped;
            } else {
                audio.samples.extend_from_slice(&decoded.samples);
            }
        }
        if page.granule >= 0 {
            if !audio.samples.is_empty() {
                self.place(page, audio, player)?;
            }
            self.end = Some(page.granule);
        } else if !audio.samples.is_empty() {
            self.place_early(&mut audio, player)?;
        }
        Ok(())
    }

    /// Places a page's audio by the page's end.
    fn place(
        &mut self,
        page: &Page,
        mut audio: Decoded,
        player: &mut Player<'_, '_>,
    ) -> Result<(), DecodeError> {
        let rate_hz = audio.rate_hz;
        let length = i64::try_from(audio.frames() + audio.skipped).unwrap_or(i64::MAX);
        let by_end = page.granule.saturating_sub(length);
        let start = match self.end.filter(|_| self.lost_pages == 0) {
            // Its end is that of the audio; the packets may be padded.
            Some(end) if page.is_last => end,
            // A stream of one page starts at its start.
            None if page.is_last && !self.has_audio && self.lost_pages == 0 => by_end.max(0),
            _ => by_end,
        };
        if page.is_last {
            let heard = page.granule.saturating_sub(start);
            let heard = u64::try_from(heard).unwrap_or(0);
            let end = heard.saturating_sub(audio.skipped).min(audio.frames());
            audio.keep(0..end);
        }
        let start_ns = self.stamp_ns(start, audio.skipped, rate_hz);
        self.begin(start_ns, player);
        *player.decoded() = audio;
        player.place(start_ns)
    }

    /// Places audio behind what came, before the page's end is known.
    fn place_early(
        &mut self,
        audio: &mut Decoded,
        player: &mut Player<'_, '_>,
    ) -> Result<(), DecodeError> {
        let audio = std::mem::take(audio);
        let start = self.end.unwrap_or(0);
        let length = i64::try_from(audio.frames() + audio.skipped).unwrap_or(0);
        self.end = Some(start.saturating_add(length));
        let start_ns = self.stamp_ns(start, audio.skipped, audio.rate_hz);
        self.begin(start_ns, player);
        *player.decoded() = audio;
        player.place(start_ns)
    }

    /// Where frames of this granule position are heard, some being skipped.
    fn stamp_ns(&self, start: i64, skipped: u64, rate_hz: u32) -> i64 {
        let skipped = i64::try_from(skipped).unwrap_or(0);
        let first = start.saturating_add(skipped);
        ticks_to_ns(first.saturating_sub(self.codec.pre_skip()), rate_hz)
    }

    /// Starts the timeline: at the first audio, unless pages are missing before it, or the file has
    /// other streams.
    fn begin(&mut self, start_ns: i64, player: &mut Player<'_, '_>) {
        if std::mem::replace(&mut self.has_audio, true) {
            return;
        }
        let missing_ns = i64::from(self.lost_pages).saturating_mul(USUAL_PAGE_NS);
        let is_late = self.starts_at_zero || start_ns <= missing_ns;
        player.timeline.start(if is_late { 0 } else { start_ns });
    }
}
