//! Defines the result of an execution.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ErrorInfo, ExecutionMetadata, ExecutionStatus, FailedAttempt, Reason, Text};

/// The processes that the engine ended, and the means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Killed {
    /// The ids of the processes that were running when the engine began to end them.
    pub pids: Vec<u32>,
    /// The steps that were taken, in order, such as `SIGTERM to the group`.
    pub mechanism: String,
}

/// The state of a process of an execution when its timeout was reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ProcessDiagnosis {
    /// The process id.
    pub pid: u32,
    /// The process id of the parent; 0 if it is not known.
    pub parent: u32,
    /// The program and its arguments, 1 024 characters at most; the name of the process in brackets if it has none.
    pub command: String,
    /// The state of the process, as `ps` shows it: `R` runs, `S` and `D` wait, `T` is stopped.
    pub state: String,
    /// The processor time that the process has used, in ms.
    pub cpu_ms: f64,
    /// The input that the process is blocked reading: `stdin` or `terminal`; else `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
}

/// The state of an execution's processes when its timeout was reached.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Diagnosis {
    /// The time since the last output of the execution, or since its start, in ms.
    pub silent_ms: f64,
    /// The processes of the execution, 256 at most.
    pub processes: Vec<ProcessDiagnosis>,
    /// The number of processes beyond those in `processes`.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_processes: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// Passes the fields of a result to a macro. Three things are generated from this list: the Rust type, here; the transfer of results to
/// JavaScript, in `binding`; and the code that reads them there, with parts of `index.d.ts` and `docs/types.md`, by `tests/generated`.
///
/// Each field has a type, a value before anything is known, and two words for JavaScript:
///
/// - its presence: `always`, `nullable`, or `optional`, which means that the key is absent when there is no value,
/// - its form in the short form of a result, which most results have: `known` already, or a `number`, a `date`, a `text` or `json` of the
///   batch; or `usual`: a result with any other than the usual value is transferred to JavaScript as JSON text.
macro_rules! result_fields {
    ($with:ident) => {
        $with! {
            /// The id of the execution.
            id: Uuid = Uuid::nil(), always known;
            /// A final status: `completed`, `failed`, `cancelled` or `timeout`.
            status: ExecutionStatus = ExecutionStatus::Failed, always known;
            /// Whether the status is `completed`: the command exited by itself with code 0.
            success: bool = false, always known;
            /// The exit code; `None` when a signal ended the command or it never ran.
            exit_code: Option<i32> = None, nullable number;
            /// The name of the signal that ended the command, such as `SIGKILL`; else `None`.
            signal: Option<String> = None, nullable usual(None);
            /// The exact output to standard output, up to `max_output_size_bytes`.
            stdout: Text = Text::default(), always text;
            /// The exact output to standard error, up to `max_output_size_bytes`.
            stderr: Text = Text::default(), always text;
            /// The time from spawn to the end, in ms, on a monotonic clock; 0 when the command never ran.
            duration_ms: f64 = 0.0, always number;
            /// The time from acceptance, or from the end of the pause before this attempt, to spawn, in ms.
            queued_ms: f64 = 0.0, always number;
            /// The time of the spawn; the time of acceptance if the command was never spawned.
            started_at: DateTime<Utc> = DateTime::UNIX_EPOCH, always date;
            /// The time of the end, by the system clock.
            completed_at: DateTime<Utc> = DateTime::UNIX_EPOCH, always date;
            /// The process id; `None` when the command never ran.
            pid: Option<u32> = None, nullable number;
            /// The number of the attempt, from 1. All other fields describe this attempt.
            attempt: u32 = 1, always usual(1);
            /// The earlier attempts, oldest first; absent when there were none.
            retries: Vec<FailedAttempt> = Vec::new(), optional usual(Vec::new());
            /// The error that kept the engine from running the command as requested; else absent.
            error: Option<ErrorInfo> = None, optional usual(None);
            /// The reason why the execution ended; absent after `INTERNAL` and `LOG_FAILED`.
            reason: Option<Reason> = None, optional usual(Some(Reason::Exit));
            /// The number of bytes written to standard output, kept or not.
            stdout_bytes: u64 = 0, always number;
            /// The number of bytes written to standard error, kept or not.
            stderr_bytes: u64 = 0, always number;
            /// Whether `stdout` lacks some of those bytes.
            stdout_truncated: bool = false, always usual(false);
            /// Whether `stderr` lacks some of those bytes.
            stderr_truncated: bool = false, always usual(false);
            /// The file with all of standard output, if it exceeded `max_output_size_bytes` and the strategy is `stream_to_file`: from its
            /// first byte, to its end or to the limit that it reached. The file is removed with the record.
            stdout_overflow_file: Option<PathBuf> = None, optional usual(None);
            /// The file with all of standard error, under the same conditions.
            stderr_overflow_file: Option<PathBuf> = None, optional usual(None);
            /// The path of the log: `output_log_path` if the request has one, else a file in `log_dir`. Secrets in the path are masked;
            /// `get_log_path` returns it unmasked.
            log_path: Option<PathBuf> = None, optional usual(None);
            /// The number of bytes that are missing in overflow files, because a limit or the disk did not permit to write them.
            overflow_lost_bytes: u64 = 0, always usual(0);
            /// The number of bytes that are missing in the log.
            log_lost_bytes: u64 = 0, always usual(0);
            /// Whether a background process still held an output pipe when the engine stopped reading.
            leaked: bool = false, always usual(false);
            /// The processes that the engine ended, and the means; absent when it ended none.
            killed: Option<Killed> = None, optional usual(None);
            /// The state of the processes when a timeout was reached (`timeout`, `idle_timeout`); else absent.
            diagnosis: Option<Diagnosis> = None, optional usual(None);
            /// The processor time in user mode of the command and of the children for which it waited, in ms.
            cpu_user_ms: f64 = 0.0, always number;
            /// The processor time in kernel mode of those processes, in ms.
            cpu_system_ms: f64 = 0.0, always number;
            /// The peak memory of the largest process of the command, in bytes; absent when it is not known. At the spawn Linux counts the
            /// memory of the host as that of the command, so that the peak of a command that needs less memory than the host is not known.
            peak_memory_bytes: Option<u64> = None, optional usual(None);
            /// The value in the request.
            metadata: ExecutionMetadata = ExecutionMetadata::default(), always json;
        }
    };
}

