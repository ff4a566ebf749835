//! Defines the data types: the request, the options with which the host runs it, and the result.
//!
//! [`ExecutionRequest`] is data and may be received from outside; [`ExecutionOptions`] is policy of the host and never part of received
//! data.

pub(crate) use self::builders::NOT_UTF8;
pub use self::command::Command;
pub use self::ending::{StopOrder, StopSignal};
pub use self::enums::{ErrorCode, ErrorInfo, ExecutionStatus, Reason, Stream, WaitsFor};
pub(crate) use self::enums::{Words, words};
pub use self::env_snapshot::EnvSnapshot;
pub(crate) use self::env_snapshot::MASK;
pub use self::limits::ResourceLimits;
pub use self::listing::{ConcurrencyMetrics, ExecutionFilter, ExecutionStats, ExecutionSummary, Percentiles};
pub use self::options::{Encoding, ExecutionOptions, InheritEnv, Leftovers, Secret};
pub use self::output::{LineMode, OversizedOutputStrategy, TruncateKeep};
pub use self::plan::{
    ExecutionPlan, ExecutionStrategy, PlanExecutionResult, PlanOptions, PlanStats, PlanStep, SkipReason, SkippedStep,
    StepInput, StepStatus, When,
};
pub(crate) use self::request::step_of_output;
pub use self::request::{ExecutionMetadata, ExecutionRequest, UNSET, output_of};
#[cfg(any(feature = "node", feature = "schema"))]
pub(crate) use self::result::result_fields;
pub use self::result::{Diagnosis, ExecutionResult, Killed, ProcessDiagnosis, Unsuccessful};
pub use self::retry::{FailedAttempt, OutputPattern, Retry, RetryOn};
pub(crate) use self::retry::{LONGEST_REGEX, NO_LOOK_AROUND, NO_UNICODE_CLASS, TOO_LONG};
pub(crate) use self::stdin::{Chunk, StdinReader};
pub use self::stdin::{Stdin, StdinClosed, StdinStream, StdinWriter};
pub use self::terminal::{TerminalMode, TerminalSize};
pub use self::text::Text;

mod absent;
mod builders;
mod command;
mod ending;
mod enums;
mod env_snapshot;
mod limits;
mod listing;
mod option_builders;
mod options;
mod output;
mod plan;
mod request;
mod result;
mod retry;
mod stdin;
mod terminal;
mod text;
