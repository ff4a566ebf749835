//! Defines the words of the wire: statuses, reasons, streams, error codes.

use serde::{Deserialize, Serialize};

/// An enum of which each value has one word.
pub(crate) trait Words: Copy + 'static {
    /// The values, each with its word.
    const ALL: &'static [(&'static str, Self)];
    /// The words alone.
    const WORDS: &'static [&'static str];
}

/// Generates an enum from a list of variants with the word of each in Rust data and in files. In JavaScript the word is written in camel
/// case, except for names of signals and codes.
macro_rules! words {
    ($(#[$attribute:meta])* pub enum $name:ident { $($(#[$about:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub enum $name {
            $($(#[$about])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// Returns the name on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl $crate::types::Words for $name {
            const ALL: &'static [(&'static str, Self)] = &[$(($word, Self::$variant),)+];
            const WORDS: &'static [&'static str] = &[$($word,)+];
        }
    };
}

pub(crate) use words;

words! {
    /// The status of an execution. The last four are final.
    pub enum ExecutionStatus {
        /// The execution was accepted, and its command is not spawned yet.
        Pending = "pending",
        /// The command was spawned.
        Running = "running",
        /// The command exited with code 0.
        Completed = "completed",
        /// The command ended in another way, or the engine could not run it as requested.
        Failed = "failed",
        /// The execution was ended on request.
        Cancelled = "cancelled",
        /// The execution was ended because a timeout was reached.
        Timeout = "timeout",
    }
}

impl ExecutionStatus {
    /// Returns whether the status is final.
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
    /// The reason why an execution ended.
    #[non_exhaustive]
    pub enum Reason {
        /// The command exited by itself.
        Exit = "exit",
        /// A signal that the engine did not send ended the command.
        Signal = "signal",
        /// The command ran longer than `timeout_ms`.
        Timeout = "timeout",
        /// `idle_timeout_ms` passed without output.
        IdleTimeout = "idle_timeout",
        /// `queue_timeout_ms` passed before a slot was free.
        QueueTimeout = "queue_timeout",
        /// The execution or its plan was cancelled, or a stream or the future of `run` was dropped.
        Cancelled = "cancelled",
        /// The caller's abort signal fired, or the standard input failed before its end.
        Aborted = "aborted",
        /// The output reached its limit and the strategy was to fail.
        OutputLimit = "output_limit",
        /// The engine was shut down.
        Shutdown = "shutdown",
        /// The command could not be started.
        SpawnFailed = "spawn_failed",
    }
}

words! {
    /// The input for which a command waits.
    pub enum WaitsFor {
        /// The standard input of the command.
        Stdin = "stdin",
        /// The terminal of the command.
        Terminal = "terminal",
    }
}

words! {
    /// An output stream of a child.
    pub enum Stream {
        /// Standard output.
        Stdout = "stdout",
        /// Standard error.
        Stderr = "stderr",
    }
}

words! {
    /// The stable name of an error, which is the same in both languages.
    #[non_exhaustive]
    pub enum ErrorCode {
        /// A configuration was refused.
        InvalidConfig = "INVALID_CONFIG",
        /// A request or an option was refused and nothing ran; or standard input failed before its end.
        InvalidRequest = "INVALID_REQUEST",
        /// A plan was refused; nothing ran.
        InvalidPlan = "INVALID_PLAN",
        /// The id of an execution or a plan is in use.
        DuplicateId = "DUPLICATE_ID",
        /// There is no such execution or plan, or its record was removed.
        NotFound = "NOT_FOUND",
        /// The execution or plan has no result yet.
        NotCompleted = "NOT_COMPLETED",
        /// All slots are taken, and the policy is to refuse.
        ConcurrencyLimitReached = "CONCURRENCY_LIMIT_REACHED",
        /// The queue is full: `max_queued_executions` executions wait.
        QueueFull = "QUEUE_FULL",
        /// The command, or the engine, could not be started.
        SpawnFailed = "SPAWN_FAILED",
        /// The output reached its limit, and the strategy was to fail.
        OutputSizeExceeded = "OUTPUT_SIZE_EXCEEDED",
        /// A log could not be opened; nothing ran.
        LogFailed = "LOG_FAILED",
        /// The execution has no log, or none that can be read.
        LogNotFound = "LOG_NOT_FOUND",
        /// The engine takes no more work.
        EngineShutDown = "ENGINE_SHUT_DOWN",
        /// There is no global engine yet.
        NotInitialized = "NOT_INITIALIZED",
        /// There is a global engine already.
        AlreadyInitialized = "ALREADY_INITIALIZED",
        /// A defect of the engine, contained in one execution.
        Internal = "INTERNAL",
    }
}

/// The error that kept the engine from running an execution as requested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ErrorInfo {
    /// The stable name of the error.
    pub code: ErrorCode,
    /// The message, for people: the requested operation, the failure, and the remedy.
    pub message: String,
    /// The operating system's name of the error, such as `ENOENT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<String>,
}
