//! What came of it.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ErrorInfo, ExecutionMetadata, ExecutionStatus, FailedAttempt, Reason, Text};

/// What was ended by the engine, and by which means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Killed {
    /// The processes that were alive when ending them began.
    pub pids: Vec<i32>,
    /// The farthest means that was needed, such as `SIGTERM to the group`.
    pub mechanism: String,
}

/// A process of an execution at the moment a time was up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ProcessDiagnosis {
    /// Its id.
    pub pid: i32,
    /// Its parent's id.
    pub parent: i32,
    /// Its program and arguments, 1 024 characters at most; its name in brackets while it has none.
    pub command: String,
    /// As in `ps`: `R` runs, `S` and `D` wait, `T` is stopped.
    pub state: String,
    /// Milliseconds of processor time so far.
    pub cpu_ms: f64,
    /// `stdin` or `terminal`, when it is blocked reading that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
}

/// What an execution was doing when its time was up.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Diagnosis {
    /// Milliseconds since its last output, or since its start.
    pub silent_ms: f64,
    /// Its processes, 256 at most.
    pub processes: Vec<ProcessDiagnosis>,
    /// How many processes there were beyond those.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_processes: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// Exactly what happened. Times are in milliseconds on a monotonic clock, except for `started_at` and `completed_at`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own that users ask for by name")]
#[non_exhaustive]
pub struct ExecutionResult {
    /// Names the execution.
    pub id: Uuid,
    /// A final status.
    pub status: ExecutionStatus,
    /// Whether the status is `completed`.
    pub success: bool,
    /// The exit code; `None` when a signal ended the command or it never ran.
    pub exit_code: Option<i32>,
    /// The name of the signal that ended it, such as `SIGKILL`.
    pub signal: Option<String>,
    /// What it wrote to standard output, up to the cap.
    pub stdout: Text,
    /// What it wrote to standard error, up to the cap.
    pub stderr: Text,
    /// Milliseconds from spawn to the end, on a monotonic clock.
    pub duration_ms: f64,
    /// Milliseconds from acceptance, or from the end of the pause before this attempt, to spawn.
    pub queued_ms: f64,
    /// When it was spawned, or accepted if it never was.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub completed_at: DateTime<Utc>,
    /// The process id; `None` when it never ran.
    pub pid: Option<u32>,
    /// Which attempt this was, from 1. All other fields describe this attempt.
    pub attempt: u32,
    /// The attempts before it, oldest first.
    pub retries: Vec<FailedAttempt>,
    /// Set when the engine could not do its part.
    pub error: Option<ErrorInfo>,
    /// Why it ended; `None` after `INTERNAL` and `LOG_FAILED`.
    pub reason: Option<Reason>,
    /// Bytes written to standard output, kept or not.
    pub stdout_bytes: u64,
    /// Bytes written to standard error, kept or not.
    pub stderr_bytes: u64,
    /// Whether `stdout` lacks some of them.
    pub stdout_truncated: bool,
    /// Whether `stderr` lacks some of them.
    pub stderr_truncated: bool,
    /// All of standard output, if it was longer than its cap and the strategy is to keep it in a file. Goes with the record.
    pub stdout_overflow_file: Option<PathBuf>,
    /// The same for standard error.
    pub stderr_overflow_file: Option<PathBuf>,
    /// Bytes that those files should have got and did not, because a bound or the disk forbade it.
    pub overflow_lost_bytes: u64,
    /// Its log, if it has one.
    pub log_path: Option<PathBuf>,
    /// Bytes that a log should have got and did not.
    pub log_lost_bytes: u64,
    /// Whether a background process still held an output pipe when the engine stopped reading.
    pub leaked: bool,
    /// What the engine had to end.
    pub killed: Option<Killed>,
    /// What it was doing when its time was up.
    pub diagnosis: Option<Diagnosis>,
    /// Milliseconds of processor time in user mode: the command and the children it waited for.
    pub cpu_user_ms: f64,
    /// The same in kernel mode.
    pub cpu_system_ms: f64,
    /// As in the request.
    pub metadata: ExecutionMetadata,
}

