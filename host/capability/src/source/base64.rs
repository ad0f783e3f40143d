//! A stream of text in base64 as the stream of the bytes that it stands for.
//!
//! Keeps one piece of the source at most, whatever the length of the whole.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use wasmtime_wasi::p2::{DynInputStream, InputStream, Pollable, StreamError};

use super::SourceFailure;

/// Padding may be there or not: encoders differ.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Characters taken from the source at once.
const PIECE_BYTES: usize = 64 << 10;

/// Characters that stand for three bytes.
const GROUP: usize = 4;

/// See the module.
pub(crate) struct Base64Stream {
    source: DynInputStream,
    /// Characters of a group that is not whole yet, without white space.
    begun: Vec<u8>,
    /// Whether padding came, after which nothing may.
    padded: bool,
    /// What is decoded and not read yet.
    decoded: Bytes,
    /// Whether the source has ended, and what was begun is decoded.
    ended: bool,
}

impl Base64Stream {
    /// Reads `source`.
    pub(crate) fn new(source: DynInputStream) -> Self {
        Self {
            source,
            begun: Vec::new(),
            padded: false,
            decoded: Bytes::new(),
            ended: false,
        }
    }

    /// Adds characters and decodes the groups that became whole.
    fn push(&mut self, text: &[u8]) -> Result<(), StreamError> {
        let characters = text.iter().filter(|byte| !byte.is_ascii_whitespace());
        self.begun.extend(characters);
        let whole = self.begun.len() - self.begun.len() % GROUP;
        let rest = self.begun.split_off(whole);
        let groups = std::mem::replace(&mut self.begun, rest);
        if self.padded && !(groups.is_empty() && self.begun.is_empty()) {
            return Err(malformed());
        }
        self.padded = groups.ends_with(b"=");
        self.decoded = decode(&groups)?;
        Ok(())
    }

    /// Decodes what is left when nothing more comes.
    fn finish(&mut self) -> Result<(), StreamError> {
        self.ended = true;
        self.decoded = decode(&std::mem::take(&mut self.begun))?;
        Ok(())
    }
}

fn decode(text: &[u8]) -> Result<Bytes, StreamError> {
    BASE64
        .decode(text)
        .map(Bytes::from)
        .map_err(|_| malformed())
}

fn malformed() -> StreamError {
    StreamError::LastOperationFailed(wasmtime::Error::new(SourceFailure::NotBase64))
}

#[async_trait::async_trait]
impl InputStream for Base64Stream {
    fn read(&mut self, size: usize) -> Result<Bytes, StreamError> {
        if self.decoded.is_empty() {
            if self.ended {
                return Err(StreamError::Closed);
            }
            match self.source.read(PIECE_BYTES) {
                Ok(text) => self.push(&text)?,
                Err(StreamError::Closed) => self.finish()?,
                Err(error) => return Err(error),
            }
        }
        let length = size.min(self.decoded.len());
        Ok(self.decoded.split_to(length))
    }
}

#[async_trait::async_trait]
impl Pollable for Base64Stream {
    async fn ready(&mut self) {
        if self.decoded.is_empty() && !self.ended {
            self.source.ready().await;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;
    use wasmtime_wasi::p2::pipe::MemoryInputPipe;

    use super::*;

    /// Reads all of `text`, `size` bytes at a time.
    fn read(text: &str, size: usize) -> Option<Vec<u8>> {
        let source = MemoryInputPipe::new(Bytes::from(text.to_owned()));
        let mut stream = Base64Stream::new(Box::new(source));
        let mut all = Vec::new();
        loop {
            match stream.read(size) {
                Ok(bytes) => all.extend(bytes),
                Err(StreamError::Closed) => return Some(all),
                Err(_) => return None,
            }
        }
    }

    #[test]
    fn padding_and_line_breaks_do_not_matter() {
        for text in ["aGVsbG8=", "aGVsbG8", "aGVs\r\nbG8=\n", " aGVsbG8"] {
            assert_eq!(
                read(text, 5).as_deref(),
                Some(b"hello".as_slice()),
                "{text}"
            );
        }
        assert_eq!(read("", 5).as_deref(), Some(b"".as_slice()));
    }

    #[test]
    fn what_is_no_base64_is_a_failure() {
        for text in [
            "aGVsbG8!",
            "a",
            "aGVs=",
            "aGVsbG8=aGVs",
            "aGVsbG8==",
            "data:",
        ] {
            for size in [4, 64] {
                assert_eq!(read(text, size), None, "{text}");
            }
        }
    }

    proptest! {
        #[test]
        fn bytes_come_back_however_they_are_cut(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            size in 1_usize..50,
        ) {
            let text = BASE64.encode(&bytes);
            prop_assert_eq!(read(&text, size), Some(bytes));
        }
    }
}
