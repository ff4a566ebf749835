//! The events of an execution while it runs.
//!
//! [`EventHandler`] is for applications; `sink` is the way from the core to listeners, and `backpressure` bounds what is on it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::types::{ErrorInfo, ExecutionResult, ExecutionStatus, PlanExecutionResult, Stream, Text};

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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ExecutionEvent {
    /// Accepted, and waiting for a slot.
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
    Retry(Retried),
    /// A plan is farther than before.
    Progress(PlanProgress),
    /// A line, or a piece of one, on standard output.
    Stdout(OutputLine),
    /// A line, or a piece of one, on standard error.
    Stderr(OutputLine),
    /// Exited with code 0.
    Completed(Ended),
    /// Exited otherwise, or the engine could not do its part.
    Failed(Ended),
    /// Ended on request.
    Cancelled(Ended),
    /// Ended because a time was up.
    Timeout(Ended),
}

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
        match self {
            Self::Queued { execution_id, .. }
            | Self::Started { execution_id, .. }
            | Self::Degraded { execution_id, .. } => *execution_id,
            Self::Retry(retried) => retried.execution_id,
            Self::Progress(progress) => progress.plan_id,
            Self::Stdout(line) | Self::Stderr(line) => line.execution_id,
            Self::Completed(end) | Self::Failed(end) | Self::Cancelled(end) | Self::Timeout(end) => end.execution_id,
        }
    }

    /// Counts the events of one execution, or the progress of one plan, from 0.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        match self {
            Self::Queued { sequence, .. } | Self::Started { sequence, .. } | Self::Degraded { sequence, .. } => {
                *sequence
            }
            Self::Retry(retried) => retried.sequence,
            Self::Progress(progress) => progress.sequence,
            Self::Stdout(line) | Self::Stderr(line) => line.sequence,
            Self::Completed(end) | Self::Failed(end) | Self::Cancelled(end) | Self::Timeout(end) => end.sequence,
        }
    }

    /// When it happened.
    #[must_use]
    pub fn timestamp(&self) -> DateTime<Utc> {
        match self {
            Self::Queued { timestamp, .. } | Self::Started { timestamp, .. } | Self::Degraded { timestamp, .. } => {
                *timestamp
            }
            Self::Retry(retried) => retried.timestamp,
            Self::Progress(progress) => progress.timestamp,
            Self::Stdout(line) | Self::Stderr(line) => line.timestamp,
            Self::Completed(end) | Self::Failed(end) | Self::Cancelled(end) | Self::Timeout(end) => end.timestamp,
        }
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
