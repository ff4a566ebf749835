//! The order in which steps begin, and the number that run at once.

use crate::common::*;
use crate::steps::*;

#[tokio::test]
async fn serial_steps_run_one_after_the_other() {
    let (engine, dir) = (Listened::with_slots(4), scratch());
    let notes = dir.path().join("notes");
    let steps = (0..5).map(|index| noted(&notes, index, "sleep 0.01"));
    let result = soon("the plan", engine.run_plan(plan(SERIAL, steps))).await.unwrap();
    assert!(result.success && result.status == ExecutionStatus::Completed);
    assert_eq!(read_notes(&notes).join(" "), "+0 -0 +1 -1 +2 -2 +3 -3 +4 -4");
    assert_eq!(result.steps[3].depends_on, [2]);
    engine.finish().await;
}

/// Each step waits for the other's file: they end only if both run.
#[tokio::test]
async fn parallel_steps_run_at_once() {
    let (engine, dir) = (Listened::new(), scratch());
    let wait = |mine: &str, other: &str| {
        shell(format!("cd '{}'; touch {mine}; while [ ! -e {other} ]; do sleep 0.01; done", dir.path().display()))
    };
    let result = soon("both", engine.run_plan(plan(PARALLEL, [wait("a", "b"), wait("b", "a")]))).await.unwrap();
    assert_eq!(result.stats.completed, 2);
    engine.finish().await;
}

#[tokio::test]
async fn a_plan_keeps_to_its_own_limit_and_to_the_engine_s() {
    for (slots, limit, most) in [(8, Some(2), 2), (3, Some(100), 3), (3, None, 3), (2, Some(1), 1)] {
        let (engine, dir) = (Listened::with_slots(slots), scratch());
        let notes = dir.path().join("notes");
        // The first steps stay until as many as may run together do.
        let together =
            format!("until [ $(grep -c + '{}') -ge {most} ]; do sleep 0.01; done; sleep 0.05", notes.display());
        let steps = (0..12).map(|index| noted(&notes, index, &together));
        let strategy = ExecutionStrategy::Parallel { max_concurrency: limit };
        soon("the plan", engine.run_plan(plan(strategy, steps))).await.unwrap();
        let (mut running, mut seen) = (0, 0);
        for note in read_notes(&notes) {
            running += if note.starts_with('+') { 1 } else { -1 };
            seen = seen.max(running);
        }
        assert_eq!(seen, most, "{slots} slots and a limit of {limit:?}");
        engine.finish().await;
    }
}

#[tokio::test]
async fn a_diamond_runs_from_its_top_to_its_foot() {
    let (engine, dir) = (Listened::new(), scratch());
    let notes = dir.path().join("notes");
    // The last one does not depend on the place of others in the list.
    let strategy = graph(&[(0, &[1, 2]), (1, &[3]), (2, &[3])]);
    let steps = (0..4).map(|index| noted(&notes, index, "sleep 0.02"));
    let result = soon("the plan", engine.run_plan(plan(strategy, steps))).await.unwrap();
    assert!(result.success);
    let notes = read_notes(&notes);
    let at = |note: &str| notes.iter().position(|it| it == note).unwrap();
    assert_eq!((notes[0].as_str(), notes[1].as_str()), ("+3", "-3"));
    assert!(at("-1") < at("+0") && at("-2") < at("+0"), "{notes:?}");
    assert_eq!(
        result.results.iter().map(|result| result.id).collect::<Vec<_>>(),
        result.steps.iter().map(|step| step.id).collect::<Vec<_>>()
    );
    engine.finish().await;
}

#[tokio::test]
async fn with_one_slot_the_longest_chain_goes_first_and_the_host_s_priority_before_it() {
    let (engine, dir) = (Listened::with_slots(1), scratch());
    let notes = dir.path().join("notes");
    // The slot is taken while the plan is accepted: what is free cannot be scarce.
    let blocker = engine.start(waits_for(&dir.path().join("go")), ExecutionOptions::default()).await;
    let strategy = graph(&[(3, &[1]), (4, &[3])]);
    let steps = (0..6).map(|index| noted(&notes, index, "true"));
    let urgent = ExecutionOptions { priority: 1, ..ExecutionOptions::default() };
    let options = PlanOptions { steps: [(5, urgent)].into(), ..PlanOptions::default() };
    let id = engine.execute_plan_with(plan(strategy, steps), options).await.unwrap();
    std::fs::write(dir.path().join("go"), "").unwrap();
    soon("the plan", engine.wait_for_plan(id)).await.unwrap();
    soon("the blocker", engine.wait_for_completion(blocker)).await.unwrap();
    let order: Vec<_> = read_notes(&notes).into_iter().filter(|note| note.starts_with('+')).collect();
    assert_eq!(order.join(" "), "+5 +1 +3 +0 +2 +4");
    engine.finish().await;
}

/// A plan of any size has one place in the queue, and policy and bounds are for what comes from outside.
#[tokio::test]
async fn a_large_plan_fills_no_queue_and_is_refused_by_no_policy() {
    let config =
        ExecutionConfig { max_concurrent_executions: 1, max_queued_executions: 2, ..ExecutionConfig::default() };
    let (engine, dir) = (Listened::with(config), scratch());
    let blocker = engine.start(waits_for(&dir.path().join("go")), ExecutionOptions::default()).await;
    let id = engine.execute_plan(plan(PARALLEL, (0..50).map(|_| brief()))).await.unwrap();
    wait_until("the plan waits", || engine.get_concurrency_metrics().currently_pending == 1).await;
    let other = engine.execute(brief()).await.expect("there is room for others");
    std::fs::write(dir.path().join("go"), "").unwrap();
    for id in [blocker, other] {
        assert_completed(&soon("its end", engine.wait_for_completion(id)).await.unwrap());
    }
    let result = soon("the plan", engine.wait_for_plan(id)).await.unwrap();
    assert_eq!(result.stats.completed, 50);
    assert!(result.results[49].queued_ms > 0.0, "it waited for a slot");
    engine.finish().await;
}

#[tokio::test]
async fn a_step_that_gets_no_slot_in_time_ends_as_one_that_waited_too_long() {
    let config =
        ExecutionConfig { max_concurrent_executions: 1, queue_timeout_ms: Some(50), ..ExecutionConfig::default() };
    let (engine, dir) = (Listened::with(config), scratch());
    let blocker = engine.start(waits_for(&dir.path().join("go")), ExecutionOptions::default()).await;
    let result = soon("the plan", engine.run_plan(plan(graph(&[(1, &[0])]), [brief(), brief()]))).await.unwrap();
    assert_timed_out(&result.results[0], Reason::QueueTimeout);
    assert_never_ran(&result.results[0]);
    assert_eq!(statuses(&result), [StepStatus::Timeout, StepStatus::Skipped]);
    assert_eq!(result.status, ExecutionStatus::Failed);
    engine.cancel(blocker).await.unwrap();
    engine.finish().await;
}

#[tokio::test]
async fn the_global_limit_of_one_holds_for_a_plan_too() {
    let (engine, dir) = (Listened::with_slots(1), scratch());
    let notes = dir.path().join("notes");
    let steps = (0..4).map(|index| noted(&notes, index, "true"));
    soon("the plan", engine.run_plan(plan(PARALLEL, steps))).await.unwrap();
    assert_eq!(read_notes(&notes).join(" "), "+0 -0 +1 -1 +2 -2 +3 -3");
    assert_eq!(engine.available_permits(), 1);
    engine.finish().await;
}
