//! A timeout is a timeout, whatever the child makes of its SIGTERM.

use crate::common::*;

#[tokio::test]
async fn a_child_that_exits_with_0_at_its_timeout_has_timed_out() {
    let engine = Listened::new();
    let request = ExecutionRequest { timeout_ms: Some(2_000), ..endless_after("trap 'exit 0' TERM") };
    let result = soon("the timeout", engine.run(request)).await.unwrap();
    assert_timed_out(&result, Reason::Timeout);
    assert_eq!(result.exit_code, Some(0), "the exit code is still reported");
    assert!(result.duration_ms >= 2_000.0, "{}", result.duration_ms);
    engine.finish().await;
}
