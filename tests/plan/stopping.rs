//! A plan that is ended: what runs is ended with its tree, the rest is skipped.

use tokio_util::sync::CancellationToken;

use crate::common::*;
use crate::steps::*;

/// Returns a step with a grandchild, a step that waits for it, and one that is independent of both.
fn steps() -> [ExecutionRequest; 3] {
    [shell("sleep 1000 & echo ready; wait"), brief(), endless()]
}

async fn begun(engine: &Listened, plan: &ExecutionPlan) {
    engine.recorder.saw_line(plan.commands[0].id, "ready").await;
    engine.recorder.started(plan.commands[2].id).await;
}

fn assert_stopped(result: &PlanExecutionResult, reason: SkipReason, why: Reason) {
    let status = if why == Reason::Timeout { ExecutionStatus::Timeout } else { ExecutionStatus::Cancelled };
    assert_eq!((result.status, result.success), (status, false));
    assert_eq!(result.skipped, [skipped(1, reason, None)]);
    for step in &result.results {
        assert_ended(step, status, why);
        let killed = step.killed.as_ref().expect("it was ended");
        for pid in &killed.pids {
            assert!(!is_alive(*pid), "{pid} runs");
        }
    }
}

#[tokio::test]
async fn a_cancel_ends_the_trees_and_skips_the_rest() {
    let engine = Listened::new();
    let plan = plan(graph(&[(1, &[0])]), steps());
    let id = engine.execute_plan(plan.clone()).await.unwrap();
    begun(&engine, &plan).await;
    soon("the cancel", engine.cancel_plan(id)).await.unwrap();
    let result = soon("the plan", engine.wait_for_plan(id)).await.unwrap();
    assert_stopped(&result, SkipReason::Cancelled, Reason::Cancelled);
    soon("the second cancel", engine.cancel_plan(id)).await.unwrap();
    assert_eq!(engine.wait_for_plan(id).await.unwrap().status, ExecutionStatus::Cancelled);
    engine.finish().await;
}

#[tokio::test]
async fn a_deadline_ends_a_plan() {
    let engine = Listened::new();
    let plan = plan(graph(&[(1, &[0])]), steps());
    let options = PlanOptions { deadline_ms: Some(4_000), ..PlanOptions::default() };
    let result = soon("the plan", engine.run_plan_with(plan, options)).await.unwrap();
    assert_stopped(&result, SkipReason::Deadline, Reason::Timeout);
    assert!(result.total_duration_ms >= 4_000.0, "{}", result.total_duration_ms);
    engine.finish().await;
}

#[tokio::test]
async fn an_abort_signal_ends_a_plan() {
    let engine = Listened::new();
    let signal = CancellationToken::new();
    let options = || PlanOptions {
        options: ExecutionOptions { signal: Some(signal.clone()), ..ExecutionOptions::default() },
        ..PlanOptions::default()
    };
    let running = plan(graph(&[(1, &[0])]), steps());
    let id = engine.execute_plan_with(running.clone(), options()).await.unwrap();
    begun(&engine, &running).await;
    signal.cancel();
    let result = soon("the plan", engine.wait_for_plan(id)).await.unwrap();
    assert_stopped(&result, SkipReason::Aborted, Reason::Aborted);
    // Fired before: nothing begins.
    let result = soon("the plan", engine.run_plan_with(plan(PARALLEL, steps()), options())).await.unwrap();
    assert_eq!((result.status, result.stats.skipped), (ExecutionStatus::Cancelled, 3));
    engine.finish().await;
}

#[tokio::test]
async fn an_abort_signal_of_one_step_ends_that_step() {
    let engine = Listened::new();
    let signal = CancellationToken::new();
    let own = ExecutionOptions { signal: Some(signal.clone()), ..ExecutionOptions::default() };
    let options = PlanOptions { steps: [(0, own)].into(), ..PlanOptions::default() };
    let plan = plan(graph(&[(1, &[0])]), [endless(), brief(), brief()]);
    let id = engine.execute_plan_with(plan.clone(), options).await.unwrap();
    engine.recorder.started(plan.commands[0].id).await;
    signal.cancel();
    let result = soon("the plan", engine.wait_for_plan(id)).await.unwrap();
    assert_eq!(statuses(&result), [StepStatus::Cancelled, StepStatus::Skipped, StepStatus::Completed]);
    assert_eq!((result.status, result.skipped[0].because), (ExecutionStatus::Failed, Some(0)));
    engine.finish().await;
}

