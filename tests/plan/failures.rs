//! The steps after one that does not complete.

use crate::common::*;
use crate::steps::*;

#[tokio::test]
async fn a_serial_plan_stops_at_the_first_failure() {
    let engine = Listened::new();
    let result = engine.run_plan(plan(SERIAL, [brief(), shell("exit 3"), brief(), brief()])).await.unwrap();
    assert_eq!((result.status, result.success), (ExecutionStatus::Failed, false));
    assert_eq!(
        result.skipped,
        [skipped(2, SkipReason::StopOnError, Some(1)), skipped(3, SkipReason::StopOnError, Some(1))]
    );
    assert_eq!((result.results.len(), result.stats.failed, result.stats.skipped), (2, 1, 2));
    assert_exited(&result.results[1], 3);
    assert_eq!(engine.get_status(result.steps[2].id).await.unwrap_err().code(), ErrorCode::NotFound);
    engine.finish().await;
}

#[tokio::test]
async fn a_serial_plan_that_does_not_stop_on_errors_runs_all() {
    let engine = Listened::new();
    let strategy = ExecutionStrategy::Serial { stop_on_error: false };
    let result = engine.run_plan(plan(strategy, [shell("exit 1"), brief(), shell("exit 2"), brief()])).await.unwrap();
    assert_eq!(result.status, ExecutionStatus::Failed);
    assert_eq!((result.stats.completed, result.stats.failed, result.skipped.len()), (2, 2, 0));
    engine.finish().await;
}

#[tokio::test]
async fn in_a_graph_only_what_waits_for_the_failed_step_is_skipped() {
    let engine = Listened::new();
    let strategy = graph(&[(1, &[0]), (2, &[1]), (3, &[2, 4]), (5, &[4])]);
    let steps = [shell("exit 9"), brief(), brief(), brief(), brief(), brief()];
    let result = engine.run_plan(plan(strategy, steps)).await.unwrap();
    // Each reason names the step that failed, not one that was skipped itself.
    let expected = [1, 2, 3].map(|index| skipped(index, SkipReason::Dependency, Some(0)));
    assert_eq!(result.skipped, expected);
    assert_eq!((result.stats.completed, result.stats.failed, result.stats.skipped), (2, 1, 3));
    engine.finish().await;
}

#[tokio::test]
async fn with_continue_on_error_nothing_is_skipped() {
    let engine = Listened::new();
    let options = || PlanOptions { continue_on_error: true, ..PlanOptions::default() };
    for strategy in [SERIAL, graph(&[(1, &[0]), (2, &[1])])] {
        let steps = [shell("exit 1"), brief(), brief()];
        let result = engine.run_plan_with(plan(strategy, steps), options()).await.unwrap();
        assert_eq!(statuses(&result), [StepStatus::Failed, StepStatus::Completed, StepStatus::Completed]);
        assert_eq!((result.status, result.skipped.len()), (ExecutionStatus::Failed, 0));
    }
    engine.finish().await;
}

/// Steps that the engine could not start, or that timed out, did not complete either.
#[tokio::test]
async fn a_step_may_fail_in_any_way() {
    let engine = Listened::new();
    let late = ExecutionRequest { timeout_ms: Some(20), ..endless() };
    let strategy = graph(&[(1, &[0]), (3, &[2])]);
    let steps = [exec::<&str>("/no/such/program", &[]), brief(), late, brief()];
    let result = soon("the plan", engine.run_plan(plan(strategy, steps))).await.unwrap();
    assert_eq!(statuses(&result), [StepStatus::Failed, StepStatus::Skipped, StepStatus::Timeout, StepStatus::Skipped]);
    assert_eq!(
        result.skipped,
        [skipped(1, SkipReason::Dependency, Some(0)), skipped(3, SkipReason::Dependency, Some(2))]
    );
    let error = result.results[0].error.as_ref().expect("it was not started");
    assert_eq!(error.code, ErrorCode::SpawnFailed);
    engine.finish().await;
}

/// The id is taken between the acceptance of the plan and the step's turn.
#[tokio::test]
async fn a_step_whose_id_is_taken_meanwhile_is_skipped() {
    let (engine, dir) = (Listened::new(), scratch());
    let second = brief();
    let id = second.id;
    let third = brief();
    let plan = plan(SERIAL, [waits_for(&dir.path().join("go")), second, third]);
    let plan = engine.execute_plan(plan).await.unwrap();
    engine.run(ExecutionRequest { id, ..brief() }).await.unwrap();
    std::fs::write(dir.path().join("go"), "").unwrap();
    let result = soon("the plan", engine.wait_for_plan(plan)).await.unwrap();
    let taken = skipped(1, SkipReason::DuplicateId, None);
    assert_eq!(result.skipped, [taken, skipped(2, SkipReason::StopOnError, Some(1))]);
    assert_eq!(result.status, ExecutionStatus::Failed);
    engine.finish().await;
}
