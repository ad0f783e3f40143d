//! Decoders that decode copies of files.
//!
//! While a file goes through the decoder that serves, its bytes are kept; when that has ended, the candidate
//! gets them too, and both clips are compared, or that one has refused what the other has not.

use std::sync::Arc;

use auricle_capability::{CopiedFile, Decoding, Media, MediaError, RequestScope};
use auricle_deployment::{Answer, TenantDeployments};
use auricle_speech::Clip;
use auricle_tenancy::{HeldKind, Role};
use tokio::sync::oneshot::Receiver;

use super::{ShadowPlace, ShadowPlaces, scope_of_copy};
use crate::Pipeline;

/// Bytes of a file that are kept.
const MAX_FILE_BYTES: usize = 32 << 20;

/// What became of a file.
type Decoded = Result<Vec<Clip>, MediaError>;

/// A candidate that is to decode a copy of this file.
struct Shadow {
    scope: RequestScope,
    decoding: Decoding,
    _place: ShadowPlace,
}

/// Has the tenant's decoder decode a file.
pub(crate) async fn decode(
    pipeline: &Pipeline,
    deployments: &TenantDeployments,
    scope: &RequestScope,
    media: Media,
    decoding: Decoding,
) -> Decoded {
    let places = &pipeline.inner.shadows;
    let Some(shadow) = wanted(places, deployments, scope, &decoding) else {
        return pipeline.guests().decode(scope, media, decoding).await;
    };
    let held = scope.account.reservation(HeldKind::Copy);
    let (media, copied) = media.copied(MAX_FILE_BYTES, held);
    let given = pipeline.guests().decode(scope, media, decoding).await;
    tokio::spawn(shadow.follow(pipeline.for_copies(), copied, given.clone()));
    given
}

/// The candidate for this request, if there is one and nothing else is compared now.
fn wanted(
    places: &Arc<ShadowPlaces>,
    deployments: &TenantDeployments,
    scope: &RequestScope,
    decoding: &Decoding,
) -> Option<Shadow> {
    Some(Shadow {
        decoding: Decoding {
            decoder: deployments.decoder.shadow_for(&scope.request_id)?,
            ..decoding.clone()
        },
        scope: scope.clone(),
        _place: places.try_acquire(&scope.tenant)?,
    })
}

impl Shadow {
    async fn follow(self, pipeline: Pipeline, copied: Receiver<CopiedFile>, given: Decoded) {
        // Gone where it did not arrive whole, or there was too much of it, or no memory for it.
        let Ok(file) = copied.await else { return };
        let scope = scope_of_copy(&self.scope);
        let (candidate, id) = (Arc::clone(&self.decoding.decoder), &self.scope.request_id);
        let failed_before = candidate.tally.counts().failed;
        let media = Media::reader(file);
        let other = pipeline.guests().decode(&scope, media, self.decoding).await;
        let has_failed = candidate.tally.counts().failed > failed_before;
        let Some(deployed) = pipeline.deployments().deployed(&scope.tenant) else {
            return;
        };
        let id = Arc::clone(id);
        let compare = move || {
            // Nothing where the node is at fault, or the sender.
            let (Some(given), Some(other)) = (answer(&given), answer(&other)) else {
                return;
            };
            deployed.report(Role::Decoder, candidate.number, |report| match has_failed {
                true => report.fail(&id),
                false => report.compare(&id, &given, &other),
            });
        };
        // The levels of an hour take a twentieth of a second.
        let _ = tokio::task::spawn_blocking(compare).await;
    }
}

/// What is compared of it; as status, what the first-party handler answers.
fn answer(decoded: &Decoded) -> Option<Answer> {
    let status = match decoded {
        Ok(clips) => return Some(Answer::of_clips(clips)),
        Err(MediaError::Empty) => 400,
        Err(MediaError::TooLong { .. }) => 413,
        Err(MediaError::Unsupported(_)) => 415,
        Err(MediaError::Undecodable(_)) => 422,
        Err(_) => return None,
    };
    Some(Answer::of_http(status, b""))
}