#[tokio::test]
async fn cancel_all_ends_plans_too() {
    let engine = Listened::new();
    let plan = plan(graph(&[(1, &[0])]), steps());
    let id = engine.execute_plan(plan.clone()).await.unwrap();
    begun(&engine, &plan).await;
    assert_eq!(soon("the cancel", engine.cancel_all()).await, 2);
    let result = soon("the plan", engine.wait_for_plan(id)).await.unwrap();
    assert_stopped(&result, SkipReason::Cancelled, Reason::Cancelled);
    engine.finish().await;
}

#[tokio::test]
async fn a_shutdown_lets_a_plan_go_on_for_its_grace() {
    let (engine, dir) = (Listened::new(), scratch());
    let plan_of = |file: &str| plan(SERIAL, [waits_for(&dir.path().join(file)), brief(), brief()]);
    let (quick, slow) = (plan_of("go"), plan_of("never"));
    let ids = [engine.execute_plan(quick.clone()).await.unwrap(), engine.execute_plan(slow.clone()).await.unwrap()];
    for plan in [&quick, &slow] {
        engine.recorder.saw_line(plan.commands[0].id, "ready").await;
    }
    let (quick, slow) = (waiter(&engine, ids[0]), waiter(&engine, ids[1]));
    let go = async {
        while engine.execute(brief()).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        std::fs::write(dir.path().join("go"), "").unwrap();
    };
    tokio::join!(engine.shutdown(Duration::from_secs(2)), go);
    let quick = soon("the quick one", quick).await.unwrap().unwrap();
    assert!(quick.success, "it was accepted before: {quick:#?}");
    let slow = soon("the slow one", slow).await.unwrap().unwrap();
    assert_eq!((slow.status, slow.skipped[0].reason), (ExecutionStatus::Cancelled, SkipReason::Shutdown));
    assert_refused(engine.execute_plan(plan(SERIAL, [brief()])).await, ErrorCode::EngineShutDown);
    engine.finish().await;
}

#[tokio::test]
async fn a_dropped_future_of_run_plan_ends_the_trees_and_skips_the_rest() {
    let engine = Listened::new();
    let plan = plan(graph(&[(1, &[0])]), steps());
    let id = plan.id;
    tokio::select! {
        result = engine.run_plan(plan.clone()) => panic!("it ended by itself: {result:?}"),
        () = begun(&engine, &plan) => {}
    }
    let result = soon("the plan", engine.wait_for_plan(id)).await.unwrap();
    assert_stopped(&result, SkipReason::Cancelled, Reason::Cancelled);
    engine.finish().await;
}

#[tokio::test]
async fn a_dropped_stream_of_a_plan_ends_the_trees_and_skips_the_rest() {
    let engine = Listened::new();
    let plan = plan(graph(&[(1, &[0])]), steps());
    let mut events = engine.stream_plan(plan.clone()).unwrap();
    let id = events.id();
    let (mut is_ready, mut has_started) = (false, false);
    while !(is_ready && has_started) {
        let event = soon("an event", events.next()).await.expect("the plan runs");
        is_ready |= event.line() == Some("ready");
        has_started |=
            matches!(&event, ExecutionEvent::Started { execution_id, .. } if *execution_id == plan.commands[2].id);
    }
    drop(events);
    let result = soon("the plan", engine.wait_for_plan(id)).await.unwrap();
    assert_stopped(&result, SkipReason::Cancelled, Reason::Cancelled);
    engine.finish().await;
}

/// A cancel that comes when all is done changes nothing.
#[tokio::test]
async fn a_plan_that_is_over_stays_as_it_is() {
    let engine = Listened::new();
    let result = engine.run_plan(plan(PARALLEL, [brief(), brief()])).await.unwrap();
    engine.cancel_plan(result.plan_id).await.unwrap();
    assert_eq!(engine.wait_for_plan(result.plan_id).await.unwrap().status, ExecutionStatus::Completed);
    engine.finish().await;
}

#[tokio::test]
async fn a_dropped_engine_ends_its_plans() {
    let engine = ExecutionEngine::new(ExecutionConfig::default()).unwrap();
    let dir = scratch();
    let marker = dir.path().join("pid");
    let step = shell(format!("echo $$ > '{0}.new'; mv '{0}.new' '{0}'; exec sleep 1000", marker.display()));
    engine.execute_plan(plan(SERIAL, [step, leaves(&dir.path().join("second"))])).await.unwrap();
    wait_until("it runs", || marker.exists()).await;
    let pid = std::fs::read_to_string(&marker).unwrap().trim().parse().unwrap();
    drop(engine);
    wait_until("it is gone", || !is_alive(pid)).await;
    assert!(!dir.path().join("second").exists(), "the next step ran");
}
