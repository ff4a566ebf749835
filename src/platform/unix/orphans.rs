//! Reaps members of trees that became children of the host when their parents exited: no other process does that where the host has the
//! process id 1, or is a subreaper. Children that the host has started itself are left alone.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::cgroup::ControlGroup;
use super::pid::Pid;
use super::procs::{self, Proc};
use super::tree::Tree;
use super::{cgroup, signal};

/// The interval of scans for what ended trees have left.
const INTERVAL: Duration = Duration::from_secs(1);
/// A tree that has left nothing is scanned for so many times.
const LEAST_SCANS: u32 = 2;

static ENDED: Mutex<EndedTrees> = Mutex::new(EndedTrees { trees: Vec::new(), is_watched: false });

/// Trees whose leaders were reaped, and which may have left members.
struct EndedTrees {
    trees: Vec<EndedTree>,
    /// Whether a thread scans for them.
    is_watched: bool,
}

#[derive(Clone, Copy)]
struct EndedTree {
    /// The id of the leader, of its session and of its group. No other process gets it while a member has that session or group.
    leader: Pid,
    born: u64,
    /// The number of its control group, which no other execution gets.
    group: Option<NonZeroU32>,
    scans: u32,
}

impl EndedTree {
    fn has_in_session(&self, proc: &Proc) -> bool {
        proc.pid != self.leader && [proc.session, proc.group].contains(&Some(self.leader)) && proc.start >= self.born
    }
}

/// Reaps the members that became children of this process. Children that the host has started itself are not members of a tree.
pub(super) fn reap_members(members: &[Proc], leader: Pid) {
    let host = Some(Pid::own());
    for proc in members.iter().filter(|proc| proc.is_dead() && proc.parent == host && proc.pid != leader) {
        reap(proc.pid);
    }
}

/// Reaps what has become a child of this process and has exited before a scan saw it, by its control group. Not in a group whose leader is
/// not known yet: it may be that leader.
pub(super) fn reap_in_groups<'t>(trees: impl Iterator<Item = &'t Tree> + Clone, procs: &[Proc]) {
    let host = Some(Pid::own());
    let mut orphans = procs.iter().filter(|proc| proc.is_dead() && proc.parent == host).peekable();
    if orphans.peek().is_none() {
        return;
    }
    let leaders: HashSet<Pid> = trees.clone().map(|tree| tree.leader).collect();
    let numbers: HashSet<NonZeroU32> = trees.filter_map(|tree| Some(tree.group.as_ref()?.number())).collect();
    for proc in orphans.filter(|proc| !leaders.contains(&proc.pid)) {
        if cgroup::number_of(proc.pid).is_some_and(|number| numbers.contains(&number)) {
            reap(proc.pid);
        }
    }
}

/// Reaps a child that has exited, and that no other code waits for.
fn reap(pid: Pid) {
    // SAFETY: a null status is allowed.
    unsafe { libc::waitpid(pid.as_raw(), std::ptr::null_mut(), libc::WNOHANG) };
}

/// Reaps the members that a tree has left when its leader was reaped, as far as its session, its process group or its
/// control group shows them.
pub(super) fn watch(tree: &Tree) {
    static IS_REAPER: OnceLock<bool> = OnceLock::new();
    if !*IS_REAPER.get_or_init(signal::is_reaper) {
        return;
    }
    let group = tree.group.as_ref().map(ControlGroup::keep_number);
    let mut ended = lock();
    ended.trees.push(EndedTree { leader: tree.leader, born: tree.born, group, scans: 0 });
    if !ended.is_watched {
        let started =
            std::thread::Builder::new().name("escher-orphans".into()).stack_size(128 * 1024).spawn(scan_while_any);
        // The system has no room for a thread now; it may have when the next tree ends.
        ended.is_watched = started.is_ok();
    }
}

fn scan_while_any() {
    loop {
        std::thread::sleep(INTERVAL);
        let trees = lock().trees.clone();
        let procs: Vec<Proc> = procs::entries().iter().filter_map(|entry| procs::read(entry.pid)).collect();
        let host = Some(Pid::own());
        for proc in procs.iter().filter(|proc| proc.is_dead() && proc.parent == host) {
            let is_left = trees.iter().any(|tree| tree.has_in_session(proc)) || {
                let group = cgroup::number_of(proc.pid);
                group.is_some() && trees.iter().any(|tree| tree.group == group)
            };
            if is_left {
                reap(proc.pid);
            }
        }
        let mut ended = lock();
        for tree in &mut ended.trees {
            tree.scans += 1;
        }
        ended.trees.retain(|tree| {
            tree.scans < LEAST_SCANS
                || procs.iter().any(|proc| tree.has_in_session(proc))
                || tree.group.is_some_and(cgroup::is_populated)
        });
        if ended.trees.is_empty() {
            ended.is_watched = false;
            return;
        }
    }
}

fn lock() -> MutexGuard<'static, EndedTrees> {
    ENDED.lock().unwrap_or_else(PoisonError::into_inner)
}
