//! The events of an execution while it runs, and the [`EventHandler`] of an application.

// `sink` is the way from the core to listeners, and `backpressure` bounds what is on it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::types::{ErrorInfo, ExecutionResult, ExecutionStatus, PlanExecutionResult, Stream, Text, WaitsFor};

pub(crate) use self::backpressure::{Backpressure, Credit};
pub(crate) use self::channel::{EventReceiver, channel};
#[cfg(feature = "node")]
pub(crate) use self::fields::FieldReader;
#[cfg(feature = "node")]
use self::fields::Give as _;
pub use self::handler::{EventHandler, LoggingEventHandler, MultiEventHandler, NoopEventHandler};
pub(crate) use self::handler_queue::HandlerQueue;
pub(crate) use self::line_batch::{FULL_LINES, FULL_TEXT, LineBatch, LineMark};
pub(crate) use self::sink::{EventSink, SilentSink};

mod backpressure;
mod channel;
#[cfg(feature = "node")]
mod fields;
mod handler;
mod handler_queue;
mod line_batch;
mod sink;

/// Gives the types of events to a macro, with the word of each, what it is, and its fields. What is made of this list: the type, here; how
/// events get to JavaScript, in `binding`; and what reads them there, with `index.d.ts` and tables of the pages, by `tests/generated`.
///
/// It is a `line`, `data`, an `end`, `plain`, or `carrying` a result as its last field, besides fields as a `plain` one has. The number of an event
/// type in a batch is its place in the list.
macro_rules! event_types {
    ($with:ident) => {
        $with! {
            /// Accepted, and waiting for a slot or for a group.
            Queued = "queued", plain of execution_id {
                /// The command as a person would type it.
                command: String,
                /// The first of its groups, by name, that has no place for it. `None`: it waits for a slot only.
                group: Option<String>,
            }
            /// Spawned.
            Started = "started", plain of execution_id {
                /// The command as a person would type it.
                command: String,
                /// The process id.
                pid: u32,
            }
            /// The command waits for input: its standard input is open and empty, it has neither written nor used the processor for
            /// `waiting_after_ms`, and one of its processes is blocked in a call that reads it. Emitted once for each such wait, on Linux,
            /// with a terminal, or a `stdin` that is a stream or open.
            Waiting = "waiting", plain of execution_id {
                /// What it waits for.
                r#for: WaitsFor,
                /// The unfinished line that it wrote last, such as a question; else empty.
                prompt: Text,
            }
            /// The command itself has exited. Its output may not have been read to the end, and processes that it left behind may run. In
            /// JavaScript it is made only while the engine has a listener for `exited`; then `event` and streams get it too.
            Exited = "exited", plain of execution_id {
                /// The exit code; `None` when a signal ended the command.
                exit_code: Option<i32>,
                /// The name of the signal that ended it.
                signal: Option<String>,
            }
            /// The execution continues without something that the engine guarantees. What all executions lack is reported once by each engine.
            Degraded = "degraded", plain of execution_id {
                /// What is missing, and why.
                message: String,
            }
            /// An attempt failed, and another one follows after a pause.
            Retry = "retry", carrying of execution_id {
                /// The attempt that failed, from 1.
                attempt: u32,
                /// The most attempts there will be.
                attempts: u32,
                /// Milliseconds until the next one may begin.
                delay_ms: u64,
                /// What happened in this attempt; shared, never copied.
                result: Arc<ExecutionResult>,
            }
            /// Progress of a plan: emitted when a step begins and when a step ends. The last one of a plan has its result.
            Progress = "progress", carrying of plan_id {
                /// Steps that are over, the skipped ones included.
                completed: usize,
                /// Steps that began and did not complete.
                failed: usize,
                /// Steps that never began, and will not begin.
                skipped: usize,
                /// Steps in all.
                total: usize,
                /// The command of the step that began last among those that run.
                current_command: Option<String>,
                /// After which ends of its dependencies that step runs: `success`, `failure` or `always`.
                current_when: Option<String>,
                /// `running`, or how the plan ended.
                status: ExecutionStatus,
                /// The result of the plan, in the last event of the plan; shared, never copied.
                result: Option<Arc<PlanExecutionResult>>,
            }
            /// A line on standard output, or a piece of one: a line is its pieces up to the first that is neither `partial` nor `continued`.
            Stdout = "stdout", line of execution_id {
                /// What was written, without its line end. It reads as a `&str`, where bytes that are not UTF-8 are U+FFFD; [`Text::raw`] has them as they were.
                line: Text,
                /// The line was not finished after 200 ms of silence: more of it may follow.
                partial: bool,
                /// The line is longer than `max_line_bytes`: more of it follows.
                continued: bool,
                /// A lone carriage return ended it: a progress display overwrites it.
                carriage_return: bool,
            }
            /// A line on standard error, or a piece of one, as on standard output.
            Stderr = "stderr", line of execution_id {
                /// What was written, without its line end. It reads as a `&str`, where bytes that are not UTF-8 are U+FFFD; [`Text::raw`] has them as they were.
                line: Text,
                /// The line was not finished after 200 ms of silence: more of it may follow.
                partial: bool,
                /// The line is longer than `max_line_bytes`: more of it follows.
                continued: bool,
                /// A lone carriage return ended it: a progress display overwrites it.
                carriage_return: bool,
            }
            /// What a command wrote to its terminal, with its control sequences. The lines of it, without these, are events `stdout`.
            Data = "data", data of execution_id {
                /// What was written. It reads as a `&str`, where bytes that are not UTF-8 are U+FFFD; [`Text::raw`] has them as they were.
                data: Text,
            }
            /// Exited with code 0.
            Completed = "completed", end of execution_id {
                /// Set when the engine could not do its part.
                error: Option<ErrorInfo>,
                /// What happened; shared, never copied.
                result: Arc<ExecutionResult>,
            }
            /// Exited otherwise, or the engine could not do its part.
            Failed = "failed", end of execution_id {
                /// Set when the engine could not do its part.
                error: Option<ErrorInfo>,
                /// What happened; shared, never copied.
                result: Arc<ExecutionResult>,
            }
            /// Ended on request.
            Cancelled = "cancelled", end of execution_id {
                /// Set when the engine could not do its part.
                error: Option<ErrorInfo>,
                /// What happened; shared, never copied.
                result: Arc<ExecutionResult>,
            }
            /// Ended because a time was up.
            Timeout = "timeout", end of execution_id {
                /// Set when the engine could not do its part.
                error: Option<ErrorInfo>,
                /// What happened; shared, never copied.
                result: Arc<ExecutionResult>,
            }
        }
    };
}

