//! The fair queue: live before interactive before batch, tenants in turn within each.
//!
//! Plain data without locks or clocks; the scheduler guards it. The more urgent class goes first;
//! lest the others starve, interactive and batch work earn a share of all audio that is done while
//! they wait, and have their next job done when they have earned what it costs. Earning comes first
//! and the job after it: where there is no pressure nobody who is in a hurry waits for a batch job
//! that is not running already.

mod turns;

use std::time::Duration;

use auricle_speech::{RequestClass, SAMPLE_RATE, TenantId};

use turns::Turns;

/// What a queued entry weighs.
pub(crate) trait Weighed {
    /// Samples of audio; at least 1.
    fn cost_samples(&self) -> u64;
}

/// How a device's time is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fairness {
    /// Audio of a tenant's that is begun before another has its turn; at least a sample. Short jobs
    /// pass long ones of other tenants, equal jobs take turns.
    pub quantum: Duration,
    /// Percent of the audio that interactive work gets at least while it waits; at most 45.
    pub interactive_percent: u32,
    /// The same for batch work.
    pub batch_percent: u32,
}

impl Fairness {
    /// Largest share that is kept for one class, in percent: what is left of two of them is for the
    /// most urgent one.
    pub const MAX_PERCENT: u32 = 45;
}

impl Default for Fairness {
    /// 5 s (what the shortest job of recognition costs); 20 and 10 percent.
    fn default() -> Self {
        Self {
            quantum: Duration::from_secs(5),
            interactive_percent: 20,
            batch_percent: 10,
        }
    }
}

/// The jobs of one class, and what the class has earned.
#[derive(Debug)]
struct Lane<T> {
    turns: Turns<T>,
    percent: u64,
    /// Hundredths of samples that it may have done before more urgent work.
    earned: u64,
}

impl<T: Weighed> Lane<T> {
    fn new(fairness: &Fairness, percent: u32) -> Self {
        Self {
            turns: Turns::new(samples(fairness.quantum)),
            percent: percent.min(Fairness::MAX_PERCENT).into(),
            earned: 0,
        }
    }

    /// Whether its next job has been earned.
    fn is_due(&mut self) -> bool {
        let cost = self.turns.next_cost();
        cost.is_some_and(|cost| self.earned >= cost.saturating_mul(100))
    }

    /// So much audio is being done; `own` when it is this lane's.
    fn done(&mut self, cost: u64, own: bool) {
        if self.turns.is_empty() {
            // Nobody saves up.
            self.earned = 0;
            return;
        }
        self.earned = self
            .earned
            .saturating_add(cost.saturating_mul(self.percent));
        if own {
            self.earned = self.earned.saturating_sub(cost.saturating_mul(100));
        }
    }
}

/// Jobs of all tenants that wait.
#[derive(Debug)]
pub(crate) struct FairQueue<T> {
    live: Lane<T>,
    interactive: Lane<T>,
    batch: Lane<T>,
    queued_samples: u64,
    jobs: usize,
    next_ticket: u64,
}

impl<T: Weighed> FairQueue<T> {
    /// No jobs.
    pub(crate) fn new(fairness: &Fairness) -> Self {
        Self {
            live: Lane::new(fairness, 0),
            interactive: Lane::new(fairness, fairness.interactive_percent),
            batch: Lane::new(fairness, fairness.batch_percent),
            queued_samples: 0,
            jobs: 0,
            next_ticket: 0,
        }
    }

    /// Number of jobs.
    pub(crate) fn len(&self) -> usize {
        self.jobs
    }

    /// Audio of all jobs.
    pub(crate) fn queued_samples(&self) -> u64 {
        self.queued_samples
    }

    /// Jobs and audio of one tenant, of all classes.
    pub(crate) fn of(&self, tenant: &TenantId) -> (usize, u64) {
        let lanes = [&self.live, &self.interactive, &self.batch];
        lanes.iter().fold((0, 0), |(jobs, samples), lane| {
            let (more_jobs, more_samples) = lane.turns.of(tenant);
            (jobs + more_jobs, samples + more_samples)
        })
    }

    /// Puts a job last in its tenant's line. Returns a ticket to take it out with.
    pub(crate) fn push(&mut self, tenant: &TenantId, class: RequestClass, job: T) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.queued_samples += job.cost_samples();
        self.jobs += 1;
        self.lane(class).turns.push(tenant, ticket, job);
        ticket
    }

    /// The next job.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let class = self.next_class()?;
        let job = self.lane(class).turns.pop()?;
        let cost = job.cost_samples();
        self.taken(cost);
        for each in RequestClass::ALL {
            self.lane(each).done(cost, each == class);
        }
        Some(job)
    }

    /// Takes a waiting job out.
    pub(crate) fn remove(
        &mut self,
        tenant: &TenantId,
        class: RequestClass,
        ticket: u64,
    ) -> Option<T> {
        let lane = self.lane(class);
        let job = lane.turns.remove(tenant, ticket)?;
        lane.done(0, false);
        self.taken(job.cost_samples());
        Some(job)
    }

    /// Takes all jobs out.
    pub(crate) fn drain(&mut self) -> Vec<T> {
        let classes = RequestClass::ALL.into_iter();
        let jobs = classes.flat_map(|class| self.lane(class).turns.drain());
        let jobs: Vec<T> = jobs.collect();
        (self.jobs, self.queued_samples) = (0, 0);
        jobs
    }

    fn next_class(&mut self) -> Option<RequestClass> {
        for class in [RequestClass::Interactive, RequestClass::Batch] {
            if self.lane(class).is_due() {
                return Some(class);
            }
        }
        let mut classes = RequestClass::ALL.into_iter();
        classes.find(|class| !self.lane(*class).turns.is_empty())
    }

    fn lane(&mut self, class: RequestClass) -> &mut Lane<T> {
        match class {
            RequestClass::Live => &mut self.live,
            RequestClass::Interactive => &mut self.interactive,
            RequestClass::Batch => &mut self.batch,
        }
    }

    /// Books a job that waits no longer.
    fn taken(&mut self, cost: u64) {
        self.jobs -= 1;
        self.queued_samples -= cost;
    }
}

/// Whole milliseconds of it, which hold whole samples.
fn samples(audio: Duration) -> u64 {
    let millis = u64::try_from(audio.as_millis()).unwrap_or(u64::MAX);
    millis.saturating_mul(u64::from(SAMPLE_RATE) / 1000)
}

#[cfg(test)]
mod tests;
