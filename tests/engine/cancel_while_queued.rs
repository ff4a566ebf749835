//! An execution that ends while it waits for a slot never runs.

use execution_engine::types::Stream;

use crate::common::*;

/// Returns an engine with one slot, and a child in it that stays until the file `go` exists.
async fn busy(config: ExecutionConfig, dir: &std::path::Path) -> (Listened, Uuid) {
    let engine = Listened::with(ExecutionConfig { max_concurrent_executions: 1, ..config });
    let blocker = engine.start(waits_for(&dir.join("go")), ExecutionOptions::default()).await;
    (engine, blocker)
}

/// Ends the blocker, and runs a last command: by then every queued execution has had a slot.
async fn drain_queue(engine: &Listened, blocker: Uuid, dir: &std::path::Path) {
    std::fs::write(dir.join("go"), "").unwrap();
    assert_completed(&soon("the blocker", engine.wait_for_completion(blocker)).await.unwrap());
    assert_completed(&soon("the last", engine.run(brief())).await.unwrap());
}

#[tokio::test]
async fn an_execution_that_is_cancelled_in_the_queue_never_spawns() {
    let dir = scratch();
    let (engine, blocker) = busy(ExecutionConfig::default(), dir.path()).await;
    let marker = dir.path().join("ran");
    let id = engine.execute(leaves(&marker)).await.unwrap();
    assert_eq!(engine.get_status(id).await.unwrap(), ExecutionStatus::Pending);
    // The slot is taken: that the cancel resolves shows that it did not wait for one.
    soon("the cancel", engine.cancel(id)).await.unwrap();
    let result = engine.get_result(id).await.unwrap();
    assert_cancelled(&result);
    assert_never_ran(&result);
    assert!(matches!(engine.recorder.of(id)[..], [ExecutionEvent::Queued { .. }, ExecutionEvent::Cancelled { .. }]));
    drain_queue(&engine, blocker, dir.path()).await;
    assert!(!marker.exists(), "it ran");
    engine.finish().await;
}

#[tokio::test]
async fn an_execution_whose_queue_timeout_passes_never_spawns() {
    let dir = scratch();
    let config = ExecutionConfig { queue_timeout_ms: Some(100), ..Default::default() };
    let (engine, blocker) = busy(config, dir.path()).await;
    let marker = dir.path().join("ran");
    let result = soon("the queue timeout", engine.run(leaves(&marker))).await.unwrap();
    assert_timed_out(&result, Reason::QueueTimeout);
    assert_never_ran(&result);
    assert!(result.queued_ms >= 100.0, "{}", result.queued_ms);
    drain_queue(&engine, blocker, dir.path()).await;
    assert!(!marker.exists(), "it ran");
    engine.finish().await;
}

#[tokio::test]
async fn cancel_all_reaches_the_queue() {
    let dir = scratch();
    let (engine, blocker) = busy(ExecutionConfig::default(), dir.path()).await;
    let marker = dir.path().join("ran");
    let mut queued = Vec::new();
    for _ in 0..20 {
        queued.push(engine.execute(leaves(&marker)).await.unwrap());
    }
    assert_eq!(soon("the cancel", engine.cancel_all()).await, 21);
    assert_cancelled(&engine.get_result(blocker).await.unwrap());
    for id in queued {
        let result = engine.get_result(id).await.unwrap();
        assert_cancelled(&result);
        assert_never_ran(&result);
    }
    assert_eq!(engine.cancel_all().await, 0);
    assert!(!marker.exists(), "one ran");
    engine.finish().await;
}

/// The slot is freed while the execution is cancelled: either it never ran, or its result reports what ran.
#[tokio::test]
async fn a_cancel_that_races_the_slot_leaves_one_outcome() {
    let engine = Listened::with_slots(1);
    let dir = scratch();
    let mut never = 0;
    for round in 0..repeats() {
        let marker = dir.path().join(round.to_string());
        let before = engine.execute(brief()).await.unwrap();
        let id = engine.execute(leaves(&marker)).await.unwrap();
        tokio::time::sleep(Duration::from_micros(round * 61 % 3_000)).await;
        soon("the cancel", engine.cancel(id)).await.unwrap();
        let result = engine.get_result(id).await.unwrap();
        let has_started = engine.recorder.of(id).iter().any(|event| matches!(event, ExecutionEvent::Started { .. }));
        assert_eq!(has_started, result.pid.is_some(), "{result:#?}");
        if result.status == ExecutionStatus::Completed {
            assert!(marker.exists(), "{result:#?}");
        } else {
            assert_cancelled(&result);
        }
        if !has_started {
            never += 1;
            assert_never_ran(&result);
            assert!(!marker.exists(), "it ran");
        }
        soon("the one before", engine.wait_for_completion(before)).await.unwrap();
    }
    println!("{never} never ran");
    assert_eq!(engine.available_permits(), 1);
    engine.finish().await;
}

#[tokio::test]
async fn the_timeout_of_an_execution_starts_with_its_process() {
    let dir = scratch();
    let (engine, blocker) = busy(ExecutionConfig::default(), dir.path()).await;
    let request = ExecutionRequest { timeout_ms: Some(2_000), ..shell("echo in time") };
    let id = engine.execute(request).await.unwrap();
    // This sleep waits for no event: it has to be longer than the timeout.
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    drain_queue(&engine, blocker, dir.path()).await;
    let result = soon("the end", engine.wait_for_completion(id)).await.unwrap();
    assert_completed(&result);
    assert!(result.queued_ms >= 2_000.0, "{}", result.queued_ms);
    assert_eq!(engine.recorder.lines(id, Stream::Stdout), ["in time"]);
    engine.finish().await;
}
