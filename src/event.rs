//! The events of an execution while it runs, and the [`EventHandler`] that an application gives.

// `sink` is the way from the core to listeners, and `backpressure` bounds what is on it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::types::{ErrorInfo, ExecutionResult, ExecutionStatus, PlanExecutionResult, Text};

pub(crate) use self::backpressure::{Backpressure, Credit};
pub(crate) use self::channel::{EventReceiver, channel};
pub use self::handler::{EventHandler, LoggingEventHandler, MultiEventHandler, NoopEventHandler};
pub(crate) use self::handler_queue::HandlerQueue;
pub(crate) use self::line_batch::{LineBatch, LineMark};
pub(crate) use self::sink::{EventSink, SilentSink};

mod backpressure;
mod channel;
mod handler;
mod handler_queue;
mod line_batch;
mod sink;

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
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ExecutionEvent {
    /// Accepted, and waiting for a slot.
    #[non_exhaustive]
    Queued {
        /// Whose event it is.
        execution_id: Uuid,
        /// When it happened.
        timestamp: DateTime<Utc>,
        /// Counts the events of this execution from 0.
        sequence: u64,
        /// The command as a person would type it.
        command: String,
    },
    /// Spawned.
    #[non_exhaustive]
    Started {
        /// Whose event it is.
        execution_id: Uuid,
        /// When it happened.
        timestamp: DateTime<Utc>,
        /// Counts the events of this execution from 0.
        sequence: u64,
        /// The command as a person would type it.
        command: String,
        /// The process id.
        pid: u32,
    },
    /// The execution goes on, with less than was promised. What all executions have to do without is reported once by each engine.
    #[non_exhaustive]
    Degraded {
        /// Whose event it is.
        execution_id: Uuid,
        /// When it happened.
        timestamp: DateTime<Utc>,
        /// Counts the events of this execution from 0.
        sequence: u64,
        /// What is missing, and why.
        message: String,
    },
    /// An attempt failed, and another one follows after a pause.
    #[non_exhaustive]
    Retry {
        /// Whose event it is.
        execution_id: Uuid,
        /// When the attempt ended.
        timestamp: DateTime<Utc>,
        /// Counts the events of this execution from 0, over all its attempts.
        sequence: u64,
        /// The attempt that failed, from 1.
        attempt: u32,
        /// The most attempts there will be.
        attempts: u32,
        /// Milliseconds until the next one may begin.
        delay_ms: u64,
        /// What happened in this attempt; shared, never copied.
        result: Arc<ExecutionResult>,
    },
    /// A plan is farther than before: emitted when a step begins and when a step ends. The last one of a plan has its result.
    #[non_exhaustive]
    Progress {
        /// Whose event it is.
        plan_id: Uuid,
        /// When it happened.
        timestamp: DateTime<Utc>,
        /// Counts the events of this plan from 0; those of its steps count for themselves.
        sequence: u64,
        /// Steps that are over, the skipped ones included.
        completed: usize,
        /// Those of them that did not complete, the skipped ones not included.
        failed: usize,
        /// Those of them that never began.
        skipped: usize,
        /// Steps in all.
        total: usize,
        /// The command of the step that began last among those that run.
        current_command: Option<String>,
        /// `running`, or how the plan ended.
        status: ExecutionStatus,
        /// What came of it, in the last event of the plan; shared, never copied.
        result: Option<Arc<PlanExecutionResult>>,
    },
    /// A line on standard output, or a piece of one: a line is its pieces up to the first that is neither `partial` nor `continued`.
    #[non_exhaustive]
    Stdout {
        /// Whose event it is.
        execution_id: Uuid,
        /// When it was read.
        timestamp: DateTime<Utc>,
        /// Counts the events of this execution from 0.
        sequence: u64,
        /// What was written, without its line end. It reads as a `&str`, where bytes that are not UTF-8 are U+FFFD; [`Text::raw`] has them as they were.
        line: Text,
        /// The line was not finished after 200 ms of silence: more of it may follow.
        partial: bool,
        /// The line is longer than `max_line_bytes`: more of it follows.
        continued: bool,
        /// A lone carriage return ended it: a progress display overwrites it.
        carriage_return: bool,
    },
    /// A line on standard error, or a piece of one, as in [`ExecutionEvent::Stdout`].
    #[non_exhaustive]
    Stderr {
        /// Whose event it is.
        execution_id: Uuid,
        /// When it was read.
        timestamp: DateTime<Utc>,
        /// Counts the events of this execution from 0.
        sequence: u64,
        /// What was written, without its line end. It reads as a `&str`, where bytes that are not UTF-8 are U+FFFD; [`Text::raw`] has them as they were.
        line: Text,
        /// The line was not finished after 200 ms of silence: more of it may follow.
        partial: bool,
        /// The line is longer than `max_line_bytes`: more of it follows.
        continued: bool,
        /// A lone carriage return ended it: a progress display overwrites it.
        carriage_return: bool,
    },
    /// Exited with code 0.
    #[non_exhaustive]
    Completed {
        /// Whose event it is.
        execution_id: Uuid,
        /// When it ended.
        timestamp: DateTime<Utc>,
        /// Counts the events of this execution from 0.
        sequence: u64,
        /// Set when the engine could not do its part.
        error: Option<ErrorInfo>,
        /// What happened; shared, never copied.
        result: Arc<ExecutionResult>,
    },
    /// Exited otherwise, or the engine could not do its part.
    #[non_exhaustive]
    Failed {
        /// Whose event it is.
        execution_id: Uuid,
        /// When it ended.
        timestamp: DateTime<Utc>,
        /// Counts the events of this execution from 0.
        sequence: u64,
        /// Set when the engine could not do its part.
        error: Option<ErrorInfo>,
        /// What happened; shared, never copied.
        result: Arc<ExecutionResult>,
    },
    /// Ended on request.
    #[non_exhaustive]
    Cancelled {
        /// Whose event it is.
        execution_id: Uuid,
        /// When it ended.
        timestamp: DateTime<Utc>,
        /// Counts the events of this execution from 0.
        sequence: u64,
        /// Set when the engine could not do its part.
        error: Option<ErrorInfo>,
        /// What happened; shared, never copied.
        result: Arc<ExecutionResult>,
    },
    /// Ended because a time was up.
    #[non_exhaustive]
    Timeout {
        /// Whose event it is.
        execution_id: Uuid,
        /// When it ended.
        timestamp: DateTime<Utc>,
        /// Counts the events of this execution from 0.
        sequence: u64,
        /// Set when the engine could not do its part.
        error: Option<ErrorInfo>,
        /// What happened; shared, never copied.
        result: Arc<ExecutionResult>,
    },
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
        match self {
            Self::Queued { execution_id, .. }
            | Self::Started { execution_id, .. }
            | Self::Degraded { execution_id, .. }
            | Self::Retry { execution_id, .. }
            | Self::Stdout { execution_id, .. }
            | Self::Stderr { execution_id, .. }
            | Self::Completed { execution_id, .. }
            | Self::Failed { execution_id, .. }
            | Self::Cancelled { execution_id, .. }
            | Self::Timeout { execution_id, .. }
            | Self::Progress { plan_id: execution_id, .. } => *execution_id,
        }
    }

    /// Counts the events of one execution, or the progress of one plan, from 0.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        match self {
            Self::Queued { sequence, .. }
            | Self::Started { sequence, .. }
            | Self::Degraded { sequence, .. }
            | Self::Retry { sequence, .. }
            | Self::Stdout { sequence, .. }
            | Self::Stderr { sequence, .. }
            | Self::Completed { sequence, .. }
            | Self::Failed { sequence, .. }
            | Self::Cancelled { sequence, .. }
            | Self::Timeout { sequence, .. }
            | Self::Progress { sequence, .. } => *sequence,
        }
    }

    /// When it happened.
    #[must_use]
    pub fn timestamp(&self) -> DateTime<Utc> {
        match self {
            Self::Queued { timestamp, .. }
            | Self::Started { timestamp, .. }
            | Self::Degraded { timestamp, .. }
            | Self::Retry { timestamp, .. }
            | Self::Stdout { timestamp, .. }
            | Self::Stderr { timestamp, .. }
            | Self::Completed { timestamp, .. }
            | Self::Failed { timestamp, .. }
            | Self::Cancelled { timestamp, .. }
            | Self::Timeout { timestamp, .. }
            | Self::Progress { timestamp, .. } => *timestamp,
        }
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

    /// The same event, where the results in it have no output: for a front end that has had the lines. Their counts, such as
    /// `stdout_bytes`, stay as they are. Nothing of the output is copied.
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
