//! Steps and plans, by what they do.

use std::collections::HashMap;
use std::path::Path;

pub(crate) use execution_engine::{
    ExecutionPlan, ExecutionStrategy, PlanExecutionResult, PlanOptions, Retry, RetryOn, SkipReason, SkippedStep,
    StepStatus,
};

use crate::common::*;

pub(crate) const SERIAL: ExecutionStrategy = ExecutionStrategy::Serial { stop_on_error: true };
pub(crate) const PARALLEL: ExecutionStrategy = ExecutionStrategy::Parallel { max_concurrency: None };

pub(crate) fn graph(dependencies: &[(usize, &[usize])]) -> ExecutionStrategy {
    let dependencies = dependencies.iter().map(|(index, list)| (*index, list.to_vec())).collect::<HashMap<_, _>>();
    ExecutionStrategy::DependencyGraph { dependencies }
}

pub(crate) fn plan(strategy: ExecutionStrategy, commands: impl IntoIterator<Item = ExecutionRequest>) -> ExecutionPlan {
    ExecutionPlan::new("a test", strategy, commands)
}

/// Returns a command that notes its name in a file when it begins and, after `then`, when it ends.
pub(crate) fn noted(notes: &Path, name: impl std::fmt::Display, then: &str) -> ExecutionRequest {
    shell(format!("echo +{name} >> '{0}'; {then}; echo -{name} >> '{0}'", notes.display()))
}

pub(crate) fn read_notes(notes: &Path) -> Vec<String> {
    std::fs::read_to_string(notes).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Fails with an exit code until it has run so often.
pub(crate) fn flaky(counter: &Path, failures: u32, code: i32) -> ExecutionRequest {
    let counter = counter.display();
    shell(format!(
        "echo . >> '{counter}'; echo attempt $(wc -l < '{counter}'); [ $(wc -l < '{counter}') -gt {failures} ] || exit {code}"
    ))
}

/// Returns a retry with so many attempts, with a short pause.
pub(crate) fn attempts(attempts: u32) -> Retry {
    Retry { backoff_ms: 5, max_backoff_ms: 20, ..Retry::new(attempts) }
}

pub(crate) fn retrying(retry: Retry) -> ExecutionOptions {
    ExecutionOptions { retry: Some(retry), ..ExecutionOptions::default() }
}

pub(crate) fn statuses(result: &PlanExecutionResult) -> Vec<StepStatus> {
    result.steps.iter().map(|step| step.status).collect()
}

/// Waits for a plan in the background.
pub(crate) fn waiter(
    engine: &ExecutionEngine,
    id: Uuid,
) -> tokio::task::JoinHandle<Result<Arc<PlanExecutionResult>, ExecutionError>> {
    let engine = engine.clone();
    tokio::spawn(async move { engine.wait_for_plan(id).await })
}

/// Returns what a result reports of a step that never began.
pub(crate) fn skipped(index: usize, reason: SkipReason, because: Option<usize>) -> SkippedStep {
    serde_json::from_value(serde_json::json!({ "index": index, "reason": reason, "because": because })).unwrap()
}
