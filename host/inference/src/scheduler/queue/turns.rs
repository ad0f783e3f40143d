//! One class of the queue: tenants take turns in audio, and each one's jobs come in their order.
//!
//! Deficit round robin. A tenant has credit; a job is begun while there is some and may cost more
//! than there is, which later turns pay off, a quantum each. So however long its jobs are, nobody
//! gets ahead of another who waits too by more than that and a quantum.
//!
//! A tenant that has not been waiting goes before those that have: it waits for no turn of anybody's,
//! only for a worker. Lest it comes back as a new one with every job, a tenant is remembered until
//! its next turn after its last job has gone.

use std::collections::{HashMap, VecDeque};

use auricle_speech::TenantId;

use super::Weighed;

#[derive(Debug)]
struct Line<T> {
    jobs: VecDeque<(u64, T)>,
    /// What it may still have begun in its turn; negative what it has had too much.
    credit_samples: i64,
    queued_samples: u64,
}

/// The jobs of one class.
#[derive(Debug)]
pub(super) struct Turns<T> {
    quantum_samples: i64,
    /// Every tenant in `newcomers` or `rotation`, which is in one of them.
    lines: HashMap<TenantId, Line<T>>,
    /// Tenants that have had no turn since they came.
    newcomers: VecDeque<TenantId>,
    /// The others, the one whose turn it is in front.
    rotation: VecDeque<TenantId>,
    jobs: usize,
}

impl<T: Weighed> Turns<T> {
    /// No jobs. A turn is `quantum_samples` of audio, at least 1.
    pub(super) fn new(quantum_samples: u64) -> Self {
        Self {
            quantum_samples: signed(quantum_samples).max(1),
            lines: HashMap::new(),
            newcomers: VecDeque::new(),
            rotation: VecDeque::new(),
            jobs: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.jobs == 0
    }

    /// Jobs and audio of one tenant.
    pub(super) fn of(&self, tenant: &TenantId) -> (usize, u64) {
        self.lines
            .get(tenant)
            .map_or((0, 0), |line| (line.jobs.len(), line.queued_samples))
    }

    /// Puts a job last in its tenant's line.
    pub(super) fn push(&mut self, tenant: &TenantId, ticket: u64, job: T) {
        let line = self.lines.entry(tenant.clone()).or_insert_with(|| {
            self.newcomers.push_back(tenant.clone());
            Line {
                jobs: VecDeque::new(),
                credit_samples: self.quantum_samples,
                queued_samples: 0,
            }
        });
        line.queued_samples += job.cost_samples();
        line.jobs.push_back((ticket, job));
        self.jobs += 1;
    }

    /// What the next job costs.
    pub(super) fn next_cost(&mut self) -> Option<u64> {
        let tenant = self.next_tenant()?;
        let (_, job) = self.lines.get(&tenant)?.jobs.front()?;
        Some(job.cost_samples())
    }

    /// The next job.
    pub(super) fn pop(&mut self) -> Option<T> {
        let tenant = self.next_tenant()?;
        let line = self.lines.get_mut(&tenant)?;
        let (_, job) = line.jobs.pop_front()?;
        let cost = job.cost_samples();
        line.credit_samples = line.credit_samples.saturating_sub(signed(cost));
        line.queued_samples -= cost;
        self.jobs -= 1;
        Some(job)
    }

    /// Takes a waiting job out.
    pub(super) fn remove(&mut self, tenant: &TenantId, ticket: u64) -> Option<T> {
        let line = self.lines.get_mut(tenant)?;
        let position = line.jobs.iter().position(|(own, _)| *own == ticket)?;
        let (_, job) = line.jobs.remove(position)?;
        line.queued_samples -= job.cost_samples();
        self.jobs -= 1;
        Some(job)
    }

    /// Takes all jobs out.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = T> + use<T> {
        let lines = std::mem::take(&mut self.lines);
        self.forget_all();
        lines
            .into_values()
            .flat_map(|line| line.jobs.into_iter().map(|(_, job)| job))
    }

    /// Whose job is next: moves tenants on until one has a job and credit for it, and leaves that one
    /// in front.
    fn next_tenant(&mut self) -> Option<TenantId> {
        if self.is_empty() {
            // Nobody waits, so nobody is ahead of anybody.
            self.forget_all();
            return None;
        }
        loop {
            let is_new = !self.newcomers.is_empty();
            let from = match is_new {
                true => &mut self.newcomers,
                false => &mut self.rotation,
            };
            let tenant = from.front()?.clone();
            let line = self.lines.get_mut(&tenant)?;
            match line.jobs.is_empty() {
                false if line.credit_samples > 0 => return Some(tenant),
                true if !is_new => {
                    from.pop_front();
                    self.lines.remove(&tenant);
                    continue;
                }
                _ => {}
            }
            from.pop_front();
            if line.credit_samples <= 0 {
                line.credit_samples += self.quantum_samples;
            }
            self.rotation.push_back(tenant);
        }
    }

    fn forget_all(&mut self) {
        *self = Self::new(self.quantum_samples.unsigned_abs());
    }
}

/// A cost as it is counted against credit; one that no audio has is as good as the most.
fn signed(samples: u64) -> i64 {
    i64::try_from(samples).unwrap_or(i64::MAX)
}
