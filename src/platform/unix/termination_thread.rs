//! The thread that scans the table of processes for all trees that are being ended, and signals their members.
//!
//! One scan serves every tree that waits for one: a thousand trees that end together cost little more than one. The thread does
//! nothing else, so that no spawn and no slow disk delays the end of a tree.

use std::collections::{HashMap, HashSet};
use std::io;
use std::iter::successors;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use libc::pid_t;
use tokio::sync::oneshot;

use super::bounded::Bounded;
use super::census::{Members, Memory};
use super::cgroup::{self, Group};
use super::chase::Chase;
use super::leader::{self, Leader};
use super::process_table::ProcessTable;
use super::procs::{self, Identity, Proc};
use super::stop_claims::inner_segments;
use super::termination_queue::{Request, Requests};
use super::tree::{Findings, StopSender, Tree};
use super::{pidfd, stop_number};
use crate::platform::{Act, ScanPriority, Sight, StopSent, StopTargets};
use crate::runtime;
use crate::types::StopSignal;

/// Describing a process that hangs in the kernel can hang too.
const LONGEST_DESCRIPTION: Duration = Duration::from_millis(800);
/// For so long after a scan its members get the stop signal: a child that one of them has started meanwhile waits for a later scan.
const FRESH: Duration = Duration::from_millis(20);
/// So many requests are served before the thread looks whether a deadline waits for another scan.
const SERVED_AT_ONCE: usize = 64;
/// A scan that may have missed a process is repeated at once, so often and for so long at most: others wait meanwhile.
const MOST_REPEATS: u32 = 4;
const LONGEST_REPEAT: Duration = Duration::from_millis(10);
/// So many scans in a row without a member show that a tree is gone.
const QUIET_SCANS: u32 = 2;
/// The same for a tree that has brought forth new members while it was being ended: one scan may miss what is just created.
const QUIET_SCANS_OF_A_GROWING_TREE: u32 = 6;
/// A tree that brings forth new members is stopped for so many scans at most before it is killed as far as it was seen.
const LONGEST_CHASE: u32 = 400;

/// After so many scans of killing, what signals do not reach is moved into a control group and killed with it.
const SCANS_BEFORE_MOVING: u32 = 8;

/// Starts the thread, so that it is there however short the machine is of threads when a tree has to end.
pub(super) fn prepare() -> io::Result<()> {
    queue().map(drop)
}

/// Has a tree scanned; the next scan serves it.
pub(super) fn scan(
    leader: Arc<Leader>,
    act: Act,
    leader_exited: bool,
    priority: ScanPriority,
) -> oneshot::Receiver<Sight> {
    let (answer, sight) = oneshot::channel();
    let request = Request { leader, act, leader_exited, priority, answer };
    match queue() {
        Ok(queue) => drop(queue.send(request)),
        // The machine has no room for a thread of its own: one of the runtime's does the work.
        Err(_) => runtime::start_blocking(move || Terminator::default().serve(&mut Requests::only(request))),
    }
    sight
}

fn queue() -> io::Result<&'static Sender<Request>> {
    static QUEUE: OnceLock<Sender<Request>> = OnceLock::new();
    /// Held while the one thread is created.
    static CREATING: Mutex<()> = Mutex::new(());
    if let Some(queue) = QUEUE.get() {
        return Ok(queue);
    }
    let _creating = CREATING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(queue) = QUEUE.get() {
        return Ok(queue);
    }
    let (give, given) = mpsc::channel();
    std::thread::Builder::new().name("escher-end".into()).spawn(move || run(&given))?;
    Ok(QUEUE.get_or_init(|| give))
}

fn run(arriving: &Receiver<Request>) {
    let mut requests = Requests::arriving_at(arriving);
    let mut terminator = Terminator::default();
    while requests.wait() {
        let started = Instant::now();
        // The hook has reported a panic already; the requests of this scan see that their answers are gone.
        let _ = catch_unwind(AssertUnwindSafe(|| terminator.serve(&mut requests)));
        requests.rest(started.elapsed());
    }
}

