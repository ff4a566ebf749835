//! Defines the events of an execution, and the [`EventHandler`] of an application.

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

/// Passes the types of events to a macro: the word of each, its documentation, and its fields. Three things are generated from this list:
/// the Rust type, here; the transfer of events to JavaScript, in `binding`; and the code that reads them there, with parts of `index.d.ts`
/// and tables of the pages, by `tests/generated`.
///
/// The kind of an event is `line`, `data`, `end`, `plain`, or `carrying`: the last has the fields of a `plain` event and a result as its
/// last field. The number of an event type in a batch is its place in the list.
macro_rules! event_types {
    ($with:ident) => {
        $with! {
            /// The execution was accepted, and waits for a slot or for a group.
            Queued = "queued", plain of execution_id {
                /// The command as a person would type it.
                command: String,
                /// The name of the first of its groups, in alphabetical order, that has no free place. With `None` the execution waits for
                /// a slot only.
                group: Option<String>,
            }
            /// The command was spawned.
            Started = "started", plain of execution_id {
                /// The command as a person would type it.
                command: String,
                /// The process id.
                pid: u32,
            }
            /// The command waits for input: its standard input is open and empty, it has neither written nor used the processor for
            /// `waiting_after_ms`, and one of its processes is blocked in a call that reads the input. The event is emitted once for each
            /// such wait, on Linux, for a command with a terminal, or with a `stdin` that is a stream or open.
            Waiting = "waiting", plain of execution_id {
                /// The input for which the command waits.
                r#for: WaitsFor,
                /// The unfinished line that the command wrote last, such as a question; else empty.
                prompt: Text,
            }
            /// The command itself has exited. Its output may not have been read to the end, and processes that it left behind may still
            /// run. In JavaScript the event is emitted only while the engine has a listener for `exited`; then listeners for `event` and
            /// streams get it too.
            Exited = "exited", plain of execution_id {
                /// The exit code; `None` when a signal ended the command.
                exit_code: Option<i32>,
                /// The name of the signal that ended the command; else `None`.
                signal: Option<String>,
            }
            /// The execution continues without a property that the engine guarantees. If all executions lack it, each engine emits the
            /// event once.
            Degraded = "degraded", plain of execution_id {
                /// The missing property, and the cause.
                message: String,
            }
            /// An attempt failed, and another attempt follows after a pause.
            Retry = "retry", carrying of execution_id {
                /// The number of the attempt that failed, from 1.
                attempt: u32,
                /// The most attempts of the execution.
                attempts: u32,
                /// The time until the next attempt may begin, in ms.
                delay_ms: u64,
                /// The result of the failed attempt; it is shared, never copied.
                result: Arc<ExecutionResult>,
            }
            /// A step of a plan began or ended. The last such event of a plan has its result.
            Progress = "progress", carrying of plan_id {
                /// The number of steps that have ended, the skipped ones included.
                completed: usize,
                /// The number of steps that began and did not complete.
                failed: usize,
                /// The number of steps that never began and will not begin.
                skipped: usize,
                /// The number of all steps.
                total: usize,
                /// The command of the step that began last among the running ones; `None` when none runs.
                current_command: Option<String>,
                /// The condition on the outcomes of that step's dependencies: `success`, `failure` or `always`; `None` when none runs.
                current_when: Option<String>,
                /// The status of the plan: `running`, or its final status.
                status: ExecutionStatus,
                /// The result of the plan, in its last event; it is shared, never copied.
                result: Option<Arc<PlanExecutionResult>>,
            }
            /// The command wrote a line to standard output, or a piece of one. A line consists of its pieces up to the first that is
            /// neither `partial` nor `continued`.
            Stdout = "stdout", line of execution_id {
                /// The line without its line ending. It dereferences to a `&str`, in which bytes that are not UTF-8 are U+FFFD;
                /// [`Text::raw`] returns the bytes as they were written.
                line: Text,
                /// Whether the line was unfinished after 200 ms without output: more of it may follow.
                partial: bool,
                /// Whether the line is longer than `max_line_bytes`: more of it follows.
                continued: bool,
                /// Whether a single carriage return ended the line: a progress display overwrites such a line.
                carriage_return: bool,
            }
            /// The command wrote a line to standard error, or a piece of one, as with `stdout`.
            Stderr = "stderr", line of execution_id {
                /// The line without its line ending. It dereferences to a `&str`, in which bytes that are not UTF-8 are U+FFFD;
                /// [`Text::raw`] returns the bytes as they were written.
                line: Text,
                /// Whether the line was unfinished after 200 ms without output: more of it may follow.
                partial: bool,
                /// Whether the line is longer than `max_line_bytes`: more of it follows.
                continued: bool,
                /// Whether a single carriage return ended the line: a progress display overwrites such a line.
                carriage_return: bool,
            }
            /// The command wrote to its terminal: the event has the output with control sequences. Its lines, without control sequences,
            /// are events of the type `stdout`.
            Data = "data", data of execution_id {
                /// The output. It dereferences to a `&str`, in which bytes that are not UTF-8 are U+FFFD; [`Text::raw`] returns the bytes
                /// as they were written.
                data: Text,
            }
            /// The command exited with code 0.
            Completed = "completed", end of execution_id {
                /// The error that kept the engine from running the command as requested; else `None`.
                error: Option<ErrorInfo>,
                /// The result; it is shared, never copied.
                result: Arc<ExecutionResult>,
            }
            /// The command ended in another way, or the engine could not run it as requested.
            Failed = "failed", end of execution_id {
                /// The error that kept the engine from running the command as requested; else `None`.
                error: Option<ErrorInfo>,
                /// The result; it is shared, never copied.
                result: Arc<ExecutionResult>,
            }
            /// The execution was ended on request.
            Cancelled = "cancelled", end of execution_id {
                /// The error that kept the engine from running the command as requested; else `None`.
                error: Option<ErrorInfo>,
                /// The result; it is shared, never copied.
                result: Arc<ExecutionResult>,
            }
            /// The execution was ended because a timeout was reached.
            Timeout = "timeout", end of execution_id {
                /// The error that kept the engine from running the command as requested; else `None`.
                error: Option<ErrorInfo>,
                /// The result; it is shared, never copied.
                result: Arc<ExecutionResult>,
            }
        }
    };
}

