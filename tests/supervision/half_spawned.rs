//! A system that has no room to watch a child does not keep it from running, and leaves no child, no zombie and no descriptor.

use crate::common::*;
use crate::hosts::{Injection, with_words};

#[test]
fn a_child_that_cannot_be_registered_for_its_exit_still_runs_and_is_reaped() {
    alone(|| with_failures(&["error=ENOSPC:when=1", "error=ENOSPC:when=3", "error=ENOSPC"], 1));
}

// The calls of a spawn have their turn to fail, one after the other. Each of these two is a process of its own, so they run side by side.

#[test]
fn every_fourth_registration_from_the_first_may_fail() {
    alone(|| with_failures(&["error=ENOSPC:when=1+4"], repeats() / 2));
}

#[test]
fn every_fifth_registration_from_the_second_may_fail() {
    alone(|| with_failures(&["error=ENOSPC:when=2+5"], repeats() / 2));
}

/// Runs a command so many times under each of the failures.
fn with_failures(failures: &[&str], times: u64) {
    block_on(async {
        let engine = Listened::new();
        for _ in 0..3 {
            assert_completed(&soon("the first", engine.run(shell("echo hi"))).await.unwrap());
        }
        let base = open_descriptors();
        let ours = format!("0.13{}", std::process::id());
        for what in failures {
            let Some(injection) = Injection::new("epoll_ctl", what) else {
                eprintln!("SKIPPED {what} of half_spawned: `strace` is missing, or may not trace here");
                break;
            };
            // The command runs long enough to be watched, and has more output than a pipe holds.
            let line = format!("sleep {ours}; echo out; echo err >&2; seq 20000; exit 3");
            for _ in 0..times {
                let result = soon("the end", engine.run(shell(&line))).await.unwrap();
                assert_exited(&result, 3);
                let lines = lines_of(&result.stdout);
                assert_eq!((lines.len(), &*lines[0], &*lines[20_000]), (20_001, "out", "20000"), "{what}");
                assert_eq!(result.stderr, "err\n", "{what}");
            }
            drop(injection);
            assert_eq!(with_words(&ours), [0_u32; 0], "{what}");
            assert_eq!(zombies(), [0_u32; 0], "{what}");
            assert_completed(&soon("the next", engine.run(shell("echo hi"))).await.unwrap());
            wait_until("the descriptors are back", || open_descriptors() <= base).await;
        }
        engine.finish().await;
    });
}
