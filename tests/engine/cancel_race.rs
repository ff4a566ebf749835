//! A cancel that meets a spawn or an exit half-way.

use std::thread;

use crate::common::*;

const THREADS: u64 = 8;

/// Runs `attempt` on several threads at once, each time with another delay from 0 to 3 ms.
fn race(rounds: u64, attempt: impl Fn(Duration) + Sync) {
    thread::scope(|scope| {
        for lane in 0..THREADS {
            let attempt = &attempt;
            scope.spawn(move || {
                for round in 0..rounds {
                    attempt(Duration::from_micros((lane * 41 + round * 97) % 3_000));
                }
            });
        }
    });
}

#[test]
fn a_cancel_that_races_the_exit_leaves_one_end() {
    let engine = Listened::with(ExecutionConfig {
        max_concurrent_executions: 16,
        max_in_memory_executions: 100_000,
        ..Default::default()
    });
    // 2 000 in CI's run, 10 000 in the stress.
    let rounds = repeats() * 10 / THREADS;
    race(rounds, |delay| {
        block_on(async {
            let id = engine.execute(brief()).await.unwrap();
            thread::sleep(delay);
            soon("the first cancel", engine.cancel(id)).await.unwrap();
            let status = engine.get_status(id).await.unwrap();
            assert!(matches!(status, ExecutionStatus::Completed | ExecutionStatus::Cancelled), "{status}");
            soon("the second cancel", engine.cancel(id)).await.unwrap();
            assert_eq!(engine.get_status(id).await.unwrap(), status, "the end has changed");
        });
    });
    let stats = block_on(engine.get_stats());
    assert_eq!(stats.total, rounds * THREADS);
    assert_eq!(stats.completed + stats.cancelled, stats.total, "{stats:?}");
    assert_eq!(engine.running_count(), 0);
    // The recorder checks that each has exactly one terminal event.
    block_on(engine.finish());
}

#[test]
fn a_cancel_that_races_the_spawn_leaves_no_process() {
    let engine = Listened::with_slots(8);
    race(repeats().div_ceil(THREADS), |delay| {
        block_on(async {
            let id = engine.execute(endless()).await.unwrap();
            thread::sleep(delay);
            soon("the cancel", engine.cancel(id)).await.unwrap();
            let result = engine.get_result(id).await.unwrap();
            assert_cancelled(&result);
            if let Some(pid) = result.pid {
                assert_gone(&[pid]);
            }
        });
    });
    block_on(engine.finish());
}
