//! The current revision of a role, swapped while requests run.
//!
//! A request loads the current revision once and holds it to its end: a swap is one atomic store of
//! a pointer, no request waits for it, and none sees parts of two revisions. The old revision is
//! freed with the last request that holds it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::Mutex;

use arc_swap::ArcSwap;

use crate::limits::InstanceLimits;

/// One immutable version of a deployment: a component made ready, its settings and its limits.
#[derive(Debug)]
pub struct Revision<P> {
    /// Counted from 1 within the deployment.
    pub number: u64,
    /// Lower-case hexadecimal SHA-256 of the component's bytes.
    pub digest: String,
    /// What the component reads through `auricle:runtime/configuration`.
    pub configuration: Arc<BTreeMap<String, String>>,
    /// Names of the graphs that it may use through `wasi:nn`.
    pub graphs: Arc<BTreeSet<String>>,
    /// What one instance may use.
    pub limits: InstanceLimits,
    /// The component, linked and checked against its world.
    pub component: P,
}

/// What a new revision is made of.
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
    pub component: P,
}

/// A tenant's binding of a role to a component.
#[derive(Debug)]
pub struct Deployment<P> {
    current: ArcSwap<Revision<P>>,
    /// Serialises swaps, so that numbers count up one by one.
    swapping: Mutex<u64>,
}

impl<P> Deployment<P> {
    /// A deployment whose first revision is `parts`.
    #[must_use]
    pub fn new(parts: RevisionParts<P>) -> Self {
        Self {
            current: ArcSwap::from_pointee(parts.numbered(1)),
            swapping: Mutex::new(1),
        }
    }

    /// The revision that a request beginning now runs on, to its end.
    #[must_use]
    pub fn current(&self) -> Arc<Revision<P>> {
        self.current.load_full()
    }

    /// Makes `parts` the current revision and returns it. Requests under way stay on theirs.
    pub fn swap(&self, parts: RevisionParts<P>) -> Arc<Revision<P>> {
        let mut number = self
            .swapping
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        *number += 1;
        let revision = Arc::new(parts.numbered(*number));
        self.current.store(Arc::clone(&revision));
        revision
    }
}

impl<P> RevisionParts<P> {
    fn numbered(self, number: u64) -> Revision<P> {
        Revision {
            number,
            digest: self.digest,
            configuration: Arc::new(self.configuration),
            graphs: Arc::new(self.graphs),
            limits: self.limits,
            component: self.component,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn parts(component: &'static str) -> RevisionParts<&'static str> {
        RevisionParts {
            digest: String::new(),
            configuration: BTreeMap::new(),
            graphs: BTreeSet::new(),
            limits: InstanceLimits::default(),
            component,
        }
    }

    #[test]
    fn a_held_revision_outlives_a_swap_and_is_freed_after_it() {
        let deployment = Deployment::new(parts("a"));
        let held = deployment.current();
        let new = deployment.swap(parts("b"));
        assert_eq!((held.component, held.number), ("a", 1));
        assert_eq!((deployment.current().component, new.number), ("b", 2));
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
