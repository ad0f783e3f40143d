//! The component: the host's bytes in, samples out to the host.

use std::io::{self, Read, Seek, SeekFrom};

use auricle_guest::decoder::{DecodeFailure, Decoder, Hint as GuestHint, PushError, clip, source};
use auricle_guest::log;

use crate::{DecodeError, Hint, MediaSource, Refusal, Sink};

struct SandboxedDecoder;

impl Decoder for SandboxedDecoder {
    fn decode(hint: GuestHint) -> Result<(), DecodeFailure> {
        log::panics();
        let hint = Hint {
            file_name: hint.file_name.as_deref(),
            content_type: hint.content_type.as_deref(),
        };
        let source = Box::new(HostSource { at: 0 });
        crate::decode(source, &mut HostClip, hint).map_err(|error| match error {
            DecodeError::Empty => DecodeFailure::Empty,
            DecodeError::Unsupported(text) => DecodeFailure::Unsupported(text),
            DecodeError::Undecodable(text) => DecodeFailure::Undecodable(text),
            DecodeError::Stopped => DecodeFailure::Other(None),
        })
    }
}

auricle_guest::decoder::export!(SandboxedDecoder);

/// The file, in the host.
struct HostSource {
    /// Where reading stands.
    at: u64,
}

impl Read for HostSource {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let want = u32::try_from(buf.len()).unwrap_or(u32::MAX);
        let bytes = source::read(want).map_err(|_| stopped())?;
        let length = bytes.len().min(buf.len());
        if let (Some(target), Some(bytes)) = (buf.get_mut(..length), bytes.get(..length)) {
            target.copy_from_slice(bytes);
        }
        self.at += length as u64;
        Ok(length)
    }
}

impl Seek for HostSource {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
            SeekFrom::End(offset) => {
                let length = source::length().map_err(|_| stopped())?;
                length.checked_add_signed(offset)
            }
        };
        let to = to.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        if to != self.at {
            source::seek(to).map_err(|_| stopped())?;
            self.at = to;
        }
        Ok(to)
    }
}

impl MediaSource for HostSource {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        source::length().ok()
    }
}

fn stopped() -> io::Error {
    io::Error::other("the host has no more")
}

/// The clip, in the host.
struct HostClip;

impl Sink for HostClip {
    fn push(&mut self, interleaved: &[f32], weights: &[f32], rate_hz: u32) -> Result<(), Refusal> {
        clip::push(interleaved, weights, rate_hz).map_err(|error| match error {
            PushError::Unfit(text) => Refusal::Unfit(text),
            PushError::Full | PushError::Other(_) => Refusal::Stopped,
        })
    }
}
