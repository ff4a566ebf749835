//! No more commands run at once than there are slots.

use std::path::Path;

use crate::common::*;

/// Returns a command that notes its start and its end in a file; short appends do not mix.
fn noted(file: &Path) -> ExecutionRequest {
    let file = file.display();
    // The first ones stay until as many as may run together do.
    let together = format!("until [ $(grep -c + '{file}') -ge 3 ]; do sleep 0.01; done");
    shell(format!("echo + >> '{file}'; {together}; echo - >> '{file}'"))
}

/// Returns the most that ran at once, by what they noted.
fn most_at_once(file: &Path) -> i32 {
    let notes = std::fs::read_to_string(file).unwrap();
    let running = notes.lines().scan(0, |running, note| {
        *running += if note == "+" { 1 } else { -1 };
        Some(*running)
    });
    running.max().unwrap()
}

#[tokio::test]
async fn the_limit_is_reached_and_never_exceeded() {
    let engine = Listened::with_slots(3);
    let dir = scratch();
    let notes = dir.path().join("notes");
    let mut ids = Vec::new();
    for _ in 0..30 {
        ids.push(engine.execute(noted(&notes)).await.unwrap());
    }
    for id in ids {
        assert_completed(&soon("the end", engine.wait_for_completion(id)).await.unwrap());
        assert!(engine.running_count() <= 3);
    }
    assert_eq!(most_at_once(&notes), 3);
    wait_until("all slots are free", || engine.available_permits() == 3).await;
    engine.finish().await;
}

#[tokio::test]
async fn an_engine_reports_running_and_waiting_executions() {
    let engine = Listened::with_slots(3);
    for (running, waiting) in [(1, 0), (2, 0), (3, 0), (3, 1), (3, 2)] {
        engine.execute(endless()).await.unwrap();
        let busy = engine.get_concurrency_metrics();
        assert_eq!((busy.max_concurrent, busy.currently_running, busy.currently_pending), (3, running, waiting));
        assert_eq!((busy.available_slots, engine.available_permits()), (3 - running, 3 - running));
        assert_eq!((engine.running_count(), engine.total_count()), (running, running + waiting));
    }
    engine.finish().await;
}

/// A slot is free again whatever the end was.
#[tokio::test]
async fn no_slot_is_lost() {
    let engine = Listened::with_slots(2);
    for round in 0..25 {
        let timed = ExecutionRequest { timeout_ms: Some(5), ..endless() };
        let ids = [
            engine.execute(timed).await.unwrap(),
            engine.execute(exec::<&str>("/nope", &[])).await.unwrap(),
            engine.execute(shell("exit 1")).await.unwrap(),
            engine.execute(endless()).await.unwrap(),
            engine.execute(endless()).await.unwrap(),
        ];
        // One of them may run, the other may still wait.
        engine.cancel(ids[4]).await.unwrap();
        engine.cancel(ids[3]).await.unwrap();
        for id in ids {
            let _ = soon("the end", engine.wait_for_completion(id)).await;
        }
        assert_eq!(engine.available_permits(), 2, "in round {round}");
    }
    engine.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_waiting_executions_all_have_their_turn() {
    let engine = Listened::with_slots(8);
    let mut ids = Vec::new();
    for _ in 0..1_000 {
        ids.push(engine.execute(brief()).await.unwrap());
        assert!(engine.running_count() <= 8);
    }
    for id in ids {
        assert_completed(&soon("the turn", engine.wait_for_completion(id)).await.unwrap());
        assert!(engine.running_count() <= 8);
    }
    let stats = engine.get_stats().await;
    assert_eq!((stats.total, stats.completed), (1_000, 1_000));
    engine.finish().await;
}

#[tokio::test]
async fn the_queue_holds_ten_thousand_executions_and_refuses_the_next() {
    let engine = Listened::with(ExecutionConfig {
        max_concurrent_executions: 16,
        max_in_memory_executions: 20_000,
        ..Default::default()
    });
    let mut running = Vec::new();
    for _ in 0..16 {
        running.push(engine.execute(endless()).await.unwrap());
    }
    let mut waiting = Vec::new();
    for _ in 0..10_000 {
        waiting.push(engine.execute(brief()).await.unwrap());
    }
    assert_refused(engine.execute(brief()).await, ErrorCode::QueueFull);
    let busy = engine.get_concurrency_metrics();
    assert_eq!((busy.currently_running, busy.currently_pending, busy.available_slots), (16, 10_000, 0));
    // A slot that falls free is taken by the next, and by no more than that.
    for id in running {
        soon("the cancel", engine.cancel(id)).await.unwrap();
        assert!(engine.running_count() <= 16);
    }
    for id in &waiting[..100] {
        assert_completed(&soon("the turn", engine.wait_for_completion(*id)).await.unwrap());
        assert!(engine.running_count() <= 16);
    }
    soon("the cancel of the rest", engine.cancel_all()).await;
    for id in waiting {
        let result = engine.get_result(id).await.unwrap();
        assert!(result.success || (result.reason == Some(Reason::Cancelled)), "{result:#?}");
    }
    assert_eq!(engine.available_permits(), 16);
    engine.finish().await;
}

/// A hundred trees that write as fast as they are read, and ten may run.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_concurrency_limit_holds_under_a_hundred_floods() {
    let engine = Listened::with(ExecutionConfig {
        max_concurrent_executions: 10,
        max_output_size_bytes: 64 * 1024,
        stream_output: false,
        ..Default::default()
    });
    let flood = "yes 0123456789 & yes abcdefghij";
    let mut ids = Vec::new();
    for _ in 0..100 {
        let request = ExecutionRequest { timeout_ms: Some(150), ..shell(flood) };
        let options = ExecutionOptions { kill_grace_ms: Some(0), ..Default::default() };
        ids.push(engine.execute_with(request, options).await.unwrap());
    }
    for id in ids {
        let result = soon("the timeout", engine.wait_for_completion(id)).await.unwrap();
        assert_timed_out(&result, Reason::Timeout);
        assert!(result.stdout.len() <= 128 * 1024, "{} bytes are kept", result.stdout.len());
        let busy = engine.get_concurrency_metrics();
        assert!(busy.currently_running <= 10 && engine.running_count() <= 10, "{busy:?}");
    }
    wait_until("all slots are free", || engine.available_permits() == 10).await;
    engine.finish().await;
}
