//! Host policy for a whole engine: every field, its default and its bounds.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::{ExecutionError, Invalid, Result};
use crate::redact;
use crate::types::{
    Encoding, EnvSnapshot, InheritEnv, Leftovers, LineMode, ResourceLimits, Retry, Secret, StopOrder, StopSignal,
    TerminalMode, Words, words,
};
pub use crate::types::{OversizedOutputStrategy, TruncateKeep};

pub(crate) use self::field::{Field, Kind};
pub use self::layer::ConfigLayer;

pub(crate) mod bounds;
mod field;
mod layer;
#[cfg(feature = "schema")]
mod schema;

/// The smallest `max_line_bytes`: below it, splitting costs more than the lines.
const LEAST_LINE_BYTES: u64 = 64;
/// The largest `max_line_bytes` and cap: what one JavaScript string can hold, with room to spare.
pub(crate) const MOST_STRING_BYTES: usize = 256 * 1024 * 1024;
/// The largest `max_metadata_bytes`.
pub(crate) const MOST_METADATA_BYTES: usize = 64 * 1024 * 1024;
/// The longest time a timer takes, in ms: 365 days.
pub(crate) const MOST_MS: u64 = 365 * 24 * 3_600_000;
/// The largest whole number that JavaScript and JSON keep exactly: 2^53 − 1.
pub(crate) const LARGEST_WHOLE: u64 = (1 << 53) - 1;

words! {
    /// The action on a request at the concurrency limit.
    #[derive(Default)]
    #[non_exhaustive]
    pub enum ConcurrencyPolicy {
        /// The execution waits for a slot: higher priority first, then first come, first served.
        #[default]
        Queue = "queue",
        /// The request is refused with `CONCURRENCY_LIMIT_REACHED`.
        Reject = "reject",
    }
}

words! {
    /// The format of a log.
    #[derive(Default)]
    #[non_exhaustive]
    pub enum LogFormat {
        /// The bytes of both streams in the order in which they came.
        #[default]
        Raw = "raw",
        /// A JSON object for each line, with time, stream, sequence and text.
        Jsonl = "jsonl",
    }
}

const ENV_SECRET_PATTERNS: [&str; 8] =
    ["*TOKEN*", "*SECRET*", "*PASSWORD*", "*PASSWD*", "*CREDENTIAL*", "*PRIVATE_KEY*", "*API_KEY*", "AWS_*KEY*"];

