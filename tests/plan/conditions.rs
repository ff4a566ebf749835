//! Steps that run after a failure, or in any case, and take the output of others.

use execution_engine::output_of;
use execution_engine::types::{StepStatus, When};

use crate::common::*;
use crate::steps::*;

#[tokio::test]
async fn steps_run_after_a_failure_or_in_any_case() {
    let engine = Listened::new();
    for (first, expected) in [
        (brief(), [StepStatus::Completed, StepStatus::Completed, StepStatus::Skipped, StepStatus::Completed]),
        (shell("exit 3"), [StepStatus::Failed, StepStatus::Skipped, StepStatus::Completed, StepStatus::Completed]),
    ] {
        let options = PlanOptions::default().when(2, When::Failure).when(3, When::Always);
        let is_completed = expected[0] == StepStatus::Completed;
        let result = soon("the plan", engine.run_plan_with(plan(SERIAL, [first, brief(), brief(), brief()]), options))
            .await
            .unwrap();
        assert_eq!(statuses(&result), expected);
        assert_eq!(result.success, is_completed);
    }
    engine.finish().await;
}

#[tokio::test]
async fn clean_up_runs_after_a_cancel_of_its_plan() {
    let engine = Listened::new();
    let plan = plan(SERIAL, [endless(), brief(), shell("echo clean")]);
    let first = plan.commands[0].id;
    let id = engine.execute_plan_with(plan, PlanOptions::default().when(2, When::Always)).await.unwrap();
    engine.recorder.started(first).await;
    soon("the cancel", engine.cancel_plan(id)).await.unwrap();
    let result = engine.wait_for_plan(id).await.unwrap();
    assert_eq!(statuses(&result), [StepStatus::Cancelled, StepStatus::Skipped, StepStatus::Completed]);
    assert_eq!(result.results[1].stdout, "clean\n");
    engine.finish().await;
}

#[tokio::test]
async fn the_output_of_a_step_is_a_variable_of_a_later_one() {
    let engine = Listened::new();
    let takes = |step: usize| shell("echo \"[$VERSION]\"").env("VERSION", output_of(step));
    let result =
        soon("the plan", engine.run_plan(plan(PARALLEL, [takes(1), shell("printf ' 1.2\\n\\n'")]))).await.unwrap();
    assert_eq!(result.results[0].stdout, "[1.2]\n");
    let result = soon("the plan", engine.run_plan(plan(PARALLEL, [takes(1), shell("printf 'a\\0b'")]))).await.unwrap();
    assert_eq!(statuses(&result), [StepStatus::Failed, StepStatus::Completed]);
    let error = result.results[0].error.as_ref().unwrap();
    assert_eq!(error.code, ErrorCode::InvalidRequest);
    assert!(error.message.contains("env.VERSION") && error.message.contains("NUL"), "{}", error.message);
    let cycle = engine.run_plan(plan(PARALLEL, [takes(1), takes(0)])).await;
    assert_field_refused(cycle, ErrorCode::InvalidPlan, "commands[0].env");
    engine.finish().await;
}
