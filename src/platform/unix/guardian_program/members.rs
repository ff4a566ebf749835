//! Decides which processes belong to which tree. One scan of the process table serves all trees.

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Acquire;

use crate::claims::{CHAIN_BYTES, Claims};
use crate::outputs::Outputs;
use crate::sessions::Sessions;
use crate::sys::{self, Path, SIGSTOP};
use crate::table::{Header, STOPPED_PLACES, place_of, stopped};
use crate::tree::Tree;
use crate::{Proc, group_path, kernel};

mod signals;

/// The most processes: more than any machine has.
const MOST_PROCESSES: usize = 1 << 17;
const PLACES: usize = 2 * MOST_PROCESSES;
/// A tree is gone after this many consecutive scans without a member; more for a tree that has started new members meanwhile.
const QUIET_SCANS: u32 = 2;
const QUIET_SCANS_OF_A_GROWING_TREE: u32 = 6;
/// The most scans in a row that do not count as quiet because a process was ending: a child that it has started may not
/// have been in the list yet.
const MOST_UNSURE_SCANS: u32 = 20;
const SENT_BY_THE_HOST: u32 = 1;
/// Reads of the tag of a process that may have opted out, a millisecond apart, until it has one.
const LOOKS_AT_AN_EXEC: u32 = 64;
/// The value with which a child opts out of its tree.
const DETACHED: &[u8] = b"detached";
/// A process without a tag is not read again when it is older than this: a younger one may not have finished its exec.
#[cfg(target_os = "linux")]
const SETTLED: u64 = 100;
#[cfg(not(target_os = "linux"))]
const SETTLED: u64 = 1_000_000;

/// The state of a process that is kept from scan to scan.
#[derive(Clone, Copy)]
struct Known {
    pid: i32,
    start: u64,
    /// The same as [`Proc::owner`]; 0: it has no tag.
    owner: u32,
    seen_in: u32,
    /// The scan that sent it the stop signal; 0: it has not had the signal.
    stopped_in: u32,
    is_frozen: bool,
    is_alive: bool,
}

pub(crate) struct Members {
    procs: &'static mut [Proc],
    known: &'static mut [Known],
    known_count: usize,
    /// Places of `known`, counted from 1, by process id.
    places: &'static mut [u32],
    /// Trees, counted from 1, by the process id of their leader.
    leaders: &'static mut [u32],
    /// Members of the control groups: process id and tree.
    grouped: &'static mut [(i32, u32)],
    outputs: Outputs,
    sessions: Sessions,
    claims: Claims,
    /// The notes of the host about the processes that it has sent the stop signal.
    stopped: &'static [AtomicU64; STOPPED_PLACES],
    scan: u32,
    oldest: u64,
    some_may_opt_out: bool,
    /// Whether the scan has met a process that was ending, and that no earlier scan has met as such.
    is_unsure: bool,
}

fn hash(pid: i32) -> usize {
    (pid as u32).wrapping_mul(2_654_435_769) as usize % PLACES
}

/// Whether a process has opted out. It has no environment during an exec, so the read is repeated.
fn opts_out(pid: i32) -> bool {
    let mut chain = [0; CHAIN_BYTES];
    let mut look = || {
        kernel::tag(pid, &mut chain).or_else(|| {
            sys::sleep_ms(1);
            None
        })
    };
    let length = (0..LOOKS_AT_AN_EXEC).find_map(|_| look());
    length.is_some_and(|length| &chain[..length] == DETACHED)
}

