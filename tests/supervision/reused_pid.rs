//! The pid of an execution that has ended may belong to another process: nothing is sent to it.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command as Program};

use execution_engine::types::Leftovers;

use crate::common::*;
use crate::hosts::alone_under;

/// The shell is process 1 of the namespace, so that the host is an ordinary process in it.
const OWN_PIDS: &[&str] = &[
    "unshare",
    "-p",
    "-f",
    "--mount-proc",
    "/bin/sh",
    "-c",
    "echo 100 > /proc/sys/kernel/ns_last_pid || exit 1; \"$@\"; exit $?",
    "sh",
];

/// Returns a process that has this number, and leads a group and a session by it.
fn stand_in(pid: u32) -> Child {
    for _ in 0..1_000 {
        std::fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).unwrap();
        let mut program = Program::new("/bin/sleep");
        // SAFETY: `setsid` is async-signal-safe.
        unsafe {
            program
                .arg("999")
                .pre_exec(|| if libc::setsid() < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) })
        };
        let mut child = program.spawn().unwrap();
        if child.id() == pid {
            return child;
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    panic!("the number {pid} never came back");
}

#[test]
fn a_pid_is_not_signalled_after_it_was_reaped() {
    alone_under(OWN_PIDS, || {
        block_on(async {
            for (case, line) in
                [("exit", "exit 0"), ("timeout", "exec sleep 999"), ("leftovers", "sleep 998 >/dev/null 2>&1 & exit 0")]
            {
                let engine = Listened::new();
                let options = ExecutionOptions {
                    kill_grace_ms: Some(50),
                    leftovers: Some(Leftovers::Kill),
                    ..Default::default()
                };
                let request = ExecutionRequest { timeout_ms: Some(300), ..shell(line) };
                let result = soon("the end", engine.run_with(request, options)).await.unwrap();
                let mut other = stand_in(result.pid.unwrap());
                soon("a late cancel", engine.cancel(result.id)).await.unwrap();
                soon("a late cancel of all", engine.cancel_all()).await;
                // The scans that end another execution do not take it for a member either.
                let id = engine.execute(endless()).await.unwrap();
                soon("the cancel of another", engine.cancel(id)).await.unwrap();
                engine.finish().await;
                tokio::time::sleep(Duration::from_millis(100)).await;
                assert!(other.try_wait().unwrap().is_none(), "{case}: the process that reused the pid was killed");
                other.kill().unwrap();
                other.wait().unwrap();
            }
        });
    });
}

/// Number after number comes back while executions with that number end.
#[test]
fn cancels_signal_no_process_whose_pid_was_reused_at_once() {
    alone_under(OWN_PIDS, || {
        block_on(async {
            let engine = Listened::new();
            for round in 0..repeats() {
                let id = engine.execute(brief()).await.unwrap();
                let pid = engine.recorder.started(id).await;
                tokio::time::sleep(Duration::from_micros(round * 61 % 2_000)).await;
                soon("the cancel", engine.cancel(id)).await.unwrap();
                let mut other = stand_in(pid);
                soon("a late cancel", engine.cancel(id)).await.unwrap();
                assert!(
                    other.try_wait().unwrap().is_none(),
                    "round {round}: the process that reused the pid was killed"
                );
                other.kill().unwrap();
                other.wait().unwrap();
            }
            engine.finish().await;
        });
    });
}