impl ExecutionResult {
    /// The result if the command completed, for `?`.
    ///
    /// # Errors
    /// [`Unsuccessful`], which has the result too: the command failed, was cancelled, or its time was up.
    pub fn into_success(self: Arc<Self>) -> Result<Arc<Self>, Unsuccessful> {
        if self.success { Ok(self) } else { Err(Unsuccessful { result: self }) }
    }

    /// The same without what the command wrote: `stdout` and `stderr` are empty, and the counts of their bytes stay. No output is
    /// copied for it.
    #[must_use]
    pub fn without_output(&self) -> Self {
        Self {
            stdout: Text::default(),
            stderr: Text::default(),
            signal: self.signal.clone(),
            retries: self.retries.clone(),
            error: self.error.clone(),
            stdout_overflow_file: self.stdout_overflow_file.clone(),
            stderr_overflow_file: self.stderr_overflow_file.clone(),
            log_path: self.log_path.clone(),
            killed: self.killed.clone(),
            diagnosis: self.diagnosis.clone(),
            metadata: self.metadata.clone(),
            ..*self
        }
    }

    /// The bytes that it takes in memory: output, metadata, errors, the diagnosis, and the same of earlier attempts.
    pub(crate) fn kept_bytes(&self) -> u64 {
        let error = |error: &Option<ErrorInfo>| error.as_ref().map_or(0, |error| error.message.len());
        let attempts = self.retries.iter().map(|attempt| size_of::<FailedAttempt>() + error(&attempt.error));
        let killed = self.killed.as_ref();
        let killed = killed.map_or(0, |killed| size_of_val(&killed.pids[..]) + killed.mechanism.len());
        let processes = self.diagnosis.iter().flat_map(|diagnosis| &diagnosis.processes);
        let processes = processes.map(|process| size_of::<ProcessDiagnosis>() + process.command.len());
        let output = self.stdout.raw().len() + self.stderr.raw().len();
        let more = error(&self.error) + attempts.sum::<usize>() + killed + processes.sum::<usize>();
        (output + more + self.metadata.kept_bytes()) as u64
    }

    /// One that says nothing yet.
    pub(crate) fn blank(id: Uuid, status: ExecutionStatus, started_at: DateTime<Utc>) -> Self {
        Self {
            id,
            status,
            success: status == ExecutionStatus::Completed,
            exit_code: None,
            signal: None,
            stdout: Text::default(),
            stderr: Text::default(),
            duration_ms: 0.0,
            queued_ms: 0.0,
            started_at,
            completed_at: Utc::now(),
            pid: None,
            attempt: 1,
            retries: Vec::new(),
            error: None,
            reason: None,
            stdout_bytes: 0,
            stderr_bytes: 0,
            stdout_truncated: false,
            stderr_truncated: false,
            stdout_overflow_file: None,
            stderr_overflow_file: None,
            overflow_lost_bytes: 0,
            log_path: None,
            log_lost_bytes: 0,
            leaked: false,
            killed: None,
            diagnosis: None,
            cpu_user_ms: 0.0,
            cpu_system_ms: 0.0,
            metadata: ExecutionMetadata::default(),
        }
    }
}

/// A command that did not complete, as an error. Its text names the outcome, and no output.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}", self.outcome())]
#[non_exhaustive]
pub struct Unsuccessful {
    /// What happened.
    pub result: Arc<ExecutionResult>,
}

impl Unsuccessful {
    fn outcome(&self) -> String {
        let result = &self.result;
        match (&result.error, result.exit_code, &result.signal) {
            (Some(error), ..) => error.message.clone(),
            (None, Some(code), _) if result.reason == Some(Reason::Exit) => {
                format!("the command exited with code {code}")
            }
            (None, _, Some(signal)) if result.reason == Some(Reason::Signal) => {
                format!("the command was ended by {signal}")
            }
            _ => {
                let reason = result.reason.map_or_else(String::new, |reason| format!(" ({})", reason.as_str()));
                format!("the command did not complete: {}{reason}", result.status.as_str())
            }
        }
    }
}
