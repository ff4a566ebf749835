//! Who belongs to an execution: its session, whoever carries its tag, and the descendants of both.
//!
//! A process that leaves the session, scrubs its environment *and* is re-parented between two looks is not found.

use std::collections::HashSet;
use std::io;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use libc::pid_t;

use super::cgroup;
use super::pidfd;
use super::procs::{self, Proc};
use crate::platform::{ProcessInfo, Round};

/// A process for all time: a number may come back, with another start.
type Identity = (pid_t, u64);

/// A tree that forks is stopped for so long at most before it is killed as far as it was seen.
const LONGEST_CHASE: Duration = Duration::from_secs(5);
/// So many members outside of the session are no daemon any more.
const SCATTERED: usize = 8;

/// The processes of one execution.
#[derive(Debug)]
pub(super) struct Tree {
    leader: pid_t,
    /// `NAME=value` in the environment of every process that has not scrubbed it; empty for a tree that has none.
    tag: Vec<u8>,
    /// When the leader started: nothing older belongs to it. Looked up by the first who needs it.
    born: OnceLock<u64>,
    /// Everybody ever seen: a member stays one when its parent is gone.
    known: Mutex<HashSet<Identity>>,
    /// Who was sent SIGKILL. It may take its time to go.
    killed: Mutex<HashSet<Identity>>,
}

/// What is done to end a tree, from the nearest to the farthest means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Means {
    /// Nobody is forced.
    Ask,
    /// What is done first by force.
    Kill,
    KillSession,
    KillEscaped,
    Cgroup,
}

impl Means {
    /// In the words of `killed.mechanism`.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Ask => "SIGTERM to the group",
            Self::Kill => "SIGKILL to the group",
            Self::KillSession => "SIGKILL to the group and to the rest of the session",
            Self::KillEscaped => "SIGKILL to the group and to descendants that escaped it, found by tag or parent",
            Self::Cgroup => "SIGKILL to every member, then cgroup.kill",
        }
    }
}

impl Tree {
    pub(super) fn new(leader: pid_t, tag: Vec<u8>) -> Self {
        Self { leader, tag, born: OnceLock::new(), known: Mutex::default(), killed: Mutex::default() }
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
                || known.contains(&proc.identity())
                // Every environment ends with an empty entry: a tree without a tag would be the whole machine.
                || (!self.tag.is_empty() && procs::has_tag(proc.pid, &self.tag));
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
        known.extend(found.iter().map(Proc::identity));
        found.into_iter().filter(|proc| !proc.is_dead()).collect()
    }

    pub(super) fn living(&self) -> Vec<i32> {
        self.members().iter().map(|proc| proc.pid).collect()
    }

    /// The members with what they do now.
    pub(super) fn describe(&self) -> Vec<ProcessInfo> {
        self.members().iter().map(procs::describe).collect()
    }

    /// Kills every member.
    ///
    /// From the second round on whoever is new is stopped first, with all others, and so is a tree that has scattered: who is
    /// stopped does not fork, and still takes the place that a dead one would leave to the next. From the third round on those whom signals do not reach, as
    /// they fork faster than we look or belong to somebody else, are killed as one control group where that is possible.
    pub(super) fn kill(&self, round: u32) -> Round {
        let mut members = self.members();
        // Held by one round at a time; nobody else waits for it.
        let mut killed = self.killed.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = |proc: &Proc| !killed.contains(&proc.identity());
        let mut is_chase = false;
        let scattered = members.iter().filter(|proc| proc.session != self.leader).count();
        if scattered > SCATTERED || (round >= 2 && members.iter().any(is_new)) {
            is_chase = !self.stop_all(&members);
            members = self.members();
        }
        let means = if members.iter().any(|proc| proc.session != self.leader) {
            Means::KillEscaped
        } else if members.iter().any(|proc| proc.group != self.leader) {
            Means::KillSession
        } else {
            Means::Kill
        };
        let mut outcome = Round { found: members.iter().map(|proc| proc.pid).collect(), means, refused: None };
        let mut out_of_reach = Vec::new();
        for proc in &members {
            match signal_member(proc, libc::SIGKILL) {
                Ok(()) => _ = killed.insert(proc.identity()),
                Err(error) => {
                    out_of_reach.push(proc.pid);
                    outcome.refused = Some(format!("SIGKILL to {} was refused ({error})", proc.pid));
                }
            }
        }
        if is_chase {
            out_of_reach.clone_from(&outcome.found);
        }
        if round >= 3 && !out_of_reach.is_empty() && cgroup::kill(&out_of_reach) {
            outcome.means = Means::Cgroup;
            // Whoever could not be moved is refused again by the next round.
            outcome.refused = None;
        }
        outcome
    }

    /// Stops the members until a look finds nobody new. `false`: there was always somebody.
    fn stop_all(&self, members: &[Proc]) -> bool {
        let until = Instant::now() + LONGEST_CHASE;
        let mut stopped: HashSet<Identity> = HashSet::new();
        let mut fresh = members.to_vec();
        while !fresh.is_empty() {
            for proc in &fresh {
                // One that may not be signalled is met again by the kill, which tells it.
                let _ = signal_member(proc, libc::SIGSTOP);
            }
            if Instant::now() > until {
                return false;
            }
            stopped.extend(fresh.iter().map(Proc::identity));
            fresh = self.members();
            fresh.retain(|proc| !stopped.contains(&proc.identity()));
        }
        true
    }
}

/// Signals a process if it is still the one that was seen. The descriptor pins it: between the look and the signal its
/// number cannot become somebody else's.
fn signal_member(seen: &Proc, signal: i32) -> io::Result<()> {
    let pinned = pidfd::open(seen.pid);
    let is_same = procs::read(seen.pid).is_some_and(|now| now.start == seen.start);
    if !is_same {
        return Ok(());
    }
    let done = match &pinned {
        Ok(fd) => pidfd::signal(fd, signal),
        // Without descriptors (Linux before 5.3, other systems) the look just above is the only guard.
        Err(_) => super::leader::kill(seen.pid, signal),
    };
    match done {
        Err(error) if error.raw_os_error() != Some(libc::ESRCH) => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn without_a_tag_nobody_is_a_member_by_it() {
        let mut stranger = Command::new("sleep").arg("99").spawn().unwrap();
        let tree = Tree::new(stranger.id().cast_signed(), Vec::new());
        let members = tree.living();
        stranger.kill().unwrap();
        stranger.wait().unwrap();
        assert_eq!(members, [0; 0], "it leads no session of its own");
    }
}
