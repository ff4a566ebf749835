//! Who belongs to an execution: its session, whoever carries its tag, and the descendants of both.
//!
//! A process that leaves the session, scrubs its environment *and* is re-parented between two looks is not found.

use std::collections::HashSet;
use std::io;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use libc::pid_t;

use super::cgroup;
use super::pidfd;
use super::procs::{self, Proc};
use crate::platform::ProcessInfo;

/// A process for all time: a number may come back, with another start.
type Identity = (pid_t, u64);

/// The processes of one execution.
#[derive(Debug)]
pub(super) struct Tree {
    leader: pid_t,
    /// `NAME=value` in the environment of every process that has not scrubbed it.
    tag: Vec<u8>,
    /// When the leader started: nothing older belongs to it. Looked up by the first who needs it.
    born: OnceLock<u64>,
    /// Everybody ever seen: a member stays one when its parent is gone.
    known: Mutex<HashSet<Identity>>,
}

/// What a round of killing left.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Round {
    /// Members that were alive when the round began.
    pub(crate) found: Vec<i32>,
    /// Members outside of the leader's process group among them.
    pub(crate) outside_group: bool,
    /// Members outside of its session too, found by their tag or their parent.
    pub(crate) escaped: bool,
    /// One that the system does not let us signal, and why.
    pub(crate) refused: Option<(i32, String)>,
    /// Whether the kernel's own kill of a whole control group was used.
    pub(crate) by_cgroup: bool,
}

impl Tree {
    pub(super) fn new(leader: pid_t, tag: Vec<u8>) -> Self {
        Self { leader, tag, born: OnceLock::new(), known: Mutex::default() }
    }

    /// The living members now.
    fn members(&self) -> Vec<Proc> {
        let all = procs::snapshot(Instant::now());
        let born = *self.born.get_or_init(|| procs::read(self.leader).map_or(0, |proc| proc.start));
        let young: Vec<Proc> = all.iter().filter(|proc| proc.start >= born).copied().collect();
        // The snapshot is shared by whoever looks at the same time; each takes its own members out of it.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut members: HashSet<pid_t> = HashSet::new();
        for proc in &young {
            let is_member = proc.session == self.leader
                || known.contains(&(proc.pid, proc.start))
                || procs::has_tag(proc.pid, &self.tag);
            if is_member {
                members.insert(proc.pid);
            }
        }
        // Children of members, and theirs: a scrubbed environment does not hide them while the parent lives.
        loop {
            let before = members.len();
            for proc in &young {
                if members.contains(&proc.parent) {
                    members.insert(proc.pid);
                }
            }
            if members.len() == before {
                break;
            }
        }
        let found: Vec<Proc> = young.into_iter().filter(|proc| members.contains(&proc.pid)).collect();
        known.extend(found.iter().map(|proc| (proc.pid, proc.start)));
        found.into_iter().filter(|proc| !proc.is_dead()).collect()
    }

    pub(super) fn living(&self) -> Vec<i32> {
        self.members().iter().map(|proc| proc.pid).collect()
    }

    /// The members with what they do now.
    pub(super) fn describe(&self) -> Vec<ProcessInfo> {
        self.members().iter().map(procs::describe).collect()
    }

    /// Kills every member. From the third round on the kernel is asked to kill them as one control group, where it can:
    /// whoever forks faster than we look is caught by that.
    pub(super) fn kill(&self, round: u32) -> Round {
        let members = self.members();
        let mut outcome = Round {
            found: members.iter().map(|proc| proc.pid).collect(),
            outside_group: members.iter().any(|proc| proc.group != self.leader),
            escaped: members.iter().any(|proc| proc.session != self.leader),
            ..Round::default()
        };
        if round >= 3 && !members.is_empty() {
            outcome.by_cgroup = cgroup::kill(&outcome.found);
        }
        for proc in &members {
            if let Err(error) = kill_member(proc) {
                outcome.refused = Some((proc.pid, error.to_string()));
            }
        }
        outcome
    }
}

/// Kills a process if it is still the one that was seen. The descriptor pins it: between the look and the signal its
/// number cannot become somebody else's.
fn kill_member(seen: &Proc) -> io::Result<()> {
    let pinned = pidfd::open(seen.pid);
    let is_same = procs::read(seen.pid).is_some_and(|now| now.start == seen.start);
    if !is_same {
        return Ok(());
    }
    let done = match &pinned {
        Ok(fd) => pidfd::signal(fd, libc::SIGKILL),
        // Without descriptors (Linux before 5.3, other systems) the look just above is the only guard.
        Err(_) => super::leader::kill(seen.pid, libc::SIGKILL),
    };
    match done {
        Err(error) if error.raw_os_error() != Some(libc::ESRCH) => Err(error),
        _ => Ok(()),
    }
}
