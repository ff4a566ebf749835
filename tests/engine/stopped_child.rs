//! A stopped child receives the signal to end.
#![cfg(target_os = "linux")]

use crate::common::*;

async fn start_and_stop(engine: &Listened, first: &str, grace_ms: u64) -> Uuid {
    let options = ExecutionOptions { kill_grace_ms: Some(grace_ms), ..Default::default() };
    let id = engine.start(shell(format!("{first}; echo ready; kill -STOP $$; echo woken; sleep 1000")), options).await;
    let pid = engine.recorder.started(id).await;
    wait_until("the child is stopped", || state(pid) == Some('T')).await;
    id
}

#[tokio::test]
async fn a_stopped_child_is_woken_to_end() {
    let engine = Listened::new();
    // The grace is longer than the test may take: only SIGCONT lets the child receive the SIGTERM.
    let id = start_and_stop(&engine, ":", 600_000).await;
    soon("the cancel", engine.cancel(id)).await.unwrap();
    let result = engine.get_result(id).await.unwrap();
    assert_cancelled(&result);
    assert_eq!(result.signal.as_deref(), Some("SIGTERM"));
    engine.finish().await;
}

#[tokio::test]
async fn a_stopped_child_that_ignores_sigterm_is_killed() {
    let engine = Listened::new();
    let id = start_and_stop(&engine, "trap '' TERM", 100).await;
    soon("the cancel", engine.cancel(id)).await.unwrap();
    let result = engine.get_result(id).await.unwrap();
    assert_cancelled(&result);
    assert_eq!(result.signal.as_deref(), Some("SIGKILL"));
    engine.finish().await;
}
