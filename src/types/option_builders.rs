//! Short ways to write how the host runs a request or a plan, and which executions a listing has.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use super::builders::milliseconds;
use super::{
    Encoding, EnvSnapshot, ExecutionFilter, ExecutionMetadata, ExecutionOptions, ExecutionStatus, InheritEnv,
    Leftovers, LineMode, OutputPattern, OversizedOutputStrategy, PlanOptions, ResourceLimits, Retry, RetryOn, Secret,
    Stdin, StopOrder, StopSignal, TerminalMode, TruncateKeep, When,
};

/// Writes a setter for each field: it takes the value, or for an `Option` field what it holds.
macro_rules! setters {
    ($($(#[$doc:meta])+ $name:ident: $type:ty => |$options:ident, $value:ident| $set:expr;)+) => {
        $(
            $(#[$doc])+
            #[must_use]
            pub fn $name(mut self, $value: $type) -> Self {
                let $options = &mut self;
                $set;
                self
            }
        )+
    };
}

impl ExecutionOptions {
    /// Options that leave everything to the engine.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use execution_engine::{ExecutionOptions, Retry, RetryOn};
    /// let options = ExecutionOptions::new()
    ///     .stdin("yes\n")
    ///     .idle_timeout(Duration::from_secs(30))
    ///     .secret("hunter2-hunter2")
    ///     .retry(Retry::new(3).backoff(Duration::from_millis(100)).on([RetryOn::Spawn]));
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// Sets what the child reads.
        stdin: impl Into<Stdin> => |options, stdin| options.stdin = stdin.into();
        /// Runs the command in a terminal of this size; `true` is 80 × 24, and `false` none, whatever the engine's default is.
        terminal: impl Into<TerminalMode> => |options, mode| options.terminal = Some(mode.into());
        /// Ends the execution after so long without output. In whole milliseconds; a part of one counts as one.
        idle_timeout: Duration => |options, time| options.idle_timeout_ms = Some(milliseconds(time));
        /// Sets the time between the stop signal and SIGKILL. In whole milliseconds; a part of one counts as one.
        kill_grace: Duration => |options, time| options.kill_grace_ms = Some(milliseconds(time));
        /// Sets the signal that asks the tree to end.
        stop_signal: StopSignal => |options, signal| options.stop_signal = Some(signal);
        /// Sets which members get that signal first.
        stop_order: StopOrder => |options, order| options.stop_order = Some(order);
        /// Sets whether a child that opts out is left alone when the tree is ended.
        allow_detached: bool => |options, allow| options.allow_detached = Some(allow);
        /// Sets whether standard error goes into standard output's pipe.
        merge_output: bool => |options, merge| options.merge_output = Some(merge);
        /// Sets whether output lines become events.
        stream_output: bool => |options, stream| options.stream_output = Some(stream);
        /// Sets when a line becomes an event.
        lines: LineMode => |options, lines| options.lines = Some(lines);
        /// Sets how many bytes of each stream are kept in memory.
        max_output_size_bytes: usize => |options, bytes| options.max_output_size_bytes = Some(bytes);
        /// Sets what happens to output above that.
        oversized_output_strategy: OversizedOutputStrategy
            => |options, strategy| options.oversized_output_strategy = Some(strategy);
        /// Sets which part of too much output is kept.
        truncate_keep: TruncateKeep => |options, keep| options.truncate_keep = Some(keep);
        /// Sets how long an output pipe may be silent after the command has exited. In whole milliseconds; a part of one counts as one.
        drain_timeout: Duration => |options, time| options.drain_timeout_ms = Some(milliseconds(time));
        /// Sets which of the host's variables the child starts with.
        inherit_env: InheritEnv => |options, inherit| options.inherit_env = Some(inherit);
        /// Adds globs of names that are inherited on top of that.
        env_allow: impl IntoIterator<Item = impl Into<String>>
            => |options, globs| options.env_allow.extend(globs.into_iter().map(Into::into));
        /// Adds globs of names that are removed last, and that a request may not set.
        env_deny: impl IntoIterator<Item = impl Into<String>>
            => |options, globs| options.env_deny.extend(globs.into_iter().map(Into::into));
        /// Adds a string that is masked in whatever leaves the engine, of at least 6 bytes.
        secret: impl Into<Secret> => |options, secret| options.secrets.push(secret.into());
        /// Sets whether the values of variables that look secret are masked too.
        mask_env_secrets: bool => |options, mask| options.mask_env_secrets = Some(mask);
        /// Sets what becomes of background processes that outlive their command.
        leftovers: Leftovers => |options, leftovers| options.leftovers = Some(leftovers);
        /// Sets what the system limits for the processes of the command, in the place of all `limits` of the engine.
        limits: ResourceLimits => |options, limits| options.limits = Some(limits);
        /// Sets the place in the queue: higher starts first.
        priority: i32 => |options, priority| options.priority = priority;
        /// Adds groups: at most so many executions of each run at once as the engine's `group_limits` has for it. They are in the place of
        /// the engine's `groups`, also if there are none.
        groups: impl IntoIterator<Item = impl Into<String>>
            => |options, names| options.groups.get_or_insert_default().extend(names.into_iter().map(Into::into));
        /// Runs the command again when it fails; `Retry::new(1)` does not, whatever the engine's default is.
        retry: Retry => |options, retry| options.retry = Some(retry);
        /// Sets as what JavaScript gets the output.
        encoding: Encoding => |options, encoding| options.encoding = Some(encoding);
        /// Ends the execution (reason `aborted`) when this token is cancelled.
        signal: CancellationToken => |options, signal| options.signal = Some(signal);
        /// Sets the host's variables, in the place of the engine's `host_env` or this process's own.
        host_env: EnvSnapshot => |options, env| options.host_env = Some(env);
    }
}

impl ResourceLimits {
    setters! {
        /// Limits the open descriptors of one process.
        open_files: u64 => |limits, count| limits.open_files = Some(count);
        /// Limits the processes and threads of the user.
        processes: u64 => |limits, count| limits.processes = Some(count);
        /// Limits the memory.
        memory_bytes: u64 => |limits, bytes| limits.memory_bytes = Some(bytes);
        /// Limits the processor time of one process, in seconds.
        cpu_seconds: u64 => |limits, seconds| limits.cpu_seconds = Some(seconds);
        /// Limits the files that are written.
        file_size_bytes: u64 => |limits, bytes| limits.file_size_bytes = Some(bytes);
    }
}

impl Retry {
    setters! {
        /// Sets the longest pause after the first failure. In whole milliseconds; a part of one counts as one.
        backoff: Duration => |retry, time| retry.backoff_ms = milliseconds(time);
        /// Sets the longest pause. In whole milliseconds; a part of one counts as one.
        max_backoff: Duration => |retry, time| retry.max_backoff_ms = milliseconds(time);
        /// Sets what is retried, in place of what is by default.
        on: impl IntoIterator<Item = RetryOn> => |retry, on| retry.on = on.into_iter().collect();
        /// Retries only when the output has one of these: texts, or [`OutputPattern::regex`].
        on_output: impl IntoIterator<Item = impl Into<OutputPattern>>
            => |retry, patterns| retry.on_output = patterns.into_iter().map(Into::into).collect();
    }
}

impl PlanOptions {
    /// Options that leave everything to the engine.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// Sets how each step runs that has no options of its own.
        options: ExecutionOptions => |plan, options| plan.options = options;
        /// Sets whether a step that does not complete keeps no other from running.
        continue_on_error: bool => |plan, go_on| plan.continue_on_error = go_on;
        /// Ends the plan after so long. In whole milliseconds; a part of one counts as one.
        deadline: Duration => |plan, time| plan.deadline_ms = Some(milliseconds(time));
    }

    /// Sets after which ends of its dependencies a step runs, by its index.
    #[must_use]
    pub fn when(mut self, index: usize, when: When) -> Self {
        self.when.insert(index, when);
        self
    }

    /// Sets how one step runs, by its index: in place of the plan's own options.
    #[must_use]
    pub fn step(mut self, index: usize, options: ExecutionOptions) -> Self {
        self.steps.insert(index, options);
        self
    }
}

impl ExecutionFilter {
    /// A filter that lets every execution through.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// Lists only executions with this status.
        status: ExecutionStatus => |filter, status| filter.status = Some(status);
        /// Lists only executions with this label.
        label: impl Into<String> => |filter, label| filter.label = Some(label.into());
        /// Lists only executions with this source.
        source: impl Into<String> => |filter, source| filter.source = Some(source.into());
        /// Lists only executions that were accepted at that moment or later.
        since: DateTime<Utc> => |filter, since| filter.since = Some(since);
        /// Lists at most so many executions, the newest.
        limit: usize => |filter, limit| filter.limit = Some(limit);
    }
}

impl ExecutionMetadata {
    setters! {
        /// Sets the origin of the request.
        source: impl Into<String> => |metadata, source| metadata.source = Some(source.into());
        /// Sets the conversation it belongs to.
        conversation_id: impl Into<String> => |metadata, id| metadata.conversation_id = Some(id.into());
        /// Sets the short name for people.
        label: impl Into<String> => |metadata, label| metadata.label = Some(label.into());
        /// Adds a tag.
        tag: impl Into<String> => |metadata, tag| metadata.tags.push(tag.into());
    }

    /// Adds any other JSON.
    #[must_use]
    pub fn entry(mut self, key: impl Into<String>, value: impl Into<serde_json::Value>) -> Self {
        self.extra.insert(key.into(), value.into());
        self
    }
}
