//! A kernel without process descriptors: everything works as with them.

use crate::common::*;
use crate::hosts::{alone_under, printed_pids};

const NO_PIDFD: &[&str] = &[
    "strace",
    "-f",
    "--seccomp-bpf",
    "-qq",
    "-o",
    "/dev/null",
    "-e",
    "trace=pidfd_open",
    "-e",
    "inject=pidfd_open:error=ENOSYS",
];

#[test]
fn exits_cancels_and_timeouts_work_without_pidfd() {
    alone_under(NO_PIDFD, || {
        // SAFETY: no memory is involved.
        let opened = unsafe { libc::syscall(libc::SYS_pidfd_open, std::process::id(), 0) };
        assert!(opened < 0, "there are descriptors: this test is none");
        block_on(async {
            let engine = Listened::with_slots(8);
            for code in 0..10 {
                let result = soon("the end", engine.run(shell(format!("echo {code}; exit {code}")))).await.unwrap();
                assert_eq!((result.exit_code, result.stdout.as_str()), (Some(code), format!("{code}\n").as_str()));
            }
            let id = engine.execute(shell("setsid sh -c 'echo pid $$; exec sleep 999' & kill -9 $$")).await.unwrap();
            let result = soon("the end", engine.wait_for_completion(id)).await.unwrap();
            assert_eq!(result.signal.as_deref(), Some("SIGKILL"));
            end(printed_pids(&engine.recorder, id, 1).await[0]).await;

            let options = ExecutionOptions { kill_grace_ms: Some(50), ..Default::default() };
            let line = "setsid sh -c 'echo pid $$; exec sleep 999' & wait";
            let id = engine.execute_with(shell(line), options).await.unwrap();
            let escaped = printed_pids(&engine.recorder, id, 1).await;
            soon("the cancel", engine.cancel(id)).await.unwrap();
            assert_cancelled(&engine.get_result(id).await.unwrap());
            assert_gone(&escaped);

            let request = ExecutionRequest { timeout_ms: Some(100), ..endless() };
            assert_timed_out(&soon("the timeout", engine.run(request)).await.unwrap(), Reason::Timeout);
            assert_eq!(zombies(), [0_u32; 0]);
            engine.finish().await;
        });
    });
}

#[test]
fn a_cancel_that_races_the_exit_leaves_one_end_without_pidfd() {
    alone_under(NO_PIDFD, || {
        block_on(async {
            let engine = Listened::with_slots(8);
            for round in 0..repeats() {
                let id = engine.execute(brief()).await.unwrap();
                tokio::time::sleep(Duration::from_micros(round * 37 % 5_000)).await;
                soon("the cancel", engine.cancel(id)).await.unwrap();
                let status = engine.get_status(id).await.unwrap();
                assert!(matches!(status, ExecutionStatus::Completed | ExecutionStatus::Cancelled), "{status}");
            }
            let threads_of_waits = || threads() < 60;
            wait_until("the threads that waited are gone", threads_of_waits).await;
            assert_eq!(zombies(), [0_u32; 0]);
            engine.finish().await;
        });
    });
}