#[derive(Default)]
struct Terminator {
    memory: Memory,
    table: ProcessTable,
    describer: Bounded,
    /// When the latest scan began, in the unit of [`Proc::start`].
    scanned: u64,
}

impl Terminator {
    /// Serves the requests that wait, with one scan. Requests for a deadline are served first, and alone if the others can wait; if one
    /// arrives meanwhile, what is left waits too.
    fn serve(&mut self, requests: &mut Requests<'_>) {
        let (deadlines, mut others) = requests.take();
        if !deadlines.is_empty() && !others.is_empty() && requests.may_wait() {
            requests.put_back(std::mem::take(&mut others));
        }
        if !procs::is_visible() {
            for request in deadlines.into_iter().chain(others) {
                let sight = act_unseen(&request);
                let _ = request.answer.send(sight);
            }
            return;
        }
        let started = procs::now();
        let mut chase = Chase::of(deadlines.iter().chain(&others), &self.memory, self.scanned);
        let ending: HashSet<u64> = deadlines.iter().chain(&others).map(|it| it.leader.tree().serial).collect();
        let is_watched = |proc: &Proc| self.memory.is_in(proc, &ending);
        let may_wait = deadlines.is_empty() && chase.is_idle();
        let Some(mut procs) = chase.scan(&mut self.table, is_watched, || may_wait && requests.interrupts()) else {
            requests.put_back(others);
            return;
        };
        self.scanned = started;
        if !deadlines.is_empty() {
            let members = self.members(&mut procs, &deadlines, || false).unwrap_or_default();
            deadlines.into_iter().zip(members).for_each(|(request, members)| self.answer(request, &members));
        }
        if !others.is_empty() {
            self.serve_others(requests, others, &mut procs);
        }
    }

    /// Serves requests for which no deadline waits, until one does.
    fn serve_others(&mut self, requests: &mut Requests<'_>, others: Vec<Request>, procs: &mut Vec<Proc>) {
        let Some(members) = self.members(procs, &others, || requests.interrupts()) else {
            requests.put_back(others);
            return;
        };
        let mut left = others.into_iter().zip(members);
        loop {
            let slice = left.by_ref().take(SERVED_AT_ONCE);
            slice.for_each(|(request, members)| self.answer(request, &members));
            requests.advanced();
            if left.len() == 0 {
                return;
            }
            if requests.has_deadline() {
                requests.put_back(left.map(|(request, _)| request));
                return;
            }
        }
    }

    /// The members of the trees of a batch. `None`: interrupted.
    fn members(
        &mut self,
        procs: &mut Vec<Proc>,
        batch: &[Request],
        mut is_interrupted: impl FnMut() -> bool,
    ) -> Option<Members> {
        let mut trees: Vec<Arc<Leader>> = batch.iter().map(|request| Arc::clone(&request.leader)).collect();
        let ending: HashSet<u64> = trees.iter().map(|leader| leader.tree().serial).collect();
        trees.extend(Leader::all_living().into_iter().filter(|leader| !ending.contains(&leader.tree().serial)));
        let may_miss_some = batch.iter().any(|request| request.leader.tree().group.is_none());
        let until = Instant::now() + LONGEST_REPEAT;
        for repeat in 1.. {
            // The groups are read after the scan, which may have missed what was started meanwhile.
            let mut in_groups = HashMap::new();
            for (index, leader) in trees[..batch.len()].iter().enumerate() {
                if is_interrupted() {
                    return None;
                }
                let members = leader.tree().group.as_ref().map(Group::members);
                in_groups.extend(members.into_iter().flatten().map(|pid| (pid, index)));
            }
            let scanned: HashSet<pid_t> = procs.iter().map(|proc| proc.pid).collect();
            procs.extend(in_groups.keys().filter(|pid| !scanned.contains(pid)).filter_map(|pid| procs::read(*pid)));
            let members = self.memory.sort(procs, &trees, &in_groups);
            let is_repeated = may_miss_some && self.memory.is_unsure() && repeat <= MOST_REPEATS;
            if !is_repeated || Instant::now() >= until {
                return Some(members);
            }
            let memory = &self.memory;
            *procs = self.table.scan(|proc| memory.is_in(proc, &ending), |_| true).unwrap_or_default();
        }
        None
    }

