//! The nouns: what is asked for, how the host runs it, and what came of it.
//!
//! [`ExecutionRequest`] is data and may come off a wire; [`ExecutionOptions`] is host policy and never does.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use self::text::Text;

mod text;

/// What to run. The tag on the wire is `type`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// A line for a shell, with everything a shell line may do.
    Shell {
        /// The line, handed to the shell after `-c`.
        command: String,
        /// The shell: a path or a name on the child's `PATH`. Empty: `/bin/bash`, else `/bin/sh`.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        shell: String,
    },
    /// A program and its arguments. No shell ever sees them.
    Exec {
        /// A path (relative ones start at the working directory) or a name on the child's `PATH`.
        program: String,
        /// Arguments after the program's own name.
        #[serde(default)]
        args: Vec<String>,
    },
    /// A script file, given to its interpreter as a file.
    Script {
        /// The file; a relative path starts at the working directory.
        path: PathBuf,
        /// Default: the script's `#!` line, else its extension.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        interpreter: Option<String>,
        /// Arguments for the script.
        #[serde(default)]
        args: Vec<String>,
    },
    /// The AWS command line, its pager off and its output untouched.
    AwsCli {
        /// As in `aws <service>`: `s3`, `sts`, `ec2`.
        service: String,
        /// As in `aws s3 <command>`: `ls`, `describe-instances`.
        command: String,
        /// Arguments after the command.
        #[serde(default)]
        args: Vec<String>,
        /// `--profile`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        profile: Option<String>,
        /// `--region`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        region: Option<String>,
    },
}

/// One command to execute, with what belongs to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecutionRequest {
    /// Names the execution; generated when the wire form has none.
    #[serde(default = "Uuid::new_v4")]
    pub id: Uuid,
    /// What to run.
    pub command: Command,
    /// Variables on top of what [`ExecutionOptions::inherit_env`] gives.
    #[serde(default)]
    pub env: HashMap<String, String>,
    /// Where to run. Default: the host's working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<PathBuf>,
    /// Milliseconds from spawn to the end. Default: `default_timeout_ms` of the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// A file that gets the raw output. Refused until logs are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_log_path: Option<PathBuf>,
    /// Whatever the caller wants to find again in the result.
    #[serde(default)]
    pub metadata: ExecutionMetadata,
}

impl ExecutionRequest {
    /// A request with a fresh id and nothing but a command.
    #[must_use]
    pub fn new(command: Command) -> Self {
        Self {
            id: Uuid::new_v4(),
            command,
            env: HashMap::new(),
            working_dir: None,
            timeout_ms: None,
            output_log_path: None,
            metadata: ExecutionMetadata::default(),
        }
    }
}

impl From<Command> for ExecutionRequest {
    fn from(command: Command) -> Self {
        Self::new(command)
    }
}

/// What the caller says about an execution; the engine carries it and reads none of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ExecutionMetadata {
    /// Who asked: a playbook, a person, a schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The conversation it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
    /// A short name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Free tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Any other JSON.
    #[serde(flatten)]
    pub extra: serde_json::Map<String, serde_json::Value>,
}

/// Which of the host's variables a child starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InheritEnv {
    /// All of them.
    #[default]
    All,
    /// What a program needs to start: `PATH HOME USER LOGNAME SHELL LANG LC_* TZ TMPDIR TERM`, and what Windows needs.
    Core,
    /// None.
    None,
}

/// What becomes of the background processes that a command leaves behind when it exits by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leftovers {
    /// They live on: a browser that a command opened is meant to.
    #[default]
    Leave,
    /// They are ended like a cancelled tree, before the execution ends.
    Kill,
}

/// What the child reads.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Stdin {
    /// Nothing: end of file at once.
    #[default]
    Empty,
    /// These bytes, then end of file. A child that does not read them is not an error.
    Bytes(Vec<u8>),
    /// The host's own standard input.
    Inherit,
}

impl std::fmt::Debug for Stdin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::Inherit => f.write_str("Inherit"),
        }
    }
}

/// How this host runs a request. `None` means the engine's default.
#[derive(Debug, Clone, Default)]
pub struct ExecutionOptions {
    /// What the child reads. Default: nothing.
    pub stdin: Stdin,
    /// Ends the execution after so many milliseconds without output. Default: never.
    pub idle_timeout_ms: Option<u64>,
    /// Milliseconds between SIGTERM and SIGKILL. Default: `kill_grace_ms` of the engine.
    pub kill_grace_ms: Option<u64>,
    /// Standard error goes into standard output's pipe: the order between them is exact.
    pub merge_output: bool,
    /// Which of the host's variables the child starts with. Default: `inherit_env` of the engine.
    pub inherit_env: Option<InheritEnv>,
    /// Globs of names that are inherited on top of `inherit_env`.
    pub env_allow: Vec<String>,
    /// Globs of names that are removed last, and that a request may not set.
    pub env_deny: Vec<String>,
    /// What becomes of background processes that outlive their command. Default: they are left alone.
    pub leftovers: Leftovers,
    /// Higher starts first among the queued. Default: 0.
    pub priority: i32,
    /// Ends the execution when it is cancelled (reason `aborted`). Default: nothing does.
    pub signal: Option<CancellationToken>,
    /// The host's variables at the time of the call. Default: this process's own.
    pub host_env: Option<EnvSnapshot>,
}

/// The host's variables as they were at one moment: `NAME=value` entries, each ended by a NUL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvSnapshot(Arc<[u8]>);

impl EnvSnapshot {
    /// Takes the variables of this process.
    #[must_use]
    pub fn of_this_process() -> Self {
        let mut packed = Vec::new();
        for (name, value) in std::env::vars_os() {
            packed.extend_from_slice(name.as_encoded_bytes());
            packed.push(b'=');
            packed.extend_from_slice(value.as_encoded_bytes());
            packed.push(0);
        }
        Self(packed.into())
    }

