//! Drives symphonia: opens a container, picks its audio track, decodes packet by packet.
//!
//! A damaged packet is skipped, as ffmpeg does, and a stream that breaks off gives what came
//! before. symphonia is run on hostile data: layouts are checked before a decoder is made, runs
//! of packets without audio are bounded, and the caller catches its panics.

use std::io;

use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatOptions, FormatReader};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::core::packet::Packet;
use symphonia::default::formats::{
    AdtsReader, AiffReader, CafReader, FlacReader, IsoMp4Reader, MpaReader, OggReader, WavReader,
};

use crate::Context;
use crate::builder::ClipBuilder;
use crate::codec::Decoder;
use crate::error::AudioError;
use crate::sniff::Format;

/// Packets in a row that may fail or hold nothing. Real damage is a few; a container may claim
/// four billion packets of no bytes, and each costs time.
const MAX_BARREN_PACKETS: u32 = 10_000;

/// The track that is being decoded.
struct Playing {
    track_id: u32,
    decoder: Decoder,
}

/// Decodes the first audio track of `source` into `builder`.
pub(crate) fn decode(
    format: Format,
    source: Box<dyn MediaSource>,
    builder: &mut ClipBuilder<'_>,
    context: &Context<'_>,
) -> Result<(), AudioError> {
    let stream = MediaSourceStream::new(source, Default::default());
    let mut reader = open(format, stream).map_err(|error| AudioError::undecodable(says(&error)))?;
    let mut playing = select(&*reader, context)?;
    let mut samples = Vec::new();
    let mut first_failure = None;
    let mut barren = 0;
    while barren <= MAX_BARREN_PACKETS {
        context.check_cancelled()?;
        let packet = match reader.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => break,
            // Another stream begins, as in chained Ogg.
            Err(Error::ResetRequired) => {
                let Ok(next) = select(&*reader, context) else {
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
        if packet.track_id != playing.track_id {
            continue;
        }
        match decode_packet(&mut playing.decoder, &packet, &mut samples, builder) {
            Ok(false) => barren += 1,
            Ok(true) => barren = 0,
            Err(Failure::Packet(reason)) => {
                barren += 1;
                first_failure.get_or_insert(reason);
            }
            Err(Failure::Clip(error)) => return Err(error),
        }
    }
    match first_failure {
        Some(reason) if builder.is_empty() => Err(AudioError::undecodable(reason)),
        _ => Ok(()),
    }
}

/// Why a packet gave nothing.
enum Failure {
    /// It is damaged: go on with the next.
    Packet(String),
    /// The clip cannot be made: stop.
    Clip(AudioError),
}

/// Decodes one packet into `builder` and says whether it held audio.
fn decode_packet(
    decoder: &mut Decoder,
    packet: &Packet,
    samples: &mut Vec<f32>,
    builder: &mut ClipBuilder<'_>,
) -> Result<bool, Failure> {
    let decoded = decoder.decode(packet, samples).map_err(Failure::Packet)?;
    match builder.push(samples, decoded.channels, decoded.rate_hz) {
        Ok(()) => Ok(!samples.is_empty()),
        // A flipped bit in a frame's header must not cost the rest of the file.
        Err(AudioError::TooManyChannels { .. } | AudioError::BadRate { .. })
            if !builder.is_empty() =>
        {
            Err(Failure::Packet("its layout changes".into()))
        }
        Err(error) => Err(Failure::Clip(error)),
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
    })
}

/// The first audio track that can be decoded, or why the first audio track cannot.
fn select(reader: &dyn FormatReader, context: &Context<'_>) -> Result<Playing, AudioError> {
    let mut refusal = None;
    for track in reader.tracks() {
        let Some(params) = track.codec_params.as_ref().and_then(|it| it.audio()) else {
            continue;
        };
        match Decoder::new(params, context.limits) {
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
    Err(refusal.unwrap_or_else(|| AudioError::undecodable("the file has no audio track")))
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
