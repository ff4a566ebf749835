//! Another try.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{ErrorInfo, ExecutionStatus, Reason};

/// Which ends of an attempt are followed by another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RetryOn {
    /// An exit code other than 0.
    Exit,
    /// This exit code.
    Code(i32),
    /// A signal that the engine did not send.
    Signal,
    /// `timeout_ms` or `idle_timeout_ms`.
    Timeout,
    /// The command could not be started.
    Spawn,
}

/// What output is searched for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OutputPattern {
    /// This text, as it is.
    Literal(String),
    /// A regular expression in the syntax of the crate `regex-lite`, such as `(?i)rate.?limit`. `\d`, `\w`, `\s` and `\b` mean ASCII.
    Regex(String),
}

/// Such an expression may take for ever.
pub(crate) const NO_LOOK_AROUND: &str = "it is a regular expression with look-around or a back-reference, which are not supported: \
     leave these out, or give several patterns";

/// The longest regular expression, in bytes.
pub(crate) const LONGEST_REGEX: usize = 16 * 1024;
pub(crate) const TOO_LONG: &str =
    "it is a regular expression of more than 16 KiB: use a shorter one, or give several patterns";

impl OutputPattern {
    /// A regular expression.
    #[must_use]
    pub fn regex(pattern: impl Into<String>) -> Self {
        Self::Regex(pattern.into())
    }
}

/// The text itself.
impl<T: Into<String>> From<T> for OutputPattern {
    fn from(text: T) -> Self {
        Self::Literal(text.into())
    }
}

/// When a failed command is run again. A cancel, an abort, a shutdown and the end of a plan always end it for good.
///
/// The pause before the next attempt doubles each time, from `backoff_ms` up to `max_backoff_ms`; a random half of it is
/// taken off, so that many that failed together do not come back together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// Runs in all, the first one included: 1 to 1 000.
    pub attempts: u32,
    /// The longest pause after the first failure, in ms. Default: 1 000.
    pub backoff_ms: u64,
    /// The longest pause, in ms. Default: 30 000.
    pub max_backoff_ms: u64,
    /// What is retried. Default: exit, signal, timeout and spawn.
    pub on: Vec<RetryOn>,
    /// Retries only a failure of a command whose output, in the last 64 KiB of either stream, has one of these. Default: empty, which
    /// is any failure. A command that never ran has no output.
    pub on_output: Vec<OutputPattern>,
}

impl Retry {
    /// So many runs in all; the rest as by default.
    #[must_use]
    pub fn new(attempts: u32) -> Self {
        Self {
            attempts,
            backoff_ms: 1_000,
            max_backoff_ms: 30_000,
            on: vec![RetryOn::Exit, RetryOn::Signal, RetryOn::Timeout, RetryOn::Spawn],
            on_output: Vec::new(),
        }
    }
}

/// An attempt that failed and was followed by another one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct FailedAttempt {
    /// Which one it was, from 1.
    pub attempt: u32,
    /// How it ended: `failed` or `timeout`.
    pub status: ExecutionStatus,
    /// The exit code; `None` when a signal ended the command or it never ran.
    pub exit_code: Option<i32>,
    /// The name of the signal that ended it.
    pub signal: Option<String>,
    /// Why it ended.
    pub reason: Option<Reason>,
    /// Set when it could not be started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorInfo>,
    /// When it was spawned.
    pub started_at: DateTime<Utc>,
    /// Milliseconds that it waited for a slot.
    pub queued_ms: f64,
    /// Milliseconds from spawn to the end.
    pub duration_ms: f64,
    /// Milliseconds of the pause after it.
    pub delay_ms: u64,
}
