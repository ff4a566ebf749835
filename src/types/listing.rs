//! Defines the data about many executions: listings and totals.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ExecutionStatus;

/// A row of a listing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ExecutionSummary {
    /// The id of the execution.
    pub id: Uuid,
    /// The current status.
    pub status: ExecutionStatus,
    /// The command as a person would type it, at most 200 characters.
    pub command: String,
    /// The `metadata.label` of the request.
    pub label: Option<String>,
    /// The `metadata.source` of the request.
    pub source: Option<String>,
    /// The `metadata.conversation_id` of the request.
    pub conversation_id: Option<String>,
    /// The process id of the last attempt; `None` before the command runs, and when it never ran.
    pub pid: Option<u32>,
    /// The time of acceptance.
    pub created_at: DateTime<Utc>,
    /// The time of the end; `None` before the end.
    pub completed_at: Option<DateTime<Utc>>,
    /// The exit code; `None` before the end, and when a signal ended the command or it never ran.
    pub exit_code: Option<i32>,
    /// The time from spawn to the end, in ms; `None` before the end.
    pub duration_ms: Option<f64>,
}

/// The conditions that the rows of a listing meet. In data, `null` means the same as an absent field, and unknown fields are refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExecutionFilter {
    /// The status of the executions. Default: any.
    pub status: Option<ExecutionStatus>,
    /// The label of the executions. Default: any.
    pub label: Option<String>,
    /// The source of the executions. Default: any.
    pub source: Option<String>,
    /// The earliest time of acceptance. Default: no limit.
    pub since: Option<DateTime<Utc>>,
    /// The most executions; the newest are listed. Default: all.
    pub limit: Option<usize>,
}

/// The totals since the engine started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ExecutionStats {
    /// The number of accepted executions.
    pub total: u64,
    /// The number of executions that ended with the status `completed`.
    pub completed: u64,
    /// The number of executions that ended with the status `failed`.
    pub failed: u64,
    /// The number of executions that ended with the status `cancelled`.
    pub cancelled: u64,
    /// The number of executions that ended with the status `timeout`.
    pub timeout: u64,
    /// The number of bytes read from the standard output of the ended executions.
    pub stdout_bytes: u64,
    /// The number of bytes read from the standard error of the ended executions.
    pub stderr_bytes: u64,
    /// The number of lines, or pieces of lines, in that output.
    pub lines: u64,
    /// The number of times that a spawn had to wait because the machine had no resources for another process.
    pub backoffs: u64,
    /// The number of executions that wait for a group now, whether or not a slot is free.
    pub waiting_for_groups: usize,
    /// The number of executions whose result lacks output because of the output limit.
    pub truncated: u64,
    /// The number of bytes that are missing in logs.
    pub log_lost_bytes: u64,
    /// The number of bytes that are missing in overflow files.
    pub overflow_lost_bytes: u64,
    /// The time from the assignment of a slot to the spawn, in ms: the time that the engine and the system took.
    pub spawn_latency_ms: Percentiles,
    /// The time from acceptance to spawn, in ms.
    pub queue_time_ms: Percentiles,
    /// The time from spawn to the end, in ms.
    pub duration_ms: Percentiles,
}

/// The distribution of a duration, in ms, over all executions that ran; each value has an error of 1 % at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Percentiles {
    /// The number of measured values. If it is 0, all other fields are 0.
    pub count: u64,
    /// The mean of all values.
    pub mean: f64,
    /// The median.
    pub p50: f64,
    /// The value that 90 % do not exceed.
    pub p90: f64,
    /// The value that 95 % do not exceed.
    pub p95: f64,
    /// The value that 99 % do not exceed.
    pub p99: f64,
    /// The largest value.
    pub max: f64,
}

/// The load of the engine at the time of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ConcurrencyMetrics {
    /// The most commands that may run at once.
    pub max_concurrent: usize,
    /// The number of executions that hold a slot.
    pub currently_running: usize,
    /// The number of executions that wait for a slot or for a group.
    pub currently_pending: usize,
    /// The number of free slots.
    pub available_slots: usize,
}