macro_rules! declare {
    ($(
        $(#[doc = $help:literal])+ $name:ident: $type:ty = $blank:expr, $presence:ident $form:ident $(($usual:expr))?;
    )+) => {
        /// The result of an execution: its exact outcome. Times are in milliseconds on a monotonic clock, except for `started_at` and
        /// `completed_at`.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[non_exhaustive]
        pub struct ExecutionResult {
            $($(#[doc = $help])+ pub $name: $type,)+
        }

        impl ExecutionResult {
            fn unknown() -> Self {
                Self { $($name: $blank,)+ }
            }
        }
    };
}

#[cfg(any(feature = "node", feature = "schema"))]
pub(crate) use result_fields;

result_fields!(declare);

impl ExecutionResult {
    /// Returns the result if the command completed, for use with `?`.
    ///
    /// # Errors
    /// [`Unsuccessful`], which has the result too, if the command failed, was cancelled, or reached a timeout.
    pub fn into_success(self: Arc<Self>) -> Result<Arc<Self>, Unsuccessful> {
        if self.success { Ok(self) } else { Err(Unsuccessful { result: self }) }
    }

    /// Returns the result without the output of the command: `stdout` and `stderr` are empty, and the byte counts do not change. No output
    /// is copied.
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

    /// Returns the number of bytes that the result takes in memory: output, metadata, errors, the diagnosis, and those of earlier attempts.
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

    /// Returns a result with these values, in which nothing else is known yet.
    pub(crate) fn blank(id: Uuid, status: ExecutionStatus, started_at: DateTime<Utc>) -> Self {
        let success = status == ExecutionStatus::Completed;
        Self { id, status, success, started_at, completed_at: Utc::now(), ..Self::unknown() }
    }
}

/// The error for a command that did not complete. Its message has the outcome, and no output.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}", self.outcome())]
#[non_exhaustive]
pub struct Unsuccessful {
    /// The result of the execution.
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
