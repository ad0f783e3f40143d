//! The queue and the device threads, with a small engine of the tests' own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

#[path = "common/double.rs"]
mod double;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use auricle_inference::{
    DeviceConfig, DeviceMeter, InferenceError, Lease, RegistryConfig, Scheduler, SpanJob,
    SpanResult, Work,
};
use auricle_speech::{RequestClass, Span};
use double::{Desk, ENDLESS, PANIC, job, registry, until};

fn config(workers: usize) -> DeviceConfig {
    DeviceConfig {
        workers,
        session_idle: Duration::from_millis(100),
        ..DeviceConfig::default()
    }
}

async fn lease(desk: &Arc<Desk>) -> Lease {
    registry(desk, RegistryConfig::default())
        .lease("m", false)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_result_counts_from_the_start_of_the_clip() {
    let desk = Desk::new();
    let lease = lease(&desk).await;
    let scheduler = Scheduler::start(config(1)).unwrap();
    let mut job = job("a", &lease, 10, 0.1);
    job.span = Span {
        start: 4 * 16_000,
        end: 7 * 16_000,
    };
    let SpanResult::Segments(segments) = scheduler.submit(job).unwrap().await.unwrap() else {
        panic!("not segments");
    };
    assert_eq!(segments[0].text, "en 48000");
    assert_eq!((segments[0].start, segments[0].end), (4.0, 5.0));
    assert_eq!(segments[0].words[0].start, 4.25);
    let stats = scheduler.stats();
    assert_eq!(stats.processed_audio, Duration::from_secs(3));
    assert_eq!(
        (stats.jobs, stats.queued_jobs, stats.busy_workers),
        (1, 0, 0)
    );
    scheduler.shutdown();
}

#[tokio::test]
async fn languages_are_detected_on_the_same_queue() {
    let desk = Desk::new();
    let lease = lease(&desk).await;
    let scheduler = Scheduler::start(config(1)).unwrap();
    let mut job = job("a", &lease, 1, 0.1);
    job.work = Work::DetectLanguage;
    let result = scheduler.submit(job).unwrap().await.unwrap();
    assert!(matches!(result, SpanResult::Languages(scores) if scores.len() == 1));
}

#[tokio::test]
async fn a_tenant_with_a_hundred_spans_does_not_delay_another() {
    let desk = Desk::new();
    let lease = lease(&desk).await;
    let scheduler = Scheduler::start(config(2)).unwrap();
    desk.hold(true);
    let mut many = Vec::new();
    for _ in 0..100 {
        many.push(scheduler.submit(job("busy", &lease, 30, 0.1)).unwrap());
    }
    until("both workers are busy", || desk.started() == 2).await;
    let one = scheduler.submit(job("guest", &lease, 30, 0.9)).unwrap();
    desk.hold(false);
    one.await.unwrap();
    for pending in many {
        pending.await.unwrap();
    }
    let order = desk.order.lock().unwrap();
    let guest = order.iter().position(|&tag| tag > 0.5).unwrap();
    // Two ran already; at most two more may go first.
    assert!(guest <= 4, "the guest was number {guest}");
    assert_eq!(order.len(), 101);
}

/// A job of this class.
fn of_class(class: RequestClass, tenant: &str, lease: &Lease, secs: usize, tag: f32) -> SpanJob {
    SpanJob {
        class,
        ..job(tenant, lease, secs, tag)
    }
}

#[tokio::test]
async fn fifty_long_files_cost_another_tenants_short_request_the_windows_that_run_and_no_more() {
    for workers in [1, 2] {
        let desk = Desk::new();
        let lease = lease(&desk).await;
        let scheduler = Scheduler::start(config(workers)).unwrap();
        desk.hold(true);
        // Each of the files keeps twice as many spans queued as there are workers.
        let spans = (0..50 * 2 * workers).map(|_| {
            let span = of_class(RequestClass::Batch, "noisy", &lease, 30, 0.1);
            scheduler.submit(span).unwrap()
        });
        let many: Vec<_> = spans.collect();
        until("the workers are busy", || desk.started() == workers).await;
        let short = (0..3).map(|_| scheduler.submit(job("victim", &lease, 5, 0.9)).unwrap());
        let short: Vec<_> = short.collect();
        desk.hold(false);
        for pending in short {
            pending.await.unwrap();
        }
        for pending in many {
            pending.await.unwrap();
        }
        let order = desk.order.lock().unwrap();
        let victims = order.iter().map(|tag| *tag > 0.5);
        let first = victims.clone().position(|victim| victim).unwrap();
        let last = victims.enumerate().filter(|(_, victim)| *victim);
        let last = last.map(|(place, _)| place).max().unwrap();
        assert_eq!((first, last), (workers, workers + 2), "{workers} workers");
    }
}

#[tokio::test]
async fn long_jobs_of_the_same_class_cost_a_newcomer_no_more_either() {
    let desk = Desk::new();
    let lease = lease(&desk).await;
    let scheduler = Scheduler::start(config(1)).unwrap();
    desk.hold(true);
    let mut all: Vec<_> = (0..50)
        .map(|_| scheduler.submit(job("noisy", &lease, 30, 0.1)).unwrap())
        .collect();
    until("the worker is busy", || desk.started() == 1).await;
    all.push(scheduler.submit(job("victim", &lease, 5, 0.9)).unwrap());
    desk.hold(false);
    for pending in all {
        pending.await.unwrap();
    }
    let order = desk.order.lock().unwrap();
    assert_eq!(order.iter().position(|tag| *tag > 0.5), Some(1));
}

#[tokio::test]
async fn live_comes_before_interactive_before_batch_and_batch_all_the_same() {
    let desk = Desk::new();
    let lease = lease(&desk).await;
    let scheduler = Scheduler::start(config(1)).unwrap();
    desk.hold(true);
    let mut all = vec![scheduler.submit(job("a", &lease, 5, 0.0)).unwrap()];
    until("the worker is busy", || desk.started() == 1).await;
    for (class, tag, secs, count) in [
        (RequestClass::Batch, 0.1, 30, 2),
        (RequestClass::Interactive, 0.2, 5, 40),
        (RequestClass::Live, 0.3, 5, 200),
    ] {
        for _ in 0..count {
            let job = of_class(class, "a", &lease, secs, tag);
            all.push(scheduler.submit(job).unwrap());
        }
    }
    desk.hold(false);
    for pending in all {
        pending.await.unwrap();
    }
    let order = desk.order.lock().unwrap();
    let places = |tag: f32| -> Vec<usize> {
        let found = order.iter().enumerate().filter(|(_, own)| **own == tag);
        found.map(|(place, _)| place).collect()
    };
    let (batch, interactive) = (places(0.1), places(0.2));
    assert_eq!(order[1], 0.3);
    // Their shares are of device time, which is not the same in any two runs: the queue's own tests
    // have the numbers.
    let last_live = places(0.3).into_iter().max().unwrap();
    assert!(interactive[0] < last_live, "{interactive:?}");
    assert!(batch[0] < last_live, "{batch:?}");
}

#[derive(Debug, Default)]
struct Meter(Mutex<Duration>);

impl DeviceMeter for Meter {
    fn charge(&self, time: Duration) {
        *self.0.lock().unwrap() += time;
    }
}

#[tokio::test]
async fn device_time_is_charged_for_good_failed_and_abandoned_jobs() {
    let desk = Desk::new();
    let lease = lease(&desk).await;
    let scheduler = Scheduler::start(config(1)).unwrap();
    let meter = Arc::new(Meter::default());
    let charged = || *meter.0.lock().unwrap();
    let metered = |tag| SpanJob {
        meter: Some(Arc::clone(&meter) as _),
        ..job("a", &lease, 5, tag)
    };
    scheduler.submit(metered(0.1)).unwrap().await.unwrap();
    let good = charged();
    assert!(good > Duration::ZERO);
    let failed = scheduler.submit(metered(PANIC)).unwrap().await;
    assert!(failed.is_err());
    let after_failure = charged();
    assert!(after_failure > good);
    let abandoned = scheduler.submit(metered(ENDLESS)).unwrap();
    until("the worker is busy", || desk.started() == 3).await;
    drop(abandoned);
    until("it is charged", || charged() > after_failure).await;
    // All that the worker did was this tenant's.
    assert_eq!(charged(), scheduler.stats().busy);
}

#[tokio::test]
async fn a_dropped_result_never_starts_its_job() {
    let desk = Desk::new();
    let lease = lease(&desk).await;
    let scheduler = Scheduler::start(config(1)).unwrap();
    desk.hold(true);
    let first = scheduler.submit(job("a", &lease, 30, 0.1)).unwrap();
    until("the worker is busy", || desk.started() == 1).await;
    let second = scheduler.submit(job("a", &lease, 30, 0.2)).unwrap();
    assert_eq!(scheduler.stats().queued_audio, Duration::from_secs(30));
    drop(second);
    assert_eq!(scheduler.stats().queued_jobs, 0, "its room is free at once");
    assert_eq!(scheduler.stats().queued_audio, Duration::ZERO);
    desk.hold(false);
    first.await.unwrap();
    assert_eq!(desk.started(), 1);
}

#[tokio::test]
async fn a_running_job_stops_when_its_result_is_dropped() {
    let desk = Desk::new();
    let lease = lease(&desk).await;
    let scheduler = Scheduler::start(config(1)).unwrap();
    let endless = scheduler.submit(job("a", &lease, 30, ENDLESS)).unwrap();
    until("the worker is busy", || desk.started() == 1).await;
    let dropped = Instant::now();
    drop(endless);
    until("the worker is free", || scheduler.stats().busy_workers == 0).await;
    assert!(dropped.elapsed() < Duration::from_secs(1));
    scheduler
        .submit(job("a", &lease, 1, 0.1))
        .unwrap()
        .await
        .unwrap();
}

#[tokio::test]
async fn a_cancelled_flag_ends_waiting_and_running_jobs() {
    let desk = Desk::new();
    let lease = lease(&desk).await;
    let scheduler = Scheduler::start(config(1)).unwrap();
    let running = job("a", &lease, 30, ENDLESS);
    let mut waiting = job("a", &lease, 30, 0.1);
    waiting.cancel = running.cancel.clone();
    let flag = running.cancel.clone();
    let running = scheduler.submit(running).unwrap();
    let waiting = scheduler.submit(waiting).unwrap();
    until("the worker is busy", || desk.started() == 1).await;
    flag.cancel();
    assert!(matches!(running.await, Err(InferenceError::Cancelled)));
    assert!(matches!(waiting.await, Err(InferenceError::Cancelled)));
    assert_eq!(desk.started(), 1);
}

#[tokio::test]
async fn a_deadline_ends_waiting_and_running_jobs() {
    let desk = Desk::new();
    let lease = lease(&desk).await;
    let scheduler = Scheduler::start(config(1)).unwrap();
    // Long enough that it begins on a busy machine too.
    let mut running = job("a", &lease, 30, ENDLESS);
    running.deadline = Some(Instant::now() + Duration::from_secs(2));
    let running = scheduler.submit(running).unwrap();
    until("the worker is busy", || desk.started() == 1).await;
    let mut waiting = job("a", &lease, 30, 0.1);
    waiting.deadline = Some(Instant::now() + Duration::from_millis(50));
    let waiting = scheduler.submit(waiting).unwrap();
    let (running, waiting) = tokio::join!(running, waiting);
    assert!(matches!(running, Err(InferenceError::Deadline)));
    assert!(matches!(waiting, Err(InferenceError::Deadline)));
    until("the worker is free", || scheduler.stats().busy_workers == 0).await;
    assert_eq!(desk.started(), 1, "the late job never ran");
}

#[tokio::test]
async fn a_full_queue_refuses_with_a_number() {
    let desk = Desk::new();
    let lease = lease(&desk).await;
    let limits = DeviceConfig {
        max_queued: Duration::from_secs(60),
        max_tenant_queued: Duration::from_secs(30),
        max_tenant_jobs: 3,
        ..config(1)
    };
    let scheduler = Scheduler::start(limits).unwrap();
    desk.hold(true);
    let mut kept = vec![scheduler.submit(job("a", &lease, 30, 0.1)).unwrap()];
    until("the worker is busy", || desk.started() == 1).await;
    kept.push(scheduler.submit(job("a", &lease, 30, 0.1)).unwrap());
    match scheduler.submit(job("a", &lease, 30, 0.1)) {
        Err(InferenceError::TenantFull {
            tenant,
            retry_after,
        }) => {
            assert_eq!(tenant.as_str(), "a");
            assert!(retry_after >= Duration::from_secs(1));
        }
        other => panic!("{other:?}"),
    }
    kept.push(scheduler.submit(job("b", &lease, 30, 0.1)).unwrap());
    match scheduler.submit(job("c", &lease, 30, 0.1)) {
        Err(InferenceError::Full { retry_after }) => {
            assert!(retry_after >= Duration::from_secs(1));
        }
        other => panic!("{other:?}"),
    }
    desk.hold(false);
    for pending in kept {
        pending.await.unwrap();
    }
    let again = scheduler.submit(job("c", &lease, 30, 0.1)).unwrap();
    again.await.unwrap();
}

#[tokio::test]
async fn a_jobs_own_limit_holds_for_its_tenant_instead_of_the_devices() {
    let desk = Desk::new();
    let lease = lease(&desk).await;
    let limits = DeviceConfig {
        max_tenant_queued: Duration::from_secs(30),
        ..config(1)
    };
    let scheduler = Scheduler::start(limits).unwrap();
    desk.hold(true);
    let mut kept = vec![scheduler.submit(job("a", &lease, 30, 0.1)).unwrap()];
    until("the worker is busy", || desk.started() == 1).await;
    let own = |tenant: &str, secs| SpanJob {
        max_queued: Some(Duration::from_secs(secs)),
        ..job(tenant, &lease, 30, 0.1)
    };
    for _ in 0..3 {
        kept.push(scheduler.submit(own("large", 90)).unwrap());
    }
    let refused = scheduler.submit(own("large", 90));
    assert!(matches!(refused, Err(InferenceError::TenantFull { .. })));
    kept.push(scheduler.submit(own("small", 10)).unwrap());
    let refused = scheduler.submit(own("small", 10));
    assert!(matches!(refused, Err(InferenceError::TenantFull { .. })));
    desk.hold(false);
    for pending in kept {
        pending.await.unwrap();
    }
}

#[tokio::test]
async fn too_many_jobs_of_one_tenant_are_refused_however_short() {
    let desk = Desk::new();
    let lease = lease(&desk).await;
    let scheduler = Scheduler::start(DeviceConfig {
        max_tenant_jobs: 3,
        ..config(1)
    })
    .unwrap();
    desk.hold(true);
    let first = scheduler.submit(job("a", &lease, 1, 0.1)).unwrap();
    until("the worker is busy", || desk.started() == 1).await;
    let _kept: Vec<_> = (0..3)
        .map(|_| scheduler.submit(job("a", &lease, 1, 0.1)).unwrap())
        .collect();
    let refused = scheduler.submit(job("a", &lease, 1, 0.1));
    assert!(matches!(refused, Err(InferenceError::TenantFull { .. })));
    desk.hold(false);
    first.await.unwrap();
}

#[tokio::test]
async fn a_panicking_engine_costs_one_result_and_one_session() {
    let desk = Desk::new();
    let lease = lease(&desk).await;
    let scheduler = Scheduler::start(config(1)).unwrap();
    for _ in 0..3 {
        let result = scheduler.submit(job("a", &lease, 1, PANIC)).unwrap().await;
        match result {
            Err(InferenceError::Panicked { message }) => assert_eq!(message, "told to panic"),
            other => panic!("{other:?}"),
        }
        assert_eq!(desk.sessions_open(), 0, "the session is thrown away");
    }
    let ok = scheduler.submit(job("a", &lease, 1, 0.1)).unwrap().await;
    assert!(ok.is_ok());
}

#[tokio::test]
async fn a_session_is_kept_between_jobs_and_dropped_when_idle() {
    let desk = Desk::new();
    let lease = lease(&desk).await;
    let scheduler = Scheduler::start(config(1)).unwrap();
    for _ in 0..2 {
        scheduler
            .submit(job("a", &lease, 1, 0.1))
            .unwrap()
            .await
            .unwrap();
        assert_eq!(desk.sessions_open(), 1);
    }
    assert_eq!(scheduler.stats().sessions, 1);
    until("the session is dropped", || desk.sessions_open() == 0).await;
    until("the session is not counted", || {
        scheduler.stats().sessions == 0
    })
    .await;
}

#[tokio::test]
async fn another_engine_takes_the_session_over() {
    let desk = Desk::new();
    let registry = registry(&desk, RegistryConfig::default());
    let one = registry.lease("one", false).await.unwrap();
    let two = registry.lease("two", false).await.unwrap();
    let scheduler = Scheduler::start(DeviceConfig {
        session_idle: Duration::from_secs(60),
        ..config(1)
    })
    .unwrap();
    for lease in [&one, &two, &one] {
        scheduler
            .submit(job("a", lease, 1, 0.1))
            .unwrap()
            .await
            .unwrap();
        assert_eq!(desk.sessions_open(), 1);
    }
    scheduler.shutdown();
    assert_eq!(desk.sessions_open(), 0);
}

#[tokio::test]
async fn a_shutdown_stops_running_jobs_and_gives_waiting_ones_back() {
    let desk = Desk::new();
    let lease = lease(&desk).await;
    let scheduler = Scheduler::start(config(1)).unwrap();
    let running = scheduler.submit(job("a", &lease, 30, ENDLESS)).unwrap();
    let waiting = scheduler.submit(job("a", &lease, 30, 0.1)).unwrap();
    until("the worker is busy", || desk.started() == 1).await;
    tokio::task::spawn_blocking(move || scheduler.shutdown())
        .await
        .unwrap();
    assert!(matches!(running.await, Err(InferenceError::Cancelled)));
    assert!(matches!(waiting.await, Err(InferenceError::Draining)));
}
