//! A host that blocks its own threads delays nothing.

use crate::common::*;

/// The host's only thread does not yield: the child is nevertheless ended on time.
#[tokio::test]
async fn a_blocked_host_delays_no_timeout() {
    let engine = Listened::new();
    let request = ExecutionRequest { timeout_ms: Some(100), ..endless() };
    let id = engine.execute(request).await.unwrap();
    block_until("the child is spawned", || engine.recorder.of(id).len() == 1);
    block_until("the terminal event", || engine.recorder.of(id).len() == 3);
    let result = engine.get_result(id).await.unwrap();
    assert_timed_out(&result, Reason::Timeout);
    assert_gone(&[result.pid.unwrap()]);
    engine.finish().await;
}

/// Executions that were started on a runtime continue after that runtime is gone.
#[test]
fn an_execution_outlives_the_runtime_that_started_it() {
    let engine = Listened::new();
    let id = block_on(engine.execute(shell("sleep 0.2; echo done"))).unwrap();
    let result = block_on(engine.wait_for_completion(id)).unwrap();
    assert_completed(&result);
    assert_eq!(result.stdout, "done\n");
    block_on(engine.finish());
}

#[tokio::test]
async fn a_dropped_wait_does_not_stop_the_execution() {
    let engine = Listened::new();
    let dir = scratch();
    let id = engine.execute(waits_for(&dir.path().join("go"))).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(50), engine.wait_for_completion(id)).await.is_err());
    engine.recorder.saw_line(id, "ready").await;
    std::fs::write(dir.path().join("go"), "").unwrap();
    assert_completed(&soon("the end", engine.wait_for_completion(id)).await.unwrap());
    engine.finish().await;
}
