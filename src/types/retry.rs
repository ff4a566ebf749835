//! Defines the conditions under which a failed command is run again.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};

use super::{ErrorInfo, ExecutionStatus, Reason, absent};

/// The kind of failure after which a command is run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RetryOn {
    /// An exit code other than 0.
    Exit,
    /// A signal that the engine did not send.
    Signal,
    /// A timeout: `timeout_ms` or `idle_timeout_ms`.
    Timeout,
    /// The command could not be started.
    Spawn,
    /// This exit code.
    #[serde(untagged)]
    Code(i32),
}

/// A pattern for output. As data it is the text, or `{ "regex": "…" }`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OutputPattern {
    /// A regular expression in the syntax of the crate `regex-lite`, such as `(?i)rate.?limit`. `\d`, `\w`, `\s` and `\b` mean ASCII.
    Regex(String),
    /// A text that is matched literally.
    #[serde(untagged)]
    Literal(String),
}

/// The problem of an expression whose match might never end.
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
    /// Creates a pattern from a regular expression.
    #[must_use]
    pub fn regex(pattern: impl Into<String>) -> Self {
        Self::Regex(pattern.into())
    }
}

/// Creates a pattern that is matched literally.
impl<T: Into<String>> From<T> for OutputPattern {
    fn from(text: T) -> Self {
        Self::Literal(text.into())
    }
}

/// The conditions under which a failed command is run again. After a cancel, an abort, a shutdown or the end of a plan there is no further
/// attempt.
///
/// The pause before the next attempt doubles with each failure, from `backoff_ms` up to `max_backoff_ms`. Each pause is shortened by a
/// random amount of up to one half, so that commands that failed at the same time are not retried at the same time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// The most runs, the first one included: 1 to 1 000.
    pub attempts: u32,
    /// The longest pause after the first failure, in ms. Default: 1 000.
    #[serde(default = "first_backoff_ms", deserialize_with = "read_first_backoff")]
    pub backoff_ms: u64,
    /// The longest pause, in ms. Default: 30 000.
    #[serde(default = "longest_backoff_ms", deserialize_with = "read_longest_backoff")]
    pub max_backoff_ms: u64,
    /// The failures that are retried. Default: exit, signal, timeout and spawn.
    #[serde(default = "every_failure", deserialize_with = "read_failures")]
    pub on: Vec<RetryOn>,
    /// Patterns of the output: a failure is retried only if one of them matches in the last 64 KiB of either stream. A command that never
    /// ran has no output. Default: empty, so that any failure is retried.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "absent::or_default")]
    pub on_output: Vec<OutputPattern>,
}

impl Retry {
    /// Creates conditions that allow this number of runs in total, with the defaults for the other fields.
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

/// A failed attempt that was followed by another one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct FailedAttempt {
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// The final status: `failed` or `timeout`.
    pub status: ExecutionStatus,
    /// The exit code; `None` when a signal ended the command or it never ran.
    pub exit_code: Option<i32>,
    /// The name of the signal that ended the command; else `None`.
    pub signal: Option<String>,
    /// The reason why the attempt ended.
    pub reason: Option<Reason>,
    /// The error; `None` unless the command could not be started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorInfo>,
    /// The time of the spawn; the time of acceptance if the command was never spawned.
    pub started_at: DateTime<Utc>,
    /// The time that the attempt waited for a slot, in ms.
    pub queued_ms: f64,
    /// The time from spawn to the end, in ms.
    pub duration_ms: f64,
    /// The pause after the attempt, in ms.
    pub delay_ms: u64,
}
