//! A spawn that fails half-way leaves no child, no zombie and no descriptor.

use crate::common::*;
use crate::hosts::{Injection, with_words};

#[test]
fn f13_a_pipe_or_a_process_that_cannot_be_watched_leaves_nothing() {
    alone(|| {
        block_on(async {
            let engine = Listened::new();
            for _ in 0..3 {
                assert_completed(&soon("the first", engine.run(shell("echo hi"))).await.unwrap());
            }
            let base = open_descriptors();
            let ours = format!("0.13{}", std::process::id());
            let ever = ["error=ENOSPC:when=1", "error=ENOSPC:when=3", "error=ENOSPC"].map(|what| (what, 1));
            // Each call of a spawn has its turn to fail.
            let in_turns = ["error=ENOSPC:when=1+4", "error=ENOSPC:when=2+5"].map(|what| (what, repeats() / 2));
            for (what, times) in ever.into_iter().chain(in_turns) {
                let Some(injection) = Injection::new("epoll_ctl", what) else {
                    eprintln!("SKIPPED f13: `strace` is missing, or may not trace here");
                    break;
                };
                let mut failed = 0;
                for _ in 0..times {
                    match soon("the end", engine.run(exec("/bin/sleep", &[&ours]))).await {
                        Ok(result) => assert_completed(&result),
                        Err(error) => {
                            failed += 1;
                            assert_eq!(error.code(), ErrorCode::SpawnFailed, "{what}: {error}");
                            let info = error.result().unwrap().error.clone().unwrap();
                            assert_eq!(info.errno.as_deref(), Some("ENOSPC"), "{what}: {error}");
                        }
                    }
                }
                drop(injection);
                println!("{what}: {failed} of {times} were not spawned");
                assert_eq!(with_words(&ours), [0_u32; 0], "{what}");
                assert_eq!(zombies(), [0_u32; 0], "{what}");
                assert_completed(&soon("the next", engine.run(shell("echo hi"))).await.unwrap());
                wait_until("the descriptors are back", || open_descriptors() <= base).await;
            }
            engine.finish().await;
        });
    });
}
