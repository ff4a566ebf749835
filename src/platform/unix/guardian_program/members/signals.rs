//! Sends the members of the trees the signals that are due.

use super::{Members, SENT_BY_THE_HOST};
use crate::claims::{DEEPEST_DESCENT, StopSender};
use crate::sys::{SIGCONT, SIGKILL, SIGSTOP};
use crate::table::LEADER_FIRST;
use crate::tree::Tree;
use crate::{LONGEST_KILLING_MS, Proc, kernel};

/// A tree that starts new members is stopped for at most this many scans before its known members are killed.
const LONGEST_CHASE: u32 = 400;
/// The longest time, in ms, for which such a tree is stopped before its known members are killed: on a busy machine each scan may take
/// long, and the tree is given up after [`LONGEST_KILLING_MS`].
const LONGEST_CHASE_MS: u64 = LONGEST_KILLING_MS - 2_000;

impl Members {
    /// Whether it descends from a living member that has had the stop signal by an earlier scan.
    fn is_started_by_signalled(&self, proc: &Proc, count: usize) -> bool {
        let mut child = proc;
        for _ in 0..DEEPEST_DESCENT {
            let found = self.procs[..count].binary_search_by_key(&child.parent, |other| other.pid);
            let Some(parent) = found.ok().map(|at| &self.procs[at]) else { return false };
            if parent.is_dead || parent.owner == 0 {
                return false;
            }
            let place = self.place(parent);
            let stopped_in = self.known.get((place as usize).wrapping_sub(1)).map_or(0, |known| known.stopped_in);
            if stopped_in != 0 {
                return stopped_in < self.scan;
            }
            child = parent;
        }
        false
    }

    /// Sends the signals that are due.
    pub(super) fn act(&mut self, trees: &mut [Tree], count: usize, now: u64) {
        // All processes that are to be killed are stopped first, so that they start no others. Parents come before their children: a shell
        // whose child has ended would continue with its next command. Ids begin again after the largest, so they do not show the order.
        for index in 0..count {
            let (line, length) = self.unserved_line(index, count);
            for at in line[..length].iter().rev() {
                self.serve(*at, trees, count, now);
            }
        }
        for index in 0..count {
            let proc = self.procs[index];
            if proc.owner == 0 || proc.is_dead {
                continue;
            }
            let tree = &trees[proc.owner as usize - 1];
            let has_settled = !tree.has_fresh && !tree.is_moving;
            let is_late = tree.kill_scans > LONGEST_CHASE || tree.killed_for >= LONGEST_CHASE_MS;
            if now >= tree.kill_at && (has_settled || is_late) {
                kernel::signal(&proc, SIGKILL);
            }
        }
    }

    /// Returns the places of a process and of its nearest ancestors that are members and were not served yet, and their number.
    fn unserved_line(&self, index: usize, count: usize) -> ([usize; DEEPEST_DESCENT as usize], usize) {
        let mut line = [0; DEEPEST_DESCENT as usize];
        let mut length = 0;
        let mut next = Some(index);
        while let Some(at) = next.filter(|at| length < line.len() && self.is_due(*at)) {
            line[length] = at;
            length += 1;
            let parent = self.procs[at].parent;
            next = self.procs[..count].binary_search_by_key(&parent, |other| other.pid).ok();
        }
        (line, length)
    }

    fn is_due(&self, at: usize) -> bool {
        let proc = &self.procs[at];
        proc.owner != 0 && !proc.is_dead && !proc.is_served
    }

    /// Sends a process the stop signal if it is due, or stops it if it is to be killed.
    fn serve(&mut self, index: usize, trees: &mut [Tree], count: usize, now: u64) {
        self.procs[index].is_served = true;
        let proc = self.procs[index];
        let place = self.place(&proc);
        let is_helper = self.is_started_by_signalled(&proc, count);
        let Some(known) = self.known.get_mut((place as usize).wrapping_sub(1)) else { return };
        let tree = &mut trees[proc.owner as usize - 1];
        if now >= tree.kill_at {
            if !core::mem::replace(&mut known.is_frozen, true) {
                tree.has_fresh = true;
                kernel::signal(&proc, SIGSTOP);
            }
            return;
        }
        let is_leader_alone = tree.flags & LEADER_FIRST != 0 && tree.leader_runs && now < tree.others_at;
        if is_leader_alone && proc.pid != tree.leader {
            return;
        }
        // A process that a member starts after the signal may do its clean-up.
        if known.stopped_in != 0 || (is_helper && now < tree.others_at) {
            return;
        }
        match self.claims.sender_for(&self.procs[..count], tree, &proc) {
            StopSender::ThisGuardian => known.stopped_in = self.scan,
            StopSender::Another => {
                known.stopped_in = SENT_BY_THE_HOST;
                return;
            }
            StopSender::InnerGuardian => return,
        }
        kernel::signal(&proc, tree.stop_signal);
        kernel::signal(&proc, SIGCONT);
    }
}
