//! A child sees its three descriptors and nothing of the host's.

use execution_engine::types::Stdin;

use crate::common::*;

/// A command that prints which descriptors are open. `[ -e` opens none itself.
const LIST: &str = "n=0; while [ $n -lt 400 ]; do [ -e /dev/fd/$n ] && echo fd $n; n=$((n+1)); done";

#[test]
fn a_child_sees_0_1_and_2() {
    alone(|| {
        // SAFETY: duplicates of a descriptor that stays open; no memory is involved. None has CLOEXEC.
        let ours: Vec<_> = (0..50).map(|_| unsafe { libc::dup(2) }).collect();
        assert!(ours.iter().all(|fd| (3..400).contains(fd)), "{ours:?}");
        block_on(async {
            let engine = Listened::new();
            let cases = [
                ExecutionOptions::default(),
                ExecutionOptions { merge_output: Some(true), ..Default::default() },
                ExecutionOptions { stdin: Stdin::Bytes(b"hello".to_vec()), ..Default::default() },
                ExecutionOptions { stdin: Stdin::Inherit, ..Default::default() },
            ];
            for options in cases {
                for working_dir in [None, Some("/".into())] {
                    let request = ExecutionRequest { working_dir, ..shell(LIST) };
                    let result = engine.run_with(request, options.clone()).await.unwrap();
                    assert_completed(&result);
                    assert_eq!(lines_of(&result.stdout), ["fd 0", "fd 1", "fd 2"], "{options:?}");
                }
            }
            engine.finish().await;
        });
    });
}

/// Children that are started while many run do not hold each other's pipes: each output ends with its own child.
#[tokio::test]
async fn no_child_holds_the_pipe_of_another() {
    let engine = Listened::with(ExecutionConfig { drain_timeout_ms: 600_000, ..Default::default() });
    let mut long = Vec::new();
    for _ in 0..20 {
        long.push(engine.execute(endless()).await.unwrap());
        assert_completed(&soon("a short one among long ones", engine.run(shell("echo hi"))).await.unwrap());
    }
    soon("the end of all", engine.cancel_all()).await;
    engine.finish().await;
}

#[cfg(target_os = "linux")]
#[test]
fn three_hundred_runs_leave_no_descriptor_and_no_thread() {
    async fn round(engine: &Listened, dir: &std::path::Path) {
        let options = ExecutionOptions { stdin: Stdin::Bytes(vec![b'x'; 100_000]), ..Default::default() };
        assert_completed(&engine.run_with(exec::<&str>("cat", &[]), options).await.unwrap());
        assert_exited(&engine.run(shell("echo out; echo err >&2; exit 1")).await.unwrap(), 1);
        assert_refused(engine.run(exec::<&str>("/nope", &[])).await, ErrorCode::SpawnFailed);
        assert_refused(engine.run(program(dir)).await, ErrorCode::SpawnFailed);
        let id = engine.execute(endless()).await.unwrap();
        engine.cancel(id).await.unwrap();
    }
    alone(|| {
        block_on(async {
            let engine = Listened::new();
            let dir = scratch();
            // The things that are made once and kept are made now: the runtime, /dev/null, threads that may block.
            for _ in 0..5 {
                round(&engine, dir.path()).await;
            }
            let (descriptors, threads_before) = (open_descriptors(), threads());
            for _ in 0..60 {
                round(&engine, dir.path()).await;
            }
            // The last ones may still be closing theirs.
            wait_until("the descriptors are back", || open_descriptors() <= descriptors).await;
            wait_until("the threads have ended", || threads() <= threads_before + 4).await;
            engine.finish().await;
        });
    });
}
