//! `auricle:audio/decoding`: an audio file becomes a clip.
//!
//! The handler holds a handle at either end and sees no byte. The file goes to the tenant's decoder
//! component, which runs in a sandbox of its own (`run`), on one of the machine's cores; what it reads
//! is in `file`, where its samples go in `samples`. What no decoder knows `converter` may.

pub mod converter;
mod copy;
mod file;
pub(crate) mod run;
mod samples;
mod spool;

use std::io::Read;
use std::time::Duration;

use auricle_speech::audio::samples_to_duration;
use auricle_speech::{Clip, ReserveError};
use auricle_tenancy::{OverQuota, Reservation};
use tokio::sync::oneshot;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::DynInputStream;

use crate::bindings::imports::auricle::audio::decoding::{
    DecodeError, Host, SourceFailure as GuestSourceFailure,
};
use crate::bindings::imports::auricle::audio::types::Hint;
use crate::source::SourceFailure;
use crate::state::GuestState;

pub use copy::CopiedFile;
pub(crate) use copy::FileCopy;
pub(crate) use file::HostFile;
pub use run::Decoding;
pub(crate) use samples::HostClip;
pub(crate) use spool::SpoolConfig;

/// What the sender says about a file. Only hints: the bytes decide.
#[derive(Clone, Debug, Default)]
pub struct MediaHint {
    /// The file's name, for its extension.
    pub file_name: Option<String>,
    /// Its media type.
    pub content_type: Option<String>,
}

/// What becomes of a file's channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channels {
    /// They are mixed into one clip.
    Mixed,
    /// Each is a clip of its own.
    Apart,
}

/// The bytes of a file, wherever they come from.
pub struct Media {
    pub(crate) source: MediaSource,
    pub(crate) copy: Option<FileCopy>,
}

pub(crate) enum MediaSource {
    /// What a guest passed on.
    Stream(DynInputStream),
    /// Something that this program reads; it may block.
    Reader(Box<dyn Read + Send>),
}

impl Media {
    /// A file that is read on the decoder's own thread, where it may block.
    #[must_use]
    pub fn reader(reader: impl Read + Send + 'static) -> Self {
        Self::of(MediaSource::Reader(Box::new(reader)))
    }

    fn of(source: MediaSource) -> Self {
        Self { source, copy: None }
    }

    /// The file, and a copy of it once a decoder is through with it; none where its bytes did not
    /// arrive, are more than `max_bytes`, or `held` cannot grow with them.
    #[must_use]
    pub fn copied(
        self,
        max_bytes: usize,
        held: Reservation,
    ) -> (Self, oneshot::Receiver<CopiedFile>) {
        let (copy, copied) = FileCopy::new(max_bytes, held);
        let copy = Some(copy);
        (Self { copy, ..self }, copied)
    }
}

