//! A process that the host may not signal is reported, and not waited for without end.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::common::*;
use crate::delegated::Delegated;
use crate::hosts::{Stranger, alone_under, own_name_of, printed_pids};

const SETUID: &str = "ESCHER_TEST_SETUID";

/// Makes a directory in which every user finds a copy of `setpriv` that runs as root. `None`: it cannot be made.
fn become_root() -> Option<(tempfile::TempDir, PathBuf)> {
    use std::os::unix::fs::PermissionsExt;
    let dir = scratch();
    let copy = dir.path().join("become-root");
    std::fs::copy("/usr/bin/setpriv", &copy).ok()?;
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).ok()?;
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o4755)).ok()?;
    Some((dir, copy))
}

/// Returns a host that is an ordinary user, and whose command becomes root.
fn stranger(salt: u32, copy: &Path) -> Stranger {
    let first =
        format!("export {SETUID}='{}'; [ \"$(\"${SETUID}\" --reuid=0 id -ru)\" = 0 ] || exit 1", copy.display());
    Stranger::new(salt, 500, &first)
}

#[test]
fn a_process_that_may_not_be_killed_is_reported_and_given_up() {
    let body = || block_on(give_up(&std::env::var(SETUID).unwrap()));
    if is_alone() {
        return body();
    }
    let Some((_dir, copy)) = become_root() else {
        eprintln!("SKIPPED a_process_that_may_not_be_killed_is_reported_and_given_up: `setpriv` cannot be copied");
        return;
    };
    let stranger = stranger(2, &copy);
    alone_under(&stranger.words(), body);
}

/// A control group in which the host may write ends such a process too.
#[test]
fn a_delegated_control_group_ends_processes_that_no_signal_may_reach() {
    in_a_delegated_group(4, || block_on(killed_by_the_group(&std::env::var(SETUID).unwrap())));
}

#[test]
fn without_control_groups_it_is_not_moved_into_one() {
    in_a_delegated_group(6, || block_on(moved_nowhere(&std::env::var(SETUID).unwrap())));
}

/// Runs a test alone as another user, in a control group that is that user's own to write.
fn in_a_delegated_group<F: FnOnce()>(salt: u32, body: F) {
    if is_alone() {
        return body();
    }
    let name = own_name_of(&body);
    let Some((_dir, copy)) = become_root() else {
        eprintln!("SKIPPED {name}: `setpriv` cannot be copied");
        return;
    };
    let stranger = stranger(salt, &copy);
    let Some(group) = Delegated::to(stranger.uid) else {
        eprintln!("SKIPPED {name}: no control group of version 2 with a `cgroup.kill` can be made");
        return;
    };
    let enter = group.words();
    let words: Vec<&str> = enter.iter().map(String::as_str).chain(stranger.words()).collect();
    alone_under(&words, body);
}

async fn killed_by_the_group(become_root: &str) {
    let engine = Listened::new();
    let options = ExecutionOptions { kill_grace_ms: Some(100), ..Default::default() };
    let line = format!("'{become_root}' --reuid=0 /bin/sh -c 'echo pid $$; exec sleep 20' & wait");
    let id = engine.execute_with(shell(line), options).await.unwrap();
    let root = printed_pids(&engine.recorder, id, 1).await[0];
    soon("the cancel", engine.cancel(id)).await.unwrap();
    let result = engine.get_result(id).await.unwrap();
    assert_cancelled(&result);
    assert_gone(&[root]);
    let killed = result.killed.as_ref().unwrap();
    assert!(killed.pids.contains(&root), "{killed:?}");
    assert!(killed.mechanism.ends_with("then SIGKILL to the group, by cgroup.kill"), "{}", killed.mechanism);
    // The engine keeps empty groups for later executions, all of them below one.
    let left = Delegated::groups_in_ours();
    assert!(left.len() <= 1 && Delegated::living_below(&left).is_empty(), "{left:?}");
    assert_completed(&soon("the next", engine.run(brief())).await.unwrap());
    engine.finish().await;
}

async fn moved_nowhere(become_root: &str) {
    let engine = Listened::with(ExecutionConfig { control_groups: false, ..ExecutionConfig::default() });
    let options = ExecutionOptions { kill_grace_ms: Some(100), ..Default::default() };
    // The command ends by itself, some time after it is given up.
    let line = format!("'{become_root}' --reuid=0 /bin/sh -c 'echo pid $$; exec sleep 8' & wait");
    let id = engine.execute_with(shell(line), options).await.unwrap();
    let root = printed_pids(&engine.recorder, id, 1).await[0];
    soon("the cancel", engine.cancel(id)).await.unwrap();
    let result = engine.get_result(id).await.unwrap();
    let killed = result.killed.as_ref().unwrap();
    assert!(killed.mechanism.contains(&format!("SIGKILL to {root} was refused")), "{}", killed.mechanism);
    assert!(Delegated::living_below(&Delegated::groups_in_ours()).is_empty(), "it is in the group of the host");
    wait_until("it has ended", || state(root).is_none()).await;
    engine.finish().await;
}

async fn give_up(become_root: &str) {
    let engine = Listened::new();
    let options = ExecutionOptions { kill_grace_ms: Some(100), ..Default::default() };
    // The command ends by itself: no process here may end it.
    let line = format!("'{become_root}' --reuid=0 /bin/sh -c 'echo pid $$; exec sleep 20' & wait");
    let id = engine.execute_with(shell(line), options).await.unwrap();
    let root = printed_pids(&engine.recorder, id, 1).await[0];
    let begun = Instant::now();
    soon("the cancel", engine.cancel(id)).await.unwrap();
    let result = engine.get_result(id).await.unwrap();
    assert_cancelled(&result);
    let killed = result.killed.as_ref().unwrap();
    assert!(killed.pids.contains(&root), "{killed:?}");
    assert!(killed.mechanism.contains(&format!("SIGKILL to {root} was refused")), "{}", killed.mechanism);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    // The engine does not spin: five seconds of looking every 50 ms at most cost little. SAFETY: zeroed is a valid
    // rusage, and the call fills it.
    let used = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage.ru_utime.tv_sec + usage.ru_stime.tv_sec
    };
    assert!(used < 3, "{used} s of processor time");
    assert_completed(&soon("the next", engine.run(brief())).await.unwrap());
    engine.finish().await;
}