    fn answer(&mut self, request: Request, members: &[Proc]) {
        let sight = self.act(&request, members);
        let Request { leader, answer, .. } = request;
        // An execution that is over has no descriptors any more: none of its handles is held here.
        drop(leader);
        let _ = answer.send(sight);
    }

    fn act(&mut self, request: &Request, members: &[Proc]) -> Sight {
        let tree = request.leader.tree();
        let mut findings = tree.findings();
        let living: Vec<Proc> = members.iter().filter(|proc| !proc.is_dead()).copied().collect();
        reap_orphans(members, tree.leader);
        let is_new = findings.count(tree, &living);
        let mut sight = Sight { is_new, is_gone: findings.is_gone(), ..Sight::default() };
        match request.act {
            Act::Describe { then } => {
                // Not under the lock: it may take its time.
                drop(findings);
                let since = Instant::now();
                let (described, _) = self.describer.map(&living, LONGEST_DESCRIPTION, procs::describe);
                sight.processes = described.into_iter().map(|(_, described)| described).collect();
                if let Some((signal, to)) = then
                    && since.elapsed() < FRESH
                {
                    sight.stop = StopSent::Yes;
                    self.stop(&request.leader, &living, signal, to);
                }
            }
            Act::Stop { signal, to } => {
                drop(findings);
                self.stop(&request.leader, &living, signal, to);
            }
            Act::Kill => findings.kill(&request.leader, &living, is_new),
        }
        sight
    }

    /// Sends the stop signal to the members that `to` names and that have not had it, but for those that another engine signals.
    fn stop(&mut self, leader: &Leader, living: &[Proc], signal: StopSignal, to: StopTargets) {
        let tree = leader.tree();
        let chosen = tree.findings().stop_targets(tree.leader, living, to);
        // Not under the lock: what is read may hang.
        let inner = inner_segments(&mut self.describer, tree, living, &chosen);
        let mut findings = tree.findings();
        let chosen = findings.leave_to_others(leader, chosen, &inner);
        findings.stop(leader, &chosen, signal);
    }
}

/// What can be done for a tree whose processes cannot be seen: signals to the process group, which is known by its number.
fn act_unseen(request: &Request) -> Sight {
    let leader = &request.leader;
    let tree = leader.tree();
    let mut findings = tree.findings();
    findings.mechanism.blind();
    findings.scans += 1;
    if !request.leader_exited {
        findings.seen.insert(tree.leader);
    }
    match request.act {
        Act::Describe { then: None } => {}
        Act::Describe { then: Some((signal, _)) } | Act::Stop { signal, .. } => {
            let is_ours = findings.stop_sender(tree, None) != StopSender::Another;
            if is_ours && findings.stopped_unseen.is_none() && findings.stopped.insert((tree.leader, 0)) {
                leader.announce_stop();
                findings.mechanism.group_stopped(signal.as_str());
                let sent = leader.signal_group(stop_number(signal)).and_then(|()| leader.signal_group(libc::SIGCONT));
                findings.mechanism.refused(sent.err().map(|error| refusal(signal.as_str(), tree.leader, &error)));
            }
        }
        Act::Kill => {
            findings.mechanism.group_killed();
            let sent = leader.signal_group(libc::SIGKILL);
            findings.mechanism.refused(sent.err().map(|error| refusal("SIGKILL", tree.leader, &error)));
            if tree.group.as_ref().is_some_and(Group::kill) {
                findings.mechanism.control_group_killed();
            }
        }
    }
    let is_quiet = request.leader_exited && tree.group.as_ref().is_none_or(Group::is_empty);
    findings.quiet_scans = if is_quiet { findings.quiet_scans + 1 } else { 0 };
    Sight { is_gone: findings.is_gone(), ..Sight::default() }
}

fn refusal(signal: &str, pid: pid_t, error: &io::Error) -> String {
    format!("{signal} to {pid} was refused ({error})")
}

