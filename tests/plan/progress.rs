//! The progress that a plan reports.

use std::sync::Arc;

use execution_engine::PlanExecutionResult;

use crate::common::*;
use crate::steps::*;

struct Progress {
    plan_id: Uuid,
    completed: usize,
    failed: usize,
    skipped: usize,
    total: usize,
    current_command: Option<String>,
    status: ExecutionStatus,
    result: Option<Arc<PlanExecutionResult>>,
}

fn progress(engine: &Listened, id: Uuid) -> Vec<Progress> {
    let reported = engine.recorder.of(id).into_iter().map(|event| match event {
        ExecutionEvent::Progress {
            plan_id,
            completed,
            failed,
            skipped,
            total,
            current_command,
            status,
            result,
            ..
        } => Progress { plan_id, completed, failed, skipped, total, current_command, status, result },
        other => panic!("a plan has only progress: {other:?}"),
    });
    reported.collect()
}

#[tokio::test]
async fn progress_is_emitted_at_the_start_and_end_of_each_step() {
    let engine = Listened::new();
    let result = engine.run_plan(plan(SERIAL, [brief(), shell("exit 1"), brief()])).await.unwrap();
    let reported = progress(&engine, result.plan_id);
    let rows: Vec<_> = reported
        .iter()
        .map(|it| (it.completed, it.failed, it.skipped, it.current_command.as_deref(), it.status))
        .collect();
    let (running, failed) = (ExecutionStatus::Running, ExecutionStatus::Failed);
    let expected = [
        (0, 0, 0, Some("true"), running),
        (1, 0, 0, None, running),
        (1, 0, 0, Some("exit 1"), running),
        (3, 1, 1, None, failed),
    ];
    assert_eq!(rows, expected);
    assert!(reported.iter().all(|it| it.total == 3 && it.plan_id == result.plan_id));
    let (last, others) = reported.split_last().unwrap();
    assert_eq!(last.result.as_deref(), Some(&*result));
    assert!(others.iter().all(|it| it.result.is_none()));
    engine.finish().await;
}

#[tokio::test]
async fn the_current_command_is_the_one_that_began_last_among_those_that_run() {
    let (engine, dir) = (Listened::new(), scratch());
    let file = |name: &str| dir.path().join(name);
    let plan = plan(PARALLEL, [waits_for(&file("a")), waits_for(&file("b"))]);
    let id = engine.execute_plan(plan.clone()).await.unwrap();
    for request in &plan.commands {
        engine.recorder.saw_line(request.id, "ready").await;
    }
    std::fs::write(file("b"), "").unwrap();
    wait_until("one is over", || progress(&engine, id).iter().any(|it| it.completed == 1)).await;
    let command = progress(&engine, id).last().unwrap().current_command.clone().unwrap();
    assert!(command.contains(file("a").to_str().unwrap()), "{command}");
    std::fs::write(file("a"), "").unwrap();
    soon("the plan", engine.wait_for_plan(id)).await.unwrap();
    engine.finish().await;
}

#[tokio::test]
async fn a_result_carries_what_the_plan_says_of_itself() {
    let engine = Listened::new();
    let mut labelled = shell("echo a name that is too long for a table");
    labelled.metadata.label = Some("greet".into());
    let mut plan = plan(PARALLEL, [labelled, exec("echo", &["two words"])]);
    plan.metadata.label = Some("mine".into());
    let result = engine.run_plan(plan.clone()).await.unwrap();
    assert_eq!((result.plan_id, &result.description, &result.metadata), (plan.id, &plan.description, &plan.metadata));
    let names: Vec<_> = result.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names, ["greet", "echo 'two words'"]);
    assert!(result.total_duration_ms > 0.0 && result.started_at <= result.completed_at);
    let stats = engine.get_stats().await;
    assert_eq!((stats.total, stats.completed), (2, 2), "steps are executions");
    engine.finish().await;
}

#[tokio::test]
async fn plans_are_forgotten_like_executions() {
    let config = ExecutionConfig { max_in_memory_executions: 2, ..ExecutionConfig::default() };
    let engine = Listened::with(config);
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(engine.run_plan(plan(SERIAL, [brief()])).await.unwrap().plan_id);
    }
    let error = assert_refused(engine.wait_for_plan(ids[0]).await, ErrorCode::NotFound);
    assert!(error.to_string().starts_with("no plan"), "{error}");
    assert!(engine.wait_for_plan(ids[1]).await.is_ok() && engine.wait_for_plan(ids[2]).await.is_ok());
    engine.finish().await;
}

#[tokio::test]
async fn plans_that_are_too_old_leave_by_themselves() {
    let config = ExecutionConfig { execution_retention_secs: 0, ..ExecutionConfig::default() };
    let engine = Listened::with(config);
    let id = engine.run_plan(plan(SERIAL, [brief()])).await.unwrap().plan_id;
    soon("the end of retention", async {
        while engine.wait_for_plan(id).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    engine.finish().await;
}

#[tokio::test]
async fn plans_stay_until_cleanup_when_retention_is_not_automatic() {
    let config = ExecutionConfig {
        enable_auto_cleanup: false,
        execution_retention_secs: 0,
        max_in_memory_executions: 0,
        ..ExecutionConfig::default()
    };
    let engine = Listened::with(config);
    let first = engine.run_plan(plan(SERIAL, [brief()])).await.unwrap().plan_id;
    let second = engine.run_plan(plan(SERIAL, [brief()])).await.unwrap().plan_id;
    assert!(engine.wait_for_plan(first).await.is_ok() && engine.wait_for_plan(second).await.is_ok());
    assert_eq!(engine.cleanup().await, 2, "the executions of their steps");
    assert_refused(engine.wait_for_plan(first).await, ErrorCode::NotFound);
    assert_refused(engine.wait_for_plan(second).await, ErrorCode::NotFound);
    engine.finish().await;
}
