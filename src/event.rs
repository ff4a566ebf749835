//! The events of an execution while it runs.
//!
//! [`EventHandler`] is for applications; `sink` is the way from the core to listeners, and `backpressure` bounds what is on it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::types::{ErrorInfo, ExecutionResult, ExecutionStatus, PlanExecutionResult, Stream, Text};

pub(crate) use self::backpressure::{Credit, Flow};
pub(crate) use self::channel::{EventReceiver, channel};
#[cfg(feature = "node")]
pub(crate) use self::fields::FieldReader;
#[cfg(feature = "node")]
use self::fields::Give as _;
pub use self::handler::{EventHandler, LoggingEventHandler, MultiEventHandler, NoopEventHandler};
pub(crate) use self::handler_queue::HandlerQueue;
pub(crate) use self::sink::{EventSink, LineBatch, LineMark, SilentSink};

mod backpressure;
mod channel;
#[cfg(feature = "node")]
mod fields;
mod handler;
mod handler_queue;
mod sink;

/// Gives the types of events, with the word of each, to a macro. What is made of this list: the type, here; how events get to
/// JavaScript, in `binding`; and what reads them there, with `index.d.ts` and `docs/types.md`, by `tests/generated`.
///
/// Most have fields of their own; the others are `of` a type that has more to it. The number of an event type in a batch is its
/// place in the list.
macro_rules! event_types {
    ($with:ident) => {
        $with! {
            with {
                /// Accepted, and waiting for a slot.
                Queued = "queued" {
                    /// The command as a person would type it.
                    command: String,
                }
                /// Spawned.
                Started = "started" {
                    /// The command as a person would type it.
                    command: String,
                    /// The process id of the command.
                    pid: u32,
                }
                /// The execution continues with less than was promised. What all executions have to do without, such as a guardian, is
                /// reported once by each engine.
                Degraded = "degraded" {
                    /// What is missing, and why.
                    message: String,
                }
            }
            of {
                /// An attempt failed, and another one follows after a pause.
                Retry(Retried) = "retry";
                /// A plan is farther than before.
                Progress(PlanProgress) = "progress";
                /// A line, or a piece of one, on standard output.
                Stdout(OutputLine) = "stdout";
                /// A line, or a piece of one, on standard error.
                Stderr(OutputLine) = "stderr";
                /// Exited with code 0.
                Completed(Ended) = "completed";
                /// Exited otherwise, ended by a signal of its own, or the engine could not do its part.
                Failed(Ended) = "failed";
                /// Ended on request.
                Cancelled(Ended) = "cancelled";
                /// Ended because a time was up.
                Timeout(Ended) = "timeout";
            }
        }
    };
}

