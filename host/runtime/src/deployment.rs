//! What serves a role, swapped while requests run.
//!
//! A request asks once which revision it runs on and holds that one to its end: a swap is one atomic
//! store of a pointer, no request waits for it, and none sees parts of two revisions. An old
//! revision is freed with the last request that holds it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::limits::InstanceLimits;
use crate::tally::Tally;

/// One immutable version of a deployment: a component made ready, its settings and its limits.
#[derive(Debug)]
pub struct Revision<P> {
    /// Counted from 1 within the deployment; 0 is what a role has that nobody deployed.
    pub number: u64,
    /// Lower-case hexadecimal SHA-256 of the component's bytes.
    pub digest: String,
    /// What the component reads through `auricle:runtime/configuration`.
    pub configuration: Arc<BTreeMap<String, String>>,
    /// Names of the graphs that it may use through `wasi:nn`.
    pub graphs: Arc<BTreeSet<String>>,
    /// What one instance may use.
    pub limits: InstanceLimits,
    /// How it has done; also of a copy of this revision that was unloaded meanwhile.
    pub tally: Arc<Tally>,
    /// The component, linked and checked against its world; shared with other revisions of it.
    pub component: Arc<P>,
}

/// What a revision is made of.
#[derive(Debug)]
pub struct RevisionParts<P> {
    /// See [`Revision::digest`].
    pub digest: String,
    /// See [`Revision::configuration`].
    pub configuration: BTreeMap<String, String>,
    /// See [`Revision::graphs`].
    pub graphs: BTreeSet<String>,
    /// See [`Revision::limits`].
    pub limits: InstanceLimits,
    /// See [`Revision::component`].
    pub component: Arc<P>,
}

impl<P> RevisionParts<P> {
    /// The revision of this number, whose calls are counted in `tally`.
    #[must_use]
    pub fn numbered(self, number: u64, tally: Arc<Tally>) -> Revision<P> {
        Revision {
            number,
            digest: self.digest,
            configuration: Arc::new(self.configuration),
            graphs: Arc::new(self.graphs),
            limits: self.limits,
            tally,
            component: self.component,
        }
    }
}

/// How a revision is tried out beside the one that serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    /// It answers its share of requests.
    Canary,
    /// It works on copies of its share of requests, and its answers are compared and thrown away.
    Shadow,
}

/// A revision that is tried out.
#[derive(Debug)]
pub struct Candidate<P> {
    /// What is tried out.
    pub revision: Arc<Revision<P>>,
    /// How.
    pub trial: Trial,
    /// Its share of requests, 1 to 100.
    pub percent: u8,
}

/// What serves a role at one moment.
#[derive(Debug)]
pub struct Serving<P> {
    /// What serves every request that no canary takes.
    pub stable: Arc<Revision<P>>,
    /// What is tried out beside it.
    pub candidate: Option<Candidate<P>>,
}

impl<P> Serving<P> {
    /// `revision` serves alone.
    #[must_use]
    pub fn only(revision: Revision<P>) -> Self {
        Self {
            stable: Arc::new(revision),
            candidate: None,
        }
    }

    fn candidate_of(&self, trial: Trial, request_id: &str) -> Option<&Arc<Revision<P>>> {
        let candidate = self.candidate.as_ref()?;
        let takes = candidate.trial == trial && share(request_id) < u64::from(candidate.percent);
        takes.then_some(&candidate.revision)
    }
}

/// A tenant's binding of a role to a component.
#[derive(Debug)]
pub struct Deployment<P> {
    serving: ArcSwap<Serving<P>>,
}

impl<P> Deployment<P> {
    /// A deployment that begins with `serving`.
    #[must_use]
    pub fn new(serving: Serving<P>) -> Self {
        Self {
            serving: ArcSwap::from_pointee(serving),
        }
    }

    /// What serves now.
    #[must_use]
    pub fn serving(&self) -> Arc<Serving<P>> {
        self.serving.load_full()
    }

    /// The revision that serves what no canary takes.
    #[must_use]
    pub fn current(&self) -> Arc<Revision<P>> {
        Arc::clone(&self.serving.load().stable)
    }

    /// The revision that a request of this id runs on, to its end. The same id always meets the
    /// same side of a canary.
    #[must_use]
    pub fn revision_for(&self, request_id: &str) -> Arc<Revision<P>> {
        let serving = self.serving.load();
        let canary = serving.candidate_of(Trial::Canary, request_id);
        Arc::clone(canary.unwrap_or(&serving.stable))
    }

    /// The revision that is to work on a copy of the request of this id.
    #[must_use]
    pub fn shadow_for(&self, request_id: &str) -> Option<Arc<Revision<P>>> {
        let serving = self.serving.load();
        serving.candidate_of(Trial::Shadow, request_id).cloned()
    }

    /// Serves from now on as `serving` says. Requests under way stay on their revisions.
    pub fn set(&self, serving: Serving<P>) {
        self.serving.store(Arc::new(serving));
    }
}

/// Where an id falls in 0..100. FNV-1a: even enough over ids, and the same on every machine.
fn share(request_id: &str) -> u64 {
    let hash = request_id
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    // The low bits of FNV are its weakest; what comes after the multiplication is mixed once more.
    (hash ^ (hash >> 32)) % 100
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn revision(component: &'static str, number: u64) -> Revision<&'static str> {
        let parts = RevisionParts {
            digest: String::new(),
            configuration: BTreeMap::new(),
            graphs: BTreeSet::new(),
            limits: InstanceLimits::default(),
            component: Arc::new(component),
        };
        parts.numbered(number, Arc::default())
    }

    fn tried(trial: Trial, percent: u8) -> Deployment<&'static str> {
        Deployment::new(Serving {
            stable: Arc::new(revision("a", 1)),
            candidate: Some(Candidate {
                revision: Arc::new(revision("b", 2)),
                trial,
                percent,
            }),
        })
    }

    #[test]
    fn a_held_revision_outlives_a_swap_and_is_freed_after_it() {
        let deployment = Deployment::new(Serving::only(revision("a", 1)));
        let held = deployment.current();
        deployment.set(Serving::only(revision("b", 2)));
        assert_eq!((*held.component, held.number), ("a", 1));
        assert_eq!(*deployment.current().component, "b");
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[test]
    fn a_canary_takes_its_share_of_ids_and_always_the_same_ones() {
        let deployment = tried(Trial::Canary, 10);
        let taken = |id: u32| deployment.revision_for(&format!("req_{id:08x}")).number == 2;
        let canaries: Vec<u32> = (0..10_000).filter(|id| taken(*id)).collect();
        assert!((850..1_150).contains(&canaries.len()), "{}", canaries.len());
        assert!(canaries.iter().all(|id| taken(*id)));
        assert!(deployment.shadow_for("req_1").is_none());
    }

    #[test]
    fn a_shadow_answers_nobody() {
        let deployment = tried(Trial::Shadow, 100);
        assert_eq!(deployment.revision_for("any").number, 1);
        assert_eq!(deployment.shadow_for("any").unwrap().number, 2);
    }
}
