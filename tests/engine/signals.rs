//! A child starts with default signals, whatever the host does with its own.
#![cfg(target_os = "linux")]

use std::mem::MaybeUninit;

use crate::common::*;

/// Makes this thread, and those that it starts, block SIGTERM and SIGUSR1; the process ignores SIGHUP and SIGPIPE.
fn be_a_difficult_host() {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the set is initialised by the first call and only read by the last.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGTERM);
        libc::sigaddset(set.as_mut_ptr(), libc::SIGUSR1);
        assert_eq!(libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut()), 0);
    }
    ignore(libc::SIGHUP);
    ignore(libc::SIGPIPE);
}

fn ignore(signal: libc::c_int) {
    // SAFETY: ignoring a signal runs no code.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// Returns the masks of a process, as the kernel shows them.
fn masks(status: &str) -> Vec<(&str, u64)> {
    let lines = status.lines().filter_map(|line| line.split_once(":\t"));
    let masks = lines.filter(|(name, _)| matches!(*name, "SigBlk" | "SigIgn" | "SigCgt"));
    masks.map(|(name, mask)| (name, u64::from_str_radix(mask, 16).unwrap())).collect()
}

#[test]
fn nothing_is_blocked_or_ignored_in_a_child() {
    alone(|| {
        be_a_difficult_host();
        let own = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        assert!(masks(&own).iter().filter(|(_, mask)| *mask != 0).count() >= 2, "{own}");
        block_on(async {
            let engine = Listened::new();
            for working_dir in [None, Some("/".into())] {
                let request = ExecutionRequest { working_dir, ..exec("cat", &["/proc/self/status"]) };
                let result = engine.run(request).await.unwrap();
                assert_eq!(masks(&result.stdout), [("SigBlk", 0), ("SigIgn", 0), ("SigCgt", 0)]);
            }
            // The command does not ignore what the host begins to ignore while the command waits for its turn.
            ignore(libc::SIGUSR2);
            let config = ExecutionConfig { max_concurrent_executions: 1, ..Default::default() };
            let queue = ExecutionEngine::new(config).unwrap();
            let first = queue.execute(exec("sleep", &["0.3"])).await.unwrap();
            let second = queue.execute(exec("cat", &["/proc/self/status"])).await.unwrap();
            ignore(libc::SIGTTOU);
            queue.wait_for_completion(first).await.unwrap();
            let result = queue.wait_for_completion(second).await.unwrap();
            assert_eq!(masks(&result.stdout), [("SigBlk", 0), ("SigIgn", 0), ("SigCgt", 0)]);
            // As a result, a child of a host that blocks SIGTERM receives it.
            let options = ExecutionOptions { kill_grace_ms: Some(600_000), ..Default::default() };
            let id = engine.start(endless_after(":"), options).await;
            soon("the cancel", engine.cancel(id)).await.unwrap();
            assert_eq!(engine.get_result(id).await.unwrap().signal.as_deref(), Some("SIGTERM"));
            engine.finish().await;
        });
    });
}
