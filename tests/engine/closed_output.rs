//! A child without output is still a child.

use crate::common::*;

#[tokio::test]
async fn a_child_that_closes_its_output_early_is_waited_for() {
    let engine = Listened::new();
    let result = soon("the exit", engine.run(shell("echo bye; exec 1>&- 2>&-; sleep 0.7; exit 7"))).await.unwrap();
    assert_exited(&result, 7);
    assert_eq!(result.stdout, "bye\n");
    assert!(result.duration_ms >= 700.0 && !result.leaked, "{result:#?}");
    engine.finish().await;
}

#[tokio::test]
async fn a_child_that_closes_its_output_early_can_be_ended() {
    let engine = Listened::new();
    let line = "echo pid $$; echo ready; exec 1>&- 2>&-; exec sleep 999";
    let id = engine.start(shell(line), ExecutionOptions::default()).await;
    soon("the cancel", engine.cancel(id)).await.unwrap();
    let result = engine.get_result(id).await.unwrap();
    assert_cancelled(&result);
    assert_gone(&pids_in(&result.stdout));
    let request = ExecutionRequest { timeout_ms: Some(200), ..shell("exec 1>&- 2>&-; sleep 999") };
    assert_timed_out(&soon("the timeout", engine.run(request)).await.unwrap(), Reason::Timeout);
    engine.finish().await;
}