    /// Takes entries that are packed already.
    #[must_use]
    pub fn from_packed(packed: Vec<u8>) -> Self {
        Self(packed.into())
    }

    /// The entries as name and value; what has no name is skipped.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.split(|byte| *byte == 0).filter_map(|entry| {
            let equals = memchr::memchr(b'=', entry)?;
            (equals > 0).then(|| (&entry[..equals], &entry[equals + 1..]))
        })
    }
}

/// Where an execution stands. The last four are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecutionStatus {
    /// Accepted, not spawned yet.
    Pending,
    /// Spawned.
    Running,
    /// Exited with code 0.
    Completed,
    /// Exited otherwise, or the engine could not do its part.
    Failed,
    /// Ended on request.
    Cancelled,
    /// Ended because a time was up.
    Timeout,
}

impl ExecutionStatus {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Timeout => "timeout",
        }
    }

    /// Whether nothing comes after it.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}

impl std::fmt::Display for ExecutionStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why an execution ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The command exited by itself.
    Exit,
    /// A signal that the engine did not send ended the command.
    Signal,
    /// `timeout_ms` was up.
    Timeout,
    /// `idle_timeout_ms` passed without output.
    IdleTimeout,
    /// `queue_timeout_ms` passed before a slot was free.
    QueueTimeout,
    /// `cancel` was called.
    Cancelled,
    /// The caller's abort signal fired.
    Aborted,
    /// The output met its cap and the strategy was to fail.
    OutputLimit,
    /// The engine was shut down.
    Shutdown,
    /// The host went away.
    HostExit,
    /// The command could not be started.
    SpawnFailed,
}

impl Reason {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exit => "exit",
            Self::Signal => "signal",
            Self::Timeout => "timeout",
            Self::IdleTimeout => "idle_timeout",
            Self::QueueTimeout => "queue_timeout",
            Self::Cancelled => "cancelled",
            Self::Aborted => "aborted",
            Self::OutputLimit => "output_limit",
            Self::Shutdown => "shutdown",
            Self::HostExit => "host_exit",
            Self::SpawnFailed => "spawn_failed",
        }
    }
}

/// One of a child's two output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// The stable name of an error, the same in both languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
#[expect(missing_docs, reason = "docs/error-handling.md tells each code; the names are the documentation here")]
pub enum ErrorCode {
    InvalidConfig,
    InvalidRequest,
    InvalidPlan,
    DuplicateId,
    NotFound,
    NotCompleted,
    ConcurrencyLimitReached,
    QueueFull,
    SpawnFailed,
    OutputSizeExceeded,
    LogFailed,
    LogNotFound,
    EngineShutDown,
    NotInitialized,
    AlreadyInitialized,
    Internal,
}

impl ErrorCode {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidConfig => "INVALID_CONFIG",
            Self::InvalidRequest => "INVALID_REQUEST",
            Self::InvalidPlan => "INVALID_PLAN",
            Self::DuplicateId => "DUPLICATE_ID",
            Self::NotFound => "NOT_FOUND",
            Self::NotCompleted => "NOT_COMPLETED",
            Self::ConcurrencyLimitReached => "CONCURRENCY_LIMIT_REACHED",
            Self::QueueFull => "QUEUE_FULL",
            Self::SpawnFailed => "SPAWN_FAILED",
            Self::OutputSizeExceeded => "OUTPUT_SIZE_EXCEEDED",
            Self::LogFailed => "LOG_FAILED",
            Self::LogNotFound => "LOG_NOT_FOUND",
            Self::EngineShutDown => "ENGINE_SHUT_DOWN",
            Self::NotInitialized => "NOT_INITIALIZED",
            Self::AlreadyInitialized => "ALREADY_INITIALIZED",
            Self::Internal => "INTERNAL",
        }
    }
}

/// What kept the engine from doing its part for one execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorInfo {
    /// Its stable name.
    pub code: ErrorCode,
    /// What was asked, what happened, and what to do.
    pub message: String,
    /// The operating system's name for it, such as `ENOENT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<String>,
}

/// What was ended by the engine, and by which means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Killed {
    /// The processes that were alive when ending them began.
    pub pids: Vec<i32>,
    /// The farthest means that was needed, such as `SIGTERM to the group`.
    pub mechanism: String,
}

/// A process of an execution at the moment a time was up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessDiagnosis {
    /// Its id.
    pub pid: i32,
    /// Its parent's id.
    pub parent: i32,
    /// Its program and arguments.
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
pub struct Diagnosis {
    /// Milliseconds since its last output, or since its start.
    pub silent_ms: f64,
    /// Its processes.
    pub processes: Vec<ProcessDiagnosis>,
}

/// Exactly what happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own that users ask for by name")]
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
    /// Milliseconds from acceptance to spawn.
    pub queued_ms: f64,
    /// When it was spawned, or accepted if it never was.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub completed_at: DateTime<Utc>,
    /// The process id; `None` when it never ran.
    pub pid: Option<u32>,
    /// Which attempt this was, from 1.
    pub attempt: u32,
    /// Set when the engine could not do its part.
    pub error: Option<ErrorInfo>,
    /// Why it ended; `None` when a defect of the engine ended it.
    pub reason: Option<Reason>,
    /// Bytes written to standard output, kept or not.
    pub stdout_bytes: u64,
    /// Bytes written to standard error, kept or not.
    pub stderr_bytes: u64,
    /// Whether `stdout` lacks some of them.
    pub stdout_truncated: bool,
    /// Whether `stderr` lacks some of them.
    pub stderr_truncated: bool,
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
