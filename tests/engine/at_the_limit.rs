//! A request waits or is refused when all slots are taken.

use std::path::Path;

use execution_engine::ConcurrencyPolicy;

use crate::common::*;

fn appends(name: &str, file: &Path) -> ExecutionRequest {
    shell(format!("echo {name} >> '{}'", file.display()))
}

fn priority(priority: i32) -> ExecutionOptions {
    ExecutionOptions { priority, ..Default::default() }
}

#[tokio::test]
async fn the_policy_reject_refuses() {
    let config = ExecutionConfig {
        max_concurrent_executions: 2,
        concurrency_policy: ConcurrencyPolicy::Reject,
        ..Default::default()
    };
    let engine = Listened::with(config);
    let first = engine.execute(endless()).await.unwrap();
    let _second = engine.execute(endless()).await.unwrap();
    let error = assert_refused(engine.execute(brief()).await, ErrorCode::ConcurrencyLimitReached);
    assert!(error.to_string().contains("max_concurrent_executions"), "{error}");
    assert_eq!(engine.total_count(), 2, "a refused request leaves no record");
    engine.cancel(first).await.unwrap();
    assert_completed(&engine.run(brief()).await.unwrap());
    engine.finish().await;
}

#[tokio::test]
async fn a_full_queue_refuses() {
    let config = ExecutionConfig { max_concurrent_executions: 1, max_queued_executions: 2, ..Default::default() };
    let engine = Listened::with(config);
    let running = engine.execute(endless()).await.unwrap();
    let waiting = [engine.execute(brief()).await.unwrap(), engine.execute(brief()).await.unwrap()];
    let error = assert_refused(engine.execute(brief()).await, ErrorCode::QueueFull);
    assert!(error.to_string().contains("max_queued_executions"), "{error}");
    // An execution that gives up makes room.
    engine.cancel(waiting[0]).await.unwrap();
    let again = engine.execute(brief()).await.unwrap();
    assert_refused(engine.execute(brief()).await, ErrorCode::QueueFull);
    engine.cancel(running).await.unwrap();
    for id in [waiting[1], again] {
        assert_completed(&soon("the turn", engine.wait_for_completion(id)).await.unwrap());
    }
    engine.finish().await;
}

#[tokio::test]
async fn a_queue_without_room_refuses_at_once() {
    let config = ExecutionConfig { max_concurrent_executions: 1, max_queued_executions: 0, ..Default::default() };
    let engine = Listened::with(config);
    let _running = engine.execute(endless()).await.unwrap();
    assert_refused(engine.execute(brief()).await, ErrorCode::QueueFull);
    engine.finish().await;
}

#[tokio::test]
async fn the_queue_goes_by_priority_and_then_by_arrival() {
    let engine = Listened::with_slots(1);
    let dir = scratch();
    let order = dir.path().join("order");
    engine.start(waits_for(&dir.path().join("go")), ExecutionOptions::default()).await;
    let queued = [("a", 0), ("b", 5), ("c", -1), ("d", 0), ("e", 5), ("f", i32::MAX), ("g", i32::MIN), ("h", 0)];
    let mut ids = Vec::new();
    for (name, level) in queued {
        ids.push(engine.execute_with(appends(name, &order), priority(level)).await.unwrap());
    }
    std::fs::write(dir.path().join("go"), "").unwrap();
    for id in ids {
        assert_completed(&soon("the turn", engine.wait_for_completion(id)).await.unwrap());
    }
    assert_eq!(std::fs::read_to_string(order).unwrap(), "f\nb\ne\na\nd\nh\nc\ng\n");
    engine.finish().await;
}

#[tokio::test]
async fn only_a_waiting_execution_emits_queued() {
    let engine = Listened::with_slots(1);
    let dir = scratch();
    let first = engine.start(waits_for(&dir.path().join("go")), ExecutionOptions::default()).await;
    let second = engine.execute(exec("echo", &["a b"])).await.unwrap();
    std::fs::write(dir.path().join("go"), "").unwrap();
    let result = soon("the turn", engine.wait_for_completion(second)).await.unwrap();
    assert!(matches!(engine.recorder.of(first)[0], ExecutionEvent::Started { .. }));
    let events = engine.recorder.of(second);
    let [ExecutionEvent::Queued { command, .. }, ExecutionEvent::Started { pid, .. }, ..] = &events[..] else {
        panic!("{events:#?}");
    };
    assert_eq!((command.as_str(), Some(*pid)), ("echo 'a b'", result.pid));
    assert!(result.queued_ms > 0.0);
    engine.finish().await;
}
