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
    /// What happens at the concurrency limit.
    #[derive(Default)]
    #[non_exhaustive]
    pub enum ConcurrencyPolicy {
        /// Wait for a slot: higher priority first, then first come, first served.
        #[default]
        Queue = "queue",
        /// Refuse with `CONCURRENCY_LIMIT_REACHED`.
        Reject = "reject",
    }
}

words! {
    /// What is in a log.
    #[derive(Default)]
    #[non_exhaustive]
    pub enum LogFormat {
        /// The bytes of both streams in the order in which they came.
        #[default]
        Raw = "raw",
        /// A JSON object for each line: time, stream, sequence, text.
        Jsonl = "jsonl",
    }
}

const ENV_SECRET_PATTERNS: [&str; 8] =
    ["*TOKEN*", "*SECRET*", "*PASSWORD*", "*PASSWD*", "*CREDENTIAL*", "*PRIVATE_KEY*", "*API_KEY*", "AWS_*KEY*"];

/// Makes of one list: the configuration's type, its defaults, and the table that every source of settings goes by.
macro_rules! settings {
    ($($(#[doc = $help:literal])+ $name:ident: $type:ty = $default:expr, $kind:expr;)+) => {
        /// The configuration of an engine. `..Default::default()` fills what is not named.
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

        /// A configuration in data, where `null` means what an absent field means.
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
            /// Sets the field of this name, unless the value is `null`. Returns `false` if there is none, or it has another type.
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
    /// Timeout of a request that names none, in ms. Not above `max_timeout_ms`, which lowers it where only that is given.
    default_timeout_ms: u64 = 300_000, Kind::ms(1);
    /// The longest timeout that a request may have, in ms. More is `INVALID_REQUEST`.
    max_timeout_ms: u64 = 3_600_000, Kind::ms(1);
    /// Whether output lines become events.
    stream_output: bool = true, Kind::Flag;
    /// When a line becomes an event: in pieces, so that an unfinished line is shown after 200 ms of silence; or whole, when it is
    /// complete.
    lines: LineMode = LineMode::Pieces, Kind::Choice(LineMode::WORDS);
    /// Whether standard error goes into standard output's pipe, so that the order between them is exact.
    merge_output: bool = false, Kind::Flag;
    /// The type in which JavaScript gets output: text, or Buffers with the exact bytes.
    encoding: Encoding = Encoding::Utf8, Kind::Choice(Encoding::WORDS);
    /// How many commands run at once.
    max_concurrent_executions: usize = 100, Kind::Whole { least: 1, most: 100_000 };
    /// When so many run: wait (higher priority first, then first come, first served), or be refused with
    /// `CONCURRENCY_LIMIT_REACHED`.
    concurrency_policy: ConcurrencyPolicy = ConcurrencyPolicy::Queue, Kind::Choice(ConcurrencyPolicy::WORDS);
    /// The most executions that may wait. A further one is refused with `QUEUE_FULL`.
    max_queued_executions: usize = 10_000, Kind::Whole { least: 0, most: 10_000_000 };
    /// How many executions of a group run at once, by globs of names of groups: each name that matches has this limit for itself. A name that
    /// is listed as it is comes first, then the longest glob. 1 for a group that none matches.
    group_limits: BTreeMap<String, usize> = BTreeMap::new(), Kind::Limits;
    /// Names of groups of each execution whose options name none, 64 at most, of 1 to 256 bytes each.
    groups: Vec<String> = Vec::new(), Kind::Names;
    /// The longest wait for a slot and for groups, in ms. Then: status `timeout`, reason `queue_timeout`.
    queue_timeout_ms: Option<u64> = None, Kind::ms(1);
    /// Between the stop signal and SIGKILL, in ms. 0: SIGKILL at once.
    kill_grace_ms: u64 = 5_000, Kind::ms(0);
    /// The signal that asks the processes of an execution to end.
    stop_signal: StopSignal = StopSignal::Term,
        Kind::Choice(StopSignal::WORDS);
    /// Which processes get the stop signal first: all of the tree, or the command itself and the others when it has exited or
    /// half of `kill_grace_ms` has passed.
    stop_order: StopOrder = StopOrder::Tree, Kind::Choice(StopOrder::WORDS);
    /// Between the stop signal and SIGKILL when the host exits or is killed, in ms. None: as `kill_grace_ms` of the execution.
    host_exit_grace_ms: Option<u64> = None, Kind::ms(0);
    /// Whether a child that opts out (`ESCHER_EXECUTION_ID=detached`, in a session of its own) is left alone when its execution
    /// is ended.
    allow_detached: bool = false, Kind::Flag;
    /// Whether each execution gets a control group of its own where the host may make some (Linux, cgroup v2).
    control_groups: bool = true, Kind::Flag;
    /// Ends an execution after so many ms without output.
    idle_timeout_ms: Option<u64> = None, Kind::ms(1);
    /// When a failed command is run again. None: never.
    retry: Option<Retry> = None, Kind::Retry;
    /// What the system limits for the processes of each command (Linux). Without any, what it limits for the host.
    limits: ResourceLimits = ResourceLimits::default(), Kind::Resources;
    /// Whether each command runs in a terminal of its own: `true` is 80 × 24.
    terminal: TerminalMode = TerminalMode::None, Kind::Terminal;
    /// How long an output pipe may be silent after the command has exited, in ms. At most 2 s in all.
    drain_timeout_ms: u64 = 500, Kind::ms(0);
    /// What becomes of background processes that outlive their command: they are left alone, or ended like a cancelled tree.
    leftovers: Leftovers = Leftovers::Leave, Kind::Choice(Leftovers::WORDS);
    /// The longest line in one piece, in bytes. Longer ones come in several.
    max_line_bytes: usize = 64 * 1024, Kind::Whole { least: LEAST_LINE_BYTES, most: MOST_STRING_BYTES as u64 };
    /// How long a command must neither use the processor nor write, in ms, before the event `waiting` is emitted.
    waiting_after_ms: u64 = 1_000, Kind::ms(1);
    /// Bytes of output kept in memory for each stream.
    max_output_size_bytes: usize = 10 * 1024 * 1024, Kind::Whole { least: 0, most: MOST_STRING_BYTES as u64 };
    /// What happens to output above `max_output_size_bytes`: keep a part of it; end the execution with `OUTPUT_SIZE_EXCEEDED`;
    /// or keep a part of it and all of it in a file that goes with the record.
    oversized_output_strategy: OversizedOutputStrategy = OversizedOutputStrategy::TruncateWithWarning,
        Kind::Choice(OversizedOutputStrategy::WORDS);
    /// An older word for `oversized_output_strategy`: `false` is `fail_execution`, unless a strategy is named.
    truncate_large_output: bool = true, Kind::Flag;
    /// Which part of too much output is kept; `both` is half from either end.
    truncate_keep: TruncateKeep = TruncateKeep::Both, Kind::Choice(TruncateKeep::WORDS);
    /// Where `stream_to_file` writes. None: a folder of this user under the temp folder.
    overflow_dir: Option<PathBuf> = None, Kind::Path;
    /// The largest such file, in bytes.
    max_overflow_file_bytes: u64 = 1024 * 1024 * 1024, Kind::ANY_WHOLE;
    /// Bytes in all such files of this engine.
    max_overflow_total_bytes: u64 = 4 * 1024 * 1024 * 1024, Kind::ANY_WHOLE;
    /// Such files and logs stop growing before the disk has less than so many bytes left.
    min_free_disk_bytes: u64 = 512 * 1024 * 1024, Kind::ANY_WHOLE;
    /// Where each execution gets a log, named by its id.
    log_dir: Option<PathBuf> = None, Kind::Path;
    /// What is in logs: the raw bytes as they came, or a JSON object for each line.
    log_format: LogFormat = LogFormat::Raw, Kind::Choice(LogFormat::WORDS);
    /// Whether logs in `log_dir` stay when their record leaves. A file at `output_log_path` always does.
    keep_logs: bool = true, Kind::Flag;
    /// The largest log, in bytes. What is more is counted as lost.
    max_log_file_bytes: u64 = 1024 * 1024 * 1024, Kind::ANY_WHOLE;
    /// Bytes in all logs of executions that have a record.
    max_log_total_bytes: u64 = 16 * 1024 * 1024 * 1024, Kind::ANY_WHOLE;
    /// Strings that are masked in whatever leaves the engine, of at least 6 bytes.
    secrets: Vec<Secret> = Vec::new(), Kind::Secrets;
    /// Whether the values of variables named by `env_secret_patterns` are masked too.
    mask_env_secrets: bool = false, Kind::Flag;
    /// Globs of the names of variables whose values are secret.
    env_secret_patterns: Vec<String> = ENV_SECRET_PATTERNS.map(str::to_owned).to_vec(), Kind::Globs;
    /// Whether a guardian process ends what runs when the host ends, however it ends.
    guardian: bool = true, Kind::Flag;
    /// The variables to inherit from. None: those of the host at the call.
    host_env: Option<EnvSnapshot> = None, Kind::Variables;
    /// Which of the host's variables a child starts with.
    inherit_env: InheritEnv = InheritEnv::All, Kind::Choice(InheritEnv::WORDS);
    /// Globs of names inherited on top of `inherit_env`.
    env_allow: Vec<String> = Vec::new(), Kind::Globs;
    /// Globs of names that no child gets, and that no request may set.
    env_deny: Vec<String> = Vec::new(), Kind::Globs;
    /// The most records of ended executions; the oldest are removed first.
    max_in_memory_executions: usize = 1_000, Kind::Whole { least: 0, most: 100_000_000 };
    /// How long records of ended executions are kept, in seconds.
    execution_retention_secs: u64 = 3_600, Kind::ANY_WHOLE;
    /// Bytes of output, metadata, errors and diagnoses in all records; the oldest records are removed first.
    max_retained_output_bytes: u64 = 256 * 1024 * 1024, Kind::ANY_WHOLE;
    /// The longest metadata of a request or a plan, in bytes of JSON text. More is refused.
    max_metadata_bytes: usize = 64 * 1024, Kind::Whole { least: 0, most: MOST_METADATA_BYTES as u64 };
    /// Whether the engine removes old records without a call. If not, only `cleanup()` removes them.
    enable_auto_cleanup: bool = true, Kind::Flag;
    /// The least time between two searches for records that are too old, in seconds. No search takes place while no record can be.
    cleanup_interval_secs: u64 = 60, Kind::Whole { least: 1, most: MOST_MS / 1_000 };
}

impl ExecutionConfig {
    /// Checks every field and how they go together.
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

    /// Returns the strategy for too much output, whichever of its two settings is set.
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

/// The function is never inlined: there are many settings, of few types.
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
