//! The fair queue: deficit round robin between tenants, first come first served within one.
//!
//! Plain data without locks or clocks; the scheduler guards it.

use std::collections::{HashMap, VecDeque};

use auricle_speech::{SAMPLE_RATE, TenantId};

/// Credit a tenant gets each time its turn comes: 5 s of audio. Short jobs then pass long ones of
/// other tenants, while equal jobs take turns.
const QUANTUM_SAMPLES: u64 = 5 * SAMPLE_RATE as u64;

/// What a queued entry weighs.
pub(crate) trait Weighed {
    /// Samples of audio; at least 1.
    fn cost_samples(&self) -> u64;
}

#[derive(Debug)]
struct Line<T> {
    jobs: VecDeque<(u64, T)>,
    credit_samples: u64,
    queued_samples: u64,
}

/// Jobs of all tenants that wait.
#[derive(Debug)]
pub(crate) struct FairQueue<T> {
    lines: HashMap<TenantId, Line<T>>,
    /// Tenants with jobs, the one whose turn it is in front.
    turns: VecDeque<TenantId>,
    queued_samples: u64,
    jobs: usize,
    next_ticket: u64,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self {
            lines: HashMap::new(),
            turns: VecDeque::new(),
            queued_samples: 0,
            jobs: 0,
            next_ticket: 0,
        }
    }
}

impl<T: Weighed> FairQueue<T> {
    /// Number of jobs.
    pub(crate) fn len(&self) -> usize {
        self.jobs
    }

    /// Audio of all jobs.
    pub(crate) fn queued_samples(&self) -> u64 {
        self.queued_samples
    }

    /// Jobs and audio of one tenant.
    pub(crate) fn of(&self, tenant: &TenantId) -> (usize, u64) {
        self.lines
            .get(tenant)
            .map_or((0, 0), |line| (line.jobs.len(), line.queued_samples))
    }

    /// Puts a job last in its tenant's line. Returns a ticket to take it out with.
    pub(crate) fn push(&mut self, tenant: &TenantId, job: T) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let cost = job.cost_samples();
        let line = self.lines.entry(tenant.clone()).or_insert_with(|| {
            self.turns.push_back(tenant.clone());
            Line {
                jobs: VecDeque::new(),
                credit_samples: 0,
                queued_samples: 0,
            }
        });
        line.jobs.push_back((ticket, job));
        line.queued_samples += cost;
        self.queued_samples += cost;
        self.jobs += 1;
        ticket
    }

    /// The next job.
    pub(crate) fn pop(&mut self) -> Option<T> {
        loop {
            let tenant = self.turns.front()?.clone();
            let Some(line) = self.lines.get_mut(&tenant) else {
                self.turns.pop_front();
                continue;
            };
            let Some(cost) = line.jobs.front().map(|(_, job)| job.cost_samples()) else {
                self.forget(&tenant);
                continue;
            };
            if line.credit_samples < cost {
                line.credit_samples += QUANTUM_SAMPLES;
                self.turns.rotate_left(1);
                continue;
            }
            line.credit_samples -= cost;
            let (_, job) = line.jobs.pop_front()?;
            self.taken(&tenant, cost);
            return Some(job);
        }
    }

    /// Takes a waiting job out.
    pub(crate) fn remove(&mut self, tenant: &TenantId, ticket: u64) -> Option<T> {
        let line = self.lines.get_mut(tenant)?;
        let position = line.jobs.iter().position(|(own, _)| *own == ticket)?;
        let (_, job) = line.jobs.remove(position)?;
        self.taken(tenant, job.cost_samples());
        Some(job)
    }

    /// Takes all jobs out.
    pub(crate) fn drain(&mut self) -> Vec<T> {
        let lines = std::mem::take(&mut self.lines);
        *self = Self {
            next_ticket: self.next_ticket,
            ..Self::default()
        };
        lines
            .into_values()
            .flat_map(|line| line.jobs.into_iter().map(|(_, job)| job))
            .collect()
    }

    /// Books a job that left the line of `tenant`.
    fn taken(&mut self, tenant: &TenantId, cost: u64) {
        self.jobs -= 1;
        self.queued_samples -= cost;
        if let Some(line) = self.lines.get_mut(tenant) {
            line.queued_samples -= cost;
            if line.jobs.is_empty() {
                self.forget(tenant);
            }
        }
    }

    /// Strikes a tenant whose line is empty; unused credit is lost, so that nobody saves it up.
    fn forget(&mut self, tenant: &TenantId) {
        self.lines.remove(tenant);
        self.turns.retain(|other| other != tenant);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Job(&'static str, u64);

    impl Weighed for Job {
        fn cost_samples(&self) -> u64 {
            self.1 * u64::from(SAMPLE_RATE)
        }
    }

    fn tenant(name: &str) -> TenantId {
        TenantId::new(name).unwrap()
    }

    fn order(queue: &mut FairQueue<Job>) -> String {
        std::iter::from_fn(|| queue.pop())
            .map(|job| job.0)
            .collect()
    }

    #[test]
    fn equal_jobs_of_two_tenants_take_turns() {
        let mut queue = FairQueue::default();
        for _ in 0..3 {
            queue.push(&tenant("a"), Job("a", 30));
        }
        for _ in 0..3 {
            queue.push(&tenant("b"), Job("b", 30));
        }
        assert_eq!(order(&mut queue), "ababab");
        assert_eq!((queue.len(), queue.queued_samples()), (0, 0));
    }

    #[test]
    fn a_late_tenant_waits_for_one_turn_not_for_the_line() {
        let mut queue = FairQueue::default();
        for _ in 0..100 {
            queue.push(&tenant("a"), Job("a", 30));
        }
        queue.pop();
        queue.push(&tenant("b"), Job("b", 30));
        let order = order(&mut queue);
        assert!(order.find('b').unwrap() <= 1, "{order}");
    }

    #[test]
    fn short_jobs_pass_long_ones_in_proportion() {
        let mut queue = FairQueue::default();
        for _ in 0..4 {
            queue.push(&tenant("long"), Job("L", 30));
        }
        for _ in 0..24 {
            queue.push(&tenant("short"), Job("s", 5));
        }
        let order = order(&mut queue);
        let until_second_long = order.match_indices('L').nth(1).unwrap().0;
        let shorts = order[..until_second_long].matches('s').count();
        assert!((10..=13).contains(&shorts), "{order}");
    }

    #[test]
    fn a_removed_job_gives_its_room_back() {
        let mut queue = FairQueue::default();
        let ticket = queue.push(&tenant("a"), Job("a", 30));
        queue.push(&tenant("a"), Job("b", 10));
        assert_eq!(queue.remove(&tenant("a"), ticket), Some(Job("a", 30)));
        assert_eq!(queue.remove(&tenant("a"), ticket), None);
        assert_eq!(queue.of(&tenant("a")), (1, 10 * u64::from(SAMPLE_RATE)));
        assert_eq!(order(&mut queue), "b");
    }
}
