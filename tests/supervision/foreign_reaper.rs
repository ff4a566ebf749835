//! Other code in the host reaps every child of the process: exits are still seen.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::common::*;

#[test]
fn a_host_that_reaps_everything_gets_ends_without_a_status() {
    alone(|| {
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    // SAFETY: a null status is allowed. Without children it fails at once, and is asked again.
                    if unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) } < 0 {
                        thread::sleep(Duration::from_micros(200));
                    }
                }
            });
            // The thread ends although this one panics.
            let ended = std::panic::catch_unwind(|| block_on(under_a_reaper()));
            stop.store(true, Ordering::Relaxed);
            // The guardian still runs: a short child wakes the wait for it.
            let _ = std::process::Command::new("true").spawn();
            ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        });
    });
}

async fn under_a_reaper() {
    let engine = Listened::with_slots(8);
    let mut unknown = 0;
    let rounds = repeats().max(50);
    for round in 0..rounds {
        let line = if round % 2 == 0 { "exit 3" } else { "sleep 0.005; echo late; exit 3" };
        let result = soon("the end", engine.run(shell(line))).await.unwrap();
        assert_ended(&result, ExecutionStatus::Failed, Reason::Exit);
        assert!(result.exit_code.is_none_or(|code| code == 3) && result.signal.is_none(), "{result:#?}");
        assert_eq!(result.stdout, if round % 2 == 0 { "" } else { "late\n" });
        unknown += u32::from(result.exit_code.is_none());
    }
    assert!(unknown > 0, "no child was reaped before the engine did: this test shows nothing");
    println!("{unknown} of {rounds} were reaped by other code");
    for grace in [0, 100, 5_000] {
        let options = ExecutionOptions { kill_grace_ms: Some(grace), ..Default::default() };
        let id = engine.start(shell("sleep 999 & echo pid $!; echo ready; wait"), options).await;
        soon("the cancel", engine.cancel(id)).await.unwrap();
        let result = engine.get_result(id).await.unwrap();
        assert_cancelled(&result);
        assert_gone(&pids_in(&result.stdout));
    }
    for round in 0..repeats() {
        let id = engine.execute(brief()).await.unwrap();
        tokio::time::sleep(Duration::from_micros(round * 37 % 3_000)).await;
        soon("the cancel", engine.cancel(id)).await.unwrap();
        let result = engine.get_result(id).await.unwrap();
        // The status of a lost exit is unknown: it is not known to be a success.
        let is_exit = result.reason == Some(Reason::Exit) && matches!(result.exit_code, None | Some(0));
        assert!(is_exit || result.status == ExecutionStatus::Cancelled, "{result:#?}");
    }
    let request = ExecutionRequest { timeout_ms: Some(100), ..endless() };
    assert_timed_out(&soon("the timeout", engine.run(request)).await.unwrap(), Reason::Timeout);
    engine.finish().await;
}
