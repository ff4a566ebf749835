//! The pause between two attempts: it holds no slot, and the end of the execution does not wait for it.

use crate::common::*;
use crate::steps::*;

/// Fails at once and would be tried again in an hour.
fn patient() -> ExecutionOptions {
    retrying(Retry { backoff_ms: 7_200_000, max_backoff_ms: 7_200_000, ..Retry::new(3) })
}

async fn in_its_pause(engine: &Listened, id: Uuid) {
    let retried = || engine.recorder.of(id).iter().any(|event| matches!(event, ExecutionEvent::Retry { .. }));
    wait_until("the first attempt has failed", retried).await;
}

#[tokio::test]
async fn a_cancel_reaches_the_pause_and_the_last_attempt_stays_known() {
    let engine = Listened::new();
    let id = engine.execute_with(shell("echo before; exit 5"), patient()).await.unwrap();
    in_its_pause(&engine, id).await;
    assert_eq!(engine.get_status(id).await.unwrap(), ExecutionStatus::Running);
    soon("the cancel", engine.cancel(id)).await.unwrap();
    let result = engine.get_result(id).await.unwrap();
    assert_cancelled(&result);
    assert_eq!((result.attempt, result.retries.len(), result.exit_code), (1, 0, Some(5)));
    assert_eq!(result.stdout, "before\n");
    engine.finish().await;
}

#[tokio::test]
async fn a_cancel_at_any_moment_between_two_attempts_is_a_cancel() {
    let engine = Listened::new();
    for round in 0..100 {
        let options = retrying(Retry { backoff_ms: 0, ..Retry::new(1_000) });
        let id = engine.execute_with(shell("exit 1"), options).await.unwrap();
        engine.recorder.started(id).await;
        tokio::time::sleep(Duration::from_micros(round * 70)).await;
        soon("the cancel", engine.cancel(id)).await.unwrap();
        assert_cancelled(&engine.get_result(id).await.unwrap());
    }
    engine.finish().await;
}

#[tokio::test]
async fn others_run_during_the_pause() {
    let engine = Listened::with_slots(1);
    let id = engine.execute_with(shell("exit 1"), patient()).await.unwrap();
    in_its_pause(&engine, id).await;
    wait_until("the slot is free", || engine.available_permits() == 1).await;
    assert_completed(&soon("another one", engine.run(brief())).await.unwrap());
    engine.cancel(id).await.unwrap();
    engine.finish().await;
}

#[tokio::test]
async fn the_next_attempt_waits_for_a_slot_like_any_other() {
    let (engine, dir) = (Listened::with_slots(1), scratch());
    let counter = dir.path().join("runs");
    // The step fails only when another execution waits for its slot.
    let request = shell(format!(
        "echo . >> '{0}'; [ $(wc -l < '{0}') -gt 1 ] && exit 0; while [ ! -e '{1}' ]; do sleep 0.01; done; exit 1",
        counter.display(),
        dir.path().join("fail").display()
    ));
    let id = engine.execute_with(request, retrying(attempts(2))).await.unwrap();
    engine.recorder.started(id).await;
    let other = engine.execute(waits_for(&dir.path().join("go"))).await.unwrap();
    std::fs::write(dir.path().join("fail"), "").unwrap();
    engine.recorder.saw_line(other, "ready").await;
    wait_until("the next attempt waits", || {
        engine.recorder.of(id).iter().any(|event| matches!(event, ExecutionEvent::Queued { .. }))
    })
    .await;
    assert_eq!(read_notes(&counter).len(), 1, "there is no slot for it");
    // A cancel reaches it here too.
    soon("the cancel", engine.cancel(id)).await.unwrap();
    let result = engine.get_result(id).await.unwrap();
    assert_cancelled(&result);
    assert_eq!((result.attempt, result.exit_code), (1, Some(1)));
    std::fs::write(dir.path().join("go"), "").unwrap();
    soon("the other", engine.wait_for_completion(other)).await.unwrap();
    assert_eq!(read_notes(&counter).len(), 1, "it ran after the cancel");
    engine.finish().await;
}

#[tokio::test]
async fn no_attempt_begins_after_the_plan_was_cancelled() {
    let (engine, dir) = (Listened::new(), scratch());
    for round in 0..30 {
        let counter = dir.path().join(format!("runs {round}"));
        let options = PlanOptions {
            options: retrying(Retry { backoff_ms: 1, max_backoff_ms: 1, ..Retry::new(1_000) }),
            ..PlanOptions::default()
        };
        let plan = plan(SERIAL, [flaky(&counter, 9_999, 1), brief()]);
        let id = engine.execute_plan_with(plan.clone(), options).await.unwrap();
        in_its_pause(&engine, plan.commands[0].id).await;
        tokio::time::sleep(Duration::from_micros(round * 137)).await;
        soon("the cancel", engine.cancel_plan(id)).await.unwrap();
        let runs = read_notes(&counter).len();
        let result = engine.wait_for_plan(id).await.unwrap();
        assert_eq!(result.status, ExecutionStatus::Cancelled);
        // If the exit of an attempt and the cancel are both ready, the exit takes precedence: the attempt has failed.
        let ends = statuses(&result);
        assert!(matches!(ends[..], [StepStatus::Cancelled | StepStatus::Failed, StepStatus::Skipped]), "{ends:?}");
        // Another command runs from start to end meanwhile: an attempt that was about to begin would have begun.
        soon("another one", engine.run(brief())).await.unwrap();
        assert_eq!(read_notes(&counter).len(), runs, "it was tried again");
    }
    engine.finish().await;
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_the_pause() {
    let engine = Listened::new();
    let id = engine.execute_with(shell("exit 1"), patient()).await.unwrap();
    in_its_pause(&engine, id).await;
    soon("the shutdown", engine.shutdown(Duration::ZERO)).await;
    let result = engine.get_result(id).await.unwrap();
    assert_ended(&result, ExecutionStatus::Cancelled, Reason::Shutdown);
    engine.finish().await;
}
