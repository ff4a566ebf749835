//! Many executions at once: listings and totals.

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::ExecutionStatus;

/// One row of a listing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExecutionSummary {
    /// Names the execution.
    pub id: Uuid,
    /// Where it stands.
    pub status: ExecutionStatus,
    /// The command as a person would type it, at most 200 characters.
    pub command: String,
    /// `metadata.label`.
    pub label: Option<String>,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When it ended.
    pub completed_at: Option<DateTime<Utc>>,
}

/// Which rows a listing has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecutionFilter {
    /// Only those that stand here.
    pub status: Option<ExecutionStatus>,
    /// Only those with this label.
    pub label: Option<String>,
    /// At most so many.
    pub limit: Option<usize>,
}

/// Totals since the engine started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ExecutionStats {
    /// Accepted.
    pub total: u64,
    /// Exited with 0.
    pub completed: u64,
    /// Failed.
    pub failed: u64,
    /// Cancelled.
    pub cancelled: u64,
    /// Out of time.
    pub timeout: u64,
    /// Bytes read from standard output.
    pub stdout_bytes: u64,
    /// Bytes read from standard error.
    pub stderr_bytes: u64,
    /// Lines (pieces) found in the output.
    pub lines: u64,
    /// Times that a spawn had to wait because the machine had no room for another process.
    pub backoffs: u64,
}

/// How busy the engine is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ConcurrencyMetrics {
    /// The limit.
    pub max_concurrent: usize,
    /// Executions that hold a slot.
    pub currently_running: usize,
    /// Executions that wait for one.
    pub currently_pending: usize,
    /// Free slots.
    pub available_slots: usize,
}
