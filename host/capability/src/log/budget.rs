//! Bytes that the components of one tenant may write to the operator's log in a minute.
//!
//! A limit for each instance does not bound a tenant, which may have thousands of instances in a
//! minute. A tenant's minute begins with its first line. Lines that exceed the budget are counted: in
//! the metrics, and in one line of the log at the end of the minute.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use auricle_speech::TenantId;

const MINUTE: Duration = Duration::from_secs(60);

/// Bytes that a line counts in addition to its message: time, labels and line break.
const LINE_BYTES: u64 = 160;

/// The log budgets of all tenants.
#[derive(Debug)]
pub(crate) struct LogBudget {
    bytes_per_minute: u64,
    tenants: Mutex<HashMap<TenantId, Minute>>,
}

/// One tenant's running minute.
#[derive(Debug)]
struct Minute {
    began: Instant,
    used_bytes: u64,
    suppressed: Suppressed,
}

/// What was left out of the log in one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Suppressed {
    lines: u64,
    bytes: u64,
}

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Admission {
    Written,
    /// The first of its minute to be suppressed.
    FirstSuppressed,
    Suppressed,
}

impl Minute {
    fn new(now: Instant) -> Self {
        Self {
            began: now,
            used_bytes: 0,
            suppressed: Suppressed::default(),
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.began) >= MINUTE
    }
}

impl LogBudget {
    /// A budget of this many bytes a minute for each tenant.
    pub(crate) fn new(bytes_per_minute: u64) -> Arc<Self> {
        Arc::new(Self {
            bytes_per_minute,
            tenants: Mutex::default(),
        })
    }

    /// Whether the tenant may write a line with a message of this many bytes; counts the line either
    /// way.
    pub(crate) fn admit(self: &Arc<Self>, tenant: &TenantId, message_bytes: usize) -> bool {
        let now = Instant::now();
        self.report_if_over(tenant, now);
        let admission = self.admit_at(tenant, message_bytes, now);
        if admission == Admission::Written {
            return true;
        }
        auricle_telemetry::metrics().suppressed_log_lines("tenant_bytes", 1);
        if admission == Admission::FirstSuppressed
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let (budget, tenant) = (Arc::clone(self), tenant.clone());
            runtime.spawn(async move {
                tokio::time::sleep(MINUTE).await;
                budget.report_if_over(&tenant, Instant::now());
            });
        }
        false
    }

    fn admit_at(&self, tenant: &TenantId, message_bytes: usize, now: Instant) -> Admission {
        let bytes = LINE_BYTES.saturating_add(message_bytes as u64);
        let mut tenants = self.lock();
        if !tenants.contains_key(tenant) {
            // Those with suppressed lines wait to be reported.
            tenants.retain(|_, minute| !minute.is_over(now) || minute.suppressed.lines > 0);
        }
        let minute = tenants
            .entry(tenant.clone())
            .or_insert_with(|| Minute::new(now));
        let used_bytes = minute.used_bytes.saturating_add(bytes);
        if used_bytes <= self.bytes_per_minute && minute.suppressed.lines == 0 {
            minute.used_bytes = used_bytes;
            return Admission::Written;
        }
        minute.suppressed.lines += 1;
        minute.suppressed.bytes = minute.suppressed.bytes.saturating_add(bytes);
        match minute.suppressed.lines {
            1 => Admission::FirstSuppressed,
            _ => Admission::Suppressed,
        }
    }

    /// Ends the tenant's minute when it is over, and logs what was suppressed in it.
    fn report_if_over(&self, tenant: &TenantId, now: Instant) {
        let Some(Suppressed { lines, bytes }) = self.end_minute(tenant, now) else {
            return;
        };
        tracing::warn!(
            target: "auricle::guest",
            %tenant,
            suppressed_lines = lines,
            suppressed_bytes = bytes,
            bytes_per_minute = self.bytes_per_minute,
            "log lines of the tenant's components were suppressed; raise guest_bytes_per_minute of [log] to keep more"
        );
    }

    /// What was suppressed in the tenant's minute, if that is over; another begins.
    fn end_minute(&self, tenant: &TenantId, now: Instant) -> Option<Suppressed> {
        let mut tenants = self.lock();
        if !tenants.get(tenant)?.is_over(now) {
            return None;
        }
        let suppressed = tenants.remove(tenant)?.suppressed;
        (suppressed.lines > 0).then_some(suppressed)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TenantId, Minute>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn tenant(name: &str) -> TenantId {
        TenantId::new(name).unwrap()
    }

    /// How many of `lines` lines of 840 bytes, 1,000 with their labels, are written.
    fn written(budget: &LogBudget, name: &str, lines: usize, now: Instant) -> usize {
        let admissions = (0..lines).map(|_| budget.admit_at(&tenant(name), 840, now));
        admissions.filter(|a| *a == Admission::Written).count()
    }

    #[test]
    fn a_tenant_that_floods_the_log_leaves_the_budgets_of_others() {
        let (budget, now) = (LogBudget::new(10_000), Instant::now());
        assert_eq!(written(&budget, "flood", 1_000, now), 10);
        assert_eq!(written(&budget, "flood", 1_000, now + MINUTE / 2), 0);
        assert_eq!(written(&budget, "other", 5, now), 5);
    }

    #[test]
    fn empty_lines_use_the_budget_too() {
        let (budget, now) = (LogBudget::new(1_600), Instant::now());
        let admissions = (0..100).map(|_| budget.admit_at(&tenant("flood"), 0, now));
        assert_eq!(admissions.filter(|a| *a == Admission::Written).count(), 10);
    }

    #[test]
    fn what_was_suppressed_is_told_once_at_the_end_of_the_minute() {
        let (budget, now) = (LogBudget::new(10_000), Instant::now());
        let flood = tenant("flood");
        for number in 0..30 {
            let expected = match number {
                0..10 => Admission::Written,
                10 => Admission::FirstSuppressed,
                _ => Admission::Suppressed,
            };
            assert_eq!(budget.admit_at(&flood, 840, now), expected, "{number}");
        }
        assert_eq!(budget.end_minute(&flood, now + MINUTE / 2), None);
        let told = budget.end_minute(&flood, now + MINUTE);
        let (lines, bytes) = (20, 20_000);
        assert_eq!(told, Some(Suppressed { lines, bytes }));
        assert_eq!(budget.end_minute(&flood, now + MINUTE), None);
        // The next minute has a budget of its own.
        assert_eq!(written(&budget, "flood", 5, now + MINUTE), 5);
        assert_eq!(budget.end_minute(&flood, now + 2 * MINUTE), None);
    }

    #[test]
    fn minutes_of_tenants_that_are_gone_take_no_memory() {
        let (budget, now) = (LogBudget::new(10_000), Instant::now());
        for number in 0..1_000 {
            written(&budget, &format!("tenant-{number}"), 1, now);
        }
        written(&budget, "later", 1, now + MINUTE);
        assert_eq!(budget.lock().len(), 1);
    }
}
