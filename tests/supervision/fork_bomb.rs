//! A command that forks faster than processes can be scanned is ended, and the engine continues. If it were not, the test would end the bomb
//! itself.

use crate::common::*;
use crate::hosts::{Stranger, alone_under};

/// Forks without end, as often as the system permits.
const BOMB: &str = "while (1) { fork; select(undef, undef, undef, 0.001) }";

/// A bomb whose every child has a group and a session of its own, so that no signal reaches two of them; none of them
/// ever rests.
const SCATTERING_BOMB: &str = "use POSIX; while (1) { POSIX::setsid() if !fork; }";

const SLOTS: usize = 4;
static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());

async fn bomb_and_go_on(bomb: ExecutionRequest) {
    assert!(limit_of_processes() <= 1_000, "not without a limit: it would take the whole machine");
    let engine = Listened::with_slots(SLOTS);
    assert_completed(&soon("the first", engine.run(brief())).await.unwrap());
    let options = ExecutionOptions { kill_grace_ms: Some(100), ..Default::default() };
    let id = engine.execute_with(bomb, options).await.unwrap();
    // SAFETY: no memory is involved.
    let ours = unsafe { libc::getuid() };
    wait_until("the bomb has gone off", || processes_of(ours).len() > 60).await;
    // As many commands as may run, besides it: they have their turns although the machine is busy.
    let mut others = Vec::new();
    for _ in 0..10 {
        others.push(engine.execute(brief()).await.unwrap());
    }
    assert!(engine.running_count() <= SLOTS);
    within(HANG * 2, "the cancel", engine.cancel(id)).await.unwrap();
    assert!(engine.running_count() <= SLOTS);
    let result = engine.get_result(id).await.unwrap();
    assert_cancelled(&result);
    for other in others {
        assert_completed(&soon("its turn", engine.wait_for_completion(other)).await.unwrap());
    }
    let killed = result.killed.as_ref().unwrap();
    println!("{} processes, {}, after {} ms", killed.pids.len(), killed.mechanism, result.duration_ms);
    assert!(!killed.mechanism.contains("unreaped"), "{}", killed.mechanism);
    // The reported pids are not used: on a machine that a bomb has brought down there may be none.
    assert_eq!(processes_of(ours), [std::process::id()], "the host is alone again, its guardian aside");
    assert_completed(&soon("the next", engine.run(brief())).await.unwrap());
    engine.finish().await;
}

fn limit_of_processes() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call fills what it is given.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NPROC, &raw mut limit) }, 0);
    limit.rlim_cur
}

/// Returns the living processes of a user, guardians aside.
fn processes_of(uid: u32) -> Vec<u32> {
    use std::os::unix::fs::MetadataExt;
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
    let theirs = entries.filter(|entry| entry.metadata().is_ok_and(|meta| meta.uid() == uid));
    let pids = theirs.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        is_alive(*pid) && !String::from_utf8_lossy(&line).contains("escher-guardian")
    })
    .collect()
}

/// Runs one bomb at a time: no test is to show what the other bombs do to the machine.
fn alone_in_turn<F: FnOnce()>(stranger: &Stranger, body: F) {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    alone_under(&stranger.bounded_words(), body);
}

#[test]
fn a_fork_bomb_is_ended_and_the_next_command_runs() {
    let stranger = Stranger::new(0, 1_000, ":");
    alone_in_turn(&stranger, || block_on(bomb_and_go_on(exec("prlimit", &["--nproc=120", "perl", "-e", BOMB]))));
}

/// The host is under the same limit as the bomb: it cannot make a thread either while the bomb runs.
#[test]
fn a_fork_bomb_under_the_hosts_own_limit_is_ended() {
    let stranger = Stranger::new(1, 200, ":");
    alone_in_turn(&stranger, || block_on(bomb_and_go_on(exec("perl", &["-e", BOMB]))));
}

/// A killed process makes room for the next one, so all have to be stopped first.
#[test]
fn a_fork_bomb_that_scatters_is_ended() {
    let stranger = Stranger::new(5, 1_000, ":");
    alone_in_turn(&stranger, || {
        block_on(bomb_and_go_on(exec("prlimit", &["--nproc=150", "perl", "-e", SCATTERING_BOMB])));
    });
}
