//! Totals since an engine started.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::types::{ExecutionStats, ExecutionStatus};

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
}

impl Metrics {
    pub(crate) fn accepted(&self) {
        self.total.fetch_add(1, Relaxed);
    }

    /// A spawn met a machine without room.
    pub(crate) fn backed_off(&self) {
        self.backoffs.fetch_add(1, Relaxed);
    }

    /// Counts an end and what the execution wrote.
    pub(crate) fn ended(&self, status: ExecutionStatus, stdout_bytes: u64, stderr_bytes: u64, lines: u64) {
        let outcome = match status {
            ExecutionStatus::Completed => &self.completed,
            ExecutionStatus::Cancelled => &self.cancelled,
            ExecutionStatus::Timeout => &self.timeout,
            ExecutionStatus::Failed | ExecutionStatus::Pending | ExecutionStatus::Running => &self.failed,
        };
        outcome.fetch_add(1, Relaxed);
        self.stdout_bytes.fetch_add(stdout_bytes, Relaxed);
        self.stderr_bytes.fetch_add(stderr_bytes, Relaxed);
        self.lines.fetch_add(lines, Relaxed);
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
        }
    }
}
