//! Defines the builders of options, of filters, and of metadata.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use super::builders::milliseconds;
use super::{
    Encoding, EnvSnapshot, ExecutionFilter, ExecutionMetadata, ExecutionOptions, ExecutionStatus, InheritEnv,
    Leftovers, LineMode, OutputPattern, OversizedOutputStrategy, PlanOptions, ResourceLimits, Retry, RetryOn, Secret,
    Stdin, StopOrder, StopSignal, TerminalMode, TruncateKeep, When,
};

/// Generates a setter for each field. It takes the value, or for an `Option` field the value in it.
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
    /// Creates options that are all unset, so that the engine's settings apply.
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
        /// Sets the standard input of the child.
        stdin: impl Into<Stdin> => |options, stdin| options.stdin = stdin.into();
        /// Sets the terminal in which the command runs, by its size; `true` is a terminal of 80 × 24 characters, and `false` is none,
        /// whatever the engine's setting is.
        terminal: impl Into<TerminalMode> => |options, mode| options.terminal = Some(mode.into());
        /// Sets the longest time without output, after which the execution is ended. It is rounded up to whole milliseconds.
        idle_timeout: Duration => |options, time| options.idle_timeout_ms = Some(milliseconds(time));
        /// Sets the grace period between the stop signal and SIGKILL. It is rounded up to whole milliseconds.
        kill_grace: Duration => |options, time| options.kill_grace_ms = Some(milliseconds(time));
        /// Sets the signal that requests the processes of the tree to end.
        stop_signal: StopSignal => |options, signal| options.stop_signal = Some(signal);
        /// Sets the order in which the processes of the tree get that signal.
        stop_order: StopOrder => |options, order| options.stop_order = Some(order);
        /// Sets whether a descendant that opts out keeps running when the tree is ended.
        allow_detached: bool => |options, allow| options.allow_detached = Some(allow);
        /// Sets whether standard error is written to the pipe of standard output.
        merge_output: bool => |options, merge| options.merge_output = Some(merge);
        /// Sets whether output lines become events.
        stream_output: bool => |options, stream| options.stream_output = Some(stream);
        /// Sets the time at which a line becomes an event.
        lines: LineMode => |options, lines| options.lines = Some(lines);
        /// Sets the most output that is kept in memory for each stream, in bytes.
        max_output_size_bytes: usize => |options, bytes| options.max_output_size_bytes = Some(bytes);
        /// Sets the action on output above `max_output_size_bytes`.
        oversized_output_strategy: OversizedOutputStrategy
            => |options, strategy| options.oversized_output_strategy = Some(strategy);
        /// Sets the part of the output that is kept above the limit.
        truncate_keep: TruncateKeep => |options, keep| options.truncate_keep = Some(keep);
        /// Sets the longest time without output on an output pipe after the command has exited. It is rounded up to whole milliseconds.
        drain_timeout: Duration => |options, time| options.drain_timeout_ms = Some(milliseconds(time));
        /// Sets which of the host's variables the child inherits.
        inherit_env: InheritEnv => |options, inherit| options.inherit_env = Some(inherit);
        /// Adds globs of the names of variables that are inherited in addition to `inherit_env`.
        env_allow: impl IntoIterator<Item = impl Into<String>>
            => |options, globs| options.env_allow.extend(globs.into_iter().map(Into::into));
        /// Adds globs of the names of variables that are removed last, and that a request may not set.
        env_deny: impl IntoIterator<Item = impl Into<String>>
            => |options, globs| options.env_deny.extend(globs.into_iter().map(Into::into));
        /// Adds a string of at least 6 bytes that is masked in all data that leaves the engine.
        secret: impl Into<Secret> => |options, secret| options.secrets.push(secret.into());
        /// Sets whether the values of variables named by `env_secret_patterns` are masked too.
        mask_env_secrets: bool => |options, mask| options.mask_env_secrets = Some(mask);
        /// Sets the treatment of background processes that outlive their command.
        leftovers: Leftovers => |options, leftovers| options.leftovers = Some(leftovers);
        /// Sets the resource limits of the processes of the command. They replace all `limits` of the engine.
        limits: ResourceLimits => |options, limits| options.limits = Some(limits);
        /// Sets the priority in the queue: executions with a higher one start first.
        priority: i32 => |options, priority| options.priority = priority;
        /// Adds groups of the execution. The engine's `group_limits` has the most executions of a group that run at once. The groups
        /// replace the engine's `groups`, also if there are none.
        groups: impl IntoIterator<Item = impl Into<String>>
            => |options, names| options.groups.get_or_insert_default().extend(names.into_iter().map(Into::into));
        /// Sets the conditions under which the command is run again when it fails. `Retry::new(1)` allows no further attempt, whatever the
        /// engine's setting is.
        retry: Retry => |options, retry| options.retry = Some(retry);
        /// Sets the type of output in JavaScript.
        encoding: Encoding => |options, encoding| options.encoding = Some(encoding);
        /// Sets the token that ends the execution (reason `aborted`) when it is cancelled.
        signal: CancellationToken => |options, signal| options.signal = Some(signal);
        /// Sets the variables from which the child inherits. They replace the engine's `host_env`, or those of this process.
        host_env: EnvSnapshot => |options, env| options.host_env = Some(env);
    }
}

