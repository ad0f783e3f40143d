//! One line in the log for every request, whatever became of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use auricle_telemetry::traces;
use auricle_tenancy::Access;
use http::{HeaderMap, Method, StatusCode};
use tracing::instrument::Instrumented;
use tracing::{Instrument, Level, Span, field};

use crate::in_flight::{InFlight, OpenRequest};
use crate::request_id::RequestId;
use crate::rescue::CLIENT_GONE;

/// Longest part of a path in the log, in characters.
const MAX_PATH: usize = 256;

/// A request as the log sees it. Writes its line when dropped; without an outcome until then, the
/// client went away, or the end of a drain cut the request off.
#[derive(Debug)]
pub(crate) struct AccessLog {
    spans: Spans,
    started: Instant,
    outcome: Option<u16>,
    path: String,
    tenant: Option<String>,
    /// Health checks are many and say little.
    quiet: bool,
    open: OpenRequest,
}

/// What a request is to the log and to a collector.
#[derive(Clone, Debug)]
pub(crate) struct Spans {
    pub(crate) log: Span,
    trace: Span,
}

impl Spans {
    /// Has both know that what `work` does belongs to the request.
    pub(crate) fn instrument<F: Future>(self, work: F) -> Instrumented<Instrumented<F>> {
        // The outer one is entered first. Either may be switched off.
        work.instrument(self.log).instrument(self.trace)
    }
}

impl AccessLog {
    /// Opens the request's span. The query is left out: people put secrets into it.
    pub(crate) fn new(
        in_flight: &Arc<InFlight>,
        id: &RequestId,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        quiet: bool,
    ) -> Self {
        let path: String = path.chars().take(MAX_PATH).collect();
        let trace = traces::request(method, &path, headers, id.as_str());
        let span = tracing::info_span!(
            parent: &trace,
            "request",
            request_id = %id,
            tenant = field::Empty,
            key = field::Empty,
            method = %method,
            path = path.as_str(),
            status = field::Empty,
        );
        Self {
            spans: Spans { log: span, trace },
            started: Instant::now(),
            outcome: None,
            path,
            tenant: None,
            quiet,
            open: in_flight.open(),
        }
    }

    /// All requests that are open.
    pub(crate) fn in_flight(&self) -> &Arc<InFlight> {
        self.open.in_flight()
    }

    pub(crate) fn spans(&self) -> &Spans {
        &self.spans
    }

    /// The request has proved whose it is, and with which key.
    pub(crate) fn of(&mut self, access: &Access) {
        let log = &self.spans.log;
        log.record("tenant", access.tenant.as_str());
        if let Some(key) = &access.key {
            log.record("key", key.as_str());
        }
        self.tenant = Some(access.tenant.as_str().to_owned());
    }

    /// The answer is complete.
    pub(crate) fn finish(&mut self, status: u16) {
        self.outcome = Some(status);
    }

    fn status(&self) -> u16 {
        match self.outcome {
            Some(status) => status,
            None if std::thread::panicking() => StatusCode::INTERNAL_SERVER_ERROR.as_u16(),
            None if self.in_flight().cut_off().is_cancelled() => {
                StatusCode::SERVICE_UNAVAILABLE.as_u16()
            }
            None => CLIENT_GONE,
        }
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        let status = self.status();
        self.spans.log.record("status", status);
        traces::ended(&self.spans.trace, status);
        let took = self.started.elapsed();
        auricle_telemetry::metrics().request(&self.path, status, self.tenant.as_deref(), took);
        let elapsed_ms = millis(took);
        let level = match status {
            500.. => Level::WARN,
            _ if self.quiet => Level::DEBUG,
            _ => Level::INFO,
        };
        match level {
            Level::WARN => {
                tracing::warn!(parent: &self.spans.log, status, elapsed_ms, "request ended")
            }
            Level::DEBUG => {
                tracing::debug!(parent: &self.spans.log, status, elapsed_ms, "request ended")
            }
            _ => tracing::info!(parent: &self.spans.log, status, elapsed_ms, "request ended"),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
