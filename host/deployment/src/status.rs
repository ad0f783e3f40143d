//! What serves a role and how it does, for whoever looks.

use auricle_runtime::Counts;
use auricle_speech::TenantId;
use auricle_tenancy::{Role, StoreError, StoredCandidate, StoredRevision};
use serde::Serialize;

use crate::control_plane::ControlPlane;
use crate::error::DeployError;
use crate::shadow::ShadowReport;

/// What serves a role.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// The role.
    pub role: Role,
    /// What serves.
    pub serving: RevisionStatus,
    /// Unix time since when, in seconds; nothing where nothing was deployed.
    pub since: Option<u64>,
    /// Number of the revision that a rollback without a number leads to.
    pub previous: Option<u64>,
    /// What is tried out.
    pub candidate: Option<CandidateStatus>,
    /// Revisions that serve no more and still have calls under way.
    pub draining: Vec<RevisionStatus>,
}

/// A revision and how it does.
#[derive(Clone, Debug, Serialize)]
pub struct RevisionStatus {
    /// Its number; 0 is what the role has that nobody deployed.
    pub number: u64,
    /// What it is made of; nothing for number 0.
    pub revision: Option<StoredRevision>,
    /// Calls since the server started.
    pub calls: Calls,
}

/// Calls of a revision.
#[derive(Clone, Debug, Serialize)]
pub struct Calls {
    /// That have begun.
    pub begun: u64,
    /// That go on.
    pub running: u64,
    /// That ended well.
    pub succeeded: u64,
    /// In which the component failed.
    pub failed: u64,
    /// Milliseconds that 95 of 100 did not take longer than, rounded up to a power of two.
    pub p95_ms: Option<u64>,
}

/// A candidate and how it does.
#[derive(Clone, Debug, Serialize)]
pub struct CandidateStatus {
    /// The trial.
    #[serde(flatten)]
    pub trial: StoredCandidate,
    /// How it does.
    pub status: RevisionStatus,
    /// Of a shadow: its answers compared.
    pub report: Option<ShadowReport>,
}

impl From<&Counts> for Calls {
    fn from(counts: &Counts) -> Self {
        let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).ok();
        Self {
            begun: counts.begun,
            running: counts.running,
            succeeded: counts.succeeded,
            failed: counts.failed,
            p95_ms: counts.p95().and_then(millis),
        }
    }
}

impl ControlPlane {
    /// What serves a role of a tenant and how it does.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn status(&self, tenant: &TenantId, role: Role) -> Result<Status, DeployError> {
        let state = self.state(tenant, role)?;
        let of = |number| self.revision_status(tenant, role, number);
        let candidate = match &state.candidate {
            None => None,
            Some(candidate) => {
                let deployed = self.fleet().deployed(tenant);
                let report =
                    deployed.map(|deployed| deployed.shadow_report(role, candidate.number));
                let is_shadow = candidate.plan.kind == auricle_tenancy::TrialKind::Shadow;
                Some(CandidateStatus {
                    status: of(candidate.number)?,
                    report: report.filter(|_| is_shadow),
                    trial: candidate.clone(),
                })
            }
        };
        let serves = |number| {
            number == state.stable || candidate.as_ref().is_some_and(|c| c.trial.number == number)
        };
        let mut draining = Vec::new();
        if let Some(deployed) = self.fleet().deployed(tenant) {
            for (number, tally) in deployed.counted(role) {
                if !serves(number) && tally.counts().running > 0 {
                    draining.push(of(number)?);
                }
            }
        }
        Ok(Status {
            role,
            serving: of(state.stable)?,
            since: (state.since > 0).then_some(state.since),
            previous: state.previous,
            candidate,
            draining,
        })
    }

    fn revision_status(
        &self,
        tenant: &TenantId,
        role: Role,
        number: u64,
    ) -> Result<RevisionStatus, DeployError> {
        let revision = match self.store().revision(tenant, role, number) {
            Ok(revision) => Some(revision),
            Err(StoreError::NoRevision(0)) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(RevisionStatus {
            number,
            revision,
            calls: (&self.fleet().counts(tenant, role, number)).into(),
        })
    }
}
