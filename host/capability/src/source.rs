//! Bytes on their way from a client to a decoder, inside the host.

pub(crate) mod base64;

use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use wasmtime_wasi::p2::{DynInputStream, InputStream, Pollable, StreamError};

/// Bytes taken from a stream at once.
const READ_BYTES: usize = 64 << 10;

/// Chunks that wait between the sender and whoever consumes them.
const QUEUED_CHUNKS: usize = 4;

/// Why bytes did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceFailure {
    /// The body, or a part of it, went over a limit.
    #[error("the body is too large")]
    TooLarge,
    /// The sender stopped sending.
    #[error("the sender stopped sending")]
    TimedOut,
    /// The sender went away, or the body was malformed.
    #[error("the sender went away")]
    Disconnected,
    /// What was sent as base64 is none.
    #[error("the text is not base64")]
    NotBase64,
}

impl SourceFailure {
    /// What a failed stream operation means.
    pub(crate) fn from_error(error: &wasmtime::Error) -> Self {
        if let Some(failure) = error.downcast_ref::<Self>() {
            return *failure;
        }
        match error.downcast_ref::<wasmtime_wasi_http::Error>() {
            Some(wasmtime_wasi_http::Error::HttpRequestBodySize(_)) => Self::TooLarge,
            Some(wasmtime_wasi_http::Error::ConnectionReadTimeout) => Self::TimedOut,
            _ => Self::Disconnected,
        }
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
                return Err(SourceFailure::from_error(&error));
            }
        }
    }
}

/// Makes a guest's stream readable for a blocking consumer: the future pumps, the reader reads.
///
/// The consumer has one of `cores` while it computes and gives it back while it waits for bytes:
/// a client that sends slowly must hold up nobody.
///
/// The reader sees an error of kind [`io::ErrorKind::Other`] that wraps the [`SourceFailure`], and
/// `ConnectionAborted` when the pump was dropped (the request ended).
pub(crate) fn bridge(
    mut stream: DynInputStream,
    cores: Arc<Semaphore>,
) -> (
    impl Future<Output = Result<(), SourceFailure>> + Send,
    impl Read + Send + Sync,
) {
    let (sender, receiver) = mpsc::channel(QUEUED_CHUNKS);
    let pump = async move {
        loop {
            match read_chunk(&mut *stream).await {
                Ok(Some(chunk)) => {
                    // The reader may have seen enough; what is left is not wanted.
                    if sender.send(Some(Ok(chunk))).await.is_err() {
                        return Ok(());
                    }
                }
                Ok(None) => {
                    let _ = sender.send(None).await;
                    return Ok(());
                }
                Err(failure) => {
                    let _ = sender.send(Some(Err(failure))).await;
                    return Err(failure);
                }
            }
        }
    };
    (
        pump,
        ChunkReader {
            receiver,
            cores,
            core: None,
            chunk: Bytes::new(),
            ended: false,
        },
    )
}

struct ChunkReader {
    /// Chunks; `Some(None)` marks the end, a closed channel an abandoned request.
    receiver: mpsc::Receiver<Option<Result<Bytes, SourceFailure>>>,
    cores: Arc<Semaphore>,
    core: Option<OwnedSemaphorePermit>,
    chunk: Bytes,
    ended: bool,
}

impl ChunkReader {
    /// What comes next; `None` when the request was abandoned.
    fn receive(&mut self) -> Option<Option<Result<Bytes, SourceFailure>>> {
        let received = match self.receiver.try_recv() {
            Ok(received) => received,
            Err(mpsc::error::TryRecvError::Disconnected) => return None,
            Err(mpsc::error::TryRecvError::Empty) => {
                self.core = None;
                self.receiver.blocking_recv()?
            }
        };
        if self.core.is_none() {
            // Fails only when the semaphore is closed, which nobody does.
            self.core = futures::executor::block_on(Arc::clone(&self.cores).acquire_owned()).ok();
        }
        Some(received)
    }
}

impl Read for ChunkReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() && !self.ended {
            match self.receive() {
                Some(Some(Ok(chunk))) => self.chunk = chunk,
                Some(Some(Err(failure))) => return Err(io::Error::other(failure)),
                Some(None) => self.ended = true,
                None => return Err(io::ErrorKind::ConnectionAborted.into()),
            }
        }
        let length = buffer.len().min(self.chunk.len());
        let taken = self.chunk.split_to(length);
        if let Some(target) = buffer.get_mut(..length) {
            target.copy_from_slice(&taken);
        }
        Ok(length)
    }
}

/// A stream that another task feeds; what a guest sees of a form's part.
pub(crate) struct ChannelStream {
    receiver: mpsc::Receiver<Result<Bytes, SourceFailure>>,
    chunk: Bytes,
    failure: Option<SourceFailure>,
    ended: bool,
}

impl ChannelStream {
    /// A bounded channel and the stream that reads from it.
    pub(crate) fn channel() -> (mpsc::Sender<Result<Bytes, SourceFailure>>, Self) {
        let (sender, receiver) = mpsc::channel(QUEUED_CHUNKS);
        (
            sender,
            Self {
                receiver,
                chunk: Bytes::new(),
                failure: None,
                ended: false,
            },
        )
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
