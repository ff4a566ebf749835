//! A machine without room for one more process: executions wait for it, and say so when it does not come.

use std::fs::File;

use crate::common::*;
use crate::hosts::{Injection, Stranger, alone_under};

const FEW_DESCRIPTORS: &[&str] = &["/bin/sh", "-c", "ulimit -n 60; exec \"$@\"", "sh"];

/// Checks that fifty at once complete where fewer have room. Each runs until the engine has waited for room.
async fn all_complete() {
    let engine = Listened::with_slots(50);
    assert_completed(&soon("the first", engine.run(brief())).await.unwrap());
    let dir = scratch();
    let base = open_descriptors();
    // A FIFO, because reading it takes no further process. Its reads end when it is removed and closed.
    let fifo = dir.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let writer = File::options().read(true).write(true).open(&fifo).unwrap();
    let mut ids = Vec::new();
    for i in 0..50 {
        let line = format!("echo {i}; {{ read -r _ <'{}'; }} 2>/dev/null; exit 0", fifo.display());
        ids.push((i, engine.execute(shell(line)).await.unwrap()));
    }
    let has_waited = async {
        while engine.get_stats().await.backoffs == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon("the engine waits for room, which this test is about", has_waited).await;
    std::fs::remove_file(fifo).unwrap();
    drop(writer);
    for (i, id) in ids {
        let result = soon("its turn", engine.wait_for_completion(id)).await.unwrap();
        assert_completed(&result);
        assert_eq!(result.stdout, format!("{i}\n"));
    }
    println!("{} waits", engine.get_stats().await.backoffs);
    // Each command that starts makes one more slot usable.
    for _ in 0..50 {
        assert_completed(&soon("the next", engine.run(brief())).await.unwrap());
    }
    assert_eq!(engine.available_permits(), 50, "all slots are usable again");
    wait_until("the descriptors are back", || open_descriptors() <= base).await;
    assert_eq!(zombies(), [0_u32; 0]);
    engine.finish().await;
}

#[test]
fn fifty_commands_complete_with_descriptors_for_a_few() {
    alone_under(FEW_DESCRIPTORS, || block_on(all_complete()));
}

#[test]
fn fifty_commands_complete_with_processes_for_a_few() {
    let stranger = Stranger::new(3, 40, ":");
    alone_under(&stranger.words(), || block_on(all_complete()));
}

#[test]
fn a_short_lack_of_memory_is_waited_out() {
    alone(|| {
        block_on(async {
            let engine = Listened::with_slots(4);
            for _ in 0..3 {
                assert_completed(&soon("the first", engine.run(brief())).await.unwrap());
            }
            let Some(injection) = Injection::new("pipe2", "error=ENOMEM:when=1") else {
                eprintln!("SKIPPED a_short_lack_of_memory_is_waited_out: `strace` is missing, or may not trace here");
                engine.finish().await;
                return;
            };
            assert_completed(&soon("the end", engine.run(brief())).await.unwrap());
            drop(injection);
            assert!(engine.get_stats().await.backoffs > 0);
            engine.finish().await;
        });
    });
}

/// Takes every descriptor that this process may have.
fn take_all() -> Vec<File> {
    let mut taken = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        taken.push(file);
    }
    taken
}

#[test]
fn an_execution_that_never_gets_descriptors_ends_with_the_reason() {
    alone_under(FEW_DESCRIPTORS, || {
        block_on(async {
            let engine = Listened::with(ExecutionConfig {
                queue_timeout_ms: Some(300),
                max_concurrent_executions: 4,
                ..Default::default()
            });
            assert_completed(&soon("the first", engine.run(brief())).await.unwrap());
            let base = open_descriptors();
            let taken = take_all();
            let mut ids = Vec::new();
            for _ in 0..10 {
                ids.push(engine.execute(brief()).await.unwrap());
            }
            let mut failed = 0;
            for id in ids {
                match within(Duration::from_secs(5), "the end", engine.wait_for_completion(id)).await {
                    Ok(result) => assert_timed_out(&result, Reason::QueueTimeout),
                    Err(error) => {
                        failed += 1;
                        assert_not_spawned(Err(error), "EMFILE", &[]);
                    }
                }
            }
            println!("{failed} of 10 could not be spawned");
            assert_eq!(engine.running_count(), 0);
            drop(taken);
            assert_completed(&soon("the next", engine.run(brief())).await.unwrap());
            wait_until("the descriptors are back", || open_descriptors() <= base).await;
            engine.finish().await;
        });
    });
}

/// The time in the queue is over after the pause that follows the first attempt.
#[test]
fn a_queue_timeout_after_an_attempt_has_the_reason_of_the_attempt() {
    alone_under(FEW_DESCRIPTORS, || {
        block_on(async {
            let engine = Listened::with(ExecutionConfig { queue_timeout_ms: Some(1), ..Default::default() });
            assert_completed(&soon("the first", engine.run(brief())).await.unwrap());
            let taken = take_all();
            for _ in 0..20 {
                assert_not_spawned(soon("the end", engine.run(brief())).await, "EMFILE", &[]);
            }
            drop(taken);
            assert_completed(&soon("the next", engine.run(brief())).await.unwrap());
            engine.finish().await;
        });
    });
}

#[test]
fn an_execution_that_waits_for_descriptors_can_be_cancelled() {
    alone_under(FEW_DESCRIPTORS, || {
        block_on(async {
            let engine = Listened::with_slots(4);
            assert_completed(&soon("the first", engine.run(brief())).await.unwrap());
            let taken = take_all();
            let id = engine.execute(brief()).await.unwrap();
            let mut waits = 0;
            while waits == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
                waits = engine.get_stats().await.backoffs;
            }
            within(Duration::from_secs(5), "the cancel", engine.cancel(id)).await.unwrap();
            let result = engine.get_result(id).await.unwrap();
            assert_cancelled(&result);
            assert_never_ran(&result);
            drop(taken);
            assert_completed(&soon("the next", engine.run(brief())).await.unwrap());
            engine.finish().await;
        });
    });
}
