//! The speaker-assigner of one request.

use std::time::Instant;

use auricle_runtime::{Attempt, GuestFailure, Revision};
use auricle_speech::{Segment, Turn};
use auricle_telemetry::step;
use tracing::Instrument;
use wasmtime::Store;

use super::{Guests, refused, run};
use crate::bindings::assigner::SpeakerAssignerRole;
use crate::convert::{segment_from_wit, segment_to_wit, turn_to_wit};
use crate::roles::AssignerComponent;
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
        let mut store = self.store("speaker-assigner", revision, scope, Grants::default());
        let mut attempt = revision.tally.begin();
        let since = Instant::now();
        let outcome = run(&mut store, scope.deadline, async |store| {
            revision.component.0.instantiate_async(store).await
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
    guest: SpeakerAssignerRole,
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
        let segments: Vec<_> = segments.into_iter().map(segment_to_wit).collect();
        let turns: Vec<_> = turns.iter().cloned().map(turn_to_wit).collect();
        let guest = &self.guest;
        let since = Instant::now();
        let outcome = run(&mut self.store, self.deadline, async |store| {
            guest
                .auricle_pipeline_speaker_assigner()
                .call_assign(store, &segments, &turns)
                .await
        })
        .instrument(step!("assign"))
        .await;
        let checked = outcome.and_then(|assigned| {
            let assigned = assigned.map_err(|error| refused("segments", &error))?;
            check_segments(assigned.into_iter().map(segment_from_wit).collect())
        });
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
