//! Timeouts of requests and of the engine, and idle timeouts.

use crate::common::*;

fn timed(ms: u64) -> ExecutionRequest {
    ExecutionRequest { timeout_ms: Some(ms), ..endless() }
}

#[tokio::test]
async fn each_of_many_ends_at_its_own_time() {
    let engine = Listened::with_slots(40);
    let mut ids = Vec::new();
    for i in 0..40_u32 {
        let ms = 50 + 20 * i;
        ids.push((f64::from(ms), engine.execute(timed(ms.into())).await.unwrap()));
    }
    for (ms, id) in ids {
        let result = soon("the timeout", engine.wait_for_completion(id)).await.unwrap();
        assert_timed_out(&result, Reason::Timeout);
        // The limit counts from the attempt to spawn, the duration from the spawn.
        let took = result.queued_ms + result.duration_ms;
        assert!(took >= ms, "{took} of {ms} ms");
        assert_gone(&[result.pid.unwrap()]);
    }
    engine.finish().await;
}

#[tokio::test]
async fn the_timeout_of_the_engine_holds_where_none_is_given() {
    let engine = Listened::with(ExecutionConfig { default_timeout_ms: 100, ..Default::default() });
    assert_timed_out(&soon("the timeout", engine.run(endless())).await.unwrap(), Reason::Timeout);
    engine.finish().await;
}

#[tokio::test]
async fn a_command_that_ends_in_time_has_not_timed_out() {
    let engine = Listened::new();
    let request = ExecutionRequest { timeout_ms: Some(60_000), ..shell("sleep 0.1; echo done") };
    let result = engine.run(request).await.unwrap();
    assert_completed(&result);
    assert_eq!(result.stdout, "done\n");
    engine.finish().await;
}

#[tokio::test]
async fn output_before_a_timeout_is_kept() {
    let engine = Listened::new();
    let request = ExecutionRequest { timeout_ms: Some(1_500), ..shell("echo whole; printf half; exec sleep 999") };
    let result = soon("the timeout", engine.run(request)).await.unwrap();
    assert_timed_out(&result, Reason::Timeout);
    assert_eq!(result.stdout, "whole\nhalf");
    engine.finish().await;
}

#[tokio::test]
async fn a_command_that_is_silent_for_too_long_is_ended() {
    let engine = Listened::new();
    let options = ExecutionOptions { idle_timeout_ms: Some(1_500), ..Default::default() };
    let line = "for i in 1 2 3 4 5 6; do echo $i >&2; sleep 0.2; done; exec sleep 999";
    let result = soon("the idle timeout", engine.run_with(shell(line), options)).await.unwrap();
    assert_timed_out(&result, Reason::IdleTimeout);
    assert_eq!(result.stderr, "1\n2\n3\n4\n5\n6\n", "while it talks it is left alone");
    assert!(result.duration_ms >= 2_000.0, "{}", result.duration_ms);
    engine.finish().await;
}

#[tokio::test]
async fn the_idle_timeout_of_the_engine_holds_where_none_is_given() {
    let engine = Listened::with(ExecutionConfig { idle_timeout_ms: Some(100), ..Default::default() });
    assert_timed_out(&soon("the idle timeout", engine.run(endless())).await.unwrap(), Reason::IdleTimeout);
    engine.finish().await;
}

#[tokio::test]
async fn of_two_timeouts_the_first_counts() {
    let engine = Listened::new();
    let options = ExecutionOptions { idle_timeout_ms: Some(60_000), ..Default::default() };
    assert_timed_out(&soon("the timeout", engine.run_with(timed(100), options)).await.unwrap(), Reason::Timeout);
    engine.finish().await;
}
