//! The decoder without a sandbox, for tests and benchmarks.
//!
//! Symphonia may panic on hostile data, and nothing here catches that.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use auricle_audio::{AudioError, ClipBuilder, DecodeLimits};
use auricle_speech::Clip;
use symphonia::core::io::MediaSource;

use crate::input::Input;
use crate::out::Out;
use crate::{DecodeError, Hint, Refusal, Sink, decode, wav};

/// Why there is no clip.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NativeError {
    /// The bytes are no audio that is decoded.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The audio goes over a limit.
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// The file cannot be read.
    #[error("the file cannot be read")]
    File(#[from] std::io::Error),
}

/// Decodes the file at `path`.
///
/// # Errors
/// See [`NativeError`].
pub fn decode_path(path: &Path, limits: &DecodeLimits) -> Result<Clip, NativeError> {
    let source = Box::new(File::open(path)?);
    let file_name = path.file_name().and_then(|name| name.to_str());
    let hint = Hint {
        file_name,
        content_type: None,
    };
    decode_source(source, hint, limits)
}

/// Decodes a file in memory.
///
/// # Errors
/// See [`NativeError`].
pub fn decode_bytes(
    bytes: Vec<u8>,
    hint: Hint<'_>,
    limits: &DecodeLimits,
) -> Result<Clip, NativeError> {
    decode_source(Box::new(Cursor::new(bytes)), hint, limits)
}

/// Decodes any source.
///
/// # Errors
/// See [`NativeError`].
pub fn decode_source(
    source: Box<dyn MediaSource>,
    hint: Hint<'_>,
    limits: &DecodeLimits,
) -> Result<Clip, NativeError> {
    let mut sink = ClipSink {
        builder: ClipBuilder::new(limits.clone()),
        over: None,
    };
    let outcome = decode(source, &mut sink, hint);
    if let Some(error) = sink.over {
        return Err(error.into());
    }
    outcome?;
    Ok(sink.builder.finish()?)
}

/// Decodes `bytes` behind a WAV's name alone; whether its samples are PCM, which is read here. ADPCM
/// and MPEG audio in WAV are left to others. What [`decode`] does of a WAV, for fuzzing.
///
/// # Errors
/// See [`DecodeError`].
pub fn decode_wav(bytes: Vec<u8>, sink: &mut dyn Sink) -> Result<bool, DecodeError> {
    let mut input = Input::new(Box::new(Cursor::new(bytes)));
    let header = wav::read_header(&mut input)?;
    let wav::Body::Pcm(layout) = header.body else {
        return Ok(false);
    };
    let mut out = Out::new(sink);
    let mut data = input.take(header.data_bytes.unwrap_or(u64::MAX));
    wav::decode_pcm(&mut data, layout, &mut out)?;
    out.flush()?;
    Ok(true)
}

struct ClipSink {
    builder: ClipBuilder,
    over: Option<AudioError>,
}

impl Sink for ClipSink {
    fn push(&mut self, interleaved: &[f32], weights: &[f32], rate_hz: u32) -> Result<(), Refusal> {
        self.builder
            .push(interleaved, weights, rate_hz)
            .map_err(|error| {
                if error.is_about_layout() {
                    return Refusal::Unfit(error.to_string());
                }
                self.over = Some(error);
                Refusal::Stopped
            })
    }
}
