//! A process that leaves the group and the session of its command is ended with it.

use crate::common::*;
use crate::hosts::{printed_pids, session_of};

/// Checks a line that prints the pid of its one escaped process: a cancel ends that process, and the result reports it.
async fn is_ended_although_it_escapes(line: &str, grace_ms: u64) {
    let engine = Listened::new();
    let options = ExecutionOptions { kill_grace_ms: Some(grace_ms), ..Default::default() };
    let id = engine.execute_with(shell(line), options).await.unwrap();
    let leader = engine.recorder.started(id).await;
    let escaped = printed_pids(&engine.recorder, id, 1).await[0];
    assert_ne!(session_of(escaped), i32::try_from(leader).unwrap(), "it has left the session");
    soon("the cancel", engine.cancel(id)).await.unwrap();
    let result = engine.get_result(id).await.unwrap();
    assert_cancelled(&result);
    assert_gone(&[leader, escaped]);
    let killed = result.killed.as_ref().expect("something was ended");
    for pid in [leader, escaped] {
        assert!(killed.pids.contains(&pid), "{pid} is not reported: {killed:?}");
    }
    assert!(killed.mechanism.contains("escaped"), "the mechanism does not say it: {killed:?}");
    engine.finish().await;
}

#[tokio::test]
async fn a_process_in_a_session_of_its_own_is_ended() {
    is_ended_although_it_escapes("setsid sh -c 'echo pid $$; exec sleep 999' & wait", 100).await;
}

#[tokio::test]
async fn a_daemon_that_has_forked_twice_is_ended() {
    is_ended_although_it_escapes(
        "(setsid sh -c 'setsid sh -c \"echo pid \\$\\$; exec sleep 999\" & :' &); exec sleep 998",
        100,
    )
    .await;
}

#[tokio::test]
async fn a_daemon_that_ignores_sigterm_and_closed_its_output_is_ended() {
    let line = "(setsid sh -c 'trap \"\" TERM HUP; echo pid $$; exec >/dev/null 2>&1 </dev/null; cd /; while :; do sleep 0.1; done' &); exec sleep 998";
    is_ended_although_it_escapes(line, 100).await;
}

#[tokio::test]
async fn a_daemon_is_ended_without_a_grace_period_too() {
    is_ended_although_it_escapes("(setsid sh -c 'echo pid $$; exec sleep 999' &); exec sleep 998", 0).await;
}

#[tokio::test]
async fn a_process_with_a_scrubbed_environment_is_found_by_its_parent() {
    is_ended_although_it_escapes("env -i setsid sh -c 'echo pid $$; exec /bin/sleep 999' & wait", 100).await;
}

#[tokio::test]
async fn a_timeout_ends_a_daemon_too() {
    let engine = Listened::new();
    let options = ExecutionOptions { kill_grace_ms: Some(50), ..Default::default() };
    let line = "(setsid sh -c 'echo pid $$; exec sleep 999' &); exec sleep 998";
    let id = engine.execute_with(shell(line), options).await.unwrap();
    let daemon = printed_pids(&engine.recorder, id, 1).await;
    engine.extend_timeout(id, Duration::from_millis(1)).await.unwrap();
    let result = soon("the timeout", engine.wait_for_completion(id)).await.unwrap();
    assert_timed_out(&result, Reason::Timeout);
    assert_gone(&daemon);
    assert!(result.killed.as_ref().unwrap().mechanism.contains("escaped"), "{:?}", result.killed);
    engine.finish().await;
}

/// Two trees at once: the tag of one does not name the other.
#[tokio::test]
async fn the_daemon_of_another_execution_keeps_running() {
    let engine = Listened::new();
    let line = "(setsid sh -c 'echo pid $$; exec sleep 999' &); exec sleep 998";
    let options = || ExecutionOptions { kill_grace_ms: Some(50), ..Default::default() };
    let ids = [
        engine.execute_with(shell(line), options()).await.unwrap(),
        engine.execute_with(shell(line), options()).await.unwrap(),
    ];
    let first = printed_pids(&engine.recorder, ids[0], 1).await;
    let second = printed_pids(&engine.recorder, ids[1], 1).await;
    soon("the cancel", engine.cancel(ids[0])).await.unwrap();
    assert_gone(&first);
    assert!(is_alive(second[0]), "it belongs to another execution");
    soon("the cancel", engine.cancel(ids[1])).await.unwrap();
    assert_gone(&second);
    engine.finish().await;
}
