//! Opens a container or a bare stream, picks its audio track, decodes packet by packet.
//!
//! CAF, FLAC, AIFF and ADPCM in WAV are read by symphonia, which is run on hostile data: a panic of
//! its ends the sandbox that it runs in. A damaged packet is skipped, as ffmpeg does, and a stream
//! that breaks off gives what came before.

use std::io::Read;

use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatOptions, FormatReader, Track};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::core::packet::Packet;
use symphonia::core::units::{TimeBase, Timestamp};
use symphonia::default::formats::{AiffReader, CafReader, FlacReader, WavReader};

use crate::codec::Decoder;
use crate::error::DecodeError;
use crate::frames::{Frames, Piece};
use crate::out::Out;
use crate::player::Player;
use crate::sniff::Format;
use crate::timeline::{Timeline, ns_to_frames, ticks_to_ns};

/// Decodes a stream of MPEG audio or ADTS frames into `out`.
pub(crate) fn decode_frames(source: impl Read, out: &mut Out<'_>) -> Result<(), DecodeError> {
    let mut frames = Frames::new(source);
    let Some(Piece::Codec(params)) = frames.next()? else {
        return Err(DecodeError::undecodable("it ends too early"));
    };
    let decoder = Decoder::new(&params, None)?;
    let mut player = Player::new(decoder, Timeline::starting_at(0), out);
    while let Some(piece) = frames.next()? {
        match piece {
            Piece::Codec(params) => {
                if let Ok(decoder) = Decoder::new(&params, None) {
                    player.change(decoder);
                }
            }
            Piece::Break => player.reset(),
            Piece::Packet(packet, start_ns) => {
                if player.decode(&packet)? {
                    player.place(start_ns)?;
                }
            }
        }
        if player.is_hopeless() {
            break;
        }
    }
    player.finish()
}

/// Decodes the first audio track of `source` into `out`.
pub(crate) fn decode(
    format: Format,
    source: Box<dyn MediaSource>,
    out: &mut Out<'_>,
) -> Result<(), DecodeError> {
    let stream = MediaSourceStream::new(source, Default::default());
    let mut reader = open(format, stream).map_err(|error| refusal(&error))?;
    let (track, decoder) = select(&*reader)?;
    let stamps = Stamps::new(format, track);
    let mut player = Player::new(decoder, stamps.timeline(), out);
    while !player.is_hopeless() {
        match reader.next_packet() {
            Ok(Some(packet)) => stamps.play(&packet, &mut player)?,
            Ok(None) => break,
            Err(error) => {
                player.note(reason(&error));
                if !matches!(error, Error::DecodeError(_)) {
                    break;
                }
            }
        }
    }
    player.finish()
}

/// What a track's stamps mean.
struct Stamps {
    base: Option<TimeBase>,
    /// Whether the file starts at the stamp 0, whatever its first packet says.
    starts_at_zero: bool,
    /// Stamp behind the last frame that is heard, and the declared duration.
    end_ns: Option<i64>,
    declared_ns: Option<i64>,
}

impl Stamps {
    fn new(format: Format, track: &Track) -> Self {
        let frames = track
            .num_frames
            .and_then(|frames| i64::try_from(frames).ok());
        let frames = frames.filter(|frames| *frames > 0).map(Timestamp::new);
        let length_ns = track
            .time_base
            .zip(frames)
            .and_then(|(base, frames)| stamp_ns(base, frames));
        Self {
            base: track.time_base,
            // A FLAC without a length is a stream that was joined while it ran.
            starts_at_zero: format == Format::Caf
                || (format == Format::Flac && length_ns.is_some()),
            end_ns: length_ns.filter(|_| format == Format::Caf),
            declared_ns: length_ns.filter(|_| format == Format::Flac),
        }
    }

    fn timeline(&self) -> Timeline {
        let mut timeline = match self.starts_at_zero {
            true => Timeline::starting_at(0),
            false => Timeline::default(),
        };
        timeline.declare(self.declared_ns.unwrap_or(0));
        timeline
    }

    fn play(&self, packet: &Packet, player: &mut Player<'_, '_>) -> Result<(), DecodeError> {
        if !player.decode(packet)? {
            return Ok(());
        }
        let decoded = player.decoded();
        let rate_hz = decoded.rate_hz;
        let skipped_ns = ticks_to_ns(i64::try_from(decoded.skipped).unwrap_or(0), rate_hz);
        // Without stamps, what comes follows what came.
        let stamp = self.base.and_then(|base| stamp_ns(base, packet.pts));
        let start_ns = stamp.unwrap_or(i64::MIN).saturating_add(skipped_ns);
        if let Some(end_ns) = self.end_ns {
            let left = ns_to_frames(end_ns.saturating_sub(start_ns), rate_hz);
            decoded.keep(0..left.min(decoded.frames()));
        }
        player.place(start_ns)
    }
}

fn stamp_ns(base: TimeBase, stamp: Timestamp) -> Option<i64> {
    let ticks = i128::from(stamp.get()) * i128::from(base.numer.get()) * 1_000_000_000;
    i64::try_from(ticks / i128::from(base.denom.get())).ok()
}

fn open(
    format: Format,
    stream: MediaSourceStream<'static>,
) -> Result<Box<dyn FormatReader>, Error> {
    let options = FormatOptions::default();
    Ok(match format {
        Format::Wav => Box::new(WavReader::try_new(stream, options)?),
        Format::Aiff => Box::new(AiffReader::try_new(stream, options)?),
        Format::Caf => Box::new(CafReader::try_new(stream, options)?),
        Format::Flac => Box::new(FlacReader::try_new(stream, options)?),
        Format::Mpeg | Format::Adts | Format::IsoMp4 | Format::Ogg | Format::Matroska => {
            return Err(Error::Unsupported("not read by symphonia"));
        }
    })
}

/// The first audio track that can be decoded, or why the first audio track cannot.
fn select(reader: &dyn FormatReader) -> Result<(&Track, Decoder), DecodeError> {
    let mut refusal = None;
    for track in reader.tracks() {
        let Some(params) = track.codec_params.as_ref().and_then(|it| it.audio()) else {
            continue;
        };
        match Decoder::new(params, None) {
            Ok(decoder) => return Ok((track, decoder)),
            Err(error) => {
                refusal.get_or_insert(error);
            }
        }
    }
    Err(refusal.unwrap_or_else(|| DecodeError::undecodable("the file has no audio track")))
}

/// Why a container cannot be opened. symphonia's own words are not for clients.
fn refusal(error: &Error) -> DecodeError {
    match error {
        Error::Unsupported(_) => DecodeError::unsupported("this variant of the file's format"),
        error => DecodeError::undecodable(reason(error)),
    }
}

fn reason(error: &Error) -> &'static str {
    match error {
        Error::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            "it ends too early"
        }
        Error::IoError(_) => "it cannot be read to its end",
        _ => "its structure is damaged",
    }
}
