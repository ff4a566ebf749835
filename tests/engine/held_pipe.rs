//! A background process that holds an output pipe delays no execution.

use crate::common::*;

#[tokio::test]
async fn a_leftover_that_holds_the_pipe_does_not_hold_the_result() {
    let engine = Listened::new();
    let result = soon("the drain", engine.run(shell("echo hi; sleep 300 & echo pid $!; exit 7"))).await.unwrap();
    assert_exited(&result, 7);
    assert!(result.leaked);
    assert!(result.stdout.starts_with("hi\npid "), "every byte is kept: {:?}", result.stdout);
    assert!(result.duration_ms >= 500.0, "the pipe gets its 500 ms of silence: {}", result.duration_ms);
    let leftover = pids_in(&result.stdout)[0];
    assert!(is_alive(leftover), "a leftover is left: it may be a browser");
    end(leftover).await;
    engine.finish().await;
}

#[tokio::test]
async fn a_leftover_that_let_go_of_the_pipe_is_no_leak() {
    let engine = Listened::with(ExecutionConfig { drain_timeout_ms: 600_000, ..Default::default() });
    let result = soon("the end", engine.run(shell("sleep 300 >/dev/null 2>&1 & echo pid $!"))).await.unwrap();
    assert_completed(&result);
    assert!(!result.leaked);
    end(pids_in(&result.stdout)[0]).await;
    engine.finish().await;
}

#[tokio::test]
async fn what_a_leftover_writes_within_the_drain_is_kept() {
    let engine = Listened::with(ExecutionConfig { drain_timeout_ms: 20_000, ..Default::default() });
    let result = soon("the end", engine.run(shell("(sleep 0.2; echo late) & echo now"))).await.unwrap();
    assert_completed(&result);
    assert_eq!(result.stdout, "now\nlate\n");
    assert!(!result.leaked, "it has let go before the end of the drain");
    engine.finish().await;
}

/// However much it writes: two seconds are all it gets. What it writes in the last 1.9 s of them keeps the pipe from being silent.
#[tokio::test]
async fn a_leftover_that_keeps_writing_is_not_read_for_ever() {
    let engine = Listened::with(ExecutionConfig { drain_timeout_ms: 1_900, ..Default::default() });
    let line = "sh -c 'while echo x; do sleep 0.01; done' & echo pid $!; exit 0";
    let result = soon("the drain", engine.run(shell(line))).await.unwrap();
    assert_completed(&result);
    assert!(result.leaked);
    assert!(result.duration_ms >= 2_000.0, "{}", result.duration_ms);
    // The pipe is closed now, so its next write ends it; if that write had been reported, the recorder would have it.
    let leftover = pids_in(&result.stdout)[0];
    wait_until("the writer has met its closed pipe", || !is_alive(leftover)).await;
    engine.finish().await;
}

#[tokio::test]
async fn a_leftover_can_be_cancelled_while_its_pipe_is_drained() {
    let engine = Listened::with(ExecutionConfig { drain_timeout_ms: 600_000, ..Default::default() });
    let id = engine.start(shell("sleep 300 & echo pid $!; echo ready"), ExecutionOptions::default()).await;
    soon("the cancel", engine.cancel(id)).await.unwrap();
    let result = engine.get_result(id).await.unwrap();
    assert_gone(&pids_in(&result.stdout));
    engine.finish().await;
}