/// Expands to the block for an event of the wanted kinds, and to nothing for one of the other kinds.
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
        /// An event of an execution or of a plan. Each execution has exactly one of the last four types, and no event follows it.
        ///
        /// Later versions may add fields to a type, and types to the list: end a pattern with `..`, and a `match` with `_`.
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
                    /// The id of the execution, or of the plan, to which the event belongs.
                    $id: Uuid,
                    /// The time of the event.
                    timestamp: DateTime<Utc>,
                    /// The number of the event within its execution, from 0, over all attempts. A plan and each of its steps have separate
                    /// numbers.
                    sequence: u64,
                    $($(#[doc = $field_help])+ $field: $type,)+
                },
            )+
        }

        /// The type of an event. The types are in the order of the list.
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

    /// Whether JavaScript gets events of the type only while a listener to that very type exists: a listener to all events or a stream is
    /// not enough, so that most commands do without them.
    #[cfg(any(feature = "node", feature = "schema"))]
    pub(crate) const fn needs_own_listener(self) -> bool {
        matches!(self, Self::Exited)
    }
}

impl ExecutionEvent {
    /// Returns the terminal event of a result.
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

    /// Returns the id of the execution to which the event belongs, or that of the plan for its progress.
    #[must_use]
    pub fn execution_id(&self) -> Uuid {
        self.head().0
    }

    /// Returns the number of the event within its execution, or within the progress of its plan, from 0.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.head().2
    }

    /// Returns the time of the event.
    #[must_use]
    pub fn timestamp(&self) -> DateTime<Utc> {
        self.head().1
    }

    /// Returns the line of `Stdout` and `Stderr` as text, and `None` for other events. The field `line` has its bytes too, and the fields
    /// `partial` and `continued` state whether more of the line follows.
    #[must_use]
    pub fn line(&self) -> Option<&str> {
        match self {
            Self::Stdout { line, .. } | Self::Stderr { line, .. } => Some(line),
            _ => None,
        }
    }

    /// Returns the result of one of the four events that end an execution, and `None` for other events.
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

    /// Returns whether the event is the last one of its execution or plan.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.result().is_some() || matches!(self, Self::Progress { result: Some(_), .. })
    }

    /// Returns the event without the output in its results, for a front end that already has the lines. The byte counts, such as
    /// `stdout_bytes`, do not change. No output is copied.
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
