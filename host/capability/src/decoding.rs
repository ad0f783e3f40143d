//! `auricle:audio/decoding`: an audio file becomes a clip.
//!
//! The bytes go from the connection to the decoder through a bounded channel; the guest holds a
//! handle at either end. Decoding runs on a blocking thread, so that a decoder never stalls the
//! executor; of the threads that have something to decode, as many run at once as there are cores.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use auricle_audio::{AudioError, DecodeLimits, Hint};
use auricle_speech::Clip;
use auricle_speech::audio::samples_to_duration;
use tokio::sync::Semaphore;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::DynInputStream;

use crate::bindings::imports::auricle::audio::decoding::{
    DecodeError, Hint as GuestHint, Host, SourceFailure as GuestSourceFailure,
};
use crate::source::{SourceFailure, bridge};
use crate::state::GuestState;

/// Decoders that compute at once: one per core, since each keeps one busy. One that waits for its
/// client does not count.
static DECODERS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Arc::new(Semaphore::new(cores))
});

impl Host for GuestState {
    async fn decode(
        &mut self,
        source: Resource<DynInputStream>,
        hint: GuestHint,
    ) -> wasmtime::Result<Result<Resource<Clip>, DecodeError>> {
        let stream = self.table.delete(source)?;
        let mut limits = self.services()?.decode_limits();
        limits.max_duration = limits
            .max_duration
            .min(playing_time(self.held.left_bytes()));
        match decode(stream, hint, limits).await {
            Ok(clip) => Ok(Ok(self.push_clip(clip)?)),
            Err(error) => Ok(Err(error)),
        }
    }
}

/// How long a clip of this many bytes plays.
fn playing_time(bytes: u64) -> Duration {
    samples_to_duration(bytes / size_of::<f32>() as u64)
}

async fn decode(
    stream: DynInputStream,
    hint: GuestHint,
    limits: DecodeLimits,
) -> Result<Clip, DecodeError> {
    let (pump, reader) = bridge(stream, Arc::clone(&DECODERS));
    let decoder = tokio::task::spawn_blocking(move || {
        let hint = Hint {
            file_name: hint.file_name.as_deref(),
            content_type: hint.content_type.as_deref(),
        };
        // A dropped request closes the channel, which ends the read: no other flag is needed.
        auricle_audio::decode(Box::new(reader), hint, &limits, &|| false)
    });
    let (pumped, decoded) = tokio::join!(pump, decoder);
    match pumped {
        Ok(()) => {}
        Err(SourceFailure::NotBase64) => {
            let text = "its base64 is broken: encode the whole file, and nothing else".to_owned();
            return Err(DecodeError::Undecodable(text));
        }
        Err(failure) => return Err(DecodeError::Source(failure.into())),
    }
    match decoded {
        Ok(result) => result.map_err(DecodeError::from),
        Err(error) => {
            tracing::error!(%error, "the decoder's thread failed");
            Err(DecodeError::Other(None))
        }
    }
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

impl From<AudioError> for DecodeError {
    fn from(error: AudioError) -> Self {
        let text = error.to_string();
        match error {
            AudioError::Empty => Self::Empty,
            AudioError::TooLong { max_secs } => {
                Self::TooLong(u32::try_from(max_secs).unwrap_or(u32::MAX))
            }
            AudioError::TooLarge { .. } => Self::Source(GuestSourceFailure::TooLarge),
            AudioError::NotAudio | AudioError::Unsupported { .. } => Self::Unsupported(text),
            AudioError::Undecodable { .. }
            | AudioError::TooManyChannels { .. }
            | AudioError::BadRate { .. } => Self::Undecodable(text),
            _ => {
                tracing::warn!(error = %text, "audio was not decoded");
                Self::Other(None)
            }
        }
    }
}