impl Members {
    /// Reserves memory in advance: there may be none when the host has ended.
    pub(crate) fn reserve(is_nested: bool, stopped: &'static [AtomicU64; STOPPED_PLACES]) -> Option<Self> {
        Some(Self {
            procs: sys::memory(MOST_PROCESSES)?,
            known: sys::memory(MOST_PROCESSES)?,
            known_count: 0,
            places: sys::memory(PLACES)?,
            leaders: sys::memory(PLACES)?,
            grouped: sys::memory(MOST_PROCESSES)?,
            outputs: Outputs::reserve()?,
            sessions: Sessions::reserve()?,
            claims: Claims::reserve(is_nested)?,
            stopped,
            // The number before that of the first scan stands for the signals that the host has sent.
            scan: SENT_BY_THE_HOST,
            oldest: 0,
            some_may_opt_out: false,
            is_unsure: false,
        })
    }

    /// Takes the trees to end.
    pub(crate) fn begin(&mut self, trees: &[Tree]) {
        for (index, tree) in trees.iter().enumerate().filter(|(_, tree)| tree.leader > 1) {
            let mut at = hash(tree.leader);
            while self.leaders[at] != 0 {
                at = (at + 1) % PLACES;
            }
            self.leaders[at] = index as u32 + 1;
        }
        self.oldest = trees.iter().map(|tree| tree.earliest_start).min().unwrap_or(0);
        self.some_may_opt_out = trees.iter().any(Tree::allows_detached);
        sys::allow_open_files();
    }

    fn led_by(&self, number: i32, trees: &[Tree]) -> u32 {
        let mut at = hash(number);
        while self.leaders[at] != 0 {
            if trees[self.leaders[at] as usize - 1].leader == number {
                return self.leaders[at];
            }
            at = (at + 1) % PLACES;
        }
        0
    }

    /// Returns the place of a process in `known`, counted from 1; 0 if it has none.
    fn place(&self, proc: &Proc) -> u32 {
        let mut at = hash(proc.pid);
        while self.places[at] != 0 {
            let known = &self.known[self.places[at] as usize - 1];
            if known.pid == proc.pid && known.start == proc.start {
                return self.places[at];
            }
            at = (at + 1) % PLACES;
        }
        0
    }

    fn remember(&mut self, proc: &Proc, owner: u32) -> Option<&mut Known> {
        let mut place = self.place(proc);
        if place == 0 {
            if self.known_count == self.known.len() {
                return None;
            }
            self.known[self.known_count] = Known {
                pid: proc.pid,
                start: proc.start,
                owner,
                seen_in: 0,
                stopped_in: 0,
                is_frozen: false,
                is_alive: false,
            };
            self.known_count += 1;
            place = self.known_count as u32;
            let mut at = hash(proc.pid);
            while self.places[at] != 0 {
                at = (at + 1) % PLACES;
            }
            self.places[at] = place;
        }
        self.known.get_mut(place as usize - 1)
    }

    /// Scans the process table, and sends the signals that are due. Returns `false` when all trees are gone.
    pub(crate) fn scan(&mut self, trees: &mut [Tree], header: &Header, now: u64) -> bool {
        self.scan += 1;
        self.is_unsure = false;
        self.outputs.drain();
        for tree in trees.iter_mut().filter(|tree| !tree.is_gone && tree.leader > 1) {
            tree.is_reused = kernel::read(tree.leader).is_some_and(|now| now.start > tree.latest_start);
        }
        let grouped = self.read_groups(trees, header);
        let count = self.read_processes(trees, grouped, now);
        self.inherit(trees, count);
        if self.sessions.apply(trees, &mut self.procs[..count], self.scan) {
            self.inherit(trees, count);
        }
        self.count(trees, count);
        let mut is_left = false;
        let mut path = Path::new();
        for tree in trees.iter_mut().filter(|tree| !tree.is_gone) {
            let has_group = group_path(header, tree.cgroup, &mut path);
            let is_populated = has_group && !tree.allows_detached() && kernel::is_populated(&mut path);
            let is_unsure = self.is_unsure && tree.cgroup == 0 && tree.unsure_scans < MOST_UNSURE_SCANS;
            tree.unsure_scans += u32::from(is_unsure);
            let is_quiet = tree.living == 0 && !tree.is_moving && !is_populated && !is_unsure;
            tree.quiet_scans = if is_quiet { tree.quiet_scans + 1 } else { 0 };
            let wanted = if tree.grows { QUIET_SCANS_OF_A_GROWING_TREE } else { QUIET_SCANS };
            tree.is_gone = tree.quiet_scans >= wanted;
            is_left |= !tree.is_gone;
            if now >= tree.kill_at {
                tree.count_killing(now);
                if is_populated {
                    kernel::kill_group(&mut path);
                }
            }
        }
        self.act(trees, count, now);
        is_left
    }

