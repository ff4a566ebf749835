//! Host policy for a whole engine: every field, its default and its bounds.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::{ExecutionError, Invalid, Result};
use crate::globs;
use crate::redact;
use crate::types::{Encoding, InheritEnv, Secret};

/// What happens at the concurrency limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConcurrencyPolicy {
    /// Wait for a slot: higher priority first, then first come, first served.
    #[default]
    Queue,
    /// Refuse with `CONCURRENCY_LIMIT_REACHED`.
    Reject,
}

/// What happens to output above the cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OversizedOutputStrategy {
    /// Keep a part, with a marker that says how much is missing.
    #[default]
    TruncateWithWarning,
    /// End the execution with `OUTPUT_SIZE_EXCEEDED`.
    FailExecution,
    /// Keep a part, and all of it in a file that goes with the record.
    StreamToFile,
}

/// Which part of too much output is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TruncateKeep {
    /// The first bytes.
    Head,
    /// The last bytes.
    Tail,
    /// Half of the cap from either end.
    #[default]
    Both,
}

/// What is in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// The bytes of both streams in the order in which they came.
    #[default]
    Raw,
    /// A JSON object for each line: time, stream, sequence, text.
    Jsonl,
}

/// The configuration of an engine. `..Default::default()` fills what is not named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExecutionConfig {
    /// Timeout of a request that names none, in ms. Default: 300 000.
    pub default_timeout_ms: u64,
    /// The longest timeout a request may ask for, in ms. Default: 3 600 000.
    pub max_timeout_ms: u64,
    /// Whether output lines become events. Default: true.
    pub stream_output: bool,
    /// As what JavaScript gets output. Default: text.
    pub encoding: Encoding,
    /// How many commands run at once. Default: 100.
    pub max_concurrent_executions: usize,
    /// What happens at that limit. Default: queue.
    pub concurrency_policy: ConcurrencyPolicy,
    /// How many may wait. Default: 10 000.
    pub max_queued_executions: usize,
    /// The longest wait for a slot, in ms. Default: no bound.
    pub queue_timeout_ms: Option<u64>,
    /// Between SIGTERM and SIGKILL, in ms. Default: 5 000.
    pub kill_grace_ms: u64,
    /// Ends an execution after so many ms without output. Default: never.
    pub idle_timeout_ms: Option<u64>,
    /// How long an output pipe may be silent after the command has exited, in ms. Default: 500; at most 2 s in all.
    pub drain_timeout_ms: u64,
    /// The longest line in one piece, in bytes. Default: 65 536.
    pub max_line_bytes: usize,
    /// Bytes of output kept in memory for each stream. Default: 10 MiB.
    pub max_output_size_bytes: usize,
    /// What happens to more. Default: truncate with a warning.
    pub oversized_output_strategy: OversizedOutputStrategy,
    /// Which part is kept then. Default: both ends.
    pub truncate_keep: TruncateKeep,
    /// Where files of overflowing output go, for `stream_to_file`. Default: a folder of this user under the temp folder.
    pub overflow_dir: Option<PathBuf>,
    /// The largest such file, in bytes. Default: 1 GiB.
    pub max_overflow_file_bytes: u64,
    /// Bytes in all such files of this engine. Default: 4 GiB.
    pub max_overflow_total_bytes: u64,
    /// Such files stop growing before the disk has less than so many bytes left. Default: 512 MiB.
    pub min_free_disk_bytes: u64,
    /// Where each execution gets a log, named by its id. Default: no logs.
    pub log_dir: Option<PathBuf>,
    /// What is in logs. Default: the raw bytes.
    pub log_format: LogFormat,
    /// Strings that are masked in whatever leaves the engine, of at least 6 bytes. Default: none.
    pub secrets: Vec<Secret>,
    /// Whether the values of variables that look secret are masked too. Default: false.
    pub mask_env_secrets: bool,
    /// Globs of the names of such variables. Default: `*TOKEN* *SECRET* *PASSWORD* *PASSWD* *CREDENTIAL* *PRIVATE_KEY* *API_KEY*
    /// AWS_*KEY*`.
    pub env_secret_patterns: Vec<String>,
    /// Whether a guardian process ends what runs when the host dies. Default: true.
    pub guardian: bool,
    /// Which of the host's variables a child starts with. Default: all.
    pub inherit_env: InheritEnv,
    /// Globs of names inherited on top. Default: none.
    pub env_allow: Vec<String>,
    /// Globs of names no child gets. Default: none.
    pub env_deny: Vec<String>,
    /// Ended executions that are remembered. Default: 1 000.
    pub max_in_memory_executions: usize,
    /// How long they are remembered, in seconds. Default: 3 600.
    pub execution_retention_secs: u64,
    /// Bytes of kept output in all of them. Default: 256 MiB.
    pub max_retained_output_bytes: u64,
}

