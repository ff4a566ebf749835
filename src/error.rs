//! The errors of the crate. Each message contains what to do.

use std::sync::Arc;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::types::{ErrorCode, ExecutionResult};

/// The result of an engine call.
pub type Result<T, E = ExecutionError> = std::result::Result<T, E>;

/// A refused value: the path of its field, and the problem with its remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
#[non_exhaustive]
pub struct Invalid {
    /// The path of the field, such as `command.args[2]`.
    pub field: String,
    /// The problem and its remedy.
    pub problem: String,
}

impl Invalid {
    /// Creates the description of a refused field and of its problem.
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }

    /// Returns the error with a path that begins with `parent`: `commands[3].command.program` for `command.program`.
    #[must_use]
    pub fn under(self, parent: &str) -> Self {
        let dot = if self.field.starts_with('[') { "" } else { "." };
        Self { field: format!("{parent}{dot}{}", self.field), problem: self.problem }
    }
}

/// A longer name is not shown: a message must stay readable, and a part of a secret would not be masked.
const LONGEST_NAME: usize = 128;

/// Returns a name that is no identifier, as a part of a path. It is the sender's, and may be of any length.
pub(crate) fn name_in_path(name: &str) -> String {
    if name.len() <= LONGEST_NAME {
        return format!("[{name:?}]");
    }
    format!("[a name of {} characters]", name.chars().count())
}

/// Returns whether a name is shown unchanged.
pub(crate) fn is_plain_name(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The error of the public API. [`ExecutionError::code`] is stable; the message is for people.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ExecutionError {
    /// A configuration was refused.
    #[error("invalid config: {0}")]
    InvalidConfig(#[source] Invalid),
    /// A request or an option was refused; nothing ran.
    #[error("invalid request: {0}")]
    InvalidRequest(#[source] Invalid),
    /// A plan was refused; nothing ran.
    #[error("invalid plan: {0}")]
    InvalidPlan(#[source] Invalid),
    /// The id of an execution is in use. It is free again when the record of that execution is removed.
    #[error("execution {0} is known already: leave out the id, or give each execution its own")]
    DuplicateId(Uuid),
    /// The id of a plan is in use.
    #[error("plan {0} is known already: leave out the id, or give each plan its own")]
    DuplicatePlan(Uuid),
    /// There is no such execution, or its record was removed.
    #[error(
        "no execution {0}: it was never accepted here, or its record was removed: keep the result when you get it, or raise `max_in_memory_executions` or `execution_retention_secs`"
    )]
    NotFound(Uuid),
    /// There is no such plan, or its record was removed.
    #[error(
        "no plan {0}: it was never accepted here, or its record was removed: keep the result when you get it, or raise `max_in_memory_executions` or `execution_retention_secs`"
    )]
    PlanNotFound(Uuid),
    /// The execution has no result yet.
    #[error("execution {0} has not ended: wait for it, or cancel it first")]
    NotCompleted(Uuid),
    /// The execution has a result, in which a thread of the engine masks a secret that was added after it ended.
    #[error("the output of execution {0} is being masked, since a secret was added: wait for its completion")]
    BeingMasked(Uuid),
    /// All slots are taken, and the policy is to refuse.
    #[error("all {0} slots are taken: retry later, raise `max_concurrent_executions`, or use the policy \"queue\"")]
    ConcurrencyLimitReached(usize),
    /// A group of the execution has as many running members as it may have, and the policy is to refuse.
    #[error(
        "{field}: this group has no free place: retry later, raise its limit in `group_limits`, or use the policy \"queue\""
    )]
    #[non_exhaustive]
    GroupLimitReached {
        /// The path of the group, such as `options.groups[1]`.
        field: String,
    },
    /// The queue is full.
    #[error("{0} executions wait already: retry later, or raise `max_queued_executions`")]
    QueueFull(usize),
    /// The command could not be started.
    #[error("{}", failure_text(.0))]
    SpawnFailed(Arc<ExecutionResult>),
    /// The engine itself could not be started, since the machine is short of threads or descriptors.
    #[error("{what}")]
    #[non_exhaustive]
    NotStarted {
        /// The missing resource, and the remedy.
        what: String,
        /// The operating system's name of the error, such as `EAGAIN`; `None` if there is none.
        errno: Option<&'static str>,
    },
    /// The output reached its limit and the strategy was to fail.
    #[error("{}", failure_text(.0))]
    OutputSizeExceeded(Arc<ExecutionResult>),
    /// A log could not be opened; nothing ran.
    #[error("{}", failure_text(.0))]
    LogFailed(Arc<ExecutionResult>),
    /// The execution has no log, or none that can be read.
    #[error("no log of execution {id}: {why}")]
    #[non_exhaustive]
    LogNotFound {
        /// The id of the execution.
        id: Uuid,
        /// The reason: no log, or none that can be read.
        why: String,
    },
    /// Standard input broke off before its end, and the command was ended, so that it does not process incomplete input; or the output of a
    /// step cannot be the variable of another one, which was not spawned.
    #[error("{}", failure_text(.0))]
    InputFailed(Arc<ExecutionResult>),
    /// The engine takes no more work.
    #[error("the engine was shut down: make a new one")]
    EngineShutDown,
    /// There is no global engine yet.
    #[error("there is no global engine: call init_global first")]
    NotInitialized,
    /// There is a global engine already.
    #[error("the global engine exists already: use it, or make an engine of your own")]
    AlreadyInitialized,
    /// A defect of the engine, contained in one execution.
    #[error("internal error: {message}")]
    #[non_exhaustive]
    Internal {
        /// The description of the defect.
        message: String,
        /// The result of the execution, as far as it is known.
        result: Option<Arc<ExecutionResult>>,
    },
}

