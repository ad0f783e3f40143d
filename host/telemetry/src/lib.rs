//! Names of every metric, and the process's numbers under them; [`traces`] of requests.
//!
//! Owns what is counted and how it is written down (OpenMetrics text, which Prometheus reads);
//! knows nothing of requests or models. Counts are a process's, so there is one [`metrics`] for all
//! crates and nothing has to be handed through them. What has a value at any time (loaded models,
//! queues, memory) is not counted along the way but told by the [`Snapshot`] of each reading.
//!
//! # Limits
//! Labels take values from short lists only: routes from [`names::route`], tenants from the
//! configuration, and nothing that a client writes. The numbers begin again with the process.

pub mod names;
mod process;
pub mod traces;

#[doc(hidden)]
pub use tracing;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// The content type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The process's metrics.
pub fn metrics() -> &'static Metrics {
    static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);
    &METRICS
}

/// Who changed a deployment.
const BY_SERVER: &str = "server";
const BY_OTHERS: &str = "operator";

type Labels = Vec<(&'static str, String)>;
type Count = Family<Labels, Counter>;
type Sum = Family<Labels, Counter<f64, AtomicU64>>;
type Value = Family<Labels, Gauge<f64, AtomicU64>>;
type Spread = Family<Labels, Histogram>;

/// A model that is loaded, or graph.
#[derive(Clone, Debug)]
pub struct Model {
    /// Its name.
    pub name: String,
    /// Whether it was set up for word times.
    pub word_timestamps: bool,
    /// Bytes of its weights.
    pub bytes: u64,
    /// Leases on it.
    pub leases: usize,
}

/// A device, as it is now.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its threads' name.
    pub name: &'static str,
    /// Audio that waits for it.
    pub queued_audio: Duration,
    /// Jobs that wait for it.
    pub queued_jobs: usize,
    /// Threads that compute.
    pub busy_workers: usize,
}

/// A revision of a tenant's that serves, is tried out, or has calls that go on.
#[derive(Clone, Debug)]
pub struct Revision {
    /// Whose it is.
    pub tenant: String,
    /// Its role.
    pub role: &'static str,
    /// Its number.
    pub number: u64,
    /// `stable`, `canary`, `shadow`, or `none` when it only ends what it has begun.
    pub trial: &'static str,
    /// The share of requests that it answers, or as shadow gets copies of; 0.0..=1.0.
    pub share: f64,
    /// Calls that ended well.
    pub succeeded: u64,
    /// Calls in which it failed.
    pub failed: u64,
    /// Calls that go on.
    pub running: u64,
}

/// What the host holds for tenants.
#[derive(Clone, Debug)]
pub struct Held {
    /// Bytes of each kind, by its label.
    pub kinds: Vec<(&'static str, u64)>,
    /// Limit of memory, in bytes.
    pub max_memory_bytes: u64,
    /// Limit of uploads spooled to disk, in bytes.
    pub max_spool_bytes: u64,
}

/// What has a value at any time, at the time of a reading.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Loaded models and graphs.
    pub models: Vec<Model>,
    /// The devices.
    pub devices: Vec<Device>,
    /// What tenants have deployed and used since the start.
    pub revisions: Vec<Revision>,
    /// What the host holds for tenants, where it keeps a ledger.
    pub held: Option<Held>,
}

/// Every metric there is; see the crate's documentation.
pub struct Metrics {
    /// Locked while a reading sets its gauges and writes them.
    registry: Mutex<Registry>,
    requests: Count,
    request_duration: Spread,
    errors: Count,
    queue_wait: Spread,
    real_time_factor: Spread,
    audio: Sum,
    dropped: Count,
    guest_cpu: Sum,
    guest_memory: Spread,
    guest_failures: Count,
    suppressed_log_lines: Count,
    revision_calls: Count,
    revision_running: Value,
    revision_share: Value,
    deployment_changes: Count,
    open: Value,
    model_bytes: Value,
    model_leases: Value,
    queued_audio: Value,
    queued_jobs: Value,
    busy_workers: Value,
    held: Value,
    held_limit: Value,
    process: Value,
}