/// Why there is no clip. The texts are fit to be shown to the sender.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MediaError {
    /// There was not one byte.
    #[error("the audio is empty; send the bytes of an audio file")]
    Empty,
    /// The format or codec is not supported.
    #[error("{0}")]
    Unsupported(String),
    /// The bytes cannot be decoded.
    #[error("{0}")]
    Undecodable(String),
    /// The audio is longer than allowed.
    #[error("the audio is longer than {max_secs} seconds; cut it into shorter files")]
    TooLong {
        /// The limit.
        max_secs: u64,
    },
    /// The bytes did not arrive.
    #[error(transparent)]
    Source(#[from] SourceFailure),
    /// The tenant's components use as much as they may.
    #[error(transparent)]
    OverQuota(#[from] OverQuota),
    /// No instance is free for the decoder, or no converter.
    #[error("the server is busy: try again in {retry_after_secs} s")]
    Overloaded {
        /// When to try again.
        retry_after_secs: u32,
    },
    /// The request took longer than it may.
    #[error("decoding took longer than the request may")]
    DeadlineExceeded,
    /// The host failed; the log says how.
    #[error("the audio could not be decoded on this server for now; try again later")]
    Internal,
}

impl Host for GuestState {
    async fn decode(
        &mut self,
        source: Resource<DynInputStream>,
        hint: Hint,
    ) -> wasmtime::Result<Result<Resource<Clip>, DecodeError>> {
        let clips = self.decode_as(source, hint, Channels::Mixed).await?;
        Ok(clips.and_then(|clips| clips.into_iter().next().ok_or(DecodeError::Other(None))))
    }

    async fn decode_channels(
        &mut self,
        source: Resource<DynInputStream>,
        hint: Hint,
    ) -> wasmtime::Result<Result<Vec<Resource<Clip>>, DecodeError>> {
        self.decode_as(source, hint, Channels::Apart).await
    }
}

impl GuestState {
    async fn decode_as(
        &mut self,
        source: Resource<DynInputStream>,
        hint: Hint,
        channels: Channels,
    ) -> wasmtime::Result<Result<Vec<Resource<Clip>>, DecodeError>> {
        let stream = self.table.delete(source)?;
        let hint = MediaHint {
            file_name: hint.file_name,
            content_type: hint.content_type,
        };
        // What could never be held is for a shorter file. What other requests hold now is for waiting,
        // and seen as the clip grows.
        let longest = playing_time(self.held.most_left_bytes());
        let media = Media::of(MediaSource::Stream(stream));
        let services = self.services()?;
        let decoding = services.decode(&self.scope, media, hint, channels, longest);
        match decoding.await {
            Ok(clips) => {
                let handles = clips.into_iter().map(|clip| self.push_clip(clip));
                Ok(Ok(handles.collect::<wasmtime::Result<_>>()?))
            }
            Err(error) => Ok(Err(error.into())),
        }
    }
}

/// How long a clip of this many bytes plays.
fn playing_time(bytes: u64) -> Duration {
    samples_to_duration(bytes / size_of::<f32>() as u64)
}

/// A clip that gets no more memory.
impl From<ReserveError> for MediaError {
    fn from(error: ReserveError) -> Self {
        match error {
            ReserveError::TooLarge { limit_bytes } => Self::TooLong {
                max_secs: playing_time(limit_bytes).as_secs(),
            },
            ReserveError::TenantFull { retry_after } => {
                OverQuota::HeldMemory { retry_after }.into()
            }
            ReserveError::NodeFull { retry_after } => Self::Overloaded {
                retry_after_secs: whole_secs(retry_after),
            },
        }
    }
}

/// Whole seconds, rounded up: an early retry is refused again.
fn whole_secs(wait: Duration) -> u32 {
    let secs = wait.as_millis().div_ceil(1000);
    u32::try_from(secs).unwrap_or(u32::MAX).max(1)
}

impl From<SourceFailure> for GuestSourceFailure {
    fn from(failure: SourceFailure) -> Self {
        match failure {
            SourceFailure::TooLarge => Self::TooLarge,
            SourceFailure::TimedOut => Self::TimedOut,
            SourceFailure::Disconnected | SourceFailure::NotBase64 => Self::Disconnected,
        }
    }
}

impl From<MediaError> for DecodeError {
    fn from(error: MediaError) -> Self {
        match error {
            MediaError::Empty => Self::Empty,
            MediaError::Unsupported(text) => Self::Unsupported(text),
            MediaError::Undecodable(text) => Self::Undecodable(text),
            MediaError::TooLong { max_secs } => {
                Self::TooLong(u32::try_from(max_secs).unwrap_or(u32::MAX))
            }
            MediaError::Source(SourceFailure::NotBase64) => Self::Undecodable(
                "its base64 is broken: encode the whole file, and nothing else".to_owned(),
            ),
            MediaError::Source(failure) => Self::Source(failure.into()),
            MediaError::OverQuota(over) => Self::OverBudget(whole_secs(over.retry_after())),
            MediaError::Overloaded { retry_after_secs } => Self::Overloaded(retry_after_secs),
            MediaError::DeadlineExceeded => Self::DeadlineExceeded,
            MediaError::Internal => Self::Other(None),
        }
    }
}