fn failure_text(result: &ExecutionResult) -> &str {
    result.error.as_ref().map_or("the execution failed", |error| error.message.as_str())
}

/// Returns the field that turned out to be invalid in a request that was accepted.
fn invalid_field(result: &ExecutionResult) -> &str {
    let message = failure_text(result).strip_prefix("invalid request: ");
    message.and_then(|rest| rest.split_once(": ")).map_or("options.stdin", |(field, _)| field)
}

impl ExecutionError {
    /// Returns the stable name of the error.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::InvalidConfig(_) => ErrorCode::InvalidConfig,
            Self::InvalidRequest(_) | Self::InputFailed(_) => ErrorCode::InvalidRequest,
            Self::InvalidPlan(_) => ErrorCode::InvalidPlan,
            Self::DuplicateId(_) | Self::DuplicatePlan(_) => ErrorCode::DuplicateId,
            Self::NotFound(_) | Self::PlanNotFound(_) => ErrorCode::NotFound,
            Self::NotCompleted(_) | Self::BeingMasked(_) => ErrorCode::NotCompleted,
            Self::ConcurrencyLimitReached(_) | Self::GroupLimitReached { .. } => ErrorCode::ConcurrencyLimitReached,
            Self::QueueFull(_) => ErrorCode::QueueFull,
            Self::SpawnFailed(_) | Self::NotStarted { .. } => ErrorCode::SpawnFailed,
            Self::OutputSizeExceeded(_) => ErrorCode::OutputSizeExceeded,
            Self::LogFailed(_) => ErrorCode::LogFailed,
            Self::LogNotFound { .. } => ErrorCode::LogNotFound,
            Self::EngineShutDown => ErrorCode::EngineShutDown,
            Self::NotInitialized => ErrorCode::NotInitialized,
            Self::AlreadyInitialized => ErrorCode::AlreadyInitialized,
            Self::Internal { .. } => ErrorCode::Internal,
        }
    }

    /// Returns the path of the field that was refused; `None` for an error that concerns no field.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::InvalidConfig(invalid) | Self::InvalidRequest(invalid) | Self::InvalidPlan(invalid) => {
                Some(&invalid.field)
            }
            Self::GroupLimitReached { field } => Some(field),
            Self::InputFailed(result) => Some(invalid_field(result)),
            _ => None,
        }
    }

    /// Returns the operating system's name of the error, such as `EAGAIN`; `None` if there is none.
    #[must_use]
    pub fn errno(&self) -> Option<&str> {
        match self {
            Self::NotStarted { errno, .. } => *errno,
            _ => self.result()?.error.as_ref()?.errno.as_deref(),
        }
    }

    /// Returns the id of the execution that the error concerns; `None` if it concerns none.
    #[must_use]
    pub fn execution_id(&self) -> Option<Uuid> {
        match self {
            Self::DuplicateId(id)
            | Self::NotFound(id)
            | Self::NotCompleted(id)
            | Self::BeingMasked(id)
            | Self::LogNotFound { id, .. } => Some(*id),
            _ => self.result().map(|result| result.id),
        }
    }

    /// Returns the result of the execution that failed, as far as it is known.
    #[must_use]
    pub fn result(&self) -> Option<&Arc<ExecutionResult>> {
        match self {
            Self::SpawnFailed(result)
            | Self::OutputSizeExceeded(result)
            | Self::LogFailed(result)
            | Self::InputFailed(result) => Some(result),
            Self::Internal { result, .. } => result.as_ref(),
            _ => None,
        }
    }

    /// Returns the error with which a wait for `result` fails, if the engine could not run the command as requested; else `None`.
    #[must_use]
    pub fn of_result(result: &Arc<ExecutionResult>) -> Option<Self> {
        let error = result.error.as_ref()?;
        let result = Arc::clone(result);
        Some(match error.code {
            ErrorCode::SpawnFailed => Self::SpawnFailed(result),
            ErrorCode::OutputSizeExceeded => Self::OutputSizeExceeded(result),
            ErrorCode::LogFailed => Self::LogFailed(result),
            ErrorCode::InvalidRequest => Self::InputFailed(result),
            _ => Self::Internal { message: error.message.clone(), result: Some(result) },
        })
    }
}

/// Serializes `{ code, message, field, execution_id, errno }`, for a front end. An unknown value is `null`. The result is left out, since
/// it has output.
impl Serialize for ExecutionError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut error = serializer.serialize_struct("ExecutionError", 5)?;
        error.serialize_field("code", &self.code())?;
        error.serialize_field("message", &self.to_string())?;
        error.serialize_field("field", &self.field())?;
        error.serialize_field("execution_id", &self.execution_id())?;
        error.serialize_field("errno", &self.errno())?;
        error.end()
    }
}
