//! The options with which the host runs a request.

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{
    EnvSnapshot, LineMode, MASK, OversizedOutputStrategy, ResourceLimits, Retry, Stdin, StopOrder, StopSignal,
    TerminalMode, TerminalSize, TruncateKeep, words,
};

words! {
    /// Which of the host's variables a child starts with.
    #[derive(Default)]
    #[non_exhaustive]
    pub enum InheritEnv {
        /// The command gets all variables.
        #[default]
        All = "all",
        /// What a program needs to start: `PATH HOME USER LOGNAME SHELL LANG LC_* TZ TMPDIR TERM`, and what Windows needs.
        Core = "core",
        /// None.
        None = "none",
    }
}

words! {
    /// What becomes of the background processes that a command leaves behind when it exits by itself.
    #[derive(Default)]
    #[non_exhaustive]
    pub enum Leftovers {
        /// Leftover processes keep running, such as a browser that a command has opened.
        #[default]
        Leave = "leave",
        /// Leftover processes are ended like a cancelled tree, before the execution ends.
        Kill = "kill",
    }
}

words! {
    /// The type in which JavaScript gets output. In Rust a [`Text`](super::Text) is both.
    #[derive(Default)]
    #[non_exhaustive]
    pub enum Encoding {
        /// Text; bytes that are not UTF-8 are U+FFFD.
        #[default]
        Utf8 = "utf8",
        /// The bytes as they were written.
        Buffer = "buffer",
    }
}

/// A string to mask. No output of `Debug` shows it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The string itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl<T: Into<String>> From<T> for Secret {
    fn from(secret: T) -> Self {
        Self(secret.into())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(MASK)
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

/// How this host runs a request. `None` means the engine's default.
#[derive(Debug, Clone, Default)]
pub struct ExecutionOptions {
    /// What the child reads. Default: nothing.
    pub stdin: Stdin,
    /// Runs the command in a terminal of its own, of this size. Its input is open then, unless `stdin` gives one. Default: `terminal` of
    /// the engine, which is none.
    pub terminal: Option<TerminalMode>,
    /// Ends the execution after so many milliseconds without output. Default: `idle_timeout_ms` of the engine, which is none.
    pub idle_timeout_ms: Option<u64>,
    /// Milliseconds between the stop signal and SIGKILL. Default: `kill_grace_ms` of the engine.
    pub kill_grace_ms: Option<u64>,
    /// The signal that asks the tree to end. Default: `stop_signal` of the engine.
    pub stop_signal: Option<StopSignal>,
    /// Which members get that signal first. Default: `stop_order` of the engine.
    pub stop_order: Option<StopOrder>,
    /// Whether a child that opts out (`ESCHER_EXECUTION_ID=detached`, in a session of its own) is left alone when the tree is
    /// ended. Default: `allow_detached` of the engine.
    pub allow_detached: Option<bool>,
    /// Whether standard error goes into standard output's pipe, so that the order between them is exact. Default: `merge_output` of
    /// the engine, which is false.
    pub merge_output: Option<bool>,
    /// Whether output lines become events. Default: `stream_output` of the engine.
    pub stream_output: Option<bool>,
    /// Whether an unfinished line is shown after 200 ms of silence, or each line only when it is complete. Default: `lines` of the
    /// engine.
    pub lines: Option<LineMode>,
    /// Bytes of output kept in memory for each stream, at most 256 MiB. Default: `max_output_size_bytes` of the engine.
    pub max_output_size_bytes: Option<usize>,
    /// What happens to output above that. Default: `oversized_output_strategy` of the engine.
    pub oversized_output_strategy: Option<OversizedOutputStrategy>,
    /// Which part of too much output is kept. Default: `truncate_keep` of the engine.
    pub truncate_keep: Option<TruncateKeep>,
    /// How long an output pipe may be silent after the command has exited, in ms; at most 2 s in all. Default: `drain_timeout_ms` of
    /// the engine.
    pub drain_timeout_ms: Option<u64>,
    /// Which of the host's variables the child starts with. Default: `inherit_env` of the engine.
    pub inherit_env: Option<InheritEnv>,
    /// Globs of names that are inherited on top of `inherit_env`.
    pub env_allow: Vec<String>,
    /// Globs of names that are removed last, and that a request may not set.
    pub env_deny: Vec<String>,
    /// Strings that are masked in whatever leaves the engine, besides those of the engine's configuration. At least 6 bytes each.
    pub secrets: Vec<Secret>,
    /// Whether the values of variables that look secret are masked too. Default: `mask_env_secrets` of the engine.
    pub mask_env_secrets: Option<bool>,
    /// What becomes of background processes that outlive their command. Default: `leftovers` of the engine, which leaves them alone.
    pub leftovers: Option<Leftovers>,
    /// What the system limits for the processes of the command, in the place of all `limits` of the engine. Default: these.
    pub limits: Option<ResourceLimits>,
    /// Higher starts first among the queued. Default: 0.
    pub priority: i32,
    /// Names of groups, 64 at most, of 1 to 256 bytes each: at most so many executions of a group run at once as `group_limits` of the engine
    /// has for it, in the place of all `groups` of the engine. Default: these.
    pub groups: Option<Vec<String>>,
    /// Runs the command again when it fails. `Retry::new(1)` does not. Default: `retry` of the engine, which is none.
    pub retry: Option<Retry>,
    /// The type in which JavaScript gets the output. Default: `encoding` of the engine.
    pub encoding: Option<Encoding>,
    /// Ends the execution when it is cancelled (reason `aborted`). Default: nothing does.
    pub signal: Option<CancellationToken>,
    /// The host's variables at the time of the call. Default: `host_env` of the engine, which is this process's own.
    pub host_env: Option<EnvSnapshot>,
}

impl ExecutionOptions {
    pub(crate) fn group_names(&self) -> &[String] {
        self.groups.as_deref().unwrap_or_default()
    }

    pub(crate) fn resource_limits(&self) -> ResourceLimits {
        self.limits.unwrap_or_default()
    }

    pub(crate) fn terminal_size(&self) -> Option<TerminalSize> {
        self.terminal.and_then(TerminalMode::size)
    }
}
