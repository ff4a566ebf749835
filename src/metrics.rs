//! Totals since an engine started.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::types::{ExecutionResult, ExecutionStats, ExecutionStatus};

pub(crate) use self::text::{Gauges, text};
use self::times::DurationHistogram;

mod text;
mod times;

/// Counters that any thread may raise. They are statistics: no order between them is promised.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    total: AtomicU64,
    completed: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
    timeout: AtomicU64,
    stdout_bytes: AtomicU64,
    stderr_bytes: AtomicU64,
    lines: AtomicU64,
    backoffs: AtomicU64,
    truncated: AtomicU64,
    log_lost_bytes: AtomicU64,
    overflow_lost_bytes: AtomicU64,
    retention_scans: AtomicU64,
    spawn_latency: DurationHistogram,
    queue_time: DurationHistogram,
    duration: DurationHistogram,
}

impl Metrics {
    pub(crate) fn accepted(&self) {
        self.total.fetch_add(1, Relaxed);
    }

    /// Counts a spawn for which the machine had no room.
    pub(crate) fn count_backoff(&self) {
        self.backoffs.fetch_add(1, Relaxed);
    }

    /// Counts a command that runs, with the time since it had its slot.
    pub(crate) fn spawned(&self, after: Duration) {
        self.spawn_latency.record(after);
    }

    /// Counts a search for records that are too old.
    pub(crate) fn count_retention_scan(&self) {
        self.retention_scans.fetch_add(1, Relaxed);
    }

    /// Counts an end and what the execution wrote.
    pub(crate) fn ended(&self, result: &ExecutionResult, stdout_bytes: u64, stderr_bytes: u64, lines: u64) {
        let outcome = match result.status {
            ExecutionStatus::Completed => &self.completed,
            ExecutionStatus::Cancelled => &self.cancelled,
            ExecutionStatus::Timeout => &self.timeout,
            ExecutionStatus::Failed | ExecutionStatus::Pending | ExecutionStatus::Running => &self.failed,
        };
        outcome.fetch_add(1, Relaxed);
        self.stdout_bytes.fetch_add(stdout_bytes, Relaxed);
        self.stderr_bytes.fetch_add(stderr_bytes, Relaxed);
        self.lines.fetch_add(lines, Relaxed);
        self.log_lost_bytes.fetch_add(result.log_lost_bytes, Relaxed);
        self.overflow_lost_bytes.fetch_add(result.overflow_lost_bytes, Relaxed);
        if result.stdout_truncated || result.stderr_truncated {
            self.truncated.fetch_add(1, Relaxed);
        }
        if result.pid.is_some() {
            self.queue_time.record(milliseconds(result.queued_ms));
            self.duration.record(milliseconds(result.duration_ms));
        }
    }

    pub(crate) fn snapshot(&self) -> ExecutionStats {
        ExecutionStats {
            total: self.total.load(Relaxed),
            completed: self.completed.load(Relaxed),
            failed: self.failed.load(Relaxed),
            cancelled: self.cancelled.load(Relaxed),
            timeout: self.timeout.load(Relaxed),
            stdout_bytes: self.stdout_bytes.load(Relaxed),
            stderr_bytes: self.stderr_bytes.load(Relaxed),
            lines: self.lines.load(Relaxed),
            backoffs: self.backoffs.load(Relaxed),
            waiting_for_groups: 0,
            truncated: self.truncated.load(Relaxed),
            log_lost_bytes: self.log_lost_bytes.load(Relaxed),
            overflow_lost_bytes: self.overflow_lost_bytes.load(Relaxed),
            spawn_latency_ms: self.spawn_latency.percentiles(),
            queue_time_ms: self.queue_time.percentiles(),
            duration_ms: self.duration.percentiles(),
        }
    }
}

fn milliseconds(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms / 1_000.0).unwrap_or_default()
}
