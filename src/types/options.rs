//! Defines the options with which the host runs a request.

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{
    EnvSnapshot, LineMode, MASK, OversizedOutputStrategy, ResourceLimits, Retry, Stdin, StopOrder, StopSignal,
    TerminalMode, TerminalSize, TruncateKeep, words,
};

words! {
    /// The set of the host's variables that a child inherits.
    #[derive(Default)]
    #[non_exhaustive]
    pub enum InheritEnv {
        /// The child inherits all variables.
        #[default]
        All = "all",
        /// The child inherits the variables that a program needs to start: `PATH HOME USER LOGNAME SHELL LANG LC_* TZ TMPDIR TERM`, and
        /// those that Windows needs.
        Core = "core",
        /// The child inherits no variables.
        None = "none",
    }
}

words! {
    /// The treatment of the background processes that a command leaves behind when it exits by itself.
    #[derive(Default)]
    #[non_exhaustive]
    pub enum Leftovers {
        /// The processes keep running, such as a browser that a command has opened.
        #[default]
        Leave = "leave",
        /// The processes are ended like a cancelled tree, before the execution ends.
        Kill = "kill",
    }
}

words! {
    /// The type of output in JavaScript. In Rust a [`Text`](super::Text) is both.
    #[derive(Default)]
    #[non_exhaustive]
    pub enum Encoding {
        /// Text; bytes that are not UTF-8 are U+FFFD.
        #[default]
        Utf8 = "utf8",
        /// Bytes as they were written.
        Buffer = "buffer",
    }
}

/// A string to mask. No output of `Debug` shows it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Returns the string itself.
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

/// The options with which this host runs a request. `None` means the engine's setting.
#[derive(Debug, Clone, Default)]
pub struct ExecutionOptions {
    /// The standard input of the child. Default: empty.
    pub stdin: Stdin,
    /// The terminal in which the command runs. Its input is open unless `stdin` gives data. Default: `terminal` of the engine, which is
    /// none.
    pub terminal: Option<TerminalMode>,
    /// The longest time without output, in ms; then the execution is ended. Default: `idle_timeout_ms` of the engine, which is none.
    pub idle_timeout_ms: Option<u64>,
    /// The grace period between the stop signal and SIGKILL, in ms. Default: `kill_grace_ms` of the engine.
    pub kill_grace_ms: Option<u64>,
    /// The signal that requests the processes of the tree to end. Default: `stop_signal` of the engine.
    pub stop_signal: Option<StopSignal>,
    /// The order in which the processes of the tree get that signal. Default: `stop_order` of the engine.
    pub stop_order: Option<StopOrder>,
    /// Whether a descendant that opts out (`ESCHER_EXECUTION_ID=detached`, in a session of its own) keeps running when the tree is ended.
    /// Default: `allow_detached` of the engine.
    pub allow_detached: Option<bool>,
    /// Whether standard error is written to the pipe of standard output, so that the order between them is exact. Default: `merge_output`
    /// of the engine, which is false.
    pub merge_output: Option<bool>,
    /// Whether output lines become events. Default: `stream_output` of the engine.
    pub stream_output: Option<bool>,
    /// The time at which a line becomes an event: an unfinished line after 200 ms without output, or each line only when it is complete.
    /// Default: `lines` of the engine.
    pub lines: Option<LineMode>,
    /// The most output that is kept in memory for each stream, in bytes, at most 256 MiB. Default: `max_output_size_bytes` of the engine.
    pub max_output_size_bytes: Option<usize>,
    /// The action on output above `max_output_size_bytes`. Default: `oversized_output_strategy` of the engine.
    pub oversized_output_strategy: Option<OversizedOutputStrategy>,
    /// The part of the output that is kept above the limit. Default: `truncate_keep` of the engine.
    pub truncate_keep: Option<TruncateKeep>,
    /// The longest time without output on an output pipe after the command has exited, in ms; then the engine stops reading. The drain
    /// takes at most 2 s in total. Default: `drain_timeout_ms` of the engine.
    pub drain_timeout_ms: Option<u64>,
    /// The set of the host's variables that the child inherits. Default: `inherit_env` of the engine.
    pub inherit_env: Option<InheritEnv>,
    /// Globs of the names of variables that are inherited in addition to `inherit_env`. They are added to `env_allow` of the engine.
    pub env_allow: Vec<String>,
    /// Globs of the names of variables that are removed last, and that a request may not set. They are added to `env_deny` of the engine.
    pub env_deny: Vec<String>,
    /// Strings that are masked in all data that leaves the engine. They are added to `secrets` of the engine. Each has at least 6 bytes.
    pub secrets: Vec<Secret>,
    /// Whether the values of variables named by `env_secret_patterns` are masked too. Default: `mask_env_secrets` of the engine.
    pub mask_env_secrets: Option<bool>,
    /// The treatment of background processes that outlive their command. Default: `leftovers` of the engine, with which they keep running.
    pub leftovers: Option<Leftovers>,
    /// The resource limits of the processes of the command. They replace all `limits` of the engine, which are the default.
    pub limits: Option<ResourceLimits>,
    /// The priority in the queue: executions with a higher one start first. Default: 0.
    pub priority: i32,
    /// The names of the groups of the execution, 64 at most, of 1 to 256 bytes each. `group_limits` of the engine has the most executions
    /// of a group that run at once. The names replace all `groups` of the engine, which are the default.
    pub groups: Option<Vec<String>>,
    /// The conditions under which the command is run again when it fails; `Retry::new(1)` allows no further attempt. Default: `retry` of
    /// the engine, which is none.
    pub retry: Option<Retry>,
    /// The type of output in JavaScript. Default: `encoding` of the engine.
    pub encoding: Option<Encoding>,
    /// The token that ends the execution (reason `aborted`) when it is cancelled. Default: none.
    pub signal: Option<CancellationToken>,
    /// The variables from which the child inherits. Default: `host_env` of the engine, which is the environment of this process at the
    /// call.
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
