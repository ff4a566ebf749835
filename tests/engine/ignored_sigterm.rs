//! A child that ignores the stop signal is killed, and not before its grace period is over.

use std::time::Instant;

use crate::common::*;

fn grace(ms: u64) -> ExecutionOptions {
    ExecutionOptions { kill_grace_ms: Some(ms), ..Default::default() }
}

#[tokio::test]
async fn a_child_that_ignores_sigterm_is_killed_when_its_grace_is_over() {
    let engine = Listened::new();
    let id = engine.start(endless_after("trap '' TERM"), grace(150)).await;
    let asked = Instant::now();
    a_second_after(Duration::from_millis(150), "the cancel", engine.cancel(id)).await.unwrap();
    assert!(asked.elapsed() >= Duration::from_millis(150), "killed within its grace");
    let result = engine.get_result(id).await.unwrap();
    assert_cancelled(&result);
    assert_eq!((result.exit_code, result.signal.as_deref()), (None, Some("SIGKILL")));
    let killed = result.killed.as_ref().expect("the engine ended it");
    assert!(killed.mechanism.contains("SIGKILL"), "{killed:?}");
    if cfg!(target_os = "linux") {
        assert!(killed.pids.contains(&result.pid.unwrap()), "{killed:?}");
    }
    engine.finish().await;
}

#[tokio::test]
async fn a_child_that_ends_within_its_grace_ends_in_its_own_way() {
    let engine = Listened::new();
    let id = engine.start(endless_after("trap 'echo bye; exit 3' TERM"), grace(600_000)).await;
    soon("the cancel", engine.cancel(id)).await.unwrap();
    let result = engine.get_result(id).await.unwrap();
    assert_cancelled(&result);
    assert_eq!(result.exit_code, Some(3));
    assert_eq!(result.stdout, "ready\nbye\n", "what it says on its way out is kept");
    assert!(!result.killed.as_ref().unwrap().mechanism.contains("SIGKILL"));
    engine.finish().await;
}

#[tokio::test]
async fn without_a_grace_period_no_stop_signal_is_sent() {
    let engine = Listened::new();
    let id = engine.start(endless_after("trap 'exit 0' TERM"), grace(0)).await;
    soon("the cancel", engine.cancel(id)).await.unwrap();
    let result = engine.get_result(id).await.unwrap();
    assert_cancelled(&result);
    assert_eq!(result.signal.as_deref(), Some("SIGKILL"));
    engine.finish().await;
}

#[tokio::test]
async fn the_grace_of_the_engine_holds_where_none_is_given() {
    let engine = Listened::with(ExecutionConfig { kill_grace_ms: 50, ..Default::default() });
    let id = engine.start(endless_after("trap '' TERM"), ExecutionOptions::default()).await;
    soon("the cancel", engine.cancel(id)).await.unwrap();
    assert_eq!(engine.get_result(id).await.unwrap().signal.as_deref(), Some("SIGKILL"));
    engine.finish().await;
}
