//! Another try.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};

use super::{ErrorInfo, ExecutionStatus, Reason, absent};

/// Which ends of an attempt are followed by another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RetryOn {
    /// An exit code other than 0.
    Exit,
    /// A signal that the engine did not send.
    Signal,
    /// `timeout_ms` or `idle_timeout_ms`.
    Timeout,
    /// The command could not be started.
    Spawn,
    /// This exit code.
    #[serde(untagged)]
    Code(i32),
}

/// What output is searched for. As data it is the text, or `{ "regex": "…" }`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OutputPattern {
    /// A regular expression in the syntax of the crate `regex-lite`, such as `(?i)rate.?limit`. `\d`, `\w`, `\s` and `\b` mean ASCII.
    Regex(String),
    /// This text, as it is.
    #[serde(untagged)]
    Literal(String),
}

/// Such an expression may take for ever.
pub(crate) const NO_LOOK_AROUND: &str = "it is a regular expression with look-around or a back-reference, which are not supported: \
     leave these out, or give several patterns";

/// The longest regular expression, in bytes.
pub(crate) const LONGEST_REGEX: usize = 16 * 1024;
/// The classes of Unicode are tables that would make the library larger by half a megabyte.
pub(crate) const NO_UNICODE_CLASS: &str = "it is a regular expression with a class of Unicode (`\\p{…}`), which are not supported: list the \
     characters, such as `[a-zà-ÿ]`, or use `\\w`, `\\d` or `\\s`, which are of ASCII";
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Runs in all, the first one included: 1 to 1 000.
    pub attempts: u32,
    /// The longest pause after the first failure, in ms. Default: 1 000.
    #[serde(default = "first_backoff_ms", deserialize_with = "read_first_backoff")]
    pub backoff_ms: u64,
    /// The longest pause, in ms. Default: 30 000.
    #[serde(default = "longest_backoff_ms", deserialize_with = "read_longest_backoff")]
    pub max_backoff_ms: u64,
    /// What is retried. Default: exit, signal, timeout and spawn.
    #[serde(default = "every_failure", deserialize_with = "read_failures")]
    pub on: Vec<RetryOn>,
    /// Retries only a failure of a command whose output, in the last 64 KiB of either stream, has one of these. Default: empty, which
    /// is any failure. A command that never ran has no output.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "absent::or_default")]
    pub on_output: Vec<OutputPattern>,
}

impl Retry {
    /// Allows so many runs in all; the other values are the defaults.
    #[must_use]
    pub fn new(attempts: u32) -> Self {
        Self {
            attempts,
            backoff_ms: first_backoff_ms(),
            max_backoff_ms: longest_backoff_ms(),
            on: every_failure(),
            on_output: Vec::new(),
        }
    }
}

fn first_backoff_ms() -> u64 {
    1_000
}

fn read_first_backoff<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    absent::or(deserializer, first_backoff_ms)
}

fn longest_backoff_ms() -> u64 {
    30_000
}

fn read_longest_backoff<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    absent::or(deserializer, longest_backoff_ms)
}

fn read_failures<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<RetryOn>, D::Error> {
    absent::or(deserializer, every_failure)
}

fn every_failure() -> Vec<RetryOn> {
    vec![RetryOn::Exit, RetryOn::Signal, RetryOn::Timeout, RetryOn::Spawn]
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
