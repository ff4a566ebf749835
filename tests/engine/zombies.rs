//! Every child is reaped, also one that never became its program.
#![cfg(target_os = "linux")]

use crate::common::*;

#[test]
fn nothing_is_left_to_be_reaped() {
    alone(|| {
        block_on(async {
            let engine = Listened::with_slots(8);
            let dir = scratch();
            let text = executable(&dir.path().join("text"), "no program");
            for round in 0..10 {
                let ids = [
                    engine.execute(brief()).await.unwrap(),
                    engine.execute(shell("sleep 0.01 & exit 3")).await.unwrap(),
                    engine.execute(exec::<&str>("/nope", &[])).await.unwrap(),
                    engine.execute(program(&text)).await.unwrap(),
                    engine.execute(program(dir.path())).await.unwrap(),
                    engine.execute(exec("/bin/echo", &["x".repeat(200_000)])).await.unwrap(),
                    engine.execute(ExecutionRequest { timeout_ms: Some(20), ..endless() }).await.unwrap(),
                    engine.execute(endless()).await.unwrap(),
                ];
                engine.cancel(ids[7]).await.unwrap();
                for id in ids {
                    // Some of them could not start; it is sufficient that they ended.
                    let _ = soon("the end", engine.wait_for_completion(id)).await;
                }
                assert_eq!(zombies(), [0_u32; 0], "in round {round}");
            }
            engine.finish().await;
        });
    });
}
