//! A process that hangs in the kernel: even SIGKILL has to wait for it, and the engine does not.

use std::path::PathBuf;

use crate::common::*;
use crate::hosts::printed_pids;

/// The time that the engine takes beyond the grace period: a second to look, five to kill, and two to drain.
const HARD_LIMIT: Duration = Duration::from_secs(8);
const GRACE_MS: u64 = 100;

/// A control group of version 1 that freezes its members: they wait uninterruptibly, as on a disk that has gone.
struct Ice(PathBuf);

impl Ice {
    /// `None`: there is no such group here, or it is not ours to make.
    fn new() -> Option<Self> {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
        let options =
            |line: &&str| line.rsplit(' ').next().is_some_and(|options| options.split(',').any(|it| it == "freezer"));
        let mount = mounts.lines().filter(|line| line.contains(" - cgroup ")).find(options)?.split(' ').nth(4)?;
        let group = PathBuf::from(mount).join(format!("escher-test-{}", Uuid::new_v4()));
        std::fs::create_dir(&group).ok()?;
        Some(Self(group))
    }

    fn set(&self, state: &str) {
        std::fs::write(self.0.join("freezer.state"), state).unwrap();
    }

    fn freeze(&self, pids: &[u32]) {
        for pid in pids {
            std::fs::write(self.0.join("cgroup.procs"), pid.to_string()).unwrap();
        }
        self.set("FROZEN");
        block_until("they are frozen", || {
            std::fs::read_to_string(self.0.join("freezer.state")).unwrap().trim() == "FROZEN"
        });
    }
}

impl Drop for Ice {
    fn drop(&mut self) {
        self.set("THAWED");
        // A process that was killed while it was frozen ends now.
        block_until("the group is empty", || std::fs::remove_dir(&self.0).is_ok());
    }
}

async fn within_the_hard_limit<F: Future>(what: &str, future: F) -> F::Output {
    a_second_after(Duration::from_millis(GRACE_MS) + HARD_LIMIT, what, future).await
}

/// Checks a leader and a child that are frozen by the time they are to end.
async fn settles(timeout_ms: Option<u64>) {
    let Some(ice) = Ice::new() else {
        eprintln!("SKIPPED uninterruptible children: no freezer of version 1 in which a group could be made");
        return;
    };
    let engine = Listened::new();
    let options = ExecutionOptions { kill_grace_ms: Some(GRACE_MS), ..Default::default() };
    let request = ExecutionRequest { timeout_ms, ..shell("echo pid $$; sleep 999 & echo pid $!; wait") };
    let id = engine.execute_with(request, options).await.unwrap();
    let pids = printed_pids(&engine.recorder, id, 2).await;
    ice.freeze(&pids);
    if timeout_ms.is_none() {
        within_the_hard_limit("the cancel", engine.cancel(id)).await.unwrap();
    }
    let result = soon("the end", engine.wait_for_completion(id)).await.unwrap();
    match timeout_ms {
        None => assert_cancelled(&result),
        Some(_) => assert_timed_out(&result, Reason::Timeout),
    }
    assert_eq!((result.exit_code, result.signal.as_deref()), (None, None), "its status is not known yet");
    let killed = result.killed.as_ref().unwrap();
    assert!(killed.mechanism.contains("unreaped"), "{killed:?}");
    for pid in &pids {
        assert!(killed.pids.contains(pid), "{killed:?}");
        assert!(is_alive(*pid), "it was not frozen: this test is none");
    }
    if let Some(timeout_ms) = timeout_ms {
        let took = Duration::from_secs_f64(result.duration_ms / 1_000.0);
        assert_a_second_after(Duration::from_millis(timeout_ms + GRACE_MS) + HARD_LIMIT, "the timeout", took);
        let states: Vec<_> = result.diagnosis.as_ref().unwrap().processes.iter().map(|it| it.state.as_str()).collect();
        assert_eq!(states, ["D", "D"], "{result:#?}");
    }
    assert_eq!(engine.running_count(), 0);
    assert_completed(&soon("the next", engine.run(brief())).await.unwrap());
    drop(ice);
    wait_until("they go when they can", || pids.iter().all(|pid| !is_alive(*pid))).await;
    wait_until("the leader is reaped", || state(pids[0]).is_none()).await;
    engine.finish().await;
}

#[tokio::test]
async fn a_cancel_of_an_uninterruptible_child_resolves() {
    settles(None).await;
}

#[tokio::test]
async fn a_timeout_of_an_uninterruptible_child_settles_and_reports_unreaped() {
    settles(Some(1_500)).await;
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_an_uninterruptible_child() {
    let Some(ice) = Ice::new() else {
        eprintln!("SKIPPED uninterruptible children: no freezer of version 1 in which a group could be made");
        return;
    };
    let engine = Listened::new();
    let options = ExecutionOptions { kill_grace_ms: Some(0), ..Default::default() };
    let id = engine.execute_with(shell("echo pid $$; exec sleep 999"), options).await.unwrap();
    ice.freeze(&printed_pids(&engine.recorder, id, 1).await);
    within_the_hard_limit("the shutdown", engine.shutdown(Duration::ZERO)).await;
    let result = engine.get_result(id).await.unwrap();
    assert_ended(&result, ExecutionStatus::Cancelled, Reason::Shutdown);
    assert!(result.killed.as_ref().unwrap().mechanism.contains("unreaped"), "{result:#?}");
    drop(ice);
    engine.finish().await;
}
