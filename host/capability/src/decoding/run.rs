//! One file through one instance of a decoder.
//!
//! A decoder computes for a long time, on bytes of somebody who is not trusted. So it runs on a
//! thread of the decoders' own pool, which has one for every instance: it stalls no other request, no other
//! blocking work takes its thread, and it ends with its request, because the thread looks at every epoch. Its CPU budget grows with the audio that it has given and the bytes that it has
//! read, so that a file of hours passes and one that yields nothing does not.
//!
//! What it does not support goes to the converter, where the operator has one, and what comes of that
//! through a decoder again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use auricle_audio::DecodeLimits;
use auricle_runtime::{GuestData, GuestFailure, Revision};
use auricle_speech::Clip;
use auricle_tenancy::HeldKind;
use tokio::sync::oneshot;

use super::file::FileFailure;
use super::{Channels, HostClip, HostFile, Media, MediaError, MediaHint};
use crate::bindings::decoder::exports::auricle::pipeline::decoder::DecodeFailure;
use crate::bindings::imports::auricle::audio::types::Hint;
use crate::call::{Guests, counted, run_within_budget};
use crate::roles::{DecoderComponent, Versioned};
use crate::services::RequestScope;
use crate::state::Grants;

/// Of the audio that a decoder gives it earns one part in this many as CPU time: whoever is faster
/// than 20 times real time never runs out. Ours are 150 times and more.
const CPU_AUDIO_DIVISOR: u32 = 20;

/// CPU time that a mebibyte earns: to walk over the picture of a film takes a tenth of this.
const CPU_PER_MIB: Duration = Duration::from_millis(100);

/// Longest text of a component's that a client is shown.
const MAX_TEXT_BYTES: usize = 1_000;

/// What a client is told of a decoder that failed; the log has the rest.
const BROKEN: &str = "the audio cannot be decoded (its structure is broken); check that the file \
     plays and is complete";

/// When a decoder may be asked for again where all instances are taken: some second's decoding.
const RETRY_SECS: u32 = 1;

/// Memory reserved for a converter, in bytes: what ffmpeg's audio decoders and their libraries usually
/// take. Where a file makes it take more than the machine has, the kernel ends it before the server.
const CONVERTER_BYTES: u64 = 64 << 20;

/// When to come back after the spool's disk was full.
const DISK_RETRY_SECS: u32 = 5;

/// CPU time that this much audio earns.
pub(super) fn earned_by_audio(audio: Duration) -> Duration {
    audio / CPU_AUDIO_DIVISOR
}