/// Counts something as open while it lives.
#[derive(Debug)]
pub struct Open(Gauge<f64, AtomicU64>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    fn new() -> Self {
        let metrics = Self {
            registry: Mutex::new(Registry::default()),
            requests: Count::default(),
            request_duration: Spread::new_with_constructor(seconds),
            errors: Count::default(),
            queue_wait: Spread::new_with_constructor(seconds),
            real_time_factor: Spread::new_with_constructor(ratio),
            audio: Sum::default(),
            dropped: Count::default(),
            guest_cpu: Sum::default(),
            guest_memory: Spread::new_with_constructor(bytes),
            guest_failures: Count::default(),
            suppressed_log_lines: Count::default(),
            revision_calls: Count::default(),
            revision_running: Value::default(),
            revision_share: Value::default(),
            deployment_changes: Count::default(),
            open: Value::default(),
            model_bytes: Value::default(),
            model_leases: Value::default(),
            queued_audio: Value::default(),
            queued_jobs: Value::default(),
            busy_workers: Value::default(),
            held: Value::default(),
            held_limit: Value::default(),
            process: Value::default(),
        };
        metrics.register();
        metrics.begin();
        metrics
    }

    /// Series whose labels are known begin at 0, so that their first count is a rise.
    fn begin(&self) {
        for reason in names::DROP_REASONS {
            drop(self.dropped.get_or_create(&owned([("reason", reason)])));
        }
        for reason in names::LOG_SUPPRESSION_REASONS {
            let labels = owned([("reason", reason)]);
            drop(self.suppressed_log_lines.get_or_create(&labels));
        }
        for role in names::ROLES {
            for action in names::DEPLOYMENT_ACTIONS {
                for by in [BY_SERVER, BY_OTHERS] {
                    let labels = owned([("role", role), ("action", action), ("by", by)]);
                    drop(self.deployment_changes.get_or_create(&labels));
                }
            }
            let of_role = owned([("role", role)]);
            drop(self.guest_cpu.get_or_create(&of_role));
            drop(self.guest_memory.get_or_create(&of_role));
            for kind in names::GUEST_FAILURE_KINDS {
                let labels = owned([("role", role), ("kind", kind)]);
                drop(self.guest_failures.get_or_create(&labels));
            }
        }
    }

    fn register(&self) {
        let mut registry = self.lock();
        for name in names::ALL {
            let (key, help) = (name.registered(), name.help);
            match name.name {
                names::REQUESTS => registry.register(key, help, self.requests.clone()),
                names::REQUEST_DURATION => {
                    registry.register(key, help, self.request_duration.clone());
                }
                names::ERRORS => registry.register(key, help, self.errors.clone()),
                names::QUEUE_WAIT => registry.register(key, help, self.queue_wait.clone()),
                names::REAL_TIME_FACTOR => {
                    registry.register(key, help, self.real_time_factor.clone());
                }
                names::AUDIO => registry.register(key, help, self.audio.clone()),
                names::DROPPED => registry.register(key, help, self.dropped.clone()),
                names::GUEST_CPU => registry.register(key, help, self.guest_cpu.clone()),
                names::GUEST_MEMORY => registry.register(key, help, self.guest_memory.clone()),
                names::GUEST_FAILURES => registry.register(key, help, self.guest_failures.clone()),
                names::SUPPRESSED_LOG_LINES => {
                    registry.register(key, help, self.suppressed_log_lines.clone());
                }
                names::REVISION_CALLS => registry.register(key, help, self.revision_calls.clone()),
                names::REVISION_RUNNING => {
                    registry.register(key, help, self.revision_running.clone());
                }
                names::REVISION_SHARE => registry.register(key, help, self.revision_share.clone()),
                names::DEPLOYMENT_CHANGES => {
                    registry.register(key, help, self.deployment_changes.clone());
                }
                names::OPEN => registry.register(key, help, self.open.clone()),
                names::MODEL_BYTES => registry.register(key, help, self.model_bytes.clone()),
                names::MODEL_LEASES => registry.register(key, help, self.model_leases.clone()),
                names::QUEUED_AUDIO => registry.register(key, help, self.queued_audio.clone()),
                names::QUEUED_JOBS => registry.register(key, help, self.queued_jobs.clone()),
                names::BUSY_WORKERS => registry.register(key, help, self.busy_workers.clone()),
                names::HELD => registry.register(key, help, self.held.clone()),
                names::HELD_LIMIT => registry.register(key, help, self.held_limit.clone()),
                _ => registry.register(key, help, self.process.clone()),
            }
        }
    }

    /// A request has ended with `status`, 499 when its client went away.
    pub fn request(&self, path: &str, status: u16, tenant: Option<&str>, took: Duration) {
        let route = names::route(path);
        let tenant = tenant.unwrap_or(names::NO_TENANT);
        let labels = [
            ("route", route),
            ("status", &status.to_string()),
            ("tenant", tenant),
        ];
        self.requests.get_or_create(&owned(labels)).inc();
        let spread = self
            .request_duration
            .get_or_create(&owned([("route", route)]));
        spread.observe(took.as_secs_f64());
    }

    /// A request was refused or not answered; `kind` is the `code` of its error.
    pub fn error(&self, kind: &'static str) {
        self.errors.get_or_create(&owned([("kind", kind)])).inc();
    }

    /// A job of this class has waited so long for a thread of a device.
    pub fn queue_wait(&self, device: &'static str, class: &'static str, waited: Duration) {
        let labels = owned([("device", device), ("class", class)]);
        let spread = self.queue_wait.get_or_create(&labels);
        spread.observe(waited.as_secs_f64());
    }

    /// A device has worked `took` on so much of a tenant's audio; `audio` is not zero.
    pub fn computed(&self, device: &'static str, tenant: &str, audio: Duration, took: Duration) {
        let audio_secs = audio.as_secs_f64();
        let spread = self
            .real_time_factor
            .get_or_create(&owned([("device", device)]));
        spread.observe(took.as_secs_f64() / audio_secs);
        let labels = owned([("device", device), ("tenant", tenant)]);
        self.audio.get_or_create(&labels).inc_by(audio_secs);
    }

    /// A segment was left out of a transcript.
    pub fn dropped_segment(&self, reason: &'static str) {
        self.dropped
            .get_or_create(&owned([("reason", reason)]))
            .inc();
    }

    /// An instance has ended, having used this.
    pub fn guest(&self, role: &'static str, cpu: Duration, peak_memory_bytes: usize) {
        let labels = owned([("role", role)]);
        self.guest_cpu
            .get_or_create(&labels)
            .inc_by(cpu.as_secs_f64());
        let spread = self.guest_memory.get_or_create(&labels);
        spread.observe(peak_memory_bytes as f64);
    }

    /// An instance failed.
    pub fn guest_failure(&self, role: &'static str, kind: &'static str) {
        let labels = owned([("role", role), ("kind", kind)]);
        self.guest_failures.get_or_create(&labels).inc();
    }

    /// Log lines of components were suppressed: `instance_lines` or `tenant_bytes` was exceeded.
    pub fn suppressed_log_lines(&self, reason: &'static str, lines: u64) {
        let labels = owned([("reason", reason)]);
        self.suppressed_log_lines
            .get_or_create(&labels)
            .inc_by(lines);
    }

    /// What serves a role was changed: `set`, `promote`, `abandon` or `rollback`, by the server itself
    /// or by somebody.
    pub fn deployment_change(&self, role: &'static str, action: &'static str, by_itself: bool) {
        let by = if by_itself { BY_SERVER } else { BY_OTHERS };
        let labels = owned([("role", role), ("action", action), ("by", by)]);
        self.deployment_changes.get_or_create(&labels).inc();
    }

    /// Counts a `connection` or a `websocket` as open until the answer is dropped.
    #[must_use]
    pub fn open(&self, kind: &'static str) -> Open {
        let gauge = self.open.get_or_create_owned(&owned([("kind", kind)]));
        gauge.inc();
        Open(gauge)
    }

    /// Everything, as OpenMetrics text.
    #[must_use]
    pub fn render(&self, now: &Snapshot) -> String {
        let registry = self.lock();
        self.set_models(&now.models);
        self.set_revisions(&now.revisions);
        for device in &now.devices {
            let labels = owned([("device", device.name)]);
            set(
                &self.queued_audio,
                &labels,
                device.queued_audio.as_secs_f64(),
            );
            set(&self.queued_jobs, &labels, device.queued_jobs as f64);
            set(&self.busy_workers, &labels, device.busy_workers as f64);
        }
        if let Some(held) = &now.held {
            self.set_held(held);
        }
        set(
            &self.process,
            &Labels::new(),
            process::resident_bytes() as f64,
        );
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &registry);
        text
    }

    fn set_held(&self, held: &Held) {
        for (kind, bytes) in &held.kinds {
            set(&self.held, &owned([("kind", kind)]), *bytes as f64);
        }
        for (pool, limit) in [
            ("memory", held.max_memory_bytes),
            ("spool", held.max_spool_bytes),
        ] {
            set(&self.held_limit, &owned([("pool", pool)]), limit as f64);
        }
    }

    fn set_models(&self, models: &[Model]) {
        for family in [&self.model_bytes, &self.model_leases] {
            // What is not loaded any more has no value.
            family.clear();
        }
        for model in models {
            let words = if model.word_timestamps {
                "true"
            } else {
                "false"
            };
            let labels = owned([("model", &model.name), ("word_timestamps", words)]);
            set(&self.model_bytes, &labels, model.bytes as f64);
            set(&self.model_leases, &labels, model.leases as f64);
        }
    }

    fn set_revisions(&self, revisions: &[Revision]) {
        // What neither serves nor runs any more has no value.
        self.revision_calls.clear();
        self.revision_running.clear();
        self.revision_share.clear();
        for revision in revisions {
            let number = revision.number.to_string();
            let of = [
                ("tenant", revision.tenant.as_str()),
                ("role", revision.role),
                ("revision", &number),
            ];
            let with = |label| owned(of).into_iter().chain(owned([label])).collect();
            set(&self.revision_running, &owned(of), revision.running as f64);
            let share = with(("trial", revision.trial));
            set(&self.revision_share, &share, revision.share);
            for (outcome, count) in [
                ("succeeded", revision.succeeded),
                ("failed", revision.failed),
            ] {
                let calls = self
                    .revision_calls
                    .get_or_create_owned(&with(("outcome", outcome)));
                calls.inner().store(count, Ordering::Relaxed);
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn owned<const N: usize>(labels: [(&'static str, &str); N]) -> Labels {
    labels
        .map(|(name, value)| (name, value.to_owned()))
        .to_vec()
}

fn set(family: &Value, labels: &Labels, value: f64) {
    family.get_or_create(labels).set(value);
}

/// From a health check to half an hour.
fn seconds() -> Histogram {
    Histogram::new([
        0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 600.0, 1800.0,
    ])
}

/// Below 1 a device keeps up with somebody who speaks.
fn ratio() -> Histogram {
    Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0, 2.0, 5.0])
}

/// From 1 MiB to the largest instance there is.
fn bytes() -> Histogram {
    Histogram::new([20, 21, 22, 23, 24, 25, 26, 27, 28].map(|power| f64::from(1_u32 << power)))
}
