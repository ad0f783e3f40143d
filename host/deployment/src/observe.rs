//! What the metrics say of revisions.
//!
//! Only those that serve, are tried out or have calls under way have series, and only of tenants that were
//! used since the start: a thousand quiet tenants are none.

use auricle_runtime::Tally;
use auricle_speech::TenantId;
use auricle_telemetry::Revision;
use auricle_tenancy::{DeploymentState, Role, TrialKind};

use crate::fleet::{Deployed, Deployments};

impl Deployments {
    /// How the revisions that tenants have deployed do.
    #[must_use]
    pub fn revisions(&self) -> Vec<Revision> {
        let all = self.all();
        let mut found: Vec<Revision> = all
            .iter()
            .flat_map(|(tenant, deployed)| of_tenant(tenant, deployed))
            .collect();
        found.sort_by(|a, b| (&a.tenant, a.role, a.number).cmp(&(&b.tenant, b.role, b.number)));
        found
    }
}

fn of_tenant(tenant: &TenantId, deployed: &Deployed) -> Vec<Revision> {
    let of_role = |role| {
        let state = deployed.served(role).unwrap_or_default();
        let counted = deployed.counted(role).into_iter();
        counted.filter_map(move |(number, tally)| observed(tenant, role, &state, number, &tally))
    };
    Role::ALL.into_iter().flat_map(of_role).collect()
}

fn observed(
    tenant: &TenantId,
    role: Role,
    state: &DeploymentState,
    number: u64,
    tally: &Tally,
) -> Option<Revision> {
    let counts = tally.counts();
    let (trial, share) = part(state, number);
    if trial == "none" && counts.running == 0 {
        return None;
    }
    Some(Revision {
        tenant: tenant.as_str().to_owned(),
        role: role.as_str(),
        number,
        trial,
        share,
        succeeded: counts.succeeded,
        failed: counts.failed,
        running: counts.running,
    })
}

/// As what a revision serves, and which share of requests.
fn part(state: &DeploymentState, number: u64) -> (&'static str, f64) {
    let candidate = state.candidate.as_ref();
    let tried = candidate.map(|candidate| {
        let share = f64::from(candidate.plan.percent) / 100.0;
        (candidate.number, candidate.plan.kind, share)
    });
    match tried {
        Some((candidate, TrialKind::Canary, share)) if candidate == number => ("canary", share),
        Some((candidate, TrialKind::Shadow, share)) if candidate == number => ("shadow", share),
        Some((_, TrialKind::Canary, share)) if state.stable == number => ("stable", 1.0 - share),
        _ if state.stable == number => ("stable", 1.0),
        _ => ("none", 0.0),
    }
}

#[cfg(test)]
mod tests {
    use auricle_tenancy::{StoredCandidate, TrialPlan};

    use super::*;

    #[test]
    fn a_canary_takes_from_what_serves_and_a_shadow_does_not() {
        let tried = |kind| DeploymentState {
            stable: 4,
            candidate: Some(StoredCandidate {
                number: 5,
                since: 0,
                plan: TrialPlan {
                    kind,
                    percent: 25,
                    promote_after_secs: None,
                },
            }),
            ..DeploymentState::default()
        };
        let parts = |state: DeploymentState| [3, 4, 5].map(|number| part(&state, number));
        assert_eq!(
            parts(tried(TrialKind::Canary)),
            [("none", 0.0), ("stable", 0.75), ("canary", 0.25)]
        );
        assert_eq!(
            parts(tried(TrialKind::Shadow)),
            [("none", 0.0), ("stable", 1.0), ("shadow", 0.25)]
        );
    }
}
