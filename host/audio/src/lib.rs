//! Decodes audio of any rate and layout into 16 kHz mono clips.
//!
//! One call, [`decode`], takes a reader and gives a [`Clip`]. It is synchronous and belongs on a
//! thread that may block; an asynchronous caller feeds it through a bounded channel behind
//! [`Read`]. Each call owns its reader, its decoder and its temporary file, and drops them when
//! it returns.
//!
//! Memory is the clip itself (64 kB per second, twice that while it grows) and a few megabytes
//! besides: compressed data is streamed, and containers that seek are spooled to an unlinked
//! temporary file. No size in a header is trusted: audio is counted as it is decoded.
//!
//! It does not decode Opus, WebM or Matroska, AC-3, AMR or WMA, and says so by name. HE-AAC that
//! is not announced as such comes out without its upper octave. Encoder delay is removed from
//! MP3 and Ogg Vorbis; AAC keeps its 20 to 50 ms. Channels are averaged, never separated.
//!
//! symphonia may panic on hostile data; panics are caught and reported as
//! [`AudioError::Undecodable`]. A failed allocation would still end the process.

mod builder;
mod codec;
mod container;
mod error;
mod input;
mod mp4;
mod recorder;
mod resample;
mod sniff;
pub mod wav;

use std::fs::File;
use std::io::{Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use auricle_speech::Clip;
use symphonia::core::io::{MediaSource, ReadOnlySource};

use crate::builder::ClipBuilder;
pub use crate::error::AudioError;
use crate::input::{Exclusive, Fault, Input};
pub use crate::recorder::PcmRecorder;
use crate::sniff::Format;

/// What a file may hold; anything over it is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Longest clip, counted in samples that were decoded. Default: 4 hours (0.9 GB of samples).
    pub max_duration: Duration,
    /// Most channels. Default: 8, a 7.1 recording.
    pub max_channels: u16,
    /// Lowest sample rate in Hz. Default: 8000, telephony.
    pub min_rate: u32,
    /// Highest sample rate in Hz. Default: 192 000, the highest of studio hardware.
    pub max_rate: u32,
    /// Largest file in bytes of a container that must be kept for seeking (MP4, CAF). Default:
    /// 2 GiB, an hour of video.
    pub max_spool_bytes: u64,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self {
            max_duration: Duration::from_secs(4 * 60 * 60),
            max_channels: 8,
            min_rate: 8_000,
            max_rate: 192_000,
            max_spool_bytes: 2 << 30,
        }
    }
}

impl DecodeLimits {
    fn check_layout(&self, channels: u64, rate_hz: u32) -> Result<(), AudioError> {
        if !(1..=u64::from(self.max_channels)).contains(&channels) {
            return Err(AudioError::TooManyChannels {
                channels,
                max: self.max_channels,
            });
        }
        // A rate of 0 is never allowed, whatever the limits say.
        if !(self.min_rate.max(1)..=self.max_rate).contains(&rate_hz) {
            return Err(AudioError::BadRate {
                rate_hz,
                min_hz: self.min_rate,
                max_hz: self.max_rate,
            });
        }
        Ok(())
    }
}

/// What the client says its data is. Used to word a refusal, never to choose a decoder.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hint<'a> {
    /// Name of the file, for its extension.
    pub file_name: Option<&'a str>,
    /// Content type, with or without parameters.
    pub content_type: Option<&'a str>,
}

/// What every step of one decoding sees.
struct Context<'a> {
    limits: &'a DecodeLimits,
    cancelled: &'a dyn Fn() -> bool,
}

impl Context<'_> {
    fn check_cancelled(&self) -> Result<(), AudioError> {
        if (self.cancelled)() {
            return Err(AudioError::Cancelled);
        }
        Ok(())
    }
}