impl ResourceLimits {
    setters! {
        /// Limits the open file descriptors of one process.
        open_files: u64 => |limits, count| limits.open_files = Some(count);
        /// Limits the processes and threads of the user, in total.
        processes: u64 => |limits, count| limits.processes = Some(count);
        /// Limits the address space of one process, in bytes.
        memory_bytes: u64 => |limits, bytes| limits.memory_bytes = Some(bytes);
        /// Limits the processor time of one process, in seconds.
        cpu_seconds: u64 => |limits, seconds| limits.cpu_seconds = Some(seconds);
        /// Limits the size of a file that a process writes, in bytes.
        file_size_bytes: u64 => |limits, bytes| limits.file_size_bytes = Some(bytes);
    }
}

impl Retry {
    setters! {
        /// Sets the longest pause after the first failure. It is rounded up to whole milliseconds.
        backoff: Duration => |retry, time| retry.backoff_ms = milliseconds(time);
        /// Sets the longest pause. It is rounded up to whole milliseconds.
        max_backoff: Duration => |retry, time| retry.max_backoff_ms = milliseconds(time);
        /// Sets the failures that are retried. They replace the default ones.
        on: impl IntoIterator<Item = RetryOn> => |retry, on| retry.on = on.into_iter().collect();
        /// Sets patterns of the output, of which one must match for a retry: texts, or [`OutputPattern::regex`].
        on_output: impl IntoIterator<Item = impl Into<OutputPattern>>
            => |retry, patterns| retry.on_output = patterns.into_iter().map(Into::into).collect();
    }
}

impl PlanOptions {
    /// Creates options that are all unset, so that the engine's settings apply.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// Sets the options of each step that has no options of its own.
        options: ExecutionOptions => |plan, options| plan.options = options;
        /// Sets whether the other steps run although a step did not complete.
        continue_on_error: bool => |plan, go_on| plan.continue_on_error = go_on;
        /// Sets the longest time of the plan, after which it is ended. It is rounded up to whole milliseconds.
        deadline: Duration => |plan, time| plan.deadline_ms = Some(milliseconds(time));
    }

    /// Sets the condition on the outcomes of a step's dependencies under which the step runs, by its index.
    #[must_use]
    pub fn when(mut self, index: usize, when: When) -> Self {
        self.when.insert(index, when);
        self
    }

    /// Sets the options of one step, by its index. They replace the plan's options.
    #[must_use]
    pub fn step(mut self, index: usize, options: ExecutionOptions) -> Self {
        self.steps.insert(index, options);
        self
    }
}

impl ExecutionFilter {
    /// Creates a filter that every execution passes.
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
        /// Lists only executions that were accepted at this time or later.
        since: DateTime<Utc> => |filter, since| filter.since = Some(since);
        /// Lists at most this number of executions, the newest.
        limit: usize => |filter, limit| filter.limit = Some(limit);
    }
}

impl ExecutionMetadata {
    setters! {
        /// Sets the origin of the request.
        source: impl Into<String> => |metadata, source| metadata.source = Some(source.into());
        /// Sets the conversation to which the request belongs.
        conversation_id: impl Into<String> => |metadata, id| metadata.conversation_id = Some(id.into());
        /// Sets the label, a short name for people.
        label: impl Into<String> => |metadata, label| metadata.label = Some(label.into());
        /// Adds a tag.
        tag: impl Into<String> => |metadata, tag| metadata.tags.push(tag.into());
    }

    /// Adds an entry with any other JSON value.
    #[must_use]
    pub fn entry(mut self, key: impl Into<String>, value: impl Into<serde_json::Value>) -> Self {
        self.extra.insert(key.into(), value.into());
        self
    }
}
