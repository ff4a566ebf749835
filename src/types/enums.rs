//! The words of the wire: statuses, reasons, streams, error codes.

use serde::{Deserialize, Serialize};

/// Makes an enum of a list of variants and the word of each, which is the same in Rust, in JSON and in JavaScript.
macro_rules! words {
    ($(#[$attribute:meta])* pub enum $name:ident { $($(#[doc = $help:literal])* $variant:ident = $word:literal,)+ }) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub enum $name {
            $($(#[doc = $help])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// The name on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }
    };
}

words! {
    /// Where an execution stands. The last four are final.
    pub enum ExecutionStatus {
        /// Accepted, not spawned yet.
        Pending = "pending",
        /// Spawned.
        Running = "running",
        /// Exited with code 0.
        Completed = "completed",
        /// Exited otherwise, or the engine could not do its part.
        Failed = "failed",
        /// Ended on request.
        Cancelled = "cancelled",
        /// Ended because a time was up.
        Timeout = "timeout",
    }
}

impl ExecutionStatus {
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

words! {
    /// Why an execution ended.
    pub enum Reason {
        /// The command exited by itself.
        Exit = "exit",
        /// A signal that the engine did not send ended the command.
        Signal = "signal",
        /// `timeout_ms` was up.
        Timeout = "timeout",
        /// `idle_timeout_ms` passed without output.
        IdleTimeout = "idle_timeout",
        /// `queue_timeout_ms` passed before a slot was free.
        QueueTimeout = "queue_timeout",
        /// `cancel` was called.
        Cancelled = "cancelled",
        /// The caller's abort signal fired.
        Aborted = "aborted",
        /// The output met its cap and the strategy was to fail.
        OutputLimit = "output_limit",
        /// The engine was shut down.
        Shutdown = "shutdown",
        /// Reserved. The engine does not produce it: when the host exits, no result is delivered.
        HostExit = "host_exit",
        /// The command could not be started.
        SpawnFailed = "spawn_failed",
    }
}

words! {
    /// One of a child's two output streams.
    pub enum Stream {
        /// Standard output.
        Stdout = "stdout",
        /// Standard error.
        Stderr = "stderr",
    }
}

words! {
    /// The stable name of an error, the same in both languages.
    #[non_exhaustive]
    #[expect(missing_docs, reason = "docs/error-handling.md tells each code; the names are the documentation here")]
    pub enum ErrorCode {
        InvalidConfig = "INVALID_CONFIG",
        InvalidRequest = "INVALID_REQUEST",
        InvalidPlan = "INVALID_PLAN",
        DuplicateId = "DUPLICATE_ID",
        NotFound = "NOT_FOUND",
        NotCompleted = "NOT_COMPLETED",
        ConcurrencyLimitReached = "CONCURRENCY_LIMIT_REACHED",
        QueueFull = "QUEUE_FULL",
        SpawnFailed = "SPAWN_FAILED",
        OutputSizeExceeded = "OUTPUT_SIZE_EXCEEDED",
        LogFailed = "LOG_FAILED",
        LogNotFound = "LOG_NOT_FOUND",
        EngineShutDown = "ENGINE_SHUT_DOWN",
        NotInitialized = "NOT_INITIALIZED",
        AlreadyInitialized = "ALREADY_INITIALIZED",
        Internal = "INTERNAL",
    }
}

/// What kept the engine from doing its part for one execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ErrorInfo {
    /// Its stable name.
    pub code: ErrorCode,
    /// What was asked, what happened, and what to do.
    pub message: String,
    /// The operating system's name for it, such as `ENOENT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<String>,
}