/// Decodes all of `reader` into a clip.
///
/// Blocks on the reader. `cancelled` is asked at least once per packet or 64 KiB; a reader that
/// blocks must itself end when the client is gone. Damaged frames are left out, and a file that
/// breaks off gives what it holds. A file with no samples gives an empty clip.
///
/// # Errors
/// See [`AudioError`]. An error of the reader is [`AudioError::Read`], even where audio had been
/// decoded before it.
pub fn decode(
    reader: Box<dyn Read + Send>,
    hint: Hint<'_>,
    limits: &DecodeLimits,
    cancelled: &dyn Fn() -> bool,
) -> Result<Clip, AudioError> {
    let source = ReadOnlySource::new(Exclusive::new(reader));
    decode_source(Box::new(source), hint, limits, cancelled)
}

/// Decodes a file in memory; see [`decode`].
///
/// # Errors
/// See [`decode`].
pub fn decode_bytes(
    bytes: Vec<u8>,
    hint: Hint<'_>,
    limits: &DecodeLimits,
    cancelled: &dyn Fn() -> bool,
) -> Result<Clip, AudioError> {
    decode_source(Box::new(Cursor::new(bytes)), hint, limits, cancelled)
}

/// Decodes the file at `path`; see [`decode`].
///
/// # Errors
/// See [`decode`]; [`AudioError::Read`] if the file cannot be opened.
pub fn decode_path(
    path: &Path,
    limits: &DecodeLimits,
    cancelled: &dyn Fn() -> bool,
) -> Result<Clip, AudioError> {
    let file = File::open(path).map_err(AudioError::Read)?;
    let hint = Hint {
        file_name: path.file_name().and_then(|name| name.to_str()),
        content_type: None,
    };
    decode_source(Box::new(file), hint, limits, cancelled)
}

fn decode_source(
    source: Box<dyn MediaSource>,
    hint: Hint<'_>,
    limits: &DecodeLimits,
    cancelled: &dyn Fn() -> bool,
) -> Result<Clip, AudioError> {
    let context = Context { limits, cancelled };
    let fault = Fault::default();
    let input = Input::new(source, fault.clone());
    let outcome = catch_unwind(AssertUnwindSafe(|| run(input, hint, &context)))
        .unwrap_or_else(|_| Err(AudioError::undecodable("its structure is broken")));
    match (outcome, fault.take()) {
        // Whatever was made of a stream that broke off, it is not what the client sent.
        (
            Ok(_)
            | Err(AudioError::Read(_) | AudioError::Undecodable { .. } | AudioError::NotAudio),
            Some(error),
        ) => Err(AudioError::Read(error)),
        (outcome, _) => outcome,
    }
}

fn run(mut input: Input, hint: Hint<'_>, context: &Context<'_>) -> Result<Clip, AudioError> {
    let format = sniff::sniff(&mut input, hint, context)?;
    let mut builder = ClipBuilder::new(context.limits);
    match format {
        Format::Wav => decode_wav(input, &mut builder, context)?,
        // These keep what is needed to read them behind the audio.
        Format::IsoMp4 | Format::Caf => {
            let mut source = input.into_seekable(context)?;
            if format == Format::IsoMp4 {
                source = mp4::stretch(source).map_err(AudioError::Read)?;
            }
            container::decode(format, source, &mut builder, context)?;
        }
        format => {
            let source = Box::new(ReadOnlySource::new(input));
            container::decode(format, source, &mut builder, context)?;
        }
    }
    builder.finish()
}

fn decode_wav(
    mut input: Input,
    builder: &mut ClipBuilder<'_>,
    context: &Context<'_>,
) -> Result<(), AudioError> {
    let header = wav::read_header(&mut input, context)?;
    let mut data = input.take(header.data_bytes.unwrap_or(u64::MAX));
    match header.body {
        wav::Body::Pcm(layout) => wav::decode_pcm(&mut data, layout, builder, context),
        wav::Body::Adpcm(header) => {
            let source = Box::new(ReadOnlySource::new(wav::behind(header, data)));
            container::decode(Format::Wav, source, builder, context)
        }
        wav::Body::Mpeg => {
            let source = Box::new(ReadOnlySource::new(data));
            container::decode(Format::Mpeg, source, builder, context)
        }
    }
}