macro_rules! declare {
    (
        with { $($(#[doc = $help:literal])+ $own:ident = $own_word:literal {
            $($(#[doc = $field_help:literal])+ $field:ident: $type:ty,)+
        })+ }
        of { $($(#[doc = $of_help:literal])+ $of:ident($payload:ty) = $of_word:literal;)+ }
    ) => {
        /// One thing that happened. Each execution has exactly one of the last four kinds, and nothing after it.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(tag = "type")]
        #[non_exhaustive]
        pub enum ExecutionEvent {
            $(
                $(#[doc = $help])+
                #[serde(rename = $own_word)]
                $own {
                    /// Whose event it is.
                    execution_id: Uuid,
                    /// When it happened.
                    timestamp: DateTime<Utc>,
                    /// Counts the events of this execution from 0.
                    sequence: u64,
                    $($(#[doc = $field_help])+ $field: $type,)+
                },
            )+
            $($(#[doc = $of_help])+ #[serde(rename = $of_word)] $of($payload),)+
        }

        /// The type of an event, in the order of the list.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum EventType {
            $($own,)+
            $($of,)+
        }

        impl ExecutionEvent {
            pub(crate) const fn event_type(&self) -> EventType {
                match self {
                    $(Self::$own { .. } => EventType::$own,)+
                    $(Self::$of(_) => EventType::$of,)+
                }
            }

            fn head(&self) -> Head {
                match self {
                    $(Self::$own { execution_id, timestamp, sequence, .. } => (*execution_id, *timestamp, *sequence),)+
                    $(Self::$of(payload) => payload.head(),)+
                }
            }

            /// Logs its fields, if it has fields of its own.
            fn log_fields(&self) {
                match self {
                    $(Self::$own { execution_id, $($field,)+ .. } => {
                        tracing::info!(%execution_id, $(?$field,)+ $own_word);
                    })+
                    $(Self::$of(_) => {})+
                }
            }

            /// Gives the other fields, in the order of their declaration.
            #[cfg(feature = "node")]
            pub(crate) fn give_fields(&self, to: &mut impl FieldReader) {
                match self {
                    $(Self::$own { $($field,)+ .. } => { $($field.give(to);)+ })+
                    $(Self::$of(payload) => payload.give_fields(to),)+
                }
            }
        }
    };
}

/// Whose event it is, when it happened, and its number.
type Head = (Uuid, DateTime<Utc>, u64);

#[cfg(feature = "schema")]
pub(crate) use event_types;

event_types!(declare);

/// A line without its end. A line is its pieces up to the first that is neither `partial` nor `continued`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OutputLine {
    /// Whose event it is.
    pub execution_id: Uuid,
    /// When it was read.
    pub timestamp: DateTime<Utc>,
    /// Counts the events of this execution from 0.
    pub sequence: u64,
    /// What was written. It reads as a `&str`, where bytes that are not UTF-8 are U+FFFD; [`Text::raw`] has them as they were.
    pub line: Text,
    /// The line was not finished after 200 ms of silence: more of it may follow.
    pub partial: bool,
    /// The line is longer than `max_line_bytes`: more of it follows.
    pub continued: bool,
    /// A lone carriage return ended it: a progress display overwrites it.
    pub carriage_return: bool,
}

/// An attempt that failed and is followed by another one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Retried {
    /// Whose event it is.
    pub execution_id: Uuid,
    /// When the attempt ended.
    pub timestamp: DateTime<Utc>,
    /// Counts the events of this execution from 0, over all its attempts.
    pub sequence: u64,
    /// The attempt that failed, from 1.
    pub attempt: u32,
    /// The most attempts there will be.
    pub attempts: u32,
    /// Milliseconds until the next one may begin.
    pub delay_ms: u64,
    /// What happened in this attempt; shared, never copied.
    pub result: Arc<ExecutionResult>,
}

/// How far a plan is: emitted when a step begins and when a step ends. The last one of a plan has its result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlanProgress {
    /// Whose event it is.
    pub plan_id: Uuid,
    /// When it happened.
    pub timestamp: DateTime<Utc>,
    /// Counts the events of this plan from 0; those of its steps count for themselves.
    pub sequence: u64,
    /// Steps that are over, the skipped ones included.
    pub completed: usize,
    /// Those of them that did not complete, the skipped ones not included.
    pub failed: usize,
    /// Those of them that never began.
    pub skipped: usize,
    /// Steps in all.
    pub total: usize,
    /// The command of the step that began last among those that run.
    pub current_command: Option<String>,
    /// `running`, or how the plan ended.
    pub status: ExecutionStatus,
    /// What came of it, in the last event of the plan; shared, never copied.
    pub result: Option<Arc<PlanExecutionResult>>,
}

/// The end of an execution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Ended {
    /// Whose event it is.
    pub execution_id: Uuid,
    /// When it ended.
    pub timestamp: DateTime<Utc>,
    /// Counts the events of this execution from 0.
    pub sequence: u64,
    /// Set when the engine could not do its part.
    pub error: Option<ErrorInfo>,
    /// What happened; shared, never copied.
    pub result: Arc<ExecutionResult>,
}

/// What an event is of, if it has more to it than fields. Those that are listed get to JavaScript in this order.
macro_rules! payload {
    ($payload:ident, $id:ident, [$($field:ident: $type:ty),*]) => {
        impl $payload {
            const fn head(&self) -> Head {
                (self.$id, self.timestamp, self.sequence)
            }

            /// What the id in it is called.
            #[cfg(feature = "schema")]
            pub(crate) const ID: &str = stringify!($id);

            /// The fields that are given, with their types.
            #[cfg(feature = "schema")]
            pub(crate) const GIVEN: &[(&str, &str)] = &[$((stringify!($field), stringify!($type)),)*];

            #[cfg(feature = "node")]
            fn give_fields(&self, to: &mut impl FieldReader) {
                // Their types are those that the decoder is generated for.
                let _: (&_, $(&$type,)*) = (&to, $(&self.$field,)*);
                $(self.$field.give(to);)*
            }
        }
    };
}

payload!(Retried, execution_id, [attempt: u32, attempts: u32, delay_ms: u64, result: Arc<ExecutionResult>]);
payload!(PlanProgress, plan_id, [
    completed: usize, failed: usize, skipped: usize, total: usize, current_command: Option<String>, status: ExecutionStatus,
    result: Option<Arc<PlanExecutionResult>>
]);
payload!(Ended, execution_id, [result: Arc<ExecutionResult>]);
// Lines get to JavaScript as those of one read.
payload!(OutputLine, execution_id, []);

impl ExecutionEvent {
    /// The terminal event of a result.
    #[must_use]
    pub(crate) fn ended(result: Arc<ExecutionResult>, sequence: u64) -> Self {
        let status = result.status;
        let ended = Ended {
            execution_id: result.id,
            timestamp: result.completed_at,
            sequence,
            error: result.error.clone(),
            result,
        };
        match status {
            ExecutionStatus::Completed => Self::Completed(ended),
            ExecutionStatus::Cancelled => Self::Cancelled(ended),
            ExecutionStatus::Timeout => Self::Timeout(ended),
            ExecutionStatus::Failed | ExecutionStatus::Pending | ExecutionStatus::Running => Self::Failed(ended),
        }
    }

    pub(crate) fn of_line(stream: Stream, line: OutputLine) -> Self {
        match stream {
            Stream::Stdout => Self::Stdout(line),
            Stream::Stderr => Self::Stderr(line),
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

    /// The line, of `Stdout` and `Stderr`.
    #[must_use]
    pub fn line(&self) -> Option<&OutputLine> {
        match self {
            Self::Stdout(line) | Self::Stderr(line) => Some(line),
            _ => None,
        }
    }

    /// What happened, of the four events that end an execution.
    #[must_use]
    pub fn result(&self) -> Option<&Arc<ExecutionResult>> {
        match self {
            Self::Completed(end) | Self::Failed(end) | Self::Cancelled(end) | Self::Timeout(end) => Some(&end.result),
            _ => None,
        }
    }

    /// Whether it is the last event of its execution or plan.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        match self {
            Self::Completed(_) | Self::Failed(_) | Self::Cancelled(_) | Self::Timeout(_) => true,
            Self::Progress(progress) => progress.result.is_some(),
            _ => false,
        }
    }
}
