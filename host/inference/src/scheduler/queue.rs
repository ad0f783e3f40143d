//! The fair queue: live before interactive before batch, tenants in turn within each.
//!
//! Plain data without locks or clocks; the scheduler guards it. The more urgent class goes first;
//! lest the others starve, interactive and batch work earn a share of all device time that is used
//! while they wait, and have their next job done when they have earned what it costs. Earning comes
//! first and the job after it: where there is no pressure, urgent work waits for no batch job that is
//! not running already.
//!
//! Device time is estimated from a job's audio when it is taken ([`Rate`]) and corrected by what was
//! measured when it is done ([`FairQueue::settle`]).

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
    /// Device time of one tenant's jobs before another tenant has its turn; at least 1 µs. Cheap jobs
    /// pass expensive ones of other tenants, equal jobs take turns.
    pub quantum: Duration,
    /// Percent of the device time that interactive work gets at least while it waits; at most 45.
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
    /// 0.5 s (the shortest job of recognition with `base` on a core); 20 and 10 percent.
    fn default() -> Self {
        Self {
            quantum: Duration::from_millis(500),
            interactive_percent: 20,
            batch_percent: 10,
        }
    }
}

/// Device time per audio, by which the cost of a job is estimated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rate {
    /// Seconds of one worker per second of audio; above 0.
    pub(crate) real_time_factor: f64,
}

impl Rate {
    /// Estimated microseconds for so much audio; at least 1.
    fn micros(self, samples: u64) -> u64 {
        let micros = samples as f64 / f64::from(SAMPLE_RATE) * self.real_time_factor * 1e6;
        // Casts of floats saturate.
        (micros as u64).max(1)
    }
}

/// The device time that a job was charged when it was taken from the queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Charge {
    class: RequestClass,
    micros: u64,
    /// What its class paid for it, in hundredths of microseconds.
    spent: u64,
}

/// The jobs of one class, and what the class has earned.
#[derive(Debug)]
struct Lane<T> {
    turns: Turns<T>,
    percent: u64,
    /// Hundredths of microseconds that it may have done before more urgent work.
    earned: u64,
}

impl<T: Weighed> Lane<T> {
    fn new(fairness: &Fairness, percent: u32) -> Self {
        Self {
            turns: Turns::new(micros(fairness.quantum)),
            percent: percent.min(Fairness::MAX_PERCENT).into(),
            earned: 0,
        }
    }

    /// Whether its next job has been earned.
    fn is_due(&mut self, rate: Rate) -> bool {
        let cost = self.turns.next_cost(rate);
        cost.is_some_and(|cost| self.earned >= cost.saturating_mul(100))
    }

    /// So much device time is being used; `own` when it is this lane's. Returns what of its earnings
    /// the lane has paid.
    fn done(&mut self, cost: u64, own: bool) -> u64 {
        if self.turns.is_empty() {
            // A class that does not wait saves nothing up.
            self.earned = 0;
            return 0;
        }
        self.earned = self
            .earned
            .saturating_add(cost.saturating_mul(self.percent));
        let paid = match own {
            true => self.earned.min(cost.saturating_mul(100)),
            false => 0,
        };
        self.earned -= paid;
        paid
    }

    /// The device time of `charge` has turned out to be `took`. A lane that had not earned the whole
    /// job gets no more back than it has paid.
    fn correct(&mut self, charge: &Charge, took: u64, own: bool) {
        if self.turns.is_empty() {
            self.earned = 0;
            return;
        }
        let difference = took.abs_diff(charge.micros);
        let earnings = difference.saturating_mul(self.percent);
        let price = difference.saturating_mul(if own { 100 } else { 0 });
        let (more, less) = match took > charge.micros {
            true => (earnings, price),
            false => (price.min(charge.spent), earnings),
        };
        self.earned = self.earned.saturating_add(more).saturating_sub(less);
    }
}

/// Jobs of all tenants that wait.
#[derive(Debug)]
pub(crate) struct FairQueue<T> {
    live: Lane<T>,
    interactive: Lane<T>,
    batch: Lane<T>,
    rate: Rate,
    queued_samples: u64,
    jobs: usize,
    next_ticket: u64,
}

impl<T: Weighed> FairQueue<T> {
    /// No jobs, of which the cost will be estimated by `rate`.
    pub(crate) fn new(fairness: &Fairness, rate: Rate) -> Self {
        Self {
            live: Lane::new(fairness, 0),
            interactive: Lane::new(fairness, fairness.interactive_percent),
            batch: Lane::new(fairness, fairness.batch_percent),
            rate,
            queued_samples: 0,
            jobs: 0,
            next_ticket: 0,
        }
    }

    /// Estimates by `rate` from now on.
    pub(crate) fn set_rate(&mut self, rate: Rate) {
        self.rate = rate;
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

    /// The next job and what it was charged, to be settled when it is done.
    pub(crate) fn pop(&mut self) -> Option<(T, Charge)> {
        let (class, rate) = (self.next_class()?, self.rate);
        let (job, micros) = self.lane(class).turns.pop(rate)?;
        self.taken(job.cost_samples());
        let mut spent = 0;
        for each in RequestClass::ALL {
            spent += self.lane(each).done(micros, each == class);
        }
        let charge = Charge {
            class,
            micros,
            spent,
        };
        Some((job, charge))
    }

    /// Corrects what `tenant` was charged for a job by the device time that it has taken.
    pub(crate) fn settle(&mut self, tenant: &TenantId, charge: Charge, took: Duration) {
        let (class, took) = (charge.class, micros(took));
        for each in RequestClass::ALL {
            self.lane(each).correct(&charge, took, each == class);
        }
        let turns = &mut self.lane(class).turns;
        turns.settle(tenant, charge.micros, took);
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
        let _ = lane.done(0, false);
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
        let rate = self.rate;
        for class in [RequestClass::Interactive, RequestClass::Batch] {
            if self.lane(class).is_due(rate) {
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

/// Whole microseconds.
fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
