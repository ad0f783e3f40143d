//! One class of the queue: tenants take turns in device time, and each one's jobs come in their order.
//!
//! Deficit round robin. A tenant has credit; a job is begun while there is some and may cost more
//! than there is, which later turns pay off, a quantum each. So however long its jobs are, no tenant
//! gets ahead of another one with waiting jobs by more than that and a quantum.
//!
//! What a job costs is an estimate while it waits and is corrected when it has been measured
//! ([`Turns::settle`]). A tenant is therefore remembered while a job of it runs and until its debt is
//! paid: one expensive job at a time is no way around the turns.
//!
//! A tenant that had neither waiting nor running jobs goes to the front of the rotation: it waits for
//! a worker, not for a turn.

use std::collections::{HashMap, VecDeque};

use auricle_speech::TenantId;

use super::{Rate, Weighed};

#[derive(Debug)]
struct Line<T> {
    jobs: VecDeque<(u64, T)>,
    /// Device time that it may still begin in its turn; negative when it has had too much.
    credit_micros: i64,
    queued_samples: u64,
    /// Jobs that were begun and have not been settled.
    running: usize,
}

/// The jobs of one class.
#[derive(Debug)]
pub(super) struct Turns<T> {
    quantum_micros: i64,
    /// Every tenant in `newcomers` or `rotation`, which is in one of them.
    lines: HashMap<TenantId, Line<T>>,
    /// Tenants that have had no turn since they came.
    newcomers: VecDeque<TenantId>,
    /// The others, the one whose turn it is in front.
    rotation: VecDeque<TenantId>,
    jobs: usize,
}

impl<T: Weighed> Turns<T> {
    /// No jobs. A turn is `quantum_micros` of device time, at least 1.
    pub(super) fn new(quantum_micros: u64) -> Self {
        Self {
            quantum_micros: signed(quantum_micros).max(1),
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
                credit_micros: self.quantum_micros,
                queued_samples: 0,
                running: 0,
            }
        });
        line.queued_samples += job.cost_samples();
        line.jobs.push_back((ticket, job));
        self.jobs += 1;
    }

    /// Estimated device time of the next job, in microseconds.
    pub(super) fn next_cost(&mut self, rate: Rate) -> Option<u64> {
        let tenant = self.next_tenant()?;
        let (_, job) = self.lines.get(&tenant)?.jobs.front()?;
        Some(rate.micros(job.cost_samples()))
    }

    /// The next job, and the device time in microseconds that its tenant was charged for it. Every
    /// job that is taken must be settled.
    pub(super) fn pop(&mut self, rate: Rate) -> Option<(T, u64)> {
        let tenant = self.next_tenant()?;
        let line = self.lines.get_mut(&tenant)?;
        let (_, job) = line.jobs.pop_front()?;
        let cost = rate.micros(job.cost_samples());
        line.credit_micros = line.credit_micros.saturating_sub(signed(cost));
        line.queued_samples -= job.cost_samples();
        line.running += 1;
        self.jobs -= 1;
        if self.newcomers.front() == Some(&tenant) {
            // It is new no longer, and others that are new need not wait for the rest of its turn.
            self.newcomers.pop_front();
            self.rotation.push_back(tenant);
        }
        Some((job, cost))
    }

    /// A job of `tenant` that was charged `charged` has taken `took`; both in microseconds.
    pub(super) fn settle(&mut self, tenant: &TenantId, charged: u64, took: u64) {
        let Some(line) = self.lines.get_mut(tenant) else {
            return;
        };
        let credit = line.credit_micros.saturating_add(signed(charged));
        line.credit_micros = credit.saturating_sub(signed(took)).min(self.quantum_micros);
        line.running = line.running.saturating_sub(1);
        if self.is_empty() {
            self.forget_idle();
        }
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
        *self = Self::new(self.quantum_micros.unsigned_abs());
        lines
            .into_values()
            .flat_map(|line| line.jobs.into_iter().map(|(_, job)| job))
    }

    /// Whose job is next: moves tenants on until one has a job and credit for it, and leaves that one
    /// in front.
    fn next_tenant(&mut self) -> Option<TenantId> {
        if self.is_empty() {
            // No tenant waits, so none is ahead of another.
            self.forget_idle();
            return None;
        }
        self.skip_rounds();
        loop {
            let is_new = !self.newcomers.is_empty();
            let from = match is_new {
                true => &mut self.newcomers,
                false => &mut self.rotation,
            };
            let tenant = from.front()?.clone();
            let line = self.lines.get_mut(&tenant)?;
            match line.jobs.is_empty() {
                false if line.credit_micros > 0 => return Some(tenant),
                true if !is_new && line.running == 0 && line.credit_micros > 0 => {
                    from.pop_front();
                    self.lines.remove(&tenant);
                    continue;
                }
                _ => {}
            }
            from.pop_front();
            if line.credit_micros <= 0 {
                line.credit_micros += self.quantum_micros;
            }
            self.rotation.push_back(tenant);
        }
    }

    /// Gives all tenants at once what the rounds give them in which none of them could begin a job.
    fn skip_rounds(&mut self) {
        let waiting = self.lines.values().filter(|line| !line.jobs.is_empty());
        let best = waiting.map(|line| line.credit_micros).max();
        let Some(rounds) = best.map(|best| best.saturating_neg() / self.quantum_micros) else {
            return;
        };
        if rounds < 1 {
            return;
        }
        let more = rounds.saturating_mul(self.quantum_micros);
        for line in self.lines.values_mut() {
            if line.credit_micros <= 0 {
                let credit = line.credit_micros.saturating_add(more);
                line.credit_micros = credit.min(self.quantum_micros);
            }
        }
    }

    /// Forgets the tenants of which no job runs.
    fn forget_idle(&mut self) {
        self.lines.retain(|_, line| line.running > 0);
        let newcomers = std::mem::take(&mut self.newcomers);
        self.rotation.extend(newcomers);
        self.rotation
            .retain(|tenant| self.lines.contains_key(tenant));
    }
}

/// A cost as it is counted against credit; one beyond the type's range is as good as the most.
fn signed(micros: u64) -> i64 {
    i64::try_from(micros).unwrap_or(i64::MAX)
}
