//! `auricle:runtime/log`: a guest's lines in the operator's log.
//!
//! Bounded by the lines of one instance ([`MAX_LINES`]) and by the bytes of a tenant in a minute
//! ([`LogBudget`]). Lines that are suppressed are counted and reported. Control characters are escaped
//! where lines are formatted.

mod budget;

use std::sync::Arc;

use auricle_runtime::GuestData;

use crate::bindings::imports::auricle::runtime::log::{Host, Level};
use crate::services::RequestScope;
use crate::state::GuestState;

pub(crate) use budget::LogBudget;

/// Bytes of one line; the rest is cut.
const MAX_LINE_BYTES: usize = 4_096;

/// Lines of one instance; the rest is counted and left out.
const MAX_LINES: u64 = 1_000;

/// Counts an instance's lines and labels them.
pub(crate) struct LogLines {
    role: &'static str,
    tenant: auricle_speech::TenantId,
    request_id: Arc<str>,
    budget: Arc<LogBudget>,
    written: u64,
}

impl LogLines {
    /// Whose lines they are.
    pub(crate) fn role(&self) -> &'static str {
        self.role
    }

    pub(crate) fn new(role: &'static str, scope: &RequestScope, budget: Arc<LogBudget>) -> Self {
        Self {
            role,
            tenant: scope.tenant.clone(),
            request_id: scope.request_id.clone(),
            budget,
            written: 0,
        }
    }

    /// Lines that were left out.
    fn left_out(&self) -> u64 {
        self.written.saturating_sub(MAX_LINES)
    }

    fn write(&mut self, level: Level, message: &str) {
        self.written += 1;
        if self.written > MAX_LINES {
            return;
        }
        let message = message
            .get(..message.floor_char_boundary(MAX_LINE_BYTES))
            .unwrap_or(message);
        if !is_logged(level) || !self.budget.admit(&self.tenant, message.len()) {
            return;
        }
        let (tenant, component, request_id) = (&self.tenant, self.role, &self.request_id);
        match level {
            Level::Error => {
                tracing::error!(target: "auricle::guest", %tenant, component, %request_id, "{message}")
            }
            Level::Warn => {
                tracing::warn!(target: "auricle::guest", %tenant, component, %request_id, "{message}")
            }
            Level::Info => {
                tracing::info!(target: "auricle::guest", %tenant, component, %request_id, "{message}")
            }
            Level::Debug => {
                tracing::debug!(target: "auricle::guest", %tenant, component, %request_id, "{message}")
            }
        }
    }
}

/// Whether the operator's filter lets lines of this level through: others use no budget.
fn is_logged(level: Level) -> bool {
    match level {
        Level::Error => tracing::enabled!(target: "auricle::guest", tracing::Level::ERROR),
        Level::Warn => tracing::enabled!(target: "auricle::guest", tracing::Level::WARN),
        Level::Info => tracing::enabled!(target: "auricle::guest", tracing::Level::INFO),
        Level::Debug => tracing::enabled!(target: "auricle::guest", tracing::Level::DEBUG),
    }
}

impl Host for GuestState {
    fn write(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        self.log.write(level, &message);
        Ok(())
    }
}

impl Drop for GuestState {
    fn drop(&mut self) {
        let left_out = self.log.left_out();
        if left_out > 0 {
            auricle_telemetry::metrics().suppressed_log_lines("instance_lines", left_out);
            tracing::warn!(
                target: "auricle::guest",
                tenant = %self.log.tenant,
                component = self.log.role,
                left_out,
                "log lines over the limit of {MAX_LINES} were left out"
            );
        }
        let peak_memory_bytes = self.limit_state().peak_memory_bytes();
        let cpu = self.cpu_meter().used();
        auricle_telemetry::metrics().guest(self.log.role, cpu, peak_memory_bytes);
        tracing::debug!(
            target: "auricle::usage",
            tenant = %self.log.tenant,
            component = self.log.role,
            request_id = %self.log.request_id,
            cpu_us = cpu.as_micros() as u64,
            peak_memory_bytes,
            "instance dropped"
        );
    }
}
