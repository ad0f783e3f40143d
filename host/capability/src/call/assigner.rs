//! The speaker-assigner of one request.

use std::time::Instant;

use auricle_runtime::{Attempt, GuestFailure, Revision};
use auricle_speech::{Segment, Turn};
use auricle_telemetry::step;
use tracing::Instrument;
use wasmtime::Store;

use super::{Guests, refused, run};
use crate::bindings::assigner::SpeakerAssignerRole;
use crate::bindings::imports::auricle::speech::types::Turn as WitTurn;
use crate::bindings::v0_1::assigner as old;
use crate::bindings::v0_1::imports::auricle::speech::types as old_types;
use crate::convert::{segment_from_wit, segment_to_wit, turn_to_wit};
use crate::roles::{AssignerComponent, Versioned};
use crate::services::RequestScope;
use crate::state::{Grants, GuestState};

impl Guests {
    /// Makes the speaker-assigner of one request ready.
    ///
    /// # Errors
    /// [`GuestFailure`] when it cannot be instantiated.
    pub async fn assigner(
        &self,
        revision: &Revision<AssignerComponent>,
        scope: &RequestScope,
    ) -> Result<Assigner, GuestFailure> {
        let mut store = self.store("speaker-assigner", revision, scope, Grants::default())?;
        let mut attempt = revision.tally.begin();
        let since = Instant::now();
        let outcome = run(&mut store, scope.deadline, async |store| {
            Ok(match &revision.component.0 {
                Versioned::Current(role) => {
                    Versioned::Current(role.instantiate_async(store).await?)
                }
                Versioned::V0_1(role) => Versioned::V0_1(role.instantiate_async(store).await?),
            })
        })
        .await;
        attempt.spend(since.elapsed());
        let (guest, attempt) = match outcome {
            Ok(guest) => (guest, Some(attempt)),
            failure => (attempt.judge(failure)?, None),
        };
        Ok(Assigner {
            store,
            guest,
            deadline: scope.deadline,
            attempt,
            has_assigned: false,
        })
    }
}

/// The speaker-assigner of one request: called for every batch of segments.
pub struct Assigner {
    store: Store<GuestState>,
    guest: Versioned<SpeakerAssignerRole, old::SpeakerAssignerRole>,
    deadline: Instant,
    /// Until it has failed.
    attempt: Option<Attempt>,
    has_assigned: bool,
}

impl Drop for Assigner {
    fn drop(&mut self) {
        if let Some(attempt) = self.attempt.take().filter(|_| self.has_assigned) {
            attempt.succeeded();
        }
    }
}

impl Assigner {
    /// Gives `segments` their speakers.
    ///
    /// # Errors
    /// [`GuestFailure`], [`GuestFailure::ContractBroken`] when a time is not finite or an end comes
    /// before its start; the assigner cannot be used after it.
    pub async fn assign(
        &mut self,
        segments: Vec<Segment>,
        turns: &[Turn],
    ) -> Result<Vec<Segment>, GuestFailure> {
        let turns: Vec<_> = turns.iter().cloned().map(turn_to_wit).collect();
        let guest = &self.guest;
        let since = Instant::now();
        let outcome = run(&mut self.store, self.deadline, async |store| match guest {
            Versioned::Current(guest) => {
                let segments: Vec<_> = segments.into_iter().map(segment_to_wit).collect();
                let guest = guest.auricle_pipeline_speaker_assigner();
                let assigned = guest.call_assign(store, &segments, &turns).await?;
                Ok(assigned
                    .map(|all| all.into_iter().map(segment_from_wit).collect())
                    .map_err(|error| refused("segments", &error)))
            }
            Versioned::V0_1(guest) => assign_v0_1(guest, store, segments, turns).await,
        })
        .instrument(step!("assign"))
        .await;
        let checked = outcome.and_then(|assigned| check_segments(assigned?));
        self.has_assigned = true;
        let Some(mut attempt) = self.attempt.take() else {
            return checked;
        };
        attempt.spend(since.elapsed());
        match checked {
            Ok(segments) => {
                self.attempt = Some(attempt);
                Ok(segments)
            }
            failure => attempt.judge(failure),
        }
    }
}

/// Has an assigner of version 0.1.0 assign. It cannot pass languages on: each segment gets that of the
/// segment given which it shares the most time with.
async fn assign_v0_1(
    guest: &old::SpeakerAssignerRole,
    store: &mut Store<GuestState>,
    segments: Vec<Segment>,
    turns: Vec<WitTurn>,
) -> wasmtime::Result<Result<Vec<Segment>, GuestFailure>> {
    let languages: Vec<_> = segments
        .iter()
        .map(|s| (s.start, s.end, s.language))
        .collect();
    let language = |segment: &Segment| {
        let shared =
            |&(start, end, _): &(f64, f64, _)| end.min(segment.end) - start.max(segment.start);
        let most = languages
            .iter()
            .max_by(|a, b| shared(a).total_cmp(&shared(b)));
        most.and_then(|(_, _, language)| *language)
    };
    let given: Vec<_> = segments
        .iter()
        .cloned()
        .map(|s| segment_to_wit(s).into())
        .collect();
    let turns: Vec<_> = turns.into_iter().map(Into::into).collect();
    let guest = guest.auricle_pipeline_speaker_assigner();
    let assigned = guest.call_assign(store, &given, &turns).await?;
    let restored = |segment: old_types::Segment| {
        let segment = segment_from_wit(segment.into());
        Segment {
            language: language(&segment),
            ..segment
        }
    };
    Ok(assigned
        .map(|all| all.into_iter().map(restored).collect())
        .map_err(|error| refused("segments", &error)))
}

/// Times that are no times would be passed on to every later step.
fn check_segments(segments: Vec<Segment>) -> Result<Vec<Segment>, GuestFailure> {
    let sound = |start: f64, end: f64| start.is_finite() && end.is_finite() && start <= end;
    let all_sound = segments.iter().all(|segment| {
        sound(segment.start, segment.end)
            && segment.words.iter().all(|word| sound(word.start, word.end))
    });
    if all_sound {
        return Ok(segments);
    }
    Err(GuestFailure::ContractBroken(
        "a segment or word whose times are not in order".into(),
    ))
}
