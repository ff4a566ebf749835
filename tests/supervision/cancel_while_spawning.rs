//! A cancel that comes while the process is being made.

use crate::common::*;
use crate::hosts::{alone_under, with_words};

/// The flags by which every creation of a process or thread takes 100 ms more.
const SLOW_CREATION: &[&str] = &[
    "strace",
    "-f",
    "-qq",
    "-o",
    "/dev/null",
    "-e",
    "trace=clone3,clone,vfork",
    "-e",
    "inject=clone3,clone,vfork:delay_enter=100000",
];

/// The number of executions at once: as many as there are threads to spawn on.
const AT_ONCE: u64 = 16;

#[test]
fn a_cancel_during_the_spawn_kills_the_child_before_it_runs() {
    alone_under(SLOW_CREATION, || {
        block_on(async {
            let engine = Listened::new();
            // The guardian and the threads are there.
            assert_completed(&soon("the first", engine.run(brief())).await.unwrap());
            let ours = format!("1000.{}", std::process::id());
            for batch in 0..repeats().div_ceil(AT_ONCE) {
                let attempts: Vec<_> = (0..AT_ONCE)
                    .map(|one| {
                        let engine = ExecutionEngine::clone(&engine);
                        let wait = Duration::from_millis((batch * 61 + one * 37) % 200);
                        tokio::spawn(cancel_after(engine, exec("/bin/sleep", &[&ours]), wait))
                    })
                    .collect();
                for attempt in attempts {
                    soon("the attempt", attempt).await.unwrap();
                }
                assert_eq!(with_words(&ours), [0_u32; 0], "batch {batch}");
            }
            assert_eq!(zombies(), [0_u32; 0]);
            engine.finish().await;
        });
    });
}

async fn cancel_after(engine: ExecutionEngine, request: ExecutionRequest, wait: Duration) {
    let id = engine.execute(request).await.unwrap();
    tokio::time::sleep(wait).await;
    soon("the cancel", engine.cancel(id)).await.unwrap();
    let result = engine.get_result(id).await.unwrap();
    assert_cancelled(&result);
    if let Some(pid) = result.pid {
        assert_gone(&[pid]);
    }
}
