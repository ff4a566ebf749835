//! Plans: several commands that are run as one unit.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use super::{ExecutionMetadata, ExecutionOptions, ExecutionRequest, ExecutionResult, ExecutionStatus, absent, words};

/// The order in which the commands of a plan run. The tag on the wire is `type`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum ExecutionStrategy {
    /// The commands run one after the other.
    Serial {
        /// Whether a step that does not complete is the last one. Default on the wire: true.
        #[serde(default = "enabled", deserialize_with = "absent::or_true")]
        stop_on_error: bool,
    },
    /// All commands run at the same time.
    Parallel {
        /// The most commands of this plan that run at once, 1 or more. Default: as many as the engine has slots.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_concurrency: Option<usize>,
    },
    /// Each command runs as soon as those that it depends on have completed.
    DependencyGraph {
        /// The indexes of the steps that must complete before a step, by the index of that step.
        #[serde(default, deserialize_with = "indexes")]
        dependencies: HashMap<usize, Vec<usize>>,
    },
}

const fn enabled() -> bool {
    true
}

/// JSON has text for keys, and behind a tag serde does not make numbers of them.
fn indexes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HashMap<usize, Vec<usize>>, D::Error> {
    let texts: HashMap<String, Vec<usize>> = absent::entries(deserializer)?;
    let index = |(text, list): (String, _)| match text.parse() {
        Ok(index) => Ok((index, list)),
        Err(_) => Err(serde::de::Error::custom("a key is not the index of a step")),
    };
    texts.into_iter().map(index).collect()
}

/// A small set of commands and the order between them. A *step* is a command by its index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(transform = super::request::remove_default_id))]
#[serde(deny_unknown_fields)]
pub struct ExecutionPlan {
    /// Names the plan; generated when the wire form has none.
    #[serde(default = "Uuid::new_v4", deserialize_with = "absent::or_fresh")]
    pub id: Uuid,
    /// What it is for, in the words of people.
    pub description: String,
    /// The order in which the commands run.
    pub strategy: ExecutionStrategy,
    /// The commands, 1 to 100 000.
    pub commands: Vec<ExecutionRequest>,
    /// Data of the caller, which the result has too.
    #[serde(default, deserialize_with = "absent::or_default")]
    pub metadata: ExecutionMetadata,
}

impl ExecutionPlan {
    /// A plan with a fresh id.
    #[must_use]
    pub fn new(
        description: impl Into<String>,
        strategy: ExecutionStrategy,
        commands: impl IntoIterator<Item = impl Into<ExecutionRequest>>,
    ) -> Self {
        Self {
            id: Uuid::new_v4(),
            description: description.into(),
            strategy,
            commands: commands.into_iter().map(Into::into).collect(),
            metadata: ExecutionMetadata::default(),
        }
    }
}

words! {
    /// After which ends of its dependencies a step of a plan runs. In a serial plan these are all steps before it.
    #[derive(Default)]
    pub enum When {
        /// When all of them completed, or all the same where the plan goes on after failures.
        #[default]
        Success = "success",
        /// When at least one of them did not complete. Else it is skipped, which does not count as a failure of the plan.
        Failure = "failure",
        /// However they ended; also after the plan was cancelled, aborted or out of time, and not after a shutdown.
        Always = "always",
    }
}

impl When {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    const fn is_success(&self) -> bool {
        matches!(self, Self::Success)
    }
}

/// How this host runs a plan.
#[derive(Debug, Clone, Default)]
pub struct PlanOptions {
    /// How each step runs that has no options of its own. Its `signal` ends the whole plan (reason `aborted`).
    pub options: ExecutionOptions,
    /// A step that does not complete keeps no other from running. Default: false.
    pub continue_on_error: bool,
    /// Ends the plan after so many milliseconds. Default: never.
    pub deadline_ms: Option<u64>,
    /// How single steps run, by their index: in place of `options`.
    pub steps: BTreeMap<usize, ExecutionOptions>,
    /// When single steps run, by their index. Default: [`When::Success`].
    pub when: BTreeMap<usize, When>,
}

words! {
    /// How a step of a plan ended.
    pub enum StepStatus {
        /// Exited with code 0.
        Completed = "completed",
        /// Exited otherwise, or the engine could not do its part.
        Failed = "failed",
        /// Ended on request.
        Cancelled = "cancelled",
        /// Ended because a time was up.
        Timeout = "timeout",
        /// Never began.
        Skipped = "skipped",
    }
}

