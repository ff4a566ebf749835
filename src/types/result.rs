//! The result of an execution.

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

/// Gives the fields of a result to a macro. What is made of this list: the type, here; how results get to JavaScript, in
/// `binding`; and what reads them there, with `index.d.ts` and `docs/types.md`, by `tests/generated`.
///
/// Each has a type, a value before anything is known, and two words for JavaScript:
///
/// - `always` there, `nullable`, or `optional`: without a key when there is none,
/// - in the short form, which most results have, it is `known` already, a `number`, a `date`, a `text` or `json` of the batch; or it
///   is `usual`: a result that has anything else there than what is usual gets to JavaScript as JSON text.
macro_rules! result_fields {
    ($with:ident) => {
        $with! {
            /// The id of the execution.
            id: Uuid = Uuid::nil(), always known;
            /// A final status: `completed`, `failed`, `cancelled` or `timeout`.
            status: ExecutionStatus = ExecutionStatus::Failed, always known;
            /// Whether the status is `completed`: exit code 0, by itself.
            success: bool = false, always known;
            /// The exit code; `None` when a signal ended the command or it never ran.
            exit_code: Option<i32> = None, nullable number;
            /// The name of the signal that ended it, such as `SIGKILL`; else `None`.
            signal: Option<String> = None, nullable usual(None);
            /// Exactly what it wrote to standard output, up to `max_output_size_bytes`.
            stdout: Text = Text::default(), always text;
            /// Exactly what it wrote to standard error, up to `max_output_size_bytes`.
            stderr: Text = Text::default(), always text;
            /// Milliseconds from spawn to the end, on a monotonic clock; 0 when it never ran.
            duration_ms: f64 = 0.0, always number;
            /// Milliseconds from acceptance, or from the end of the pause before this attempt, to spawn.
            queued_ms: f64 = 0.0, always number;
            /// When it was spawned, or accepted if it never was.
            started_at: DateTime<Utc> = DateTime::UNIX_EPOCH, always date;
            /// When it ended, by the clock of the system.
            completed_at: DateTime<Utc> = DateTime::UNIX_EPOCH, always date;
            /// The process id; `None` when it never ran.
            pid: Option<u32> = None, nullable number;
            /// Which attempt this was, from 1. All other fields describe this attempt.
            attempt: u32 = 1, always usual(1);
            /// The attempts before it, oldest first, if there were any.
            retries: Vec<FailedAttempt> = Vec::new(), optional usual(Vec::new());
            /// Set when the engine could not do its part.
            error: Option<ErrorInfo> = None, optional usual(None);
            /// Why it ended; not set after `INTERNAL` and `LOG_FAILED`.
            reason: Option<Reason> = None, optional usual(Some(Reason::Exit));
            /// Bytes written to standard output, kept or not.
            stdout_bytes: u64 = 0, always number;
            /// Bytes written to standard error, kept or not.
            stderr_bytes: u64 = 0, always number;
            /// Whether `stdout` lacks some of them.
            stdout_truncated: bool = false, always usual(false);
            /// Whether `stderr` lacks some of them.
            stderr_truncated: bool = false, always usual(false);
            /// All of standard output, when it was longer than its cap and the strategy is `stream_to_file`: from its first byte, to
            /// its end or to the bound that it met. The file goes with the record.
            stdout_overflow_file: Option<PathBuf> = None, optional usual(None);
            /// The same of standard error.
            stderr_overflow_file: Option<PathBuf> = None, optional usual(None);
            /// Its log: at `output_log_path` if the request named one, else in `log_dir`. Secrets in it are masked: `get_log_path`
            /// gives the path itself.
            log_path: Option<PathBuf> = None, optional usual(None);
            /// Bytes that overflow files should have got and did not, because a bound or the disk forbade it.
            overflow_lost_bytes: u64 = 0, always usual(0);
            /// Bytes that a log should have got and did not.
            log_lost_bytes: u64 = 0, always usual(0);
            /// Whether a background process still held an output pipe when the engine stopped reading.
            leaked: bool = false, always usual(false);
            /// What the engine had to end.
            killed: Option<Killed> = None, optional usual(None);
            /// What it was doing when its time was up (`timeout`, `idle_timeout`).
            diagnosis: Option<Diagnosis> = None, optional usual(None);
            /// Milliseconds of processor time in user mode: the command and the children it waited for.
            cpu_user_ms: f64 = 0.0, always number;
            /// Milliseconds of processor time that the system spent for them.
            cpu_system_ms: f64 = 0.0, always number;
            /// The most memory that the largest process of the command had, in bytes, if it is known. Linux counts the memory of the host for
            /// a moment as that of the command, so that it is not known of a command that needs less than the host.
            peak_memory_bytes: Option<u64> = None, optional usual(None);
            /// As in the request.
            metadata: ExecutionMetadata = ExecutionMetadata::default(), always json;
        }
    };
}

macro_rules! declare {
    ($(
        $(#[doc = $help:literal])+ $name:ident: $type:ty = $blank:expr, $presence:ident $form:ident $(($usual:expr))?;
    )+) => {
        /// Exactly what happened. Times are in milliseconds on a monotonic clock, except for `started_at` and `completed_at`.
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

    /// A result in which nothing but this is known yet.
    pub(crate) fn blank(id: Uuid, status: ExecutionStatus, started_at: DateTime<Utc>) -> Self {
        let success = status == ExecutionStatus::Completed;
        Self { id, status, success, started_at, completed_at: Utc::now(), ..Self::unknown() }
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
