//! A tenant with many long files, and another with short requests: how long the short ones wait, not in
//! seconds but in windows of the noisy one's that are begun before them.

use std::sync::Mutex;
use std::time::Duration;

use futures::future::join_all;
use serde_json::Value;

use crate::guests::{Tenants, VICTIM, beginning, key, transcribe_at};
use crate::support::audio::{RATE, speech, wav};
use crate::support::{Answer, Server, Upload};

const NOISY: &str = "noisy";

/// Files at once: `AURICLE_NOISY_FILES`, or so many.
const FILES: usize = 20;

/// How many of them the tenant may have at once.
const ALLOWED: usize = 16;

/// Seconds of each: `AURICLE_NOISY_FILE_SECS`, or so many: over two minutes, so that they are batch.
/// Longer ones only take longer to send.
const FILE_SECS: usize = 132;

/// Short requests, one after the other.
const SHORT: usize = 10;

/// One job of a device, as the log has it.
struct Begun {
    tenant: String,
    class: String,
    passed: u64,
    waited_ms: u64,
}

/// The jobs of recognition that were begun, in their order.
fn begun(server: &Server) -> Vec<Begun> {
    let lines = server.log.all();
    let jobs = lines.iter().filter_map(|line| {
        let line: Value = serde_json::from_str(line).ok()?;
        let fields = &line["fields"];
        let text = |name: &str| fields[name].as_str().unwrap_or_default().to_owned();
        let is_job = line["target"] == "auricle::queue" && fields["device"] == "auricle-dev";
        is_job.then(|| Begun {
            tenant: text("tenant"),
            class: text("class"),
            passed: fields["passed"].as_u64().unwrap(),
            waited_ms: fields["waited_ms"].as_u64().unwrap(),
        })
    });
    jobs.collect()
}

fn number(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_long_files_cost_anothers_short_requests_no_window_that_is_not_running() {
    let settings = format!("[server.admission]\nmax_requests_per_tenant = {ALLOWED}");
    let server = Tenants::new(&settings).with_key(NOISY).server().start();
    let files = number("AURICLE_NOISY_FILES", FILES);
    let samples = number("AURICLE_NOISY_FILE_SECS", FILE_SECS) * RATE;
    let words = speech().samples.iter().copied().cycle();
    let long = wav(&words.take(samples).collect::<Vec<_>>());
    let answered = Mutex::new(Vec::new());
    let noise = join_all((0..files).map(|_| {
        let form = Upload::wav(&long).field("language", "en");
        let request = form.request(&server, "/transcribe").bearer_auth(key(NOISY));
        async {
            let answer = Answer::of(request.send().await.unwrap()).await;
            answered.lock().unwrap().push(answer);
        }
    }));
    let noisy_jobs = || {
        begun(&server)
            .iter()
            .filter(|job| job.tenant == NOISY)
            .count()
    };
    let victim = async {
        // Until it is sure to have more than the workers can do at once.
        while noisy_jobs() < 4 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let before = begun(&server).len();
        for _ in 0..SHORT {
            transcribe_at(&server.address, VICTIM, beginning(5))
                .await
                .ok();
        }
        before
    };
    // The noisy clients leave when the victim is done.
    let before = tokio::select! {
        _ = noise => panic!("the noise has ended"),
        before = victim => before,
    };
    let jobs = begun(&server);
    let of = |tenant: &'static str| {
        jobs[before..]
            .iter()
            .filter(move |job| job.tenant == tenant)
    };
    let (victims, noisy) = (of(VICTIM).count(), of(NOISY).count());
    let passed: Vec<u64> = of(VICTIM).map(|job| job.passed).collect();
    let waited: Vec<u64> = of(VICTIM).map(|job| job.waited_ms).collect();
    println!(
        "{victims} jobs passed by {passed:?} others, {waited:?} ms; {noisy} of the noisy tenant's"
    );
    assert!(victims >= SHORT, "{victims}");
    assert!(passed.iter().all(|passed| *passed == 0), "{passed:?}");
    // Nor is the other one starved: it has the workers whenever the victim has not.
    assert!(noisy >= SHORT / 2, "{noisy}");
    assert!(of(NOISY).all(|job| job.class == "batch"));
    assert!(of(VICTIM).all(|job| job.class == "interactive"));
    let answered = answered.into_inner().unwrap();
    assert_eq!(answered.len(), files - ALLOWED);
    for answer in answered {
        assert_eq!(answer.status, 429, "{}", answer.body);
        let wait = answer.header("retry-after").parse::<u32>();
        assert!(
            wait.is_ok_and(|secs| (1..=60).contains(&secs)),
            "{answer:?}"
        );
    }
}