    /// Reads the members of the control groups, sorted by process id.
    fn read_groups(&mut self, trees: &[Tree], header: &Header) -> usize {
        let mut count = 0;
        let mut path = Path::new();
        let grouped = &mut *self.grouped;
        for (index, tree) in trees.iter().enumerate().filter(|(_, tree)| !tree.is_gone) {
            if group_path(header, tree.cgroup, &mut path) {
                kernel::each_in_group(&mut path, &mut |pid| {
                    if let Some(place) = grouped.get_mut(count) {
                        *place = (pid, index as u32 + 1);
                        count += 1;
                    }
                });
            }
        }
        grouped[..count].sort_unstable();
        count
    }

    fn read_processes(&mut self, trees: &[Tree], grouped: usize, now: u64) -> usize {
        let mut count = 0;
        kernel::each(&mut |mut proc| {
            if count == self.procs.len() {
                return;
            }
            self.place_by_itself(&mut proc, trees, grouped);
            if proc.owner != 0 && !proc.is_dead {
                let tree = &trees[proc.owner as usize - 1];
                // Stopped during the scan: a chain of short-lived processes would be gone at its end.
                if now >= tree.kill_at && tree.grows && !tree.is_gone {
                    let owner = proc.owner;
                    if let Some(known) = self.remember(&proc, owner)
                        && !core::mem::replace(&mut known.is_frozen, true)
                    {
                        kernel::signal(&proc, SIGSTOP);
                    }
                }
            }
            self.procs[count] = proc;
            count += 1;
        });
        // Members of the groups that the scan has missed.
        for index in 0..grouped {
            let (pid, owner) = self.grouped[index];
            let is_known = self.procs[..count].binary_search_by_key(&pid, |proc| proc.pid).is_ok();
            if !is_known
                && count < self.procs.len()
                && let Some(mut proc) = kernel::read(pid)
            {
                proc.owner = owner;
                self.procs[count] = proc;
                count += 1;
            }
        }
        self.procs[..count].sort_unstable_by_key(|proc| proc.pid);
        count
    }

    /// Finds the owner of a process without its parent.
    fn place_by_itself(&mut self, proc: &mut Proc, trees: &[Tree], grouped: usize) {
        if proc.start < self.oldest {
            return;
        }
        for number in [proc.session, proc.group] {
            let owner = self.led_by(number, trees);
            if owner == 0 {
                continue;
            }
            let tree = &trees[owner as usize - 1];
            if proc.start >= tree.earliest_start && !tree.is_reused {
                proc.owner = owner;
                break;
            }
        }
        let place = self.place(proc);
        if proc.owner == 0 && place != 0 {
            proc.owner = self.known[place as usize - 1].owner;
        }
        if proc.owner == 0
            && let Ok(at) = self.grouped[..grouped].binary_search_by_key(&proc.pid, |(pid, _)| *pid)
        {
            proc.owner = self.grouped[at].1;
        }
        let is_settled_stranger = place != 0 && proc.owner == 0;
        let may_opt_out = proc.owner != 0 && trees[proc.owner as usize - 1].may_opt_out(proc);
        let needs_tag = if proc.owner == 0 { !is_settled_stranger || self.some_may_opt_out } else { may_opt_out };
        if proc.is_dead {
            if proc.owner == 0 && place == 0 {
                self.is_unsure = true;
                let stranger = *proc;
                self.remember(&stranger, 0);
            }
            return;
        }
        if !needs_tag {
            return;
        }
        let mut chain = [0; CHAIN_BYTES];
        let Some(length) = kernel::tag(proc.pid, &mut chain) else {
            if proc.owner == 0 {
                if proc.start + SETTLED < kernel::now() {
                    let stranger = *proc;
                    self.remember(&stranger, 0);
                } else {
                    self.is_unsure |= !kernel::has_environment(proc.pid);
                }
            }
            return;
        };
        let chain = &chain[..length];
        if chain == DETACHED {
            proc.is_detached = true;
            if may_opt_out {
                proc.owner = 0;
            }
        } else if proc.owner == 0 {
            let carries = |tree: &Tree| {
                let segment = tree.segment();
                !segment.is_empty()
                    && proc.start >= tree.earliest_start
                    && chain.split(|byte| *byte == b':').any(|it| it == segment)
            };
            proc.owner = trees.iter().position(carries).map_or(0, |index| index as u32 + 1);
            if proc.owner == 0 && proc.start + SETTLED < kernel::now() {
                let stranger = *proc;
                self.remember(&stranger, 0);
            }
        }
    }