/// Reaps the members that became children of this process when their parents exited, if the host has the process id 1 or is a
/// subreaper: no other process reaps them. Children that the host has started itself are not members of a tree.
fn reap_orphans(members: &[Proc], tree_leader: pid_t) {
    let host = std::process::id().cast_signed();
    for proc in members.iter().filter(|proc| proc.is_dead() && proc.parent == host && proc.pid != tree_leader) {
        leader::reap_orphan(proc.pid);
    }
}

impl Findings {
    /// Takes in what a scan found; returns whether some members had not been seen before.
    fn count(&mut self, tree: &Tree, living: &[Proc]) -> bool {
        let alive: HashSet<Identity> = living.iter().map(Proc::identity).collect();
        let has_ended = self.alive.iter().any(|identity| !alive.contains(identity));
        // It may have started another one meanwhile, which scans miss if it is as short-lived. A control group would show that.
        let may_have_moved = self.alive.iter().any(|identity| !alive.contains(identity) && identity.0 != tree.leader);
        self.grows |= may_have_moved && tree.group.is_none();
        let is_new = living.iter().any(|proc| !self.known.contains(&proc.identity()));
        self.grows |= is_new && self.scans > 0;
        self.scans += 1;
        self.known.extend(living.iter().map(Proc::identity));
        self.alive = alive;
        self.seen.extend(living.iter().map(|proc| proc.pid));
        self.is_moving = is_new || has_ended;
        let is_quiet = living.is_empty() && !has_ended && tree.group.as_ref().is_none_or(Group::is_empty);
        self.quiet_scans = if is_quiet { self.quiet_scans + 1 } else { 0 };
        is_new
    }

    fn is_gone(&self) -> bool {
        self.quiet_scans >= if self.grows { QUIET_SCANS_OF_A_GROWING_TREE } else { QUIET_SCANS }
    }

    /// The members that get the stop signal now: those that have not had it, as far as `to` says.
    fn stop_targets(&self, leader: pid_t, living: &[Proc], to: StopTargets) -> Vec<Proc> {
        let signalled: HashSet<pid_t> =
            living.iter().filter(|proc| self.stopped.contains(&proc.identity())).map(|proc| proc.pid).collect();
        let parents: HashMap<pid_t, pid_t> = living.iter().map(|proc| (proc.pid, proc.parent)).collect();
        // What a member starts when it has had the signal may be its clean-up, and so is what that starts.
        let is_clean_up = |proc: &Proc| {
            let mut ancestors = successors(Some(proc.parent), |pid| parents.get(pid).copied()).take(living.len());
            ancestors.any(|pid| signalled.contains(&pid))
        };
        let is_chosen = |proc: &&Proc| match to {
            _ if signalled.contains(&proc.pid) => false,
            StopTargets::Leader => proc.pid == leader,
            StopTargets::Members => !is_clean_up(proc),
            StopTargets::Everything => true,
        };
        living.iter().filter(is_chosen).copied().collect()
    }

    /// Takes out of `chosen` those that get the stop signal from another engine, or have had it from there. `inner` has the segments
    /// of those that belong to inner executions.
    fn leave_to_others(&mut self, leader: &Leader, chosen: Vec<Proc>, inner: &HashMap<pid_t, Vec<u8>>) -> Vec<Proc> {
        let is_ours = |proc: &Proc| {
            let segment = inner.get(&proc.pid).map(Vec::as_slice);
            let sender = self.stop_sender(leader.tree(), segment);
            if sender == StopSender::Another {
                if segment.is_none() {
                    leader.announce_stop();
                }
                self.stopped.insert(proc.identity());
                self.mechanism.stopped_by_another();
            }
            sender == StopSender::ThisEngine
        };
        chosen.into_iter().filter(is_ours).collect()
    }

