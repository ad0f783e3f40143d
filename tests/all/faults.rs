//! What hostile components and clients do, all of it beside a tenant that must not notice.
//!
//! `docs/isolation.md` has the list and its numbers. Here every fault of it happens on one server while
//! the victim works, each after a quiet while with which it is compared: the victim sees no error, and
//! its slowest requests are not much slower. The modules below have what needs a server of its own.
//!
//! By itself this takes less than a minute. With `AURICLE_SOAK_MINUTES` (`make soak`) it goes on for
//! that long, beside other tenants' honest work, and writes `docs/benchmarks/soak.md`.

/// Clients that are slow, silent, gone or guessing (27, 28, 35, 37).
mod clients;
/// A node without a free instance (14).
mod full;
/// What one tenant could find of another's (12, 13).
mod leaks;
/// Memory that the host holds: hours of silence, uploads kept for seeking (33, 34).
mod memory;
/// Fifty long files (36).
mod noisy;
/// The long form.
mod soak;
/// Answers that are not taken (29).
mod unread;
/// Who must not notice.
mod victim;

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;

use crate::guests::{TIGHT, Tenants, get, logged_kind, must_not_name_others, transcribe, wasm};
use crate::support::Server;
use crate::support::upload::Answer;
use victim::{Victim, percentile};

/// Enough memory to make a value that is too large for a call.
const ROOMY: &str = "limits = { memory_bytes = 268435456, cpu_ms = 5000 }";

/// What stands between two faults; the victim is alone then.
const QUIET: Duration = Duration::from_millis(500);

/// Memory that may be kept after all: the allocator's, and what the pool's slots have touched. Of a slot
/// that is its stack, 0.45 MiB once something has recursed on it, and 64 KiB of a memory.
const KEPT_BYTES: u64 = 64 << 20;

/// How much slower the victim's slowest requests may be in the short form. What is promised is twice;
/// a machine that builds something else meanwhile has quiet times that are not.
const SLOWER: u32 = 4;

/// Slack of the same, for times that are short.
const SLACK: Duration = Duration::from_millis(500);

/// One kind of misbehaviour.
struct Fault {
    /// Its number in `docs/isolation.md`.
    number: u8,
    what: &'static str,
    does: Does,
}

/// Who does it, and how it must end.
enum Does {
    /// The tenant's requests are answered with this status; the log has one of these kinds.
    Fails {
        role: &'static str,
        component: &'static [u8],
        rest: &'static str,
        /// Nothing: a file to transcribe.
        path: Option<&'static str>,
        status: u16,
        kinds: &'static [&'static str],
    },
    /// Clients do it.
    Clients(fn(&'static Server) -> BoxFuture<'static, ()>),
}

const fn fault(number: u8, what: &'static str, does: Does) -> Fault {
    Fault { number, what, does }
}

