//! The words of the wire: statuses, reasons, streams, error codes.

use serde::{Deserialize, Serialize};

/// An enum of which each value has one word.
pub(crate) trait Words: Copy + 'static {
    /// The values, each with its word.
    const ALL: &'static [(&'static str, Self)];
    /// The words alone.
    const WORDS: &'static [&'static str];
}

/// Makes an enum of a list of variants and the word of each: the one in Rust data and files. In JavaScript it is written in camel case,
/// except for names of signals and codes.
macro_rules! words {
    ($(#[$attribute:meta])* pub enum $name:ident { $($(#[$about:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub enum $name {
            $($(#[$about])* #[serde(rename = $word)] $variant,)+
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

        impl $crate::types::Words for $name {
            const ALL: &'static [(&'static str, Self)] = &[$(($word, Self::$variant),)+];
            const WORDS: &'static [&'static str] = &[$($word,)+];
        }
    };
}

pub(crate) use words;

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
    #[non_exhaustive]
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
    /// What a command waits for.
    pub enum WaitsFor {
        /// The standard input of the command.
        Stdin = "stdin",
        /// The terminal of the command.
        Terminal = "terminal",
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
    pub enum ErrorCode {
        /// A configuration was refused.
        InvalidConfig = "INVALID_CONFIG",
        /// A request or an option was refused; nothing ran. Also: standard input broke off before its end.
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
        /// As many executions wait as may wait.
        QueueFull = "QUEUE_FULL",
        /// The command, or the engine, could not be started.
        SpawnFailed = "SPAWN_FAILED",
        /// The output met its cap, and the strategy was to fail.
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

/// What kept the engine from doing its part for one execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ErrorInfo {
    /// The stable name of the error.
    pub code: ErrorCode,
    /// What was requested, what happened, and what to do.
    pub message: String,
    /// The operating system's name for it, such as `ENOENT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<String>,
}
