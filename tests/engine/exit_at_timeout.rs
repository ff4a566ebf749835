//! A timeout is a timeout, whatever the child makes of its SIGTERM.

use crate::common::*;

#[tokio::test]
async fn a_child_that_exits_with_0_at_its_timeout_has_timed_out() {
    let engine = Listened::new();
    let request = ExecutionRequest { timeout_ms: Some(2_000), ..endless_after("trap 'exit 0' TERM") };
    let result = soon("the timeout", engine.run(request)).await.unwrap();
    assert_timed_out(&result, Reason::Timeout);
    assert_eq!(result.exit_code, Some(0), "the exit code is still reported");
    // The limit counts from the attempt to spawn, the duration from the spawn.
    let took = result.queued_ms + result.duration_ms;
    assert!(took >= 2_000.0, "{took}");
    engine.finish().await;
}
