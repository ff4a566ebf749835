//! Stops members of trees that grow faster than a scan takes, during the scan, before they are killed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::census::Memory;
use super::leader::Leader;
use super::pid::Pid;
use super::process_table::{Interest, ProcessTable};
use super::procs::{self, Proc};
use super::signal::Signal;
use super::termination_queue::Request;
use crate::platform::Act;

/// The longest delay of other trees by one request.
const LONGEST_CHASE_AT_ONCE: Duration = Duration::from_secs(5);

/// Stops processes while they are being scanned: in a chain of processes that run for some milliseconds each, every one would be gone
/// by the end of the scan.
pub(super) struct Chase<'a> {
    trees: HashMap<Pid, &'a Arc<Leader>>,
    segments: HashMap<&'a [u8], &'a Arc<Leader>>,
    memory: &'a Memory,
    young: u64,
    caught: HashMap<Pid, &'a Arc<Leader>>,
    /// Whether this scan has found a process that was not stopped.
    is_moving: bool,
}

impl<'a> Chase<'a> {
    /// Prepares to stop the members of those trees of a batch that grow while they are killed. `scanned` is when the scan before this one
    /// began: that scan has found older processes.
    pub(super) fn of(batch: impl Iterator<Item = &'a Request>, memory: &'a Memory, scanned: u64) -> Self {
        let is_chased = |request: &&Request| {
            if request.act != Act::Kill {
                return false;
            }
            let findings = request.leader.tree().findings();
            findings.grows && !findings.is_hurried
        };
        let trees: HashMap<_, _> =
            batch.filter(is_chased).map(|request| (request.leader.tree().leader, &request.leader)).collect();
        let tagged = trees.values().map(|leader| (&*leader.tree().mark.segment, *leader));
        let segments = tagged.filter(|(segment, _)| !segment.is_empty()).collect();
        let young = procs::now().saturating_sub(procs::SETTLED).min(scanned);
        Self { trees, segments, memory, young, caught: HashMap::new(), is_moving: false }
    }

    /// Whether there is nothing to stop.
    pub(super) fn is_idle(&self) -> bool {
        self.trees.is_empty()
    }

    /// Scans until a scan finds no process to stop, or for as long as other trees can wait. Uses this thread only: during a fork bomb
    /// each switch of threads may take a second. Returns `None` when it is interrupted.
    pub(super) fn scan(
        &mut self,
        table: &mut ProcessTable,
        interest: &Interest<'_>,
        mut is_interrupted: impl FnMut() -> bool,
    ) -> Option<Vec<Proc>> {
        let until = Instant::now() + LONGEST_CHASE_AT_ONCE;
        loop {
            self.is_moving = false;
            let procs = table.scan(interest, |proc| {
                self.visit(proc);
                !is_interrupted()
            })?;
            if !self.is_moving || Instant::now() >= until {
                return Some(procs);
            }
        }
    }

    fn visit(&mut self, proc: &Proc) {
        if self.trees.is_empty() || proc.is_dead() {
            return;
        }
        let Some(leader) = self.owner(proc) else { return };
        let tree = leader.tree();
        if proc.start < tree.born || tree.mark.allow_detached {
            return;
        }
        self.caught.insert(proc.pid, leader);
        let mut findings = tree.findings();
        if findings.frozen.insert(proc.identity()) {
            self.is_moving = true;
            findings.mechanism.frozen();
            let _ = leader.signal_member(proc, Signal::STOP);
        }
    }

    fn owner(&self, proc: &Proc) -> Option<&'a Arc<Leader>> {
        let by_number = [proc.session, proc.group].iter().flatten().find_map(|number| self.trees.get(number));
        let found = by_number.or_else(|| self.caught.get(&proc.parent?));
        if let Some(leader) = found {
            return Some(leader);
        }
        let serial = self.memory.tree_of(proc);
        if let Some(leader) = self.trees.values().find(|leader| Some(leader.tree().serial) == serial) {
            return Some(leader);
        }
        // Young ones only: the read for a process that hangs would hang this thread.
        if proc.start < self.young {
            return None;
        }
        let tag = procs::tag(proc.pid)?;
        tag.split(|byte| *byte == b':').find_map(|segment| self.segments.get(segment)).copied()
    }
}
