//! The wall clock jumps by two days whenever it is read: no time of an execution follows it.

use std::time::SystemTime;

use execution_engine::types::ExecutionFilter;

use crate::common::*;
use crate::hosts::{alone_under, preload};

#[test]
fn no_deadline_or_duration_follows_the_wall_clock() {
    let dir = scratch();
    // The inner process has it loaded already.
    let library = if is_alone() { Some(dir.path().join("loaded")) } else { preload("jumping_clock", dir.path()) };
    let Some(library) = library else {
        eprintln!("SKIPPED no_deadline_or_duration_follows_the_wall_clock: there is no C compiler");
        return;
    };
    let loaded = format!("LD_PRELOAD={}", library.display());
    let wrapper = ["env", &loaded];
    alone_under(&wrapper, || block_on(under_a_jumping_clock()));
}

#[track_caller]
fn assert_between(ms: f64, least: f64, most: f64) {
    assert!(ms >= least && ms < most, "{ms} is not from {least} to {most}");
}

async fn under_a_jumping_clock() {
    let [one, two] = [SystemTime::now(), SystemTime::now()];
    let jump = two.duration_since(one).unwrap_or_else(|back| back.duration());
    assert!(jump > Duration::from_secs(86_400), "the clock stands still: this test is none");

    let engine = Listened::with(ExecutionConfig {
        max_concurrent_executions: 4,
        execution_retention_secs: 3_600,
        queue_timeout_ms: Some(5_000),
        ..Default::default()
    });
    // The bound is far above what a busy machine adds, and far below a day.
    let late = 20_000.0;
    let mut ran = Vec::new();
    for _ in 0..10 {
        let result = soon("the end", engine.run(shell("sleep 0.05; echo done"))).await.unwrap();
        assert_completed(&result);
        assert_between(result.duration_ms, 50.0, late);
        assert_between(result.queued_ms, 0.0, late);
        ran.push(result.id);

        let request = ExecutionRequest { timeout_ms: Some(150), ..endless() };
        let result = soon("the timeout", engine.run(request)).await.unwrap();
        assert_timed_out(&result, Reason::Timeout);
        // The limit counts from the attempt to spawn, the duration from the spawn.
        assert_between(result.queued_ms + result.duration_ms, 150.0, late);
        assert_between(result.diagnosis.as_ref().unwrap().silent_ms, 0.0, late);
        ran.push(result.id);

        let options = ExecutionOptions { idle_timeout_ms: Some(100), ..Default::default() };
        let result = soon("the idle timeout", engine.run_with(endless(), options)).await.unwrap();
        assert_timed_out(&result, Reason::IdleTimeout);
        assert_between(result.queued_ms + result.duration_ms, 100.0, late);
        ran.push(result.id);
    }
    let ids: Vec<_> = engine.list_executions(&ExecutionFilter::default()).await.iter().map(|row| row.id).collect();
    assert_eq!(ids.len(), 30, "none of them is an hour old");
    assert!(ids.iter().rev().eq(&ran), "the newest comes first");
    engine.finish().await;

    let engine = Listened::with(ExecutionConfig {
        max_concurrent_executions: 1,
        queue_timeout_ms: Some(200),
        ..Default::default()
    });
    let running = engine.start(endless_after(":"), ExecutionOptions::default()).await;
    let result = soon("the queue timeout", engine.run(brief())).await.unwrap();
    assert_timed_out(&result, Reason::QueueTimeout);
    assert_between(result.queued_ms, 200.0, late);
    soon("the cancel", engine.cancel(running)).await.unwrap();
    engine.finish().await;
}