    /// Passes owners on from parents to children, for all generations.
    fn inherit(&mut self, trees: &[Tree], count: usize) {
        loop {
            let mut has_changed = false;
            for index in 0..count {
                let proc = self.procs[index];
                if proc.owner != 0 || proc.start < self.oldest {
                    continue;
                }
                let procs = &self.procs[..count];
                let Ok(at) = procs.binary_search_by_key(&proc.parent, |other| other.pid) else { continue };
                let parent = procs[at];
                if parent.owner == 0 || parent.start > proc.start {
                    continue;
                }
                let tree = &trees[parent.owner as usize - 1];
                let is_new = self.place(&proc) == 0;
                let may_opt_out = tree.may_opt_out(&proc) && !proc.is_dead;
                let is_detached = may_opt_out && (proc.is_detached || (is_new && opts_out(proc.pid)));
                self.procs[index].is_detached |= is_detached;
                if proc.start >= tree.earliest_start && !is_detached {
                    self.procs[index].owner = parent.owner;
                    has_changed = true;
                }
            }
            if !has_changed {
                return;
            }
        }
    }

    /// Records the findings of the scan.
    fn count(&mut self, trees: &mut [Tree], count: usize) {
        for tree in trees.iter_mut() {
            (tree.living, tree.is_moving, tree.has_fresh, tree.leader_runs) = (0, false, false, false);
            tree.scans += 1;
        }
        let scan = self.scan;
        for index in 0..count {
            let proc = self.procs[index];
            if proc.owner == 0 {
                continue;
            }
            let tree = &mut trees[proc.owner as usize - 1];
            let is_new = self.place(&proc) == 0;
            let is_noted = self.stopped[place_of(proc.pid)].load(Acquire) == stopped(proc.pid, proc.start);
            let Some(known) = self.remember(&proc, proc.owner) else { continue };
            known.owner = proc.owner;
            known.seen_in = scan;
            if is_new && (is_noted || tree.was_stopped_unseen(&proc)) {
                known.stopped_in = SENT_BY_THE_HOST;
            }
            let has_ended = known.is_alive && proc.is_dead;
            known.is_alive = !proc.is_dead;
            if has_ended {
                tree.has_lost(proc.pid);
            }
            if proc.is_dead {
                continue;
            }
            if is_new {
                self.outputs.hold(proc.pid);
            }
            tree.living += 1;
            tree.is_moving |= is_new;
            tree.grows |= is_new && tree.scans > 1;
            tree.leader_runs |= proc.pid == tree.leader;
        }
        for known in self.known[..self.known_count].iter_mut().filter(|known| known.owner != 0) {
            if known.is_alive && known.seen_in != scan {
                known.is_alive = false;
                trees[known.owner as usize - 1].has_lost(known.pid);
            }
        }
    }
}
