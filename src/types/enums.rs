//! The words of the wire: statuses, reasons, streams, error codes.

use serde::{Deserialize, Serialize};

/// Where an execution stands. The last four are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
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
    /// Reserved. The engine does not produce it: when the host exits, no result is delivered.
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// The stable name of an error, the same in both languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum ErrorCode {
    /// A configuration was refused.
    InvalidConfig,
    /// A request or an option was refused; nothing ran. Also: standard input broke off before its end.
    InvalidRequest,
    /// A plan was refused; nothing ran.
    InvalidPlan,
    /// The id of an execution or a plan is in use.
    DuplicateId,
    /// No such execution or plan, or its record has left.
    NotFound,
    /// The execution or plan has no result yet.
    NotCompleted,
    /// All slots are taken, and the policy is to refuse.
    ConcurrencyLimitReached,
    /// As many wait as may.
    QueueFull,
    /// The command, or the engine, could not be started.
    SpawnFailed,
    /// The output met its cap, and the strategy was to fail.
    OutputSizeExceeded,
    /// A log could not be opened; nothing ran.
    LogFailed,
    /// The execution has no log, or none that can be read.
    LogNotFound,
    /// The engine takes no more work.
    EngineShutDown,
    /// There is no global engine yet.
    NotInitialized,
    /// There is a global engine already.
    AlreadyInitialized,
    /// A defect of the engine, contained in one execution.
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ErrorInfo {
    /// Its stable name.
    pub code: ErrorCode,
    /// What was asked, what happened, and what to do.
    pub message: String,
    /// The operating system's name for it, such as `ENOENT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<String>,
}