const fn chunker(component: &'static [u8], kinds: &'static [&'static str]) -> Does {
    Does::Fails {
        role: "chunker",
        component,
        rest: TIGHT,
        path: None,
        status: 502,
        kinds,
    }
}

const fn handler(component: &'static [u8], status: u16, kinds: &'static [&'static str]) -> Does {
    Does::Fails {
        role: "handler",
        component,
        rest: TIGHT,
        path: None,
        status,
        kinds,
    }
}

const fn bomb(path: &'static str) -> Does {
    Does::Fails {
        role: "handler",
        component: wasm::HANDLER_BOMBS,
        rest: ROOMY,
        path: Some(path),
        status: 502,
        kinds: &["limit_exceeded", "out_of_memory"],
    }
}

const SPINS: &[&str] = &["cpu_exhausted"];
const DIVES: &[&str] = &["stack_overflow", "trapped"];
const HOLDS: &[&str] = &["limit_exceeded"];
const HOARDS: &[&str] = &["out_of_memory"];
const PANICS: &[&str] = &["trapped"];

/// Setting that a chunker asks for.
const TEXT: &str = "configuration = { text = 'some text' }\nlimits = { cpu_ms = 300 }";

/// All that need no server of their own; `docs/isolation.md` says where the others are.
const FAULTS: &[Fault] = &[
    fault(
        1,
        "a chunker that spins",
        chunker(wasm::CHUNKER_SPINS, SPINS),
    ),
    fault(
        1,
        "a handler that spins",
        handler(wasm::HANDLER_SPINS, 504, SPINS),
    ),
    fault(
        1,
        "spins while it starts",
        chunker(wasm::CHUNKER_STARTS, SPINS),
    ),
    fault(
        1,
        "spins when all is done",
        chunker(wasm::CHUNKER_AFTER, SPINS),
    ),
    fault(
        1,
        "spins within a host call",
        Does::Fails {
            role: "chunker",
            component: wasm::CHUNKER_LOWERS,
            rest: TEXT,
            path: None,
            status: 502,
            kinds: SPINS,
        },
    ),
    fault(
        1,
        "many handlers that spin",
        Does::Clients(clients::spin_together),
    ),
    fault(
        3,
        "a handler that hoards memory",
        handler(wasm::HANDLER_HOARDS, 502, HOARDS),
    ),
    fault(
        3,
        "a chunker that hoards memory",
        chunker(wasm::CHUNKER_HOARDS, HOARDS),
    ),
    fault(
        4,
        "a table without end",
        chunker(wasm::CHUNKER_TABLE, HOLDS),
    ),
    fault(
        5,
        "pollables without end",
        handler(wasm::HANDLER_HOLDS, 502, HOLDS),
    ),
    fault(5, "clips without end", chunker(wasm::CHUNKER_HOLDS, HOLDS)),
    fault(
        5,
        "detectors without end",
        chunker(wasm::CHUNKER_DETECTS, HOLDS),
    ),
    fault(
        5,
        "recordings without end",
        handler(wasm::HANDLER_RECORDS, 502, HOLDS),
    ),
    fault(6, "200 MiB in a call", bomb("/?case=bytes")),
    fault(6, "200 MiB in a line", bomb("/?case=line")),
    fault(6, "ten million strings", bomb("/?case=strings")),
    fault(6, "a million fields", bomb("/?case=fields")),
    fault(
        7,
        "ten million empty writes",
        Does::Clients(clients::empty_writes),
    ),
    fault(
        8,
        "a handler that recurses",
        handler(wasm::HANDLER_RECURSES, 502, DIVES),
    ),
    fault(
        8,
        "a chunker that recurses",
        chunker(wasm::CHUNKER_RECURSES, DIVES),
    ),
    fault(
        8,
        "recurses through the host",
        Does::Fails {
            role: "chunker",
            component: wasm::CHUNKER_DIVES,
            rest: TEXT,
            path: None,
            status: 502,
            kinds: DIVES,
        },
    ),
    fault(
        9,
        "a handler that panics",
        handler(wasm::HANDLER_PANICS, 502, PANICS),
    ),
    fault(
        9,
        "a chunker that panics",
        chunker(wasm::CHUNKER_PANICS, PANICS),
    ),
    fault(12, "guessed handles", Does::Clients(leaks::guessed_handles)),
    fault(
        13,
        "memory that is scanned",
        Does::Clients(leaks::scanned_memory),
    ),
    fault(14, "a crowd of instances", Does::Clients(clients::crowd)),
    fault(27, "slow clients", Does::Clients(clients::slow)),
    fault(
        28,
        "half-open WebSockets",
        Does::Clients(clients::half_open),
    ),
    fault(
        29,
        "answers that are not taken",
        Does::Clients(unread::no_window),
    ),
    fault(35, "clients that leave", Does::Clients(clients::leave)),
    fault(37, "guessed keys", Does::Clients(clients::guess_keys)),
];

/// The tenant of the fault at this place of the table.
fn tenant(place: usize) -> String {
    format!("fault-{place}")
}

/// Patience that is short enough for a test.
const SETTINGS: &str = "
[server.limits]
request_timeout_ms = 30000
header_read_timeout_ms = 2000
body_idle_timeout_ms = 2000
write_stall_timeout_ms = 2000
[server.websocket]
ping_interval_ms = 500
pong_timeout_ms = 2000
[runtime]
max_requests = 40
[models]
idle_state_secs = 600
";

/// The server on which it all happens.
fn arena() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let tenants = Tenants::new(SETTINGS)
            .with_key(clients::CLIENT)
            .with_key(soak::REGULAR)
            .with("fault-waits", "handler", wasm::HANDLER_WAITS, "")
            .with("fault-floods", "handler", wasm::HANDLER_FLOODS, TIGHT)
            .with("fault-spins", "handler", wasm::HANDLER_SPINS, TIGHT)
            .with("fault-crowds", "handler", wasm::HANDLER_CROWDS, "")
            .with("fault-guesses", "handler", wasm::HANDLER_GUESSES, TIGHT)
            .with("fault-scans-a", "handler", wasm::HANDLER_SCANS, "")
            .with("fault-scans-b", "handler", wasm::HANDLER_SCANS, "")
            .with(
                "fault-writes",
                "handler",
                wasm::HANDLER_WRITES_NOTHING,
                TIGHT,
            );
        let all = FAULTS.iter().enumerate();
        let tenants = all.fold(tenants, |tenants, (place, fault)| match &fault.does {
            Does::Fails {
                role,
                component,
                rest,
                ..
            } => tenants.with(&tenant(place), role, component, rest),
            Does::Clients(_) => tenants,
        });
        tenants.server().start()
    })
}

