//! Serves a deadline by the control group of its tree, without a scan: beside thousands of processes a scan takes long.

use std::collections::HashSet;

use super::{Coverage, Request, Terminator};
use crate::platform::Act;
use crate::platform::unix::pid::Pid;
use crate::platform::unix::procs::{self, Proc};

impl Terminator {
    /// Describes and stops the members that the kernel lists. Members that have left their control group are found by the scan that
    /// follows. Returns the requests that only a scan can serve.
    pub(super) fn serve_by_group(&mut self, deadlines: Vec<Request>) -> Vec<Request> {
        let mut left = Vec::new();
        for request in deadlines {
            match self.group_members(&request) {
                Some(members) => {
                    // By the next scan a member may have left the group, and lost its other connections to the tree.
                    for proc in &members {
                        self.memory.remember(proc, request.leader.tree().serial);
                    }
                    self.answer(request, &members, Coverage::Partial);
                }
                None => left.push(request),
            }
        }
        left
    }

    /// Returns the members of the group, those known from earlier scans, and the leader, for their description and the first stop signal;
    /// `None` if only a scan can find them. An execution whose processes may opt out has no group.
    fn group_members(&self, request: &Request) -> Option<Vec<Proc>> {
        let tree = request.leader.tree();
        let group = tree.group.as_ref()?;
        let is_first = match request.act {
            Act::Describe { .. } => true,
            // The description has taken too long for the signal to follow it.
            Act::Stop { .. } => tree.findings().stopping_since.is_none(),
            Act::Look { .. } | Act::Kill => false,
        };
        if !is_first {
            return None;
        }
        let listed: HashSet<Pid> = group.members().into_iter().chain([tree.leader]).collect();
        let read: Vec<Proc> = listed.into_iter().filter_map(procs::read).collect();
        // Listed again: an id that is still there is that of the process that was read.
        let still: HashSet<Pid> = group.members().into_iter().chain([tree.leader]).collect();
        let mut members: Vec<Proc> = read.into_iter().filter(|proc| still.contains(&proc.pid)).collect();
        let known = self.memory.members_of(tree.serial).filter(|(pid, _)| !still.contains(pid));
        members.extend(known.filter_map(|identity| procs::read(identity.0).filter(|proc| proc.identity() == identity)));
        members.retain(|proc| proc.start >= tree.born);
        members.iter().any(|proc| !proc.is_dead()).then_some(members)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