impl Default for ExecutionConfig {
    fn default() -> Self {
        Self {
            default_timeout_ms: 300_000,
            max_timeout_ms: 3_600_000,
            stream_output: true,
            encoding: Encoding::default(),
            max_concurrent_executions: 100,
            concurrency_policy: ConcurrencyPolicy::default(),
            max_queued_executions: 10_000,
            queue_timeout_ms: None,
            kill_grace_ms: 5_000,
            idle_timeout_ms: None,
            drain_timeout_ms: 500,
            max_line_bytes: 64 * 1024,
            max_output_size_bytes: 10 * 1024 * 1024,
            oversized_output_strategy: OversizedOutputStrategy::default(),
            truncate_keep: TruncateKeep::default(),
            overflow_dir: None,
            max_overflow_file_bytes: 1024 * 1024 * 1024,
            max_overflow_total_bytes: 4 * 1024 * 1024 * 1024,
            min_free_disk_bytes: 512 * 1024 * 1024,
            log_dir: None,
            log_format: LogFormat::default(),
            secrets: Vec::new(),
            mask_env_secrets: false,
            env_secret_patterns: ENV_SECRET_PATTERNS.map(str::to_owned).to_vec(),
            guardian: true,
            inherit_env: InheritEnv::default(),
            env_allow: Vec::new(),
            env_deny: Vec::new(),
            max_in_memory_executions: 1_000,
            execution_retention_secs: 3_600,
            max_retained_output_bytes: 256 * 1024 * 1024,
        }
    }
}

const ENV_SECRET_PATTERNS: [&str; 8] =
    ["*TOKEN*", "*SECRET*", "*PASSWORD*", "*PASSWD*", "*CREDENTIAL*", "*PRIVATE_KEY*", "*API_KEY*", "AWS_*KEY*"];

/// The smallest `max_line_bytes`: below it, splitting costs more than the lines.
const LEAST_LINE_BYTES: usize = 64;
/// The largest `max_line_bytes` and cap: what one JavaScript string can hold, with room to spare.
pub(crate) const MOST_STRING_BYTES: usize = 256 * 1024 * 1024;
/// The longest time a timer takes, in ms: 365 days.
pub(crate) const MOST_MS: u64 = 365 * 24 * 3_600_000;

impl ExecutionConfig {
    /// Checks every field and how they go together.
    ///
    /// # Errors
    /// `INVALID_CONFIG` with the field.
    pub fn validate(&self) -> Result<()> {
        self.check().map_err(ExecutionError::InvalidConfig)
    }

    fn check(&self) -> Result<(), Invalid> {
        within_ms("max_timeout_ms", self.max_timeout_ms, 1)?;
        within_ms("default_timeout_ms", self.default_timeout_ms, 1)?;
        if self.default_timeout_ms > self.max_timeout_ms {
            return Err(Invalid::new(
                "default_timeout_ms",
                format!(
                    "{} is above `max_timeout_ms` ({}): lower it, or raise `max_timeout_ms`",
                    self.default_timeout_ms, self.max_timeout_ms
                ),
            ));
        }
        within("max_concurrent_executions", self.max_concurrent_executions, 1, 100_000)?;
        within("max_queued_executions", self.max_queued_executions, 0, 10_000_000)?;
        within("max_in_memory_executions", self.max_in_memory_executions, 0, 100_000_000)?;
        within("max_line_bytes", self.max_line_bytes, LEAST_LINE_BYTES, MOST_STRING_BYTES)?;
        within("max_output_size_bytes", self.max_output_size_bytes, 0, MOST_STRING_BYTES)?;
        within_ms("kill_grace_ms", self.kill_grace_ms, 0)?;
        within_ms("drain_timeout_ms", self.drain_timeout_ms, 0)?;
        if let Some(ms) = self.queue_timeout_ms {
            within_ms("queue_timeout_ms", ms, 1)?;
        }
        if let Some(ms) = self.idle_timeout_ms {
            within_ms("idle_timeout_ms", ms, 1)?;
        }
        for (field, dir) in [("overflow_dir", &self.overflow_dir), ("log_dir", &self.log_dir)] {
            if dir.as_ref().is_some_and(|dir| !dir.is_absolute()) {
                let problem = "it is not an absolute path: the host's directory may change, so say the whole path";
                return Err(Invalid::new(field, problem));
            }
        }
        redact::check("secrets", &self.secrets)?;
        globs::check("env_secret_patterns", &self.env_secret_patterns)?;
        globs::check("env_allow", &self.env_allow)?;
        globs::check("env_deny", &self.env_deny)
    }
}

fn within(field: &str, value: usize, least: usize, most: usize) -> Result<(), Invalid> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Invalid::new(field, format!("{value} is out of range: give a whole number from {least} to {most}")))
}

fn within_ms(field: &str, value: u64, least: u64) -> Result<(), Invalid> {
    if (least..=MOST_MS).contains(&value) {
        return Ok(());
    }
    Err(Invalid::new(field, format!("{value} is out of range: give milliseconds from {least} to {MOST_MS} (365 days)")))
}