impl From<ExecutionStatus> for StepStatus {
    fn from(status: ExecutionStatus) -> Self {
        match status {
            ExecutionStatus::Completed => Self::Completed,
            ExecutionStatus::Cancelled => Self::Cancelled,
            ExecutionStatus::Timeout => Self::Timeout,
            ExecutionStatus::Failed | ExecutionStatus::Pending | ExecutionStatus::Running => Self::Failed,
        }
    }
}

words! {
    /// Why a step never began.
    #[non_exhaustive]
    pub enum SkipReason {
        /// A step that it depends on did not complete.
        Dependency = "dependency",
        /// A step before it did not complete, and the plan stops on errors.
        StopOnError = "stop_on_error",
        /// All steps that it depends on completed, and it is to run when one did not.
        NoFailure = "no_failure",
        /// The plan was cancelled.
        Cancelled = "cancelled",
        /// The abort signal of the plan fired.
        Aborted = "aborted",
        /// The deadline of the plan was reached.
        Deadline = "deadline",
        /// The engine was shut down.
        Shutdown = "shutdown",
        /// Its id was taken by another execution after the plan was accepted.
        DuplicateId = "duplicate_id",
    }
}

/// A step that never began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SkippedStep {
    /// Which step.
    pub index: usize,
    /// Why.
    pub reason: SkipReason,
    /// The step that did not complete, for [`SkipReason::Dependency`] and [`SkipReason::StopOnError`].
    pub because: Option<usize>,
}

/// A step of a plan that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PlanStep {
    /// The place of the step in the plan.
    pub index: usize,
    /// The id of its execution, which has a record unless the step was skipped.
    pub id: Uuid,
    /// `metadata.label` of its request, else the command as a person would type it, at most 200 characters.
    pub name: String,
    /// How it ended.
    pub status: StepStatus,
    /// The steps that it waited for.
    pub depends_on: Vec<usize>,
    /// After which ends of these it was to run. On the wire it is absent when it is `success`.
    #[serde(default, skip_serializing_if = "When::is_success")]
    pub when: When,
    /// The variables that are outputs of other steps, by name. On the wire it is absent when there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<StepInput>,
}

/// A variable of a step that is the output of another step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct StepInput {
    /// The name of the variable.
    pub name: String,
    /// The index of the step that wrote it.
    pub from: usize,
}

impl StepInput {
    pub(crate) const fn new(name: String, from: usize) -> Self {
        Self { name, from }
    }
}

/// How many steps of a plan ended in which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PlanStats {
    /// Steps in all.
    pub total: usize,
    /// Exited with 0.
    pub completed: usize,
    /// Failed.
    pub failed: usize,
    /// Ended on request.
    pub cancelled: usize,
    /// Out of time.
    pub timeout: usize,
    /// Never begun.
    pub skipped: usize,
    /// Attempts beyond the first of each step.
    pub retries: usize,
}

/// The result of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PlanExecutionResult {
    /// Names the plan.
    pub plan_id: Uuid,
    /// `completed` when every step completed, apart from those that were skipped since there was no failure; `cancelled` or `timeout` when the plan was ended; else `failed`.
    pub status: ExecutionStatus,
    /// Whether the status is `completed`.
    pub success: bool,
    /// The value in the plan.
    pub description: String,
    /// The results of the steps that began, in the order of their indexes.
    pub results: Vec<Arc<ExecutionResult>>,
    /// All steps, by index.
    pub steps: Vec<PlanStep>,
    /// The steps that never began, in the order of their indexes.
    pub skipped: Vec<SkippedStep>,
    /// How many ended in which way.
    pub stats: PlanStats,
    /// Milliseconds from acceptance to the end, on a monotonic clock.
    pub total_duration_ms: f64,
    /// When it was accepted.
    pub started_at: DateTime<Utc>,
    /// When it was over.
    pub completed_at: DateTime<Utc>,
    /// The value in the plan.
    pub metadata: ExecutionMetadata,
}

impl PlanExecutionResult {
    /// Returns the result with [`ExecutionResult::without_output`] of each step. No output is copied.
    #[must_use]
    pub fn without_output(&self) -> Self {
        Self {
            results: self.results.iter().map(|result| Arc::new(result.without_output())).collect(),
            description: self.description.clone(),
            steps: self.steps.clone(),
            skipped: self.skipped.clone(),
            metadata: self.metadata.clone(),
            ..*self
        }
    }

    /// The bytes that it takes in memory, the results of its steps included.
    pub(crate) fn kept_bytes(&self) -> u64 {
        let steps =
            self.steps.iter().map(|step| size_of_val(step) + step.name.len() + size_of_val(&step.depends_on[..]));
        let own = self.description.len() + steps.sum::<usize>() + self.metadata.kept_bytes();
        own as u64 + self.results.iter().map(|result| result.kept_bytes()).sum::<u64>()
    }
}
