//! Every metric's name and what it says, in one place. `docs/metrics.md` is held against it.

/// A metric.
#[derive(Clone, Copy, Debug)]
pub struct Name {
    /// As it is served; of a histogram without `_bucket`, `_sum` and `_count`.
    pub name: &'static str,
    /// What it says, without a full stop.
    pub help: &'static str,
}

impl Name {
    /// The name without the `_total` that the text format puts behind a counter's.
    pub(crate) fn registered(&self) -> &'static str {
        self.name.strip_suffix("_total").unwrap_or(self.name)
    }
}

pub(crate) const REQUESTS: &str = "auricle_requests_total";
pub(crate) const REQUEST_DURATION: &str = "auricle_request_duration_seconds";
pub(crate) const ERRORS: &str = "auricle_errors_total";
pub(crate) const QUEUE_WAIT: &str = "auricle_queue_wait_seconds";
pub(crate) const REAL_TIME_FACTOR: &str = "auricle_real_time_factor";
pub(crate) const AUDIO: &str = "auricle_audio_seconds_total";
pub(crate) const DROPPED: &str = "auricle_dropped_segments_total";
pub(crate) const GUEST_CPU: &str = "auricle_guest_cpu_seconds_total";
pub(crate) const GUEST_MEMORY: &str = "auricle_guest_peak_memory_bytes";
pub(crate) const GUEST_FAILURES: &str = "auricle_guest_failures_total";
pub(crate) const SUPPRESSED_LOG_LINES: &str = "auricle_suppressed_log_lines_total";
pub(crate) const REVISION_CALLS: &str = "auricle_revision_calls_total";
pub(crate) const REVISION_RUNNING: &str = "auricle_revision_running_calls";
pub(crate) const REVISION_SHARE: &str = "auricle_revision_request_share";
pub(crate) const DEPLOYMENT_CHANGES: &str = "auricle_deployment_changes_total";
pub(crate) const OPEN: &str = "auricle_open_connections";
pub(crate) const MODEL_BYTES: &str = "auricle_model_bytes";
pub(crate) const MODEL_LEASES: &str = "auricle_model_leases";
pub(crate) const QUEUED_AUDIO: &str = "auricle_queued_audio_seconds";
pub(crate) const QUEUED_JOBS: &str = "auricle_queued_jobs";
pub(crate) const BUSY_WORKERS: &str = "auricle_busy_workers";
pub(crate) const HELD: &str = "auricle_held_bytes";
pub(crate) const HELD_LIMIT: &str = "auricle_held_limit_bytes";
pub(crate) const RESIDENT: &str = "auricle_process_resident_memory_bytes";

/// All of them.
pub const ALL: [Name; 24] = [
    name(REQUESTS, "Requests that have ended, WebSockets included"),
    name(
        REQUEST_DURATION,
        "From a request's headers to the last byte of its answer",
    ),
    name(
        ERRORS,
        "Requests refused or not answered by the server itself",
    ),
    name(QUEUE_WAIT, "How long a job waited for a thread of a device"),
    name(
        REAL_TIME_FACTOR,
        "Seconds of one thread for a second of audio, by job",
    ),
    name(AUDIO, "Seconds of audio that a device has worked on"),
    name(
        DROPPED,
        "Segments left out of transcripts because nobody said them",
    ),
    name(
        GUEST_CPU,
        "CPU time of components' instances that have ended",
    ),
    name(
        GUEST_MEMORY,
        "Most memory of a component's instance, by instance that has ended",
    ),
    name(
        GUEST_FAILURES,
        "Components' instances that ended by a failure",
    ),
    name(
        SUPPRESSED_LOG_LINES,
        "Log lines of components that exceeded a limit and were suppressed",
    ),
    name(
        REVISION_CALLS,
        "Calls of a tenant's revision that have ended, by how",
    ),
    name(REVISION_RUNNING, "Calls of a tenant's revision that go on"),
    name(
        REVISION_SHARE,
        "Share of a tenant's requests that a revision answers, or as shadow gets copies of",
    ),
    name(
        DEPLOYMENT_CHANGES,
        "Changes of what serves a role, by what was done and whether the server did it by itself",
    ),
    name(OPEN, "Connections and WebSockets that are open"),
    name(MODEL_BYTES, "Bytes of weights of a loaded model"),
    name(MODEL_LEASES, "Uses of a loaded model that keep it loaded"),
    name(QUEUED_AUDIO, "Seconds of audio that wait for a device"),
    name(QUEUED_JOBS, "Jobs that wait for a device"),
    name(BUSY_WORKERS, "Threads of a device that compute"),
    name(
        HELD,
        "Memory and spool disk that the host holds for tenants, by kind",
    ),
    name(
        HELD_LIMIT,
        "Most memory or spool disk that the host holds for tenants",
    ),
    name(
        RESIDENT,
        "Resident memory of the process, mapped files included",
    ),
];

const fn name(name: &'static str, help: &'static str) -> Name {
    Name { name, help }
}

pub(crate) const ROLES: [&str; 4] = ["handler", "decoder", "chunker", "speaker-assigner"];

/// What is done with deployments.
pub(crate) const DEPLOYMENT_ACTIONS: [&str; 4] = ["set", "promote", "abandon", "rollback"];

pub(crate) const DROP_REASONS: [&str; 3] = ["repetition", "no_speech", "no_voice"];

/// Limits that log lines of components may exceed.
pub(crate) const LOG_SUPPRESSION_REASONS: [&str; 2] = ["instance_lines", "tenant_bytes"];

pub(crate) const GUEST_FAILURE_KINDS: [&str; 8] = [
    "cpu_exhausted",
    "deadline_exceeded",
    "out_of_memory",
    "limit_exceeded",
    "stack_overflow",
    "trapped",
    "pool_exhausted",
    "over_quota",
];

/// The tenant of a request that proved none.
pub const NO_TENANT: &str = "none";

/// Paths that are told apart; all others are `other`, or a client could make up labels without end.
const ROUTES: [&str; 12] = [
    "/",
    "/transcribe",
    "/detect-language",
    "/ws/transcribe",
    "/v1/audio/transcriptions",
    "/v1/audio/translations",
    "/v1/models",
    "/health",
    "/livez",
    "/readyz",
    "/docs",
    "/openapi.json",
];

/// The label of a path.
#[must_use]
pub fn route(path: &str) -> &'static str {
    if path.starts_with("/v1/models/") {
        return "/v1/models/{model}";
    }
    let known = ROUTES.into_iter().find(|route| *route == path);
    known.unwrap_or("other")
}
