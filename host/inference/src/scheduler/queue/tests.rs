//! Orders that can be read, and what holds in every order.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const SEC: u64 = SAMPLE_RATE as u64;

/// The longest job: 30 s.
const LONGEST: u64 = 30 * SEC;

#[derive(Debug, PartialEq)]
struct Job(&'static str, u64);

impl Weighed for Job {
    fn cost_samples(&self) -> u64 {
        self.1 * SEC
    }
}

/// A second of device time per second of audio, so that costs can be read.
const RATE: Rate = Rate {
    real_time_factor: 1.0,
};

/// Five seconds for each turn.
const FAIRNESS: Fairness = Fairness {
    quantum: Duration::from_secs(5),
    interactive_percent: 20,
    batch_percent: 10,
};

fn queue() -> FairQueue<Job> {
    FairQueue::new(&FAIRNESS, RATE)
}

/// A job whose tenant can be read off it.
trait Owned: Weighed {
    fn tenant(&self) -> TenantId;
}

impl Owned for Job {
    fn tenant(&self) -> TenantId {
        tenant(self.0)
    }
}

impl Owned for Numbered {
    fn tenant(&self) -> TenantId {
        tenant(WHO[self.who])
    }
}

/// The next job, which takes what was estimated and is done before another one begins.
fn pop<T: Owned>(queue: &mut FairQueue<T>) -> Option<T> {
    let (job, charge) = queue.pop()?;
    let took = Duration::from_micros(charge.micros);
    queue.settle(&job.tenant(), charge, took);
    Some(job)
}

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

fn push(queue: &mut FairQueue<Job>, class: RequestClass, who: &'static str, secs: u64, n: usize) {
    for _ in 0..n {
        queue.push(&tenant(who), class, Job(who, secs));
    }
}

fn interactive(queue: &mut FairQueue<Job>, who: &'static str, secs: u64, n: usize) {
    push(queue, RequestClass::Interactive, who, secs, n);
}

fn order(queue: &mut FairQueue<Job>) -> String {
    std::iter::from_fn(|| pop(queue)).map(|job| job.0).collect()
}

#[test]
fn equal_jobs_of_two_tenants_take_turns() {
    let mut queue = queue();
    interactive(&mut queue, "a", 30, 3);
    interactive(&mut queue, "b", 30, 3);
    assert_eq!(order(&mut queue), "ababab");
    assert_eq!((queue.len(), queue.queued_samples()), (0, 0));
}

#[test]
fn a_late_tenant_waits_for_nobodys_turn() {
    for secs in [1, 5, 30] {
        let mut queue = queue();
        interactive(&mut queue, "a", 30, 100);
        pop(&mut queue);
        interactive(&mut queue, "b", secs, 1);
        assert!(order(&mut queue).starts_with('b'), "{secs} s");
    }
}

#[test]
fn one_that_comes_back_with_every_job_is_not_new_every_time() {
    let mut queue = queue();
    interactive(&mut queue, "a", 5, 100);
    interactive(&mut queue, "c", 5, 100);
    let mut order = String::new();
    for _ in 0..60 {
        if queue.of(&tenant("b")).0 == 0 {
            interactive(&mut queue, "b", 5, 1);
        }
        order.push_str(pop(&mut queue).unwrap().0);
    }
    for who in ["a", "b", "c"] {
        let turns = order.matches(who).count();
        assert!((19..=21).contains(&turns), "{who} {turns} times: {order}");
    }
}

#[test]
fn short_jobs_pass_long_ones_in_proportion() {
    let mut queue = queue();
    interactive(&mut queue, "long", 30, 4);
    interactive(&mut queue, "s", 5, 24);
    let order = order(&mut queue);
    let between: Vec<usize> = order.split("long").map(str::len).collect();
    // Nothing before the first; after the last comes what is left.
    assert_eq!(between[0], 0, "{order}");
    for shorts in &between[1..between.len() - 1] {
        assert!((5..=7).contains(shorts), "{order}");
    }
}

#[test]
fn the_more_urgent_goes_first_whoever_it_is_of() {
    let mut queue = queue();
    push(&mut queue, RequestClass::Batch, "b", 30, 3);
    push(&mut queue, RequestClass::Interactive, "i", 5, 3);
    push(&mut queue, RequestClass::Live, "l", 5, 3);
    assert_eq!(order(&mut queue), "llliiibbb");
}

#[test]
fn a_tenant_with_fifty_long_files_is_passed_by_every_short_request_of_another() {
    let mut queue = queue();
    push(&mut queue, RequestClass::Batch, "n", 30, 1_000);
    for _ in 0..100 {
        assert_eq!(pop(&mut queue).unwrap().0, "n", "nobody else waits");
        interactive(&mut queue, "v", 5, 1);
        assert_eq!(pop(&mut queue).unwrap().0, "v");
    }
}

#[test]
fn under_pressure_a_batch_job_comes_when_its_share_has_been_earned() {
    let mut queue = queue();
    push(&mut queue, RequestClass::Batch, "b", 30, 10);
    push(&mut queue, RequestClass::Interactive, "i", 5, 1_000);
    let order = order(&mut queue);
    // A tenth of all: 30 s for every 270 s of others.
    let first = order.find('b').unwrap();
    assert_eq!(first, 60, "{order}");
    let second = order[first + 1..].find('b').unwrap();
    assert!((53..=55).contains(&second), "{second}: {order}");
}

#[test]
fn a_class_that_does_not_wait_earns_nothing() {
    let mut queue = queue();
    push(&mut queue, RequestClass::Interactive, "i", 5, 1_000);
    for _ in 0..500 {
        pop(&mut queue);
    }
    push(&mut queue, RequestClass::Batch, "b", 30, 1);
    assert_eq!(order(&mut queue).find('b').unwrap(), 60);
}

#[test]
fn a_removed_job_gives_its_room_back() {
    let mut queue = queue();
    let class = RequestClass::Batch;
    let ticket = queue.push(&tenant("a"), class, Job("a", 30));
    queue.push(&tenant("a"), RequestClass::Live, Job("b", 10));
    assert_eq!(
        queue.remove(&tenant("a"), class, ticket),
        Some(Job("a", 30))
    );
    assert_eq!(queue.remove(&tenant("a"), class, ticket), None);
    assert_eq!(queue.of(&tenant("a")), (1, 10 * SEC));
    assert_eq!(order(&mut queue), "b");
}

/// Has the worker do `count` jobs one after another. Those of "dear" take `factor` times what their
/// audio says. Returns the seconds of device time of "dear" and "cheap"; `refill` adds jobs.
fn share(
    queue: &mut FairQueue<Job>,
    factor: u64,
    count: usize,
    refill: impl Fn(&mut FairQueue<Job>),
) -> (u64, u64) {
    let (mut dear, mut cheap) = (0, 0);
    for _ in 0..count {
        refill(queue);
        let (job, charge) = queue.pop().unwrap();
        let secs = match job.0 {
            "dear" => job.1 * factor,
            _ => job.1,
        };
        // The other tenants' jobs come while it runs.
        refill(queue);
        queue.settle(&tenant(job.0), charge, Duration::from_secs(secs));
        match job.0 {
            "dear" => dear += secs,
            _ => cheap += secs,
        }
    }
    (dear, cheap)
}

#[test]
fn equal_audio_that_takes_ten_times_as_long_is_charged_ten_times_as_much() {
    let mut queue = queue();
    interactive(&mut queue, "dear", 5, 200);
    interactive(&mut queue, "cheap", 5, 200);
    let (dear, cheap) = share(&mut queue, 10, 200, |_| {});
    // A job of each and a turn.
    assert!(dear.abs_diff(cheap) <= 60, "{dear} and {cheap} s");
}

#[test]
fn expensive_jobs_sent_one_at_a_time_do_not_pass_the_turns() {
    let mut queue = queue();
    interactive(&mut queue, "cheap", 5, 400);
    let one_at_a_time = |queue: &mut FairQueue<Job>| {
        if queue.of(&tenant("dear")).0 == 0 {
            interactive(queue, "dear", 5, 1);
        }
    };
    let (dear, cheap) = share(&mut queue, 10, 300, one_at_a_time);
    assert!(dear.abs_diff(cheap) <= 60, "{dear} and {cheap} s");
}

#[test]
fn a_debt_outlives_a_pause_between_jobs() {
    let mut queue = queue();
    interactive(&mut queue, "dear", 5, 1);
    interactive(&mut queue, "cheap", 5, 50);
    let (job, charge) = queue.pop().unwrap();
    assert_eq!(job.0, "dear");
    assert_eq!(pop(&mut queue).unwrap().0, "cheap", "while it runs");
    queue.settle(&tenant("dear"), charge, Duration::from_secs(100));
    assert_eq!(
        pop(&mut queue).unwrap().0,
        "cheap",
        "while it sends nothing"
    );
    interactive(&mut queue, "dear", 5, 1);
    let before = order(&mut queue).split("dear").next().unwrap().len() / "cheap".len();
    // 100 s are 20 turns of 5 s.
    assert!((16..=21).contains(&before), "{before} jobs of the other");
}

#[test]
fn an_overestimated_job_gives_the_difference_back() {
    let mut queue = queue();
    interactive(&mut queue, "a", 30, 20);
    interactive(&mut queue, "b", 5, 100);
    let mut had = String::new();
    for _ in 0..20 {
        let (job, charge) = queue.pop().unwrap();
        queue.settle(&tenant(job.0), charge, Duration::from_secs(5));
        had.push_str(job.0);
    }
    let turns = had.matches('a').count();
    assert!((9..=11).contains(&turns), "{had}");
}

/// What happens to a queue: jobs come and go.
#[derive(Clone, Debug)]
enum Step {
    Push {
        who: usize,
        class: usize,
        secs: u64,
    },
    Pop,
    /// The oldest job of a tenant's that is still there is given up.
    Remove {
        who: usize,
    },
}

const WHO: [&str; 4] = ["a", "b", "c", "d"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let push = (0..WHO.len(), 0..3_usize, 1..=30_u64).prop_map(|(who, class, secs)| Step::Push {
        who,
        class,
        secs,
    });
    let remove = (0..WHO.len()).prop_map(|who| Step::Remove { who });
    prop::collection::vec(
        prop_oneof![5 => push, 4 => Just(Step::Pop), 1 => remove],
        1..400,
    )
}

fn fairness() -> impl Strategy<Value = Fairness> {
    (1..=60_u64, 1..=45_u32, 1..=45_u32).prop_map(
        |(quantum, interactive_percent, batch_percent)| Fairness {
            quantum: Duration::from_secs(quantum),
            interactive_percent,
            batch_percent,
        },
    )
}

proptest! {
    #[test]
    fn every_job_comes_out_once_and_a_tenants_in_their_order(steps in steps()) {
        let mut queue: FairQueue<Numbered> = FairQueue::new(&FAIRNESS, RATE);
        let mut waiting: HashMap<(usize, usize), Vec<(u64, u64)>> = HashMap::new();
        let mut number = 0;
        for step in steps {
            match step {
                Step::Push { who, class, secs } => {
                    number += 1;
                    let job = Numbered { who, class, number, secs };
                    let ticket = queue.push(&tenant(WHO[who]), RequestClass::ALL[class], job);
                    waiting.entry((who, class)).or_default().push((number, ticket));
                }
                Step::Pop => {
                    let all: usize = waiting.values().map(Vec::len).sum();
                    prop_assert_eq!(queue.len(), all);
                    match pop(&mut queue) {
                        None => prop_assert_eq!(all, 0),
                        Some(job) => {
                            let line = waiting.get_mut(&(job.who, job.class)).unwrap();
                            prop_assert_eq!(line.remove(0).0, job.number);
                        }
                    }
                }
                Step::Remove { who } => {
                    let class = (0..3).find(|class| {
                        waiting.get(&(who, *class)).is_some_and(|line| !line.is_empty())
                    });
                    if let Some(class) = class {
                        let (number, ticket) = waiting.get_mut(&(who, class)).unwrap().remove(0);
                        let class = RequestClass::ALL[class];
                        let removed = queue.remove(&tenant(WHO[who]), class, ticket).unwrap();
                        prop_assert_eq!(removed.number, number);
                    }
                }
            }
        }
        let left: usize = waiting.values().map(Vec::len).sum();
        prop_assert_eq!(queue.drain().len(), left);
        prop_assert_eq!((queue.len(), queue.queued_samples()), (0, 0));
    }

    /// Two tenants that both wait the whole time get the same audio, but for a turn and what a last
    /// job of each costs too much.
    #[test]
    fn of_two_that_wait_neither_gets_ahead_by_more_than_the_bound(
        fairness in fairness(),
        costs in prop::collection::vec((1..=30_u64, 1..=30_u64), 200),
        pops in 1..200_usize,
        others in 0..3_usize,
    ) {
        let mut queue: FairQueue<Numbered> = FairQueue::new(&fairness, RATE);
        let class = RequestClass::Interactive;
        for (number, (a, b)) in costs.iter().enumerate() {
            for (who, secs) in [*a, *b, 7, 13].into_iter().enumerate().take(2 + others.min(2)) {
                let job = Numbered { who, class: 1, number: number as u64, secs };
                queue.push(&tenant(WHO[who]), class, job);
            }
        }
        let mut had = [0_u64; WHO.len()];
        let bound = 3 * fairness.quantum.as_secs() * SEC + 2 * LONGEST;
        for _ in 0..pops {
            let job = pop(&mut queue).unwrap();
            had[job.who] += job.cost_samples();
            prop_assert!(had[0].abs_diff(had[1]) <= bound, "{:?} of {}", had, bound);
        }
    }

    /// A class that waits the whole time gets its share of everything that is begun, but for the
    /// jobs that it has not earned in whole.
    #[test]
    fn no_class_starves(
        fairness in fairness(),
        costs in prop::collection::vec(1..=30_u64, 2_000),
        live_too in any::<bool>(),
    ) {
        let mut queue: FairQueue<Numbered> = FairQueue::new(&fairness, RATE);
        let first = usize::from(!live_too);
        for (number, secs) in costs.iter().enumerate() {
            for class in first..3 {
                let job = Numbered { who: number % 3, class, number: number as u64, secs: *secs };
                queue.push(&tenant(WHO[number % 3]), RequestClass::ALL[class], job);
            }
        }
        let (mut had, mut all) = ([0_u64; 3], 0_u64);
        let shares = [0, fairness.interactive_percent, fairness.batch_percent];
        for _ in 0..1_500 {
            let job = pop(&mut queue).unwrap();
            had[job.class] += job.cost_samples();
            all += job.cost_samples();
            for (class, share) in shares.into_iter().enumerate().skip(first) {
                let earned = all * u64::from(share) / 100;
                prop_assert!(had[class] + 3 * LONGEST >= earned, "{class}: {had:?} of {all}");
            }
        }
    }

    /// Whoever has had nothing waiting is next in its class, whatever the others have.
    #[test]
    fn a_newcomer_is_next_in_its_class(
        fairness in fairness(),
        queued in prop::collection::vec((0..3_usize, 1..=30_u64), 1..400),
        secs in 1..=30_u64,
    ) {
        let mut queue: FairQueue<Numbered> = FairQueue::new(&fairness, RATE);
        let class = RequestClass::Interactive;
        for (who, secs) in &queued {
            let job = Numbered { who: *who, class: 1, number: 0, secs: *secs };
            queue.push(&tenant(WHO[*who]), class, job);
        }
        // The others were new once: until each has had its turn.
        let mut had = 0;
        while had < 3 * (fairness.quantum.as_secs() * SEC + LONGEST) {
            had += pop(&mut queue).map_or(u64::MAX / 2, |job| job.cost_samples());
        }
        queue.push(&tenant("d"), class, Numbered { who: 3, class: 1, number: 1, secs });
        prop_assert_eq!(pop(&mut queue).unwrap().who, 3);
    }
}

#[derive(Debug)]
struct Numbered {
    who: usize,
    class: usize,
    number: u64,
    secs: u64,
}

impl Weighed for Numbered {
    fn cost_samples(&self) -> u64 {
        self.secs * SEC
    }
}
