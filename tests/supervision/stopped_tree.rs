//! A tree of stopped processes ends like any other.

use crate::common::*;
use crate::hosts::printed_pids;

/// Returns a leader, a child, and a daemon in a session of its own, all stopped.
async fn stopped(engine: &Listened, first: &str, grace_ms: u64) -> (Uuid, Vec<u32>) {
    let options = ExecutionOptions { kill_grace_ms: Some(grace_ms), ..Default::default() };
    let line = format!(
        "{first}; echo pid $$; sh -c 'echo pid $$; kill -STOP $$; exec sleep 999' & \
         setsid sh -c 'echo pid $$; kill -STOP $$; exec sleep 998' & \
         kill -STOP $$; wait"
    );
    let id = engine.execute_with(shell(line), options).await.unwrap();
    let pids = printed_pids(&engine.recorder, id, 3).await;
    wait_until("all are stopped", || pids.iter().all(|pid| state(*pid) == Some('T'))).await;
    (id, pids)
}

#[tokio::test]
async fn a_stopped_tree_goes_with_a_cancel() {
    let engine = Listened::new();
    let (id, pids) = stopped(&engine, ":", 100).await;
    soon("the cancel", engine.cancel(id)).await.unwrap();
    let result = engine.get_result(id).await.unwrap();
    assert_cancelled(&result);
    assert_eq!(result.signal.as_deref(), Some("SIGTERM"), "it was continued, so that it receives the signal");
    assert_gone(&pids);
    engine.finish().await;
}

#[tokio::test]
async fn a_stopped_tree_that_ignores_sigterm_is_killed() {
    let engine = Listened::new();
    let (id, pids) = stopped(&engine, "trap '' TERM", 100).await;
    soon("the cancel", engine.cancel(id)).await.unwrap();
    let result = engine.get_result(id).await.unwrap();
    assert_cancelled(&result);
    assert_eq!(result.signal.as_deref(), Some("SIGKILL"));
    assert_gone(&pids);
    engine.finish().await;
}
