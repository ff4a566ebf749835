//! A cancel that comes while the process is being made.

use crate::common::*;
use crate::hosts::{alone_under, can, with_words};

/// Every birth of a process or thread takes 200 ms more.
const SLOW_BIRTH: &[&str] = &[
    "strace",
    "-f",
    "-qq",
    "-o",
    "/dev/null",
    "-e",
    "trace=clone3,clone,vfork",
    "-e",
    "inject=clone3,clone,vfork:delay_enter=200000",
];

#[test]
fn f11_who_is_cancelled_while_it_is_spawned_dies_at_birth() {
    let body = || {
        block_on(async {
            let engine = Listened::new();
            // The guardian and the threads are there.
            assert_completed(&soon("the first", engine.run(brief())).await.unwrap());
            for wait_ms in [0, 100, 250] {
                let id = engine.execute(exec("/bin/sleep", &["1000.11"])).await.unwrap();
                tokio::time::sleep(Duration::from_millis(wait_ms)).await;
                within(Duration::from_secs(5), "the cancel", engine.cancel(id)).await.unwrap();
                let result = engine.get_result(id).await.unwrap();
                assert_cancelled(&result);
                if let Some(pid) = result.pid {
                    assert_gone(&[pid]);
                }
                assert_eq!(with_words("sleep 1000.11"), [0_u32; 0], "cancelled after {wait_ms} ms");
            }
            assert_eq!(zombies(), [0_u32; 0]);
            engine.finish().await;
        });
    };
    if can(&body, SLOW_BIRTH) {
        alone_under(SLOW_BIRTH, body);
    }
}