/// CPU time that this many bytes earn.
pub(super) fn earned_by_bytes(bytes: u64) -> Duration {
    let nanos = u128::from(bytes) * CPU_PER_MIB.as_nanos() / (1 << 20);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// What is done with a file.
#[derive(Clone)]
pub struct Decoding {
    /// The tenant's decoder.
    pub decoder: Arc<Revision<DecoderComponent>>,
    /// What the sender says about the file.
    pub hint: MediaHint,
    /// What its audio may be.
    pub limits: DecodeLimits,
    /// What becomes of its channels.
    pub channels: Channels,
}

impl Guests {
    /// Has a decoder turn a file into clips: one, or one of each channel. Dropping the future ends it.
    ///
    /// A decoder that fails costs the one file: that is [`MediaError::Undecodable`], and the log
    /// says how.
    ///
    /// # Errors
    /// [`MediaError`].
    pub async fn decode(
        &self,
        scope: &RequestScope,
        media: Media,
        decoding: Decoding,
    ) -> Result<Vec<Clip>, MediaError> {
        let file = HostFile::new(media, self.spool(scope, &decoding.limits));
        let (guests, scope, deadline) = (self.clone(), scope.clone(), scope.deadline);
        let (alive, ended) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Handle::current();
        let thread = self.decoders().run(move || {
            let _entered = runtime.enter();
            // Not the runtime's own `block_on`: its timers panic while it shuts down.
            futures::executor::block_on(async {
                tokio::select! {
                    // Nobody sends: this is the end of whoever waits for the clip.
                    _ = ended => Err(MediaError::Internal),
                    outcome = decode_or_convert(&guests, &scope, &decoding, file) => outcome,
                }
            })
        });
        let Ok(thread) = thread else {
            return Err(MediaError::Overloaded {
                retry_after_secs: RETRY_SECS,
            });
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let outcome = tokio::time::timeout(left, thread).await;
        drop(alive);
        match outcome {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => {
                tracing::error!(%error, "the decoder's thread failed");
                Err(MediaError::Internal)
            }
            Err(_) => {
                counted("decoder", GuestFailure::DeadlineExceeded);
                Err(MediaError::DeadlineExceeded)
            }
        }
    }
}

async fn decode_or_convert(
    guests: &Guests,
    scope: &RequestScope,
    decoding: &Decoding,
    file: HostFile,
) -> Result<Vec<Clip>, MediaError> {
    let (outcome, mut file) = decode(guests, scope, decoding, file).await?;
    let (unsupported, converter) = match (outcome, guests.converter()) {
        (Err(MediaError::Unsupported(text)), Some(converter)) => (text, converter),
        (outcome, _) => {
            // What cannot be read on has been decoded all the same.
            let _ = file.end_copy().await;
            return outcome;
        }
    };
    let Some(file) = file.rewound() else {
        return Err(MediaError::Unsupported(unsupported));
    };
    let _held = scope.account.reserve(HeldKind::Buffer, CONVERTER_BYTES)?;
    let (conversion, stream) = converter.start(file, scope, &decoding.limits).await?;
    let spool = guests.spool(scope, &decoding.limits);
    let converted = HostFile::new(Media::of(stream), spool);
    let (outcome, _) = decode(guests, scope, decoding, converted).await?;
    // What the converter knows to have gone wrong counts; what it cannot read is not supported.
    conversion.end(outcome, unsupported)
}

/// What came of a file, and the file.
async fn decode(
    guests: &Guests,
    scope: &RequestScope,
    decoding: &Decoding,
    file: HostFile,
) -> Result<(Result<Vec<Clip>, MediaError>, HostFile), MediaError> {
    let decoder = &decoding.decoder;
    let store = guests.store("decoder", decoder, scope, Grants::default());
    let mut store = store.map_err(|failure| broken(scope, &failure))?;
    let reservation = scope.account.reservation(HeldKind::Clip);
    let clip = HostClip::new(decoding.limits.clone(), decoding.channels, reservation);
    store.data_mut().decodes(file, clip);
    let hint = Hint {
        file_name: decoding.hint.file_name.clone(),
        content_type: decoding.hint.content_type.clone(),
    };
    let attempt = decoder.tally.begin();
    let outcome = run_within_budget(&mut store, async |store| {
        let meter = Arc::clone(store.data().cpu_meter());
        meter.take_core().await;
        match &decoder.component.0 {
            Versioned::Current(decoder) => {
                let guest = decoder.instantiate_async(&mut *store).await?;
                let guest = guest.auricle_pipeline_decoder();
                guest.call_decode(store, &hint).await
            }
            Versioned::V0_1(decoder) => {
                let guest = decoder.instantiate_async(&mut *store).await?;
                let guest = guest.auricle_pipeline_decoder();
                let outcome = guest.call_decode(store, &hint).await?;
                Ok(outcome.map_err(Into::into))
            }
        }
    })
    .await;
    // That a file cannot be decoded is an answer; what the host cut off is nobody's failure.
    let outcome = attempt.judge(outcome);
    let used = store.data().cpu_meter().used();
    let (file, clip) = store
        .data_mut()
        .decoded()
        .map_err(|_| MediaError::Internal)?;
    let (request_id, audio_secs) = (&scope.request_id, clip.duration().as_secs_f64());
    tracing::debug!(%request_id, audio_secs, cpu_secs = used.as_secs_f64(), "decoded");
    Ok((result(scope, &file, clip, outcome), file))
}

/// What the host knows to have gone wrong counts, whatever the decoder made of it.
fn result(
    scope: &RequestScope,
    file: &HostFile,
    clip: HostClip,
    outcome: Result<Result<(), DecodeFailure>, GuestFailure>,
) -> Result<Vec<Clip>, MediaError> {
    if let Some(failure) = file.failure() {
        return Err(failure.into());
    }
    if let Some(refusal) = clip.refusal() {
        return Err(refusal);
    }
    match outcome {
        Ok(Ok(())) => clip.finish(),
        Ok(Err(failure)) => Err(refused(failure)),
        Err(failure) => Err(broken(scope, &failure)),
    }
}

impl From<FileFailure> for MediaError {
    fn from(failure: FileFailure) -> Self {
        match failure {
            FileFailure::Source(failure) => failure.into(),
            FileFailure::NoRoom(error) => error.into(),
            FileFailure::DiskFull => Self::Overloaded {
                retry_after_secs: DISK_RETRY_SECS,
            },
            FileFailure::Spool => Self::Internal,
        }
    }
}

/// A decoder's own refusal.
fn refused(failure: DecodeFailure) -> MediaError {
    let cut = |mut text: String| {
        text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
        text
    };
    match failure {
        DecodeFailure::Empty => MediaError::Empty,
        DecodeFailure::Unsupported(text) => MediaError::Unsupported(cut(text)),
        DecodeFailure::Undecodable(text) => MediaError::Undecodable(cut(text)),
        DecodeFailure::Other(text) => {
            tracing::warn!(error = text.map(cut), "a decoder gave up");
            MediaError::Undecodable(BROKEN.to_owned())
        }
    }
}

/// What the sender is told of a decoder that failed; the log has the rest.
fn broken(scope: &RequestScope, failure: &GuestFailure) -> MediaError {
    let (tenant, request_id) = (&scope.tenant, &scope.request_id);
    tracing::warn!(%tenant, %request_id, role = "decoder", kind = failure.kind(), error = %failure, "a component failed");
    match failure {
        GuestFailure::PoolExhausted => MediaError::Overloaded {
            retry_after_secs: RETRY_SECS,
        },
        GuestFailure::OverQuota(over) => MediaError::OverQuota(*over),
        _ => MediaError::Undecodable(BROKEN.to_owned()),
    }
}