/// Does something with the fields of an event of some of these kinds, and nothing with the others.
macro_rules! of_kind {
    (plain: plain $then:block) => {
        $then
    };
    (plain_or_carrying: plain $then:block) => {
        $then
    };
    (plain_or_carrying: carrying $then:block) => {
        $then
    };
    ($wanted:ident: $kind:ident $then:block) => {};
}

macro_rules! declare {
    ($(
        $(#[doc = $help:literal])+ $name:ident = $word:literal, $kind:ident of $id:ident {
            $($(#[doc = $field_help:literal])+ $field:ident: $type:ty,)+
        }
    )+) => {
        /// One thing that happened. Each execution has exactly one of the last four kinds, and nothing after it.
        ///
        /// Fields may be added to a kind, and kinds to the list: end a pattern with `..`, and a `match` with `_`.
        ///
        /// ```
        /// # use execution_engine::ExecutionEvent;
        /// fn show(event: &ExecutionEvent) {
        ///     match event {
        ///         ExecutionEvent::Stdout { execution_id, line, .. } => println!("{execution_id} {line}"),
        ///         ExecutionEvent::Completed { result, .. } => println!("{} ms", result.duration_ms),
        ///         _ => {}
        ///     }
        /// }
        /// ```
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[cfg_attr(feature = "schema", schemars(description = "One thing that happened."))]
        #[serde(tag = "type")]
        #[non_exhaustive]
        pub enum ExecutionEvent {
            $(
                $(#[doc = $help])+
                #[serde(rename = $word)]
                #[non_exhaustive]
                $name {
                    /// Whose event it is.
                    $id: Uuid,
                    /// When it happened.
                    timestamp: DateTime<Utc>,
                    /// Counts the events of this execution from 0, over all its attempts; those of a plan and of its steps count for themselves.
                    sequence: u64,
                    $($(#[doc = $field_help])+ $field: $type,)+
                },
            )+
        }

        /// The type of an event, in the order of the list.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[cfg_attr(not(feature = "node"), expect(dead_code, reason = "only the binding names all types"))]
        pub(crate) enum EventType {
            $($name,)+
        }

        impl ExecutionEvent {
            #[cfg(feature = "node")]
            pub(crate) const fn event_type(&self) -> EventType {
                match self {
                    $(Self::$name { .. } => EventType::$name,)+
                }
            }

            /// Returns the id of the event's execution, its time, and its number.
            fn head(&self) -> (Uuid, DateTime<Utc>, u64) {
                match self {
                    $(Self::$name { $id, timestamp, sequence, .. } => (*$id, *timestamp, *sequence),)+
                }
            }

            /// Logs a plain event with its fields.
            fn log(&self) {
                match self {
                    $(Self::$name { $id, $($field,)+ .. } => {
                        let _ = ($id, $($field,)+);
                        of_kind!(plain: $kind {
                            tracing::info!(execution_id = %$id, $($field = ?$field,)+ $word);
                        });
                    })+
                }
            }

            /// Passes on the fields of a plain event, or of one that carries a result, in the order of their declaration.
            #[cfg(feature = "node")]
            pub(crate) fn give_fields(&self, to: &mut impl FieldReader) {
                match self {
                    $(Self::$name { $($field,)+ .. } => {
                        let _ = ($($field,)+);
                        of_kind!(plain_or_carrying: $kind {
                            $($field.give(to);)+
                        });
                    })+
                }
            }
        }
    };
}

#[cfg(feature = "schema")]
pub(crate) use event_types;

event_types!(declare);

impl EventType {
    /// Returns the type of the lines of a stream.
    pub(crate) const fn of_lines(stream: Stream) -> Self {
        match stream {
            Stream::Stdout => Self::Stdout,
            Stream::Stderr => Self::Stderr,
        }
    }
}

impl ExecutionEvent {
    /// The terminal event of a result.
    #[must_use]
    pub(crate) fn ended(result: Arc<ExecutionResult>, sequence: u64) -> Self {
        let (execution_id, timestamp, error) = (result.id, result.completed_at, result.error.clone());
        match result.status {
            ExecutionStatus::Completed => Self::Completed { execution_id, timestamp, sequence, error, result },
            ExecutionStatus::Cancelled => Self::Cancelled { execution_id, timestamp, sequence, error, result },
            ExecutionStatus::Timeout => Self::Timeout { execution_id, timestamp, sequence, error, result },
            ExecutionStatus::Failed | ExecutionStatus::Pending | ExecutionStatus::Running => {
                Self::Failed { execution_id, timestamp, sequence, error, result }
            }
        }
    }

    /// Whose event it is: the id of an execution, or that of a plan for its progress.
    #[must_use]
    pub fn execution_id(&self) -> Uuid {
        self.head().0
    }

    /// Counts the events of one execution, or the progress of one plan, from 0.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.head().2
    }

    /// When it happened.
    #[must_use]
    pub fn timestamp(&self) -> DateTime<Utc> {
        self.head().1
    }

    /// The line of `Stdout` and `Stderr` as text. The field `line` has its bytes too, and the fields beside it say whether more of it
    /// follows.
    #[must_use]
    pub fn line(&self) -> Option<&str> {
        match self {
            Self::Stdout { line, .. } | Self::Stderr { line, .. } => Some(line),
            _ => None,
        }
    }

    /// What happened, of the four events that end an execution.
    #[must_use]
    pub fn result(&self) -> Option<&Arc<ExecutionResult>> {
        match self {
            Self::Completed { result, .. }
            | Self::Failed { result, .. }
            | Self::Cancelled { result, .. }
            | Self::Timeout { result, .. } => Some(result),
            _ => None,
        }
    }

    /// Whether it is the last event of its execution or plan.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.result().is_some() || matches!(self, Self::Progress { result: Some(_), .. })
    }

    /// Returns the same event without the output in its results: for a front end that already has the lines. Their
    /// counts, such as `stdout_bytes`, stay as they are. Nothing of the output is copied.
    #[must_use]
    pub fn without_output(mut self) -> Self {
        match &mut self {
            Self::Retry { result, .. }
            | Self::Completed { result, .. }
            | Self::Failed { result, .. }
            | Self::Cancelled { result, .. }
            | Self::Timeout { result, .. } => *result = Arc::new(result.without_output()),
            Self::Progress { result: Some(result), .. } => *result = Arc::new(result.without_output()),
            _ => {}
        }
        self
    }
}
