//! Bytes on their way from a client to a decoder, inside the host.

pub(crate) mod base64;

use auricle_multipart::Chunks;
pub use auricle_multipart::SourceFailure;
use bytes::Bytes;
use tokio::sync::mpsc;
use wasmtime_wasi::p2::{InputStream, Pollable, StreamError};

/// Bytes taken from a stream at once.
const READ_BYTES: usize = 64 << 10;

/// What a failed stream operation means.
fn failure_of(error: &wasmtime::Error) -> SourceFailure {
    if let Some(failure) = error.downcast_ref::<SourceFailure>() {
        return *failure;
    }
    match error.downcast_ref::<wasmtime_wasi_http::Error>() {
        Some(wasmtime_wasi_http::Error::HttpRequestBodySize(_)) => SourceFailure::TooLarge,
        Some(wasmtime_wasi_http::Error::ConnectionReadTimeout) => SourceFailure::TimedOut,
        _ => SourceFailure::Disconnected,
    }
}

/// Reads one chunk; `None` at the end.
pub(crate) async fn read_chunk(
    stream: &mut dyn InputStream,
) -> Result<Option<Bytes>, SourceFailure> {
    loop {
        match stream.read(READ_BYTES) {
            Ok(bytes) if bytes.is_empty() => stream.ready().await,
            Ok(bytes) => return Ok(Some(bytes)),
            Err(StreamError::Closed) => return Ok(None),
            Err(StreamError::LastOperationFailed(error) | StreamError::Trap(error)) => {
                return Err(failure_of(&error));
            }
        }
    }
}

/// A stream that another task feeds; what a guest sees of a form's part.
pub(crate) struct ChannelStream {
    receiver: Chunks,
    chunk: Bytes,
    failure: Option<SourceFailure>,
    ended: bool,
}

impl ChannelStream {
    /// What comes through `receiver`.
    pub(crate) fn new(receiver: Chunks) -> Self {
        Self {
            receiver,
            chunk: Bytes::new(),
            failure: None,
            ended: false,
        }
    }

    fn take(&mut self, received: Option<Result<Bytes, SourceFailure>>) {
        match received {
            Some(Ok(chunk)) => self.chunk = chunk,
            Some(Err(failure)) => self.failure = Some(failure),
            None => self.ended = true,
        }
    }
}

#[async_trait::async_trait]
impl InputStream for ChannelStream {
    fn read(&mut self, size: usize) -> Result<Bytes, StreamError> {
        if self.chunk.is_empty() && self.failure.is_none() && !self.ended {
            match self.receiver.try_recv() {
                Ok(received) => self.take(Some(received)),
                Err(mpsc::error::TryRecvError::Empty) => {}
                Err(mpsc::error::TryRecvError::Disconnected) => self.ended = true,
            }
        }
        if !self.chunk.is_empty() {
            let length = size.min(self.chunk.len());
            return Ok(self.chunk.split_to(length));
        }
        if let Some(failure) = self.failure {
            return Err(StreamError::LastOperationFailed(wasmtime::Error::new(
                failure,
            )));
        }
        if self.ended {
            Err(StreamError::Closed)
        } else {
            Ok(Bytes::new())
        }
    }
}

#[async_trait::async_trait]
impl Pollable for ChannelStream {
    async fn ready(&mut self) {
        if self.chunk.is_empty() && self.failure.is_none() && !self.ended {
            let received = self.receiver.recv().await;
            self.take(received);
        }
    }
}
