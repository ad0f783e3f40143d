//! First-party decoder: audio files of any kind become samples.
//!
//! Owns what it decodes, for one file. It reads bytes from a [`MediaSource`], in order where the
//! format allows, and lets samples out to a [`Sink`], a second or so at a time: neither a file nor
//! its audio is ever held as a whole. The same code is the component that the server runs in a
//! sandbox and, with the feature `native`, a library for tests and benchmarks; the server never
//! links it. It counts nothing: seconds, channels and rates are limited by who takes the samples.
//!
//! # Limits
//! No AC-3, AMR or WMA: it says so by name. HE-AAC that is not announced as such comes out without
//! its upper octave. Encoder delay is removed where the file tells it; AAC without a container or an
//! edit list keeps its 20 to 50 ms. Hostile data may make it panic or run out of memory: that ends the instance, and costs the one
//! request.
//!
//! # Layout
//! - `sniff`: what kind of data this is. `input`: its bytes.
//! - `wav`: PCM. `mp4`, `mkv`, `ogg`: containers. `frames`: MPEG audio and ADTS without one.
//!   `container`: everything else, by symphonia. `window`: bytes that they look at.
//! - `player`: packets of one track. `codec`, `opus`: they become samples. `downmix`: weights of
//!   channels.
//! - `timeline`: samples at their time. `out`: samples on their way out.

mod codec;
#[cfg(target_arch = "wasm32")]
mod component;
mod container;
mod downmix;
mod error;
mod frames;
mod input;
mod mkv;
mod mp4;
#[cfg(feature = "native")]
pub mod native;
mod ogg;
mod opus;
mod out;
mod player;
mod sniff;
mod timeline;
mod wav;
mod window;

use std::io::Read;

use symphonia::core::io::ReadOnlySource;

pub use crate::error::DecodeError;
use crate::input::Input;
use crate::out::Out;
pub use crate::out::{Refusal, Sink};
use crate::sniff::Format;
pub use symphonia::core::io::MediaSource;

/// What the client says its data is. Used to word a refusal, never to choose a decoder.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hint<'a> {
    /// Name of the file, for its extension.
    pub file_name: Option<&'a str>,
    /// Content type, with or without parameters.
    pub content_type: Option<&'a str>,
}

/// Decodes all of `source` into `sink`.
///
/// The source must be able to seek, but is asked to, and for its length, only where the format
/// needs it. Damaged frames are left out, and a file that breaks off gives what it holds. An error of the
/// source is taken for its end: whoever knows of one must not use what came out.
///
/// # Errors
/// See [`DecodeError`].
pub fn decode(
    source: Box<dyn MediaSource>,
    sink: &mut dyn Sink,
    hint: Hint<'_>,
) -> Result<(), DecodeError> {
    let mut input = Input::new(source);
    let format = sniff::sniff(&mut input, hint)?;
    let mut out = Out::new(sink);
    match format {
        Format::Wav => decode_wav(input, &mut out)?,
        // These keep what is needed to read them behind the audio.
        Format::IsoMp4 => mp4::decode(input.into_seekable()?, &mut out)?,
        Format::Caf => container::decode(format, input.into_seekable()?, &mut out)?,
        Format::Matroska => mkv::decode(input, &mut out)?,
        Format::Ogg => ogg::decode(input, &mut out)?,
        Format::Mpeg | Format::Adts => container::decode_frames(input, &mut out)?,
        format => {
            let source = Box::new(ReadOnlySource::new(input));
            container::decode(format, source, &mut out)?;
        }
    }
    Ok(out.flush()?)
}

fn decode_wav(mut input: Input, out: &mut Out<'_>) -> Result<(), DecodeError> {
    let header = wav::read_header(&mut input)?;
    let mut data = input.take(header.data_bytes.unwrap_or(u64::MAX));
    match header.body {
        wav::Body::Pcm(layout) => wav::decode_pcm(&mut data, layout, out),
        wav::Body::Adpcm(header) => {
            let source = Box::new(ReadOnlySource::new(wav::behind(header, data)));
            container::decode(Format::Wav, source, out)
        }
        wav::Body::Mpeg => container::decode_frames(data, out),
    }
}
