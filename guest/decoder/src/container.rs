//! Drives symphonia: opens a container, picks its audio track, decodes packet by packet.
//!
//! A damaged packet is skipped, as ffmpeg does, and a stream that breaks off gives what came
//! before. symphonia is run on hostile data: runs
//! of packets without audio are bounded; a panic of its ends the sandbox that it runs in.

use std::io;

use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatOptions, FormatReader};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::core::packet::Packet;
use symphonia::core::units::Duration;
use symphonia::default::formats::{
    AdtsReader, AiffReader, CafReader, FlacReader, IsoMp4Reader, MkvReader, MpaReader, OggReader,
    WavReader,
};

use crate::codec::{Decoded, Decoder};
use crate::error::DecodeError;
use crate::mkv::Tail;
use crate::opus::RATE_HZ;
use crate::out::{Out, Refusal};
use crate::sniff::Format;

/// Packets in a row that may fail or hold nothing. Real damage is a few; a container may claim
/// four billion packets of no bytes, and each costs time.
const MAX_BARREN_PACKETS: u32 = 10_000;

/// The track that is being decoded.
struct Playing {
    track_id: u32,
    decoder: Decoder,
}

/// Decodes the first audio track of `source` into `out`.
pub(crate) fn decode(
    format: Format,
    source: Box<dyn MediaSource>,
    out: &mut Out<'_>,
) -> Result<(), DecodeError> {
    let (mut ending, source) = Ending::new(format, source);
    let stream = MediaSourceStream::new(source, Default::default());
    let mut reader =
        open(format, stream).map_err(|error| DecodeError::undecodable(says(&error)))?;
    let mut playing = select(format, &*reader)?;
    let (mut decoded, mut first_failure, mut barren) = (Decoded::default(), None, 0);
    while barren <= MAX_BARREN_PACKETS {
        let packet = match reader.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => break,
            // Another stream begins, as in chained Ogg.
            Err(Error::ResetRequired) => {
                let Ok(next) = select(format, &*reader) else {
                    break;
                };
                playing = next;
                barren += 1;
                continue;
            }
            Err(error) => {
                first_failure.get_or_insert_with(|| says(&error));
                barren += 1;
                match error {
                    Error::DecodeError(_) => continue,
                    _ => break,
                }
            }
        };
        let own = (packet.track_id == playing.track_id).then_some(packet);
        let Some(packet) = own.and_then(|packet| ending.next(packet)) else {
            continue;
        };
        match decode_packet(&mut playing.decoder, &packet, &mut decoded, out) {
            Ok(false) => barren += 1,
            Ok(true) => barren = 0,
            Err(Failure::Packet(reason)) => {
                barren += 1;
                first_failure.get_or_insert(reason);
            }
            Err(Failure::Whole(error)) => return Err(error),
        }
    }
    if let Some(packet) = ending.last() {
        match decode_packet(&mut playing.decoder, &packet, &mut decoded, out) {
            Ok(_) => {}
            Err(Failure::Packet(reason)) => drop(first_failure.get_or_insert(reason)),
            Err(Failure::Whole(error)) => return Err(error),
        }
    }
    match first_failure {
        Some(reason) if out.is_empty() => Err(DecodeError::undecodable(reason)),
        _ => Ok(()),
    }
}

/// Keeps the last packet of a Matroska file until it is known to be the last.
struct Ending {
    tail: Option<Tail>,
    held: Option<Packet>,
}

impl Ending {
    fn new(format: Format, source: Box<dyn MediaSource>) -> (Self, Box<dyn MediaSource>) {
        let tail = (format == Format::Matroska).then(Tail::default);
        let source = match &tail {
            Some(tail) => tail.of(source),
            None => source,
        };
        (Self { tail, held: None }, source)
    }

    /// The packet to be decoded when this one has come.
    fn next(&mut self, packet: Packet) -> Option<Packet> {
        match self.tail {
            Some(_) => self.held.replace(packet),
            None => Some(packet),
        }
    }

    /// The last one, without its padding; only Opus looks at that.
    fn last(self) -> Option<Packet> {
        let mut packet = self.held?;
        let padding_ns = self.tail?.padding_ns(&packet.data);
        let samples = u128::from(padding_ns) * u128::from(RATE_HZ) / 1_000_000_000;
        packet.trim_end = Duration::new(u64::try_from(samples).unwrap_or(u64::MAX));
        Some(packet)
    }
}

/// Why a packet gave nothing.
enum Failure {
    /// It is damaged: go on with the next.
    Packet(String),
    /// There is no clip: stop.
    Whole(DecodeError),
}

/// Decodes one packet into `out` and says whether it held audio.
fn decode_packet(
    decoder: &mut Decoder,
    packet: &Packet,
    decoded: &mut Decoded,
    out: &mut Out<'_>,
) -> Result<bool, Failure> {
    decoder.decode(packet, decoded).map_err(Failure::Packet)?;
    match out.push(&decoded.samples, &decoded.weights, decoded.rate_hz) {
        Ok(()) => Ok(!decoded.samples.is_empty()),
        // A flipped bit in a frame's header must not cost the rest of the file.
        Err(Refusal::Unfit(_)) if !out.is_empty() => {
            Err(Failure::Packet("its layout changes".into()))
        }
        Err(refusal) => Err(Failure::Whole(refusal.into())),
    }
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
        Format::Ogg => Box::new(OggReader::try_new(stream, options)?),
        Format::Mpeg => Box::new(MpaReader::try_new(stream, options)?),
        Format::Adts => Box::new(AdtsReader::try_new(stream, options)?),
        Format::IsoMp4 => Box::new(IsoMp4Reader::try_new(stream, options)?),
        Format::Matroska => Box::new(MkvReader::try_new(stream, options)?),
    })
}

/// The first audio track that can be decoded, or why the first audio track cannot.
fn select(format: Format, reader: &dyn FormatReader) -> Result<Playing, DecodeError> {
    let mut refusal = None;
    for track in reader.tracks() {
        let Some(params) = track.codec_params.as_ref().and_then(|it| it.audio()) else {
            continue;
        };
        // Its last packet is cut by its duration; the same clock counts durations and samples.
        let at_opus_rate = track.time_base.is_some_and(|it| it.denom.get() == RATE_HZ);
        match Decoder::new(params, format == Format::IsoMp4 && at_opus_rate) {
            Ok(decoder) => {
                return Ok(Playing {
                    track_id: track.id,
                    decoder,
                });
            }
            Err(error) => {
                refusal.get_or_insert(error);
            }
        }
    }
    Err(refusal.unwrap_or_else(|| DecodeError::undecodable("the file has no audio track")))
}

/// What symphonia found wrong; its words are constants and hold nothing of this machine.
pub(crate) fn says(error: &Error) -> String {
    match error {
        Error::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            "it ends too early".into()
        }
        Error::IoError(_) => "it cannot be read to its end".into(),
        error => error.to_string(),
    }
}
