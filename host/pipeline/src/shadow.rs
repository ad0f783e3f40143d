//! Candidates that work on copies of requests.
//!
//! When a request is answered, its clip goes once more through the line, with the candidate in its
//! role, and both answers are compared; a handler gets the whole request (`handler`), a decoder the file
//! (`decoder`). The client waits
//! for none of it. One at a time for each tenant, and few on this node (`places`): requests that are answered
//! meanwhile are not compared.
//! The audio is not counted against the tenant's minute, and is against what the tenant has queued.

pub(crate) mod decoder;
mod handler;
mod places;

use std::sync::Arc;
use std::time::{Duration, Instant};

use auricle_capability::{Event, RequestScope, SpeechError};
use auricle_deployment::{Answer, Deployments, TenantDeployments};
use auricle_speech::{Clip, RequestClass, Segment, TranscribeOptions};
use auricle_tenancy::Role;
use tokio::sync::mpsc::{self, Receiver};

use crate::Pipeline;
use crate::transcribe::{Events, Line, RoleRevisions, send};

pub(crate) use places::{ShadowPlace, ShadowPlaces};

/// Longest time that one comparison may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// A candidate that is to work on a copy of this request.
pub(crate) struct Shadow {
    role: Role,
    number: u64,
    revisions: RoleRevisions,
    _place: ShadowPlace,
}

/// The candidate for this request, if there is one and nothing else is compared now.
pub(crate) fn wanted(
    places: &Arc<ShadowPlaces>,
    deployments: &TenantDeployments,
    revisions: &RoleRevisions,
    scope: &RequestScope,
) -> Option<Shadow> {
    let id = &scope.request_id;
    let chunker = deployments.chunker.shadow_for(id);
    let assigner = deployments.assigner.shadow_for(id);
    let (role, number) = match (&chunker, &assigner) {
        (Some(chunker), _) => (Role::Chunker, chunker.number),
        (None, Some(assigner)) => (Role::SpeakerAssigner, assigner.number),
        (None, None) => return None,
    };
    let mut revisions = revisions.clone();
    match role {
        Role::Chunker => revisions.chunker = chunker?,
        _ => revisions.assigner = assigner?,
    }
    Some(Shadow {
        role,
        number,
        revisions,
        _place: places.try_acquire(&scope.tenant)?,
    })
}

/// The request's scope for work on its copy, which nobody waits for.
fn scope_of_copy(scope: &RequestScope) -> RequestScope {
    RequestScope {
        deadline: Instant::now() + PATIENCE,
        class: RequestClass::Batch,
        ..scope.clone()
    }
}

/// Passes events on and keeps the segments among them.
pub(crate) async fn overhear(
    mut from: Receiver<Result<Event, SpeechError>>,
    to: Option<&Events>,
) -> Result<Vec<Segment>, SpeechError> {
    let mut said = Vec::new();
    while let Some(event) = from.recv().await {
        let event = event?;
        if let Event::Segments(segments) = &event {
            said.extend(segments.iter().cloned());
        }
        if let Some(to) = to {
            send(to, event).await?;
        }
    }
    Ok(said)
}

impl Shadow {
    /// Has the candidate work on the clip and compares; beside the request, which is over.
    pub(crate) fn compare(
        self,
        pipeline: &Pipeline,
        scope: &RequestScope,
        clip: &Clip,
        options: &TranscribeOptions,
        given: Vec<Segment>,
    ) {
        let (pipeline, clip, options) = (pipeline.for_copies(), clip.clone(), options.clone());
        let scope = scope_of_copy(scope);
        tokio::spawn(async move {
            let outcome = self.answer(&pipeline, &scope, &clip, &options).await;
            let fleet: &Arc<Deployments> = pipeline.deployments();
            let Some(deployed) = fleet.deployed(&scope.tenant) else {
                return;
            };
            let (role, number, id) = (self.role, self.number, Arc::clone(&scope.request_id));
            let compare = move || {
                deployed.report(role, number, |report| match outcome {
                    Ok(other) => report.compare(
                        &id,
                        &Answer::of_segments(&given),
                        &Answer::of_segments(&other),
                    ),
                    Err(SpeechError::ComponentFailed) => report.fail(&id),
                    // The node's fault, or nobody's.
                    Err(_) => {}
                });
            };
            // Long answers are compared for a tenth of a second.
            let _ = tokio::task::spawn_blocking(compare).await;
        });
    }

    async fn answer(
        &self,
        pipeline: &Pipeline,
        scope: &RequestScope,
        clip: &Clip,
        options: &TranscribeOptions,
    ) -> Result<Vec<Segment>, SpeechError> {
        let (sender, receiver) = mpsc::channel(crate::QUEUED_EVENTS);
        let line = Line {
            pipeline,
            scope,
            clip,
            options,
        };
        let work = async move { line.run(&self.revisions, &sender).await };
        let (done, said) = tokio::join!(work, overhear(receiver, None));
        done.and(said)
    }
}
