//! Many executions at once: listings and totals.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ExecutionStatus;

/// A row of a listing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ExecutionSummary {
    /// Names the execution.
    pub id: Uuid,
    /// Where it stands.
    pub status: ExecutionStatus,
    /// The command as a person would type it, at most 200 characters.
    pub command: String,
    /// `metadata.label`.
    pub label: Option<String>,
    /// `metadata.source`.
    pub source: Option<String>,
    /// `metadata.conversation_id`.
    pub conversation_id: Option<String>,
    /// The process id, that of the last attempt; `None` before it runs, and when it never ran.
    pub pid: Option<u32>,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When it ended.
    pub completed_at: Option<DateTime<Utc>>,
    /// The exit code; `None` before the end, and when a signal ended the command or it never ran.
    pub exit_code: Option<i32>,
    /// Milliseconds from spawn to the end; `None` before.
    pub duration_ms: Option<f64>,
}

/// Which rows a listing has. In data, `null` means what an absent field means, and unknown fields are refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExecutionFilter {
    /// Only executions with this status.
    pub status: Option<ExecutionStatus>,
    /// Only executions with this label.
    pub label: Option<String>,
    /// Only executions with this source.
    pub source: Option<String>,
    /// Only executions that were accepted at that moment or later.
    pub since: Option<DateTime<Utc>>,
    /// The most executions; the newest are listed.
    pub limit: Option<usize>,
}

/// Totals since the engine started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
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
    /// Executions that wait for a group now, whether or not there is a slot.
    pub waiting_for_groups: usize,
    /// Executions whose result lacks output because of the cap.
    pub truncated: u64,
    /// Bytes that logs should have got and did not.
    pub log_lost_bytes: u64,
    /// Bytes that overflow files should have got and did not.
    pub overflow_lost_bytes: u64,
    /// Milliseconds from having a slot to being spawned: what the engine and the system took.
    pub spawn_latency_ms: Percentiles,
    /// Milliseconds from acceptance to spawn.
    pub queue_time_ms: Percentiles,
    /// Milliseconds from spawn to the end.
    pub duration_ms: Percentiles,
}

/// How long something took, over all executions that ran; each value is off by 1 % at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Percentiles {
    /// How many were measured. With 0 the rest is 0 too.
    pub count: u64,
    /// The average.
    pub mean: f64,
    /// Half of them took no longer.
    pub p50: f64,
    /// Nine in ten took no longer.
    pub p90: f64,
    /// 95 in a hundred took no longer.
    pub p95: f64,
    /// 99 in a hundred took no longer.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

/// How busy the engine is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ConcurrencyMetrics {
    /// The limit.
    pub max_concurrent: usize,
    /// Executions that hold a slot.
    pub currently_running: usize,
    /// Executions that wait for one, or for a group.
    pub currently_pending: usize,
    /// Free slots.
    pub available_slots: usize,
}