    /// Sends the stop signal, and SIGCONT, so that a stopped process can act on it.
    fn stop(&mut self, leader: &Leader, members: &[Proc], signal: StopSignal) {
        let number = stop_number(signal);
        let mut refused = None;
        leader.announce_stop();
        for proc in members {
            let has_it = self.stopped_unseen.is_some_and(|sent| sent.includes(leader.tree().leader, proc));
            if !self.stopped.insert(proc.identity()) || has_it {
                continue;
            }
            let sent = signal_member(leader, proc, number).and_then(|()| signal_member(leader, proc, libc::SIGCONT));
            match sent {
                Ok(()) => self.mechanism.stopped(signal.as_str(), leader.tree().leader, proc),
                Err(error) => refused = Some(refusal(signal.as_str(), proc.pid, &error)),
            }
        }
        if refused.is_some() {
            self.mechanism.refused(refused);
        }
    }

    /// Kills every member. A control group is killed in one step. Others are stopped first, since a process that is stopped
    /// starts no others: they are killed by the first scan that finds no change, or when that takes too long.
    fn kill(&mut self, leader: &Leader, living: &[Proc], is_new: bool) {
        let tree = leader.tree();
        // Whether or not the scan has met a member: those that live for a moment only may escape every scan.
        let group = tree.group.as_ref().filter(|group| !group.is_empty());
        let in_group: HashSet<pid_t> = group.map(Group::members).into_iter().flatten().collect();
        let is_group_killed = group.is_some_and(Group::kill);
        if is_group_killed {
            self.mechanism.control_group_killed();
        }
        let by_signal = |proc: &&Proc| !(is_group_killed && in_group.contains(&proc.pid));
        for proc in living.iter().filter(|proc| !by_signal(proc)) {
            self.mechanism.killed(tree.leader, proc);
            self.killed.insert(proc.identity());
        }
        let others: Vec<&Proc> = living.iter().filter(by_signal).collect();
        self.kill_scans += 1;
        let may_wait = self.kill_scans < LONGEST_CHASE;
        let mut refused = None;
        let mut fresh = false;
        for proc in &others {
            if self.frozen.insert(proc.identity()) {
                fresh = true;
                // One that may not be signalled is met again by the kill, which reports it.
                let _ = signal_member(leader, proc, libc::SIGSTOP);
            }
        }
        if (is_new || fresh) && self.kill_scans > 1 && !others.is_empty() {
            self.mechanism.frozen();
        }
        if may_wait && (fresh || self.is_moving) {
            return;
        }
        let mut out_of_reach = Vec::new();
        for proc in others {
            match signal_member(leader, proc, libc::SIGKILL) {
                Ok(()) => {
                    self.mechanism.killed(tree.leader, proc);
                    if !self.killed.insert(proc.identity()) || !may_wait {
                        out_of_reach.push(proc.pid);
                    }
                }
                Err(error) => {
                    out_of_reach.push(proc.pid);
                    refused = Some(refusal("SIGKILL", proc.pid, &error));
                }
            }
        }
        if self.kill_scans > SCANS_BEFORE_MOVING && !out_of_reach.is_empty() && cgroup::kill_apart(&out_of_reach) {
            self.mechanism.control_group_killed();
            refused = None;
        }
        self.mechanism.refused(refused);
    }
}

/// Signals a process if it is still the one that was seen. The leader is signalled under the lock that its reaping takes; others
/// by a descriptor that stays one process, whatever becomes of its number.
pub(super) fn signal_member(leader: &Leader, seen: &Proc, signal: i32) -> io::Result<()> {
    if seen.pid == leader.tree().leader {
        return leader.signal(signal).map(|_| ());
    }
    let pinned = pidfd::open(seen.pid);
    let is_same = || procs::read(seen.pid).is_some_and(|now| now.start == seen.start);
    if !is_same() {
        return Ok(());
    }
    let done = match &pinned {
        // A sandbox may deny this call and allow `kill`. What may not be signalled at all is refused by that too.
        Ok(fd) => match pidfd::signal(fd, signal) {
            Err(error) if error.raw_os_error() != Some(libc::ESRCH) && is_same() => leader::kill(seen.pid, signal),
            done => done,
        },
        // Without descriptors (Linux before 5.3, other systems) the look just above is the only guard.
        Err(_) => leader::kill(seen.pid, signal),
    };
    match done {
        Err(error) if error.raw_os_error() != Some(libc::ESRCH) => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
