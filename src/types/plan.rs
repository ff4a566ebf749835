//! Defines plans: several commands that are run as one unit.

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
        /// Whether the plan stops after a step that does not complete. Default on the wire: true.
        #[serde(default = "enabled", deserialize_with = "absent::or_true")]
        stop_on_error: bool,
    },
    /// All commands run at the same time.
    Parallel {
        /// The most commands of this plan that run at once, 1 or more. Default: the number of the engine's slots.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_concurrency: Option<usize>,
    },
    /// Each command runs as soon as the commands on which it depends have completed.
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

/// A small set of commands and the order between them. A *step* is one command of the plan, identified by its index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(transform = super::request::remove_default_id))]
#[serde(deny_unknown_fields)]
pub struct ExecutionPlan {
    /// The id of the plan. If the wire form has none, a new one is generated.
    #[serde(default = "Uuid::new_v4", deserialize_with = "absent::or_fresh")]
    pub id: Uuid,
    /// The purpose of the plan, for people.
    pub description: String,
    /// The order in which the commands run.
    pub strategy: ExecutionStrategy,
    /// The commands, 1 to 100 000.
    pub commands: Vec<ExecutionRequest>,
    /// The caller's data, which the result has too.
    #[serde(default, deserialize_with = "absent::or_default")]
    pub metadata: ExecutionMetadata,
}

impl ExecutionPlan {
    /// Creates a plan with a new id.
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
    /// The condition on the outcomes of its dependencies under which a step of a plan runs. In a serial plan the dependencies are all steps
    /// before it.
    #[derive(Default)]
    pub enum When {
        /// The step runs when all of them completed, and, if the plan continues after failures, whatever their outcome is.
        #[default]
        Success = "success",
        /// The step runs when at least one of them did not complete. Else it is skipped, which does not count as a failure of the plan.
        Failure = "failure",
        /// The step runs whatever their outcome is, also after a cancel, an abort or the deadline of the plan, but not after a shutdown.
        Always = "always",
    }
}

impl When {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    const fn is_success(&self) -> bool {
        matches!(self, Self::Success)
    }
}

/// The options with which this host runs a plan.
#[derive(Debug, Clone, Default)]
pub struct PlanOptions {
    /// The options of each step that has no options of its own. The `signal` ends the whole plan (reason `aborted`).
    pub options: ExecutionOptions,
    /// Whether the other steps run although a step did not complete. Default: false.
    pub continue_on_error: bool,
    /// The longest time of the plan, in ms; then it is ended with the status `timeout`. Default: no deadline.
    pub deadline_ms: Option<u64>,
    /// The options of single steps, by index. They replace `options`.
    pub steps: BTreeMap<usize, ExecutionOptions>,
    /// The conditions under which single steps run, by index. Default: [`When::Success`].
    pub when: BTreeMap<usize, When>,
}

words! {
    /// The final status of a step of a plan.
    pub enum StepStatus {
        /// The command exited with code 0.
        Completed = "completed",
        /// The command ended in another way, or the engine could not run it as requested.
        Failed = "failed",
        /// The execution was ended on request.
        Cancelled = "cancelled",
        /// The execution was ended because a timeout was reached.
        Timeout = "timeout",
        /// The step never began.
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
    /// The reason why a step never began.
    #[non_exhaustive]
    pub enum SkipReason {
        /// A step that it depends on did not complete.
        Dependency = "dependency",
        /// A step before it did not complete, and the plan stops on errors.
        StopOnError = "stop_on_error",
        /// All steps that it depends on completed, and the condition of the step is `failure`.
        NoFailure = "no_failure",
        /// The plan was cancelled.
        Cancelled = "cancelled",
        /// The abort signal of the plan fired.
        Aborted = "aborted",
        /// The deadline of the plan was reached.
        Deadline = "deadline",
        /// The engine was shut down.
        Shutdown = "shutdown",
        /// Another execution took the id of the step after the plan was accepted.
        DuplicateId = "duplicate_id",
    }
}

/// A step that never began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SkippedStep {
    /// The index of the step, which is that of its command.
    pub index: usize,
    /// The reason why the step never began.
    pub reason: SkipReason,
    /// The index of the step that did not complete, for [`SkipReason::Dependency`] and [`SkipReason::StopOnError`]; else `None`.
    pub because: Option<usize>,
}

/// A step of a plan that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PlanStep {
    /// The index of the step, which is that of its command.
    pub index: usize,
    /// The id of the step's execution, which has a record unless the step was skipped.
    pub id: Uuid,
    /// The name of the step: `metadata.label` of its request, else the command as a person would type it, at most 200 characters.
    pub name: String,
    /// The final status of the step.
    pub status: StepStatus,
    /// The indexes of the steps for which it waited.
    pub depends_on: Vec<usize>,
    /// The condition on the outcomes of those steps. On the wire it is absent when it is `success`.
    #[serde(default, skip_serializing_if = "When::is_success")]
    pub when: When,
    /// The variables whose values are outputs of other steps, by name. On the wire the field is absent when there are none.
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

/// The numbers of steps of a plan by their final status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PlanStats {
    /// The number of all steps.
    pub total: usize,
    /// The number of steps with the status `completed`.
    pub completed: usize,
    /// The number of steps with the status `failed`.
    pub failed: usize,
    /// The number of steps with the status `cancelled`.
    pub cancelled: usize,
    /// The number of steps with the status `timeout`.
    pub timeout: usize,
    /// The number of steps that never began.
    pub skipped: usize,
    /// The number of attempts beyond the first one of each step.
    pub retries: usize,
}

/// The result of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PlanExecutionResult {
    /// The id of the plan.
    pub plan_id: Uuid,
    /// The final status: `completed` when every step completed, apart from steps that were skipped because there was no failure;
    /// `cancelled` or `timeout` when the plan was ended; else `failed`.
    pub status: ExecutionStatus,
    /// Whether the status is `completed`.
    pub success: bool,
    /// The value in the plan.
    pub description: String,
    /// The results of the steps that began, in the order of their indexes.
    pub results: Vec<Arc<ExecutionResult>>,
    /// The steps of the plan, in the order of their indexes.
    pub steps: Vec<PlanStep>,
    /// The steps that never began, in the order of their indexes.
    pub skipped: Vec<SkippedStep>,
    /// The numbers of steps by their final status.
    pub stats: PlanStats,
    /// The time from acceptance to the end, in ms, on a monotonic clock.
    pub total_duration_ms: f64,
    /// The time of acceptance.
    pub started_at: DateTime<Utc>,
    /// The time at which the last step ended.
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

    /// Returns the number of bytes that the result takes in memory, the results of its steps included.
    pub(crate) fn kept_bytes(&self) -> u64 {
        let steps =
            self.steps.iter().map(|step| size_of_val(step) + step.name.len() + size_of_val(&step.depends_on[..]));
        let own = self.description.len() + steps.sum::<usize>() + self.metadata.kept_bytes();
        own as u64 + self.results.iter().map(|result| result.kept_bytes()).sum::<u64>()
    }
}