/// Has a fault happen once.
async fn happens(server: &'static Server, place: usize) {
    let fault = &FAULTS[place];
    let (path, status, kinds) = match &fault.does {
        Does::Clients(act) => return act(server).await,
        Does::Fails {
            path,
            status,
            kinds,
            ..
        } => (path, *status, kinds),
    };
    let answer: Answer = match path {
        None => transcribe(server, &tenant(place)).await,
        Some(path) => crate::guests::send(get(server, &tenant(place), path)).await,
    };
    let what = fault.what;
    assert_eq!(answer.status, status, "{what}: {}", answer.body);
    must_not_name_others(&answer);
    let kind = logged_kind(server, &answer);
    assert!(kinds.contains(&kind.as_str()), "{what}: {kind}");
}

/// How the victim fared with the faults of one number and in the quiet before them.
#[derive(Default)]
struct Fared {
    happened: usize,
    /// How often it did not end as it must.
    wrong: usize,
    quiet: Vec<Duration>,
    beside: Vec<Duration>,
}

/// All of the table, one after the other, each after a quiet while.
async fn round(server: &'static Server, victim: &Victim, fared: &mut BTreeMap<usize, Fared>) {
    for place in 0..FAULTS.len() {
        let began = Instant::now();
        tokio::time::sleep(QUIET).await;
        let quiet = Instant::now();
        let ended = tokio::spawn(happens(server, place)).await;
        let fared = fared.entry(place).or_default();
        fared.happened += 1;
        fared.wrong += usize::from(ended.is_err());
        fared.quiet.extend(victim.within(began, quiet));
        // What ends after the fault has felt it, too.
        tokio::time::sleep(QUIET / 2).await;
        fared.beside.extend(victim.within(quiet, Instant::now()));
    }
}

/// The two times that are compared: 99 percent of the victim's requests were not slower.
fn slowest(fared: &BTreeMap<usize, Fared>) -> (Duration, Duration) {
    let all = |of: fn(&Fared) -> &Vec<Duration>| {
        let values: Vec<_> = fared.values().flat_map(|f| of(f).clone()).collect();
        percentile(&values, 99)
    };
    (all(|f| &f.quiet), all(|f| &f.beside))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_fault_is_noticed_by_the_victim_and_all_memory_comes_back() {
    let server = arena();
    let victim = Victim::begin(server).await;
    // Never answers: goes on beside everything else, to its own deadline.
    let waits = tokio::spawn(transcribe(server, "fault-waits"));
    let load = soak::load(server).await;
    let since = Instant::now();
    tokio::time::sleep(QUIET).await;
    let (before, open) = (server.private_bytes(), server.open_files());
    let mut fared = BTreeMap::new();
    let rounds = soak::rounds(server, &victim, &mut fared, since, load).await;
    waits.await.unwrap().detail(504);
    let seen = victim.end().await;
    assert!(seen.errors.is_empty(), "{:?}", seen.errors);
    let is_wrong = fared.iter().filter(|(_, fared)| fared.wrong > 0);
    let wrong: Vec<_> = is_wrong.map(|(place, _)| FAULTS[*place].what).collect();
    assert!(wrong.is_empty(), "did not end as they must: {wrong:?}");
    let (quiet, beside) = slowest(&fared);
    println!(
        "{rounds} rounds, {} requests of the victim's: p99 {} ms in quiet, {} ms beside faults, {:.2} times",
        seen.samples.len(),
        quiet.as_millis(),
        beside.as_millis(),
        beside.as_secs_f64() / quiet.as_secs_f64()
    );
    let bound = quiet * SLOWER + SLACK;
    assert!(beside <= bound, "{beside:?} of at most {bound:?}");
    must_be_as_before(server, before, open.temporary).await;
}

/// Waits until memory and open files are what they were.
async fn must_be_as_before(server: &Server, before: u64, temporary: usize) {
    let (mut grown, mut open) = (u64::MAX, server.open_files());
    for _ in 0..50 {
        grown = server.private_bytes().saturating_sub(before);
        open = server.open_files();
        if grown < KEPT_BYTES && open.temporary <= temporary {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!("{} MiB more than before, {open:?}", grown >> 20);
    assert!(grown < KEPT_BYTES, "{grown} bytes more than before");
    assert!(open.temporary <= temporary, "{open:?}");
}
