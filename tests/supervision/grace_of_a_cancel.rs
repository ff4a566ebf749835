//! The grace period of a cancel shortens the time until a tree is killed, and never lengthens it.

use std::time::Instant;

use crate::common::*;
use crate::members::{LONG_GRACE_MS, grace};

fn stubborn() -> ExecutionRequest {
    endless_after("trap 'echo asked' TERM")
}

const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_millis(LONG_GRACE_MS);

async fn assert_killed(engine: &Listened, id: Uuid, reason: Reason) {
    let result = engine.get_result(id).await.unwrap();
    assert_eq!((result.signal.as_deref(), result.reason), (Some("SIGKILL"), Some(reason)), "{result:#?}");
}

#[tokio::test]
async fn a_later_and_shorter_one_takes_effect() {
    let engine = Listened::new();
    let id = engine.start(stubborn(), grace(LONG_GRACE_MS)).await;
    let both = async {
        tokio::join!(engine.cancel(id), async {
            engine.recorder.saw_line(id, "asked").await;
            engine.cancel_with(id, Some(SHORT)).await
        })
    };
    let (first, second) = soon("the cancels", both).await;
    first.and(second).unwrap();
    assert_killed(&engine, id, Reason::Cancelled).await;
    engine.finish().await;
}

#[tokio::test]
async fn a_longer_one_changes_nothing() {
    let engine = Listened::new();
    let id = engine.start(stubborn(), grace(200)).await;
    let begun = Instant::now();
    let all = async {
        tokio::join!(engine.cancel_with(id, Some(LONG)), engine.cancel(id), engine.cancel_all_with(Some(LONG)))
    };
    a_second_after(SHORT, "the cancels", all).await.0.unwrap();
    assert!(begun.elapsed() >= SHORT);
    assert_killed(&engine, id, Reason::Cancelled).await;
    engine.finish().await;
}

#[tokio::test]
async fn none_kills_at_once() {
    let engine = Listened::new();
    let id = engine.start(stubborn(), grace(LONG_GRACE_MS)).await;
    soon("the cancel", engine.cancel_with(id, Some(Duration::ZERO))).await.unwrap();
    assert_killed(&engine, id, Reason::Cancelled).await;
    let result = engine.get_result(id).await.unwrap();
    assert_eq!(result.stdout, "ready\n", "it got no stop signal");
    assert!(result.killed.as_ref().unwrap().mechanism.starts_with("SIGKILL"), "{result:#?}");
    engine.finish().await;
}

#[tokio::test]
async fn the_one_of_a_timeout_is_shortened() {
    let engine = Listened::new();
    let id = engine.start(stubborn(), grace(LONG_GRACE_MS)).await;
    engine.extend_timeout(id, Duration::from_millis(1)).await.unwrap();
    engine.recorder.saw_line(id, "asked").await;
    soon("the cancel", engine.cancel_with(id, Some(SHORT))).await.unwrap();
    assert_killed(&engine, id, Reason::Timeout).await;
    engine.finish().await;
}

#[tokio::test]
async fn the_one_of_a_shutdown_is_shortened() {
    let engine = Listened::new();
    let id = engine.start(stubborn(), grace(LONG_GRACE_MS)).await;
    let both = async {
        tokio::join!(engine.shutdown(Duration::ZERO), async {
            engine.recorder.saw_line(id, "asked").await;
            engine.cancel_all_with(Some(SHORT)).await
        })
    };
    assert_eq!(soon("the end", both).await.1, 1);
    assert_killed(&engine, id, Reason::Shutdown).await;
    engine.finish().await;
}

#[tokio::test]
async fn one_that_waits_never_starts() {
    let engine = Listened::with_slots(1);
    let first = engine.start(stubborn(), grace(0)).await;
    let id = engine.execute(endless()).await.unwrap();
    soon("the cancel", engine.cancel_with(id, Some(SHORT))).await.unwrap();
    assert_never_ran(&engine.get_result(id).await.unwrap());
    soon("the cancel", engine.cancel(first)).await.unwrap();
    engine.finish().await;
}

#[tokio::test]
async fn one_that_is_just_being_started_is_killed() {
    let engine = Listened::with(ExecutionConfig { kill_grace_ms: LONG_GRACE_MS, ..Default::default() });
    for _ in 0..repeats() {
        let id = engine.execute(endless_after("trap '' TERM")).await.unwrap();
        soon("the cancel", engine.cancel_with(id, Some(Duration::ZERO))).await.unwrap();
        assert_cancelled(&engine.get_result(id).await.unwrap());
    }
    engine.finish().await;
}
