//! The end of an execution is the end of its tree.

use execution_engine::types::Stream;

use crate::common::*;

/// Returns a shell, three children and a grandchild, each of which prints its pid; `first` is done by all of them.
fn family(first: &str) -> ExecutionRequest {
    shell(format!(
        "{first}; echo pid $$; sleep 999 & echo pid $!; sleep 998 & echo pid $!; \
         (sleep 997 & echo pid $!; wait) & echo pid $!; wait"
    ))
}

/// Starts a tree and waits until so many of its processes have printed their pids.
async fn start_tree(engine: &Listened, request: ExecutionRequest, members: usize, options: ExecutionOptions) -> Uuid {
    let id = engine.execute_with(request, options).await.unwrap();
    let reported = || pids_in(&engine.recorder.lines(id, Stream::Stdout).join("\n")).len();
    wait_until("the tree is there", || reported() == members).await;
    id
}

fn grace(ms: u64) -> ExecutionOptions {
    ExecutionOptions { kill_grace_ms: Some(ms), ..Default::default() }
}

fn assert_all_five_gone(result: &ExecutionResult) {
    let pids = pids_in(&result.stdout);
    assert_eq!(pids.len(), 5, "{result:#?}");
    assert_gone(&pids);
}

#[tokio::test]
async fn no_grandchild_survives_a_cancel() {
    let engine = Listened::new();
    let id = start_tree(&engine, family(":"), 5, grace(600_000)).await;
    // All of them exit on the stop signal.
    a_second_after(Duration::ZERO, "the cancel", engine.cancel(id)).await.unwrap();
    let result = engine.get_result(id).await.unwrap();
    assert_cancelled(&result);
    assert_all_five_gone(&result);
    engine.finish().await;
}

#[tokio::test]
async fn no_grandchild_survives_a_timeout() {
    let engine = Listened::new();
    let request = ExecutionRequest { timeout_ms: Some(2_000), ..family(":") };
    let result = soon("the timeout", engine.run(request)).await.unwrap();
    assert_timed_out(&result, Reason::Timeout);
    let took = Duration::from_secs_f64(result.duration_ms / 1_000.0);
    assert_a_second_after(Duration::from_secs(2), "the timeout", took);
    assert_all_five_gone(&result);
    engine.finish().await;
}

#[tokio::test]
async fn grandchildren_that_ignore_sigterm_are_killed() {
    let engine = Listened::new();
    let id = start_tree(&engine, family("trap '' TERM"), 5, grace(100)).await;
    a_second_after(Duration::from_millis(100), "the cancel", engine.cancel(id)).await.unwrap();
    let result = engine.get_result(id).await.unwrap();
    assert_cancelled(&result);
    assert_all_five_gone(&result);
    if cfg!(target_os = "linux") {
        assert!(result.killed.as_ref().unwrap().pids.len() >= 5, "{:?}", result.killed);
    }
    engine.finish().await;
}

#[tokio::test]
async fn a_grandchild_that_outlives_its_parent_is_killed() {
    let engine = Listened::new();
    let line = "sh -c 'trap \"\" TERM; echo pid $$; exec sleep 999' & wait";
    let id = start_tree(&engine, shell(line), 1, grace(100)).await;
    a_second_after(Duration::from_millis(100), "the cancel", engine.cancel(id)).await.unwrap();
    let result = engine.get_result(id).await.unwrap();
    assert_cancelled(&result);
    assert_eq!(result.signal.as_deref(), Some("SIGTERM"), "the parent went when it was asked");
    assert_gone(&pids_in(&result.stdout));
    engine.finish().await;
}

/// SIGTERM to the group does not reach it; SIGKILL to the session does.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_grandchild_in_a_group_of_its_own_is_killed() {
    let engine = Listened::new();
    let line = "perl -e 'setpgrp(0, 0); $| = 1; print qq(pid $$\\n); sleep 999' & wait";
    let id = start_tree(&engine, shell(line), 1, grace(100)).await;
    a_second_after(Duration::from_millis(100), "the cancel", engine.cancel(id)).await.unwrap();
    let result = engine.get_result(id).await.unwrap();
    assert_cancelled(&result);
    assert_gone(&pids_in(&result.stdout));
    engine.finish().await;
}