/// Generates from one list the configuration's type, its defaults, and the table by which every source of settings is read.
macro_rules! settings {
    ($($(#[doc = $help:literal])+ $name:ident: $type:ty = $default:expr, $kind:expr;)+) => {
        /// The configuration of an engine. `..Default::default()` gives the other fields their defaults.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[cfg_attr(feature = "schema", schemars(default, deny_unknown_fields, transform = schema::add_bounds))]
        pub struct ExecutionConfig {
            $(
                $(#[doc = $help])+
                #[doc = concat!("\n\nDefault: `", stringify!($default), "`.")]
                pub $name: $type,
            )+
        }

        impl Default for ExecutionConfig {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        /// A configuration in data, in which `null` means that a field is absent.
        #[derive(Default, Deserialize)]
        #[serde(default, deny_unknown_fields, rename = "ExecutionConfig")]
        struct Given {
            $($name: Option<$type>,)+
        }

        impl<'de> Deserialize<'de> for ExecutionConfig {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let given = Given::deserialize(deserializer)?;
                Ok(Self { $($name: given.$name.unwrap_or_else(|| $default),)+ })
            }
        }

        impl ExecutionConfig {
            /// Sets the field of this name, unless the value is `null`. Returns `false` if there is no such field, or it has another type.
            fn set(&mut self, name: &str, value: serde_json::Value) -> bool {
                match name {
                    _ if value.is_null() => true,
                    $(stringify!($name) => set(&mut self.$name, value),)+
                    _ => false,
                }
            }
        }

        /// Every setting, in the order in which people read them.
        pub(crate) const FIELDS: &[Field] =
            &[$(Field { name: stringify!($name), kind: $kind, help: concat!($($help),+) },)+];
    };
}

settings! {
    /// The timeout of a request without one, in ms. It is at most `max_timeout_ms`; if only that is given, it lowers this default.
    default_timeout_ms: u64 = 300_000, Kind::ms(1);
    /// The longest timeout that a request may have, in ms. A longer one is refused with `INVALID_REQUEST`.
    max_timeout_ms: u64 = 3_600_000, Kind::ms(1);
    /// Whether output lines become events.
    stream_output: bool = true, Kind::Flag;
    /// The time at which a line becomes an event: in pieces, so that an unfinished line is emitted after 200 ms without output; or whole,
    /// when it is complete.
    lines: LineMode = LineMode::Pieces, Kind::Choice(LineMode::WORDS);
    /// Whether standard error is written to the pipe of standard output, so that the order between them is exact.
    merge_output: bool = false, Kind::Flag;
    /// The type of output in JavaScript: text, or Buffers with the exact bytes.
    encoding: Encoding = Encoding::Utf8, Kind::Choice(Encoding::WORDS);
    /// The most commands that run at once.
    max_concurrent_executions: usize = 100, Kind::Whole { least: 1, most: 100_000 };
    /// The action on a request when `max_concurrent_executions` commands run, or when one of its groups has no free place: let it wait
    /// (higher priority first, then first come, first served), or refuse it with `CONCURRENCY_LIMIT_REACHED`.
    concurrency_policy: ConcurrencyPolicy = ConcurrencyPolicy::Queue, Kind::Choice(ConcurrencyPolicy::WORDS);
    /// The most executions that may wait. A further one is refused with `QUEUE_FULL`.
    max_queued_executions: usize = 10_000, Kind::Whole { least: 0, most: 10_000_000 };
    /// The most executions of a group that run at once, by globs of group names: each name that matches a glob has this limit for itself.
    /// An entry with the exact name has precedence, then the longest glob. The limit is 1 for a group that no entry matches.
    group_limits: BTreeMap<String, usize> = BTreeMap::new(), Kind::Limits;
    /// The names of the groups of each execution whose options have no `groups`: 64 at most, of 1 to 256 bytes each.
    groups: Vec<String> = Vec::new(), Kind::Names;
    /// The longest wait for a slot and for groups, in ms. After it the execution ends with the status `timeout` and the reason
    /// `queue_timeout`.
    queue_timeout_ms: Option<u64> = None, Kind::ms(1);
    /// The grace period between the stop signal and SIGKILL, in ms. With 0, SIGKILL is sent at once.
    kill_grace_ms: u64 = 5_000, Kind::ms(0);
    /// The signal that requests the processes of an execution to end.
    stop_signal: StopSignal = StopSignal::Term,
        Kind::Choice(StopSignal::WORDS);
    /// The order in which the processes of a tree get the stop signal: all at once, or the command itself first, and the others when it has
    /// exited or half of `kill_grace_ms` has passed.
    stop_order: StopOrder = StopOrder::Tree, Kind::Choice(StopOrder::WORDS);
    /// The grace period between the stop signal and SIGKILL when the host exits or is killed, in ms. If there is none, `kill_grace_ms` of
    /// the execution applies.
    host_exit_grace_ms: Option<u64> = None, Kind::ms(0);
    /// Whether a descendant that opts out (`ESCHER_EXECUTION_ID=detached`, in a session of its own) keeps running when its execution is
    /// ended.
    allow_detached: bool = false, Kind::Flag;
    /// Whether each execution gets a control group of its own, if the host is permitted to create one (Linux, cgroup v2).
    control_groups: bool = true, Kind::Flag;
    /// The longest time without output, in ms; then the execution is ended. If there is none, the time has no limit.
    idle_timeout_ms: Option<u64> = None, Kind::ms(1);
    /// The conditions under which a failed command is run again. If there are none, it is not run again.
    retry: Option<Retry> = None, Kind::Retry;
    /// The resource limits of the processes of each command (Linux). Without one, the limits of the host apply.
    limits: ResourceLimits = ResourceLimits::default(), Kind::Resources;
    /// The terminal of each command: `false` for none, `true` for one of 80 × 24 characters, or its size.
    terminal: TerminalMode = TerminalMode::None, Kind::Terminal;
    /// The longest time without output on an output pipe after the command has exited, in ms; then the engine stops reading. The drain
    /// takes at most 2 s in total.
    drain_timeout_ms: u64 = 500, Kind::ms(0);
    /// The treatment of background processes that outlive their command: they keep running, or are ended like a cancelled tree.
    leftovers: Leftovers = Leftovers::Leave, Kind::Choice(Leftovers::WORDS);
    /// The longest line that comes in one piece, in bytes. A longer line comes in several pieces.
    max_line_bytes: usize = 64 * 1024, Kind::Whole { least: LEAST_LINE_BYTES, most: MOST_STRING_BYTES as u64 };
    /// The time in which a command must neither use the processor nor write before the event `waiting` is emitted, in ms.
    waiting_after_ms: u64 = 1_000, Kind::ms(1);
    /// The most output that is kept in memory for each stream, in bytes.
    max_output_size_bytes: usize = 10 * 1024 * 1024, Kind::Whole { least: 0, most: MOST_STRING_BYTES as u64 };
    /// The action on output above `max_output_size_bytes`: keep a part of it; end the execution with `OUTPUT_SIZE_EXCEEDED`; or keep a part
    /// of it in memory and all of it in a file, which is removed with the record.
    oversized_output_strategy: OversizedOutputStrategy = OversizedOutputStrategy::TruncateWithWarning,
        Kind::Choice(OversizedOutputStrategy::WORDS);
    /// The older form of `oversized_output_strategy`: `false` means `fail_execution`, unless that setting is given too.
    truncate_large_output: bool = true, Kind::Flag;
    /// The part of the output that is kept above the limit; `both` keeps half of the limit from each end.
    truncate_keep: TruncateKeep = TruncateKeep::Both, Kind::Choice(TruncateKeep::WORDS);
    /// The directory in which `stream_to_file` writes. If there is none, it is a directory of this user in the directory for temporary
    /// files.
    overflow_dir: Option<PathBuf> = None, Kind::Path;
    /// The largest overflow file, in bytes.
    max_overflow_file_bytes: u64 = 1024 * 1024 * 1024, Kind::ANY_WHOLE;
    /// The largest total size of all overflow files of this engine, in bytes.
    max_overflow_total_bytes: u64 = 4 * 1024 * 1024 * 1024, Kind::ANY_WHOLE;
    /// The free disk space that overflow files and logs leave, in bytes: they stop growing before the disk has less.
    min_free_disk_bytes: u64 = 512 * 1024 * 1024, Kind::ANY_WHOLE;
    /// The directory of the logs: each execution gets a log there, named by its id. If there is none, no logs are written.
    log_dir: Option<PathBuf> = None, Kind::Path;
    /// The format of logs: the raw bytes in the order in which they were read, or a JSON object for each line.
    log_format: LogFormat = LogFormat::Raw, Kind::Choice(LogFormat::WORDS);
    /// Whether a log in `log_dir` stays when its record is removed. A file at `output_log_path` always stays.
    keep_logs: bool = true, Kind::Flag;
    /// The largest log, in bytes. Output beyond it is counted as lost.
    max_log_file_bytes: u64 = 1024 * 1024 * 1024, Kind::ANY_WHOLE;
    /// The largest total size of the logs of all executions that have a record, in bytes.
    max_log_total_bytes: u64 = 16 * 1024 * 1024 * 1024, Kind::ANY_WHOLE;
    /// Strings that are masked in all data that leaves the engine. Each has at least 6 bytes.
    secrets: Vec<Secret> = Vec::new(), Kind::Secrets;
    /// Whether the values of variables named by `env_secret_patterns` are masked too.
    mask_env_secrets: bool = false, Kind::Flag;
    /// Globs of the names of variables whose values are secret.
    env_secret_patterns: Vec<String> = ENV_SECRET_PATTERNS.map(str::to_owned).to_vec(), Kind::Globs;
    /// Whether a guardian process ends the running commands when the host ends, in whichever way.
    guardian: bool = true, Kind::Flag;
    /// The variables from which a child inherits. If there are none, those of the host at the call are used.
    host_env: Option<EnvSnapshot> = None, Kind::Variables;
    /// The set of the host's variables that a child inherits.
    inherit_env: InheritEnv = InheritEnv::All, Kind::Choice(InheritEnv::WORDS);
    /// Globs of the names of variables that are inherited in addition to `inherit_env`.
    env_allow: Vec<String> = Vec::new(), Kind::Globs;
    /// Globs of the names of variables that no child gets, and that no request may set.
    env_deny: Vec<String> = Vec::new(), Kind::Globs;
    /// The most records of ended executions that are kept; the oldest are removed first.
    max_in_memory_executions: usize = 1_000, Kind::Whole { least: 0, most: 100_000_000 };
    /// The retention time of the records of ended executions, in seconds.
    execution_retention_secs: u64 = 3_600, Kind::ANY_WHOLE;
    /// The largest total size of output, metadata, errors and diagnoses in all records, in bytes; the oldest records are removed first.
    max_retained_output_bytes: u64 = 256 * 1024 * 1024, Kind::ANY_WHOLE;
    /// The largest metadata of a request or a plan, in bytes of JSON text. Larger metadata is refused.
    max_metadata_bytes: usize = 64 * 1024, Kind::Whole { least: 0, most: MOST_METADATA_BYTES as u64 };
    /// Whether the engine removes old records by itself. If not, only `cleanup()` removes them.
    enable_auto_cleanup: bool = true, Kind::Flag;
    /// The shortest time between two searches for records that are too old, in seconds. No search takes place while no record can be too
    /// old.
    cleanup_interval_secs: u64 = 60, Kind::Whole { least: 1, most: MOST_MS / 1_000 };
}

impl ExecutionConfig {
    /// Checks the value of each field, and that no two fields contradict each other.
    ///
    /// # Errors
    /// `INVALID_CONFIG` with the field.
    pub fn validate(&self) -> Result<()> {
        self.check().map_err(ExecutionError::InvalidConfig)
    }

    fn check(&self) -> Result<(), Invalid> {
        let values = serde_json::to_value(self).map_err(|error| Invalid::new("config", error.to_string()))?;
        for Field { name, kind, .. } in FIELDS {
            if !matches!(kind, Kind::Secrets | Kind::Variables) {
                kind.check(name, &values[name])?;
            }
        }
        if self.default_timeout_ms != Self::default().default_timeout_ms {
            check_timeouts(self.default_timeout_ms, self.max_timeout_ms)?;
        }
        // Secrets are never shown, not even in the table.
        redact::check("secrets", &self.secrets)?;
        self.host_env.as_ref().map_or(Ok(()), |variables| bounds::variables("host_env", variables))
    }

    /// Returns the strategy for output above the limit, whichever of its two settings is set.
    fn strategy(&self) -> OversizedOutputStrategy {
        match self.oversized_output_strategy {
            OversizedOutputStrategy::TruncateWithWarning if !self.truncate_large_output => {
                OversizedOutputStrategy::FailExecution
            }
            named => named,
        }
    }

    /// Returns the same configuration without contradictions: both fields for too much output agree, and a default
    /// timeout that was not chosen is not above the longest one.
    #[must_use]
    pub(crate) fn normalized(self) -> Self {
        let strategy = self.strategy();
        Self {
            oversized_output_strategy: strategy,
            truncate_large_output: strategy != OversizedOutputStrategy::FailExecution,
            default_timeout_ms: self.default_timeout_ms.min(self.max_timeout_ms),
            ..self
        }
    }
}

/// Sets a field, and returns whether the value has its type. It is never inlined: there are many settings, of few types.
#[inline(never)]
fn set<T: DeserializeOwned>(field: &mut T, value: serde_json::Value) -> bool {
    serde_json::from_value(value).map(|value| *field = value).is_ok()
}

fn check_timeouts(default: u64, most: u64) -> Result<(), Invalid> {
    if default <= most {
        return Ok(());
    }
    let problem = format!("{default} is above `max_timeout_ms` ({most}): lower it, or raise `max_timeout_ms`");
    Err(Invalid::new("default_timeout_ms", problem))
}
