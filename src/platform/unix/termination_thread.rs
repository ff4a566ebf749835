//! The thread that scans the process table for all trees that are being ended, and signals their members.
//!
//! One scan serves all trees that wait for one: ending a thousand trees together costs little more than ending one. The thread has no
//! other work, so that neither a spawn nor a slow disk delays the end of a tree.

use std::collections::{HashMap, HashSet};
use std::io;
use std::iter::successors;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::bounded::Bounded;
use super::census::{Members, Memory};
use super::cgroup::{self, ControlGroup};
use super::chase::Chase;
use super::descent::sort_by_descent;
use super::leader::Leader;
use super::orphans;
use super::pid::Pid;
use super::process_table::{Interest, ProcessTable};
use super::procs::{self, Identity, Proc};
use super::signal::Signal;
use super::stop_claims::inner_segments;
use super::stop_notes;
use super::termination_queue::{Request, Requests};
use super::tree::{Findings, StopSender, Tree};
use crate::platform::{Act, Look, ScanPriority, Sight, StopSent, StopTargets};
use crate::runtime;
use crate::runtime::thread_channel::{ThreadReceiver, ThreadSender, thread_channel};
use crate::types::StopSignal;

use self::unseen::act_unseen;

mod grouped;
mod unseen;

/// The longest wait for descriptions: reading about a process that hangs in the kernel can hang too.
const LONGEST_DESCRIPTION: Duration = Duration::from_millis(800);
/// The longest time after a scan in which its members get the stop signal: later, they may have started children meanwhile.
const FRESH: Duration = Duration::from_millis(20);
/// The number of requests that are served between checks for a deadline that waits for another scan.
const SERVED_AT_ONCE: usize = 64;
/// The bounds of repeating a scan that may have missed a process: other trees wait meanwhile.
const MOST_REPEATS: u32 = 4;
const LONGEST_REPEAT: Duration = Duration::from_millis(10);
/// A tree is gone after this many consecutive scans without a member.
const QUIET_SCANS: u32 = 2;
/// The number of quiet scans for a tree that has started new members while it was being ended: a scan may miss
/// processes that are just created.
const QUIET_SCANS_OF_A_GROWING_TREE: u32 = 6;
/// A tree that starts new members is stopped for at most this many scans before its known members are killed.
const LONGEST_CHASE: u32 = 400;

/// The scans of killing after which members that signals do not reach are moved into a control group and killed with
/// it.
const SCANS_BEFORE_MOVING: u32 = 8;

/// Starts the thread in advance: the machine may be short of threads when a tree has to end.
pub(super) fn prepare() -> io::Result<()> {
    queue().map(drop)
}

impl Leader {
    /// Scans the tree and applies `act` to its members. `leader_exited`: the caller knows that the leader has exited. Resolves to an
    /// error when the scan failed. Cancel-safe: dropping the receiver does not cancel the scan.
    pub(crate) fn scan(
        self: &Arc<Self>,
        act: Act,
        leader_exited: bool,
        priority: ScanPriority,
    ) -> oneshot::Receiver<Sight> {
        let (answer, sight) = oneshot::channel();
        let request = Request { leader: Arc::clone(self), act, leader_exited, priority, answer };
        match queue() {
            Ok(queue) => drop(queue.send(request)),
            // The machine has no room for the thread: a thread of the runtime does the work.
            Err(_) => runtime::start_blocking(move || Terminator::default().serve(&mut Requests::only(request))),
        }
        sight
    }
}

fn queue() -> io::Result<&'static ThreadSender<Request>> {
    static QUEUE: OnceLock<ThreadSender<Request>> = OnceLock::new();
    /// The lock is held while the one thread is created.
    static CREATING: Mutex<()> = Mutex::new(());
    if let Some(queue) = QUEUE.get() {
        return Ok(queue);
    }
    let _creating = CREATING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(queue) = QUEUE.get() {
        return Ok(queue);
    }
    let (give, given) = thread_channel();
    std::thread::Builder::new().name("escher-end".into()).spawn(move || run(&given))?;
    Ok(QUEUE.get_or_init(|| give))
}

fn run(arriving: &ThreadReceiver<Request>) {
    let mut requests = Requests::arriving_at(arriving);
    let mut terminator = Terminator::default();
    while requests.wait() {
        let started = Instant::now();
        // The panic hook has already reported a panic; dropped senders notify the requests of this scan.
        let _ = catch_unwind(AssertUnwindSafe(|| terminator.serve(&mut requests)));
        requests.rest(started.elapsed());
    }
}

/// The way in which members were looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coverage {
    /// Members were found by a scan of the process table.
    Complete,
    /// Members were found without a scan: those that have left their control group are not among them.
    Partial,
}

#[derive(Default)]
struct Terminator {
    memory: Memory,
    table: ProcessTable,
    describer: Bounded,
    /// The time when the latest scan began, in the unit of [`Proc::start`].
    scanned: u64,
}

impl Terminator {
    /// Serves the waiting requests with one scan, and some without. Requests for a deadline are served first, and alone if the others can
    /// wait; if one arrives meanwhile, the remaining requests are served together with it by the next scan.
    fn serve(&mut self, requests: &mut Requests<'_>) {
        let (deadlines, mut others) = requests.take();
        if !procs::is_visible() {
            for request in deadlines.into_iter().chain(others) {
                let sight = act_unseen(&request);
                let _ = request.answer.send(sight);
            }
            return;
        }
        let deadlines = self.serve_by_group(deadlines);
        if deadlines.is_empty() && others.is_empty() {
            return;
        }
        if !deadlines.is_empty() && !others.is_empty() && requests.may_wait() {
            requests.put_back(std::mem::take(&mut others));
        }
        let started = procs::now();
        let mut chase = Chase::of(deadlines.iter().chain(&others), &self.memory, self.scanned);
        let ending: HashSet<u64> = deadlines.iter().chain(&others).map(|it| it.leader.tree().serial).collect();
        let interest =
            Interest { memory: &self.memory, ending: &ending, young: young(deadlines.iter().chain(&others)) };
        let may_wait = deadlines.is_empty() && chase.is_idle();
        let Some(mut procs) = chase.scan(&mut self.table, &interest, || may_wait && requests.interrupts()) else {
            requests.put_back(others);
            return;
        };
        self.scanned = started;
        if !deadlines.is_empty() {
            let members = self.members(&mut procs, &deadlines, || false).unwrap_or_default();
            for (request, members) in deadlines.into_iter().zip(members) {
                self.answer(request, &members, Coverage::Complete);
            }
        }
        if !others.is_empty() {
            self.serve_others(requests, others, &mut procs);
        }
    }

    /// Serves requests without a deadline, until a request for a deadline arrives.
    fn serve_others(&mut self, requests: &mut Requests<'_>, others: Vec<Request>, procs: &mut Vec<Proc>) {
        let Some(members) = self.members(procs, &others, || requests.interrupts()) else {
            requests.put_back(others);
            return;
        };
        let mut left = others.into_iter().zip(members);
        loop {
            let slice = left.by_ref().take(SERVED_AT_ONCE);
            slice.for_each(|(request, members)| self.answer(request, &members, Coverage::Complete));
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

    /// Returns the members of the trees of a batch; `None` when it is interrupted.
    fn members(
        &mut self,
        procs: &mut Vec<Proc>,
        batch: &[Request],
        mut is_interrupted: impl FnMut() -> bool,
    ) -> Option<Members> {
        let mut trees: Vec<Arc<Leader>> = batch.iter().map(|request| Arc::clone(&request.leader)).collect();
        let ending: HashSet<u64> = trees.iter().map(|leader| leader.tree().serial).collect();
        trees.extend(Leader::all_living().into_iter().filter(|leader| !ending.contains(&leader.tree().serial)));
        let young = young(batch);
        let until = Instant::now() + LONGEST_REPEAT;
        for repeat in 1.. {
            // The groups are read after the scan, which may have missed processes that were started meanwhile.
            let mut in_groups = HashMap::new();
            for (index, leader) in trees[..batch.len()].iter().enumerate() {
                if is_interrupted() {
                    return None;
                }
                let members = leader.tree().group.as_ref().map(ControlGroup::members);
                in_groups.extend(members.into_iter().flatten().map(|pid| (pid, index)));
            }
            let scanned: HashSet<Pid> = procs.iter().map(|proc| proc.pid).collect();
            procs.extend(in_groups.keys().filter(|pid| !scanned.contains(pid)).filter_map(|pid| procs::read(*pid)));
            orphans::reap_in_groups(trees.iter().map(|leader| leader.tree()), procs);
            let members = self.memory.sort(procs, &trees, &in_groups, self.table.tags());
            let is_repeated = young.is_some() && self.memory.is_unsure() && repeat <= MOST_REPEATS;
            if !is_repeated || Instant::now() >= until {
                return Some(members);
            }
            let interest = Interest { memory: &self.memory, ending: &ending, young };
            *procs = self.table.scan(&interest, |_| true).unwrap_or_default();
        }
        None
    }

    fn answer(&mut self, request: Request, members: &[Proc], coverage: Coverage) {
        let mut sight = self.act(&request, members, coverage);
        sight.is_partial = coverage == Coverage::Partial;
        let Request { leader, answer, .. } = request;
        // Dropped first: an execution that is over must not have open descriptors.
        drop(leader);
        let _ = answer.send(sight);
    }

    fn act(&mut self, request: &Request, members: &[Proc], coverage: Coverage) -> Sight {
        let tree = request.leader.tree();
        let mut findings = tree.findings();
        let living: Vec<Proc> = members.iter().filter(|proc| !proc.is_dead()).copied().collect();
        orphans::reap_members(members, tree.leader);
        if let Act::Look { input } = request.act {
            // The lock is released: the reads may hang.
            drop(findings);
            let (looked, _) =
                self.describer.map(&living, LONGEST_DESCRIPTION, move |proc| super::reader::look(proc, input));
            let used = looked.iter().map(|(proc, activity)| (proc.pid.as_raw(), activity.used)).collect();
            let is_idle = looked.iter().all(|(_, activity)| !activity.is_running);
            let waits_for = looked.iter().find_map(|(_, activity)| activity.waits_for.filter(|_| is_idle));
            return Sight { look: Look { used, waits_for }, ..Sight::default() };
        }
        let is_new = findings.count(tree, &living, coverage);
        let mut sight = Sight { has_changed: findings.is_moving, is_gone: findings.is_gone(), ..Sight::default() };
        match request.act {
            Act::Describe { then } => {
                // The lock is released: the call may take long.
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
            Act::Look { .. } => {}
            Act::Kill => findings.kill(&request.leader, &living, is_new),
        }
        sight
    }

    /// Sends the stop signal to the members that `to` selects and that have not had it, except those that another engine signals.
    fn stop(&mut self, leader: &Leader, living: &[Proc], signal: StopSignal, to: StopTargets) {
        let tree = leader.tree();
        let chosen = tree.findings().stop_targets(tree.leader, living, to);
        // The lock is released: the reads may hang.
        let inner = inner_segments(&mut self.describer, tree.leader, &tree.mark.segment, living, &chosen);
        let mut findings = tree.findings();
        let chosen = findings.leave_to_others(leader, chosen, &inner);
        findings.stop(leader, &chosen, signal);
    }
}

/// Returns the start from which a process counts as young, if one of these trees has no control group that would name
/// its members.
fn young<'r>(batch: impl IntoIterator<Item = &'r Request>) -> Option<u64> {
    let needs_tags = batch.into_iter().any(|request| request.leader.tree().group.is_none());
    needs_tags.then(|| procs::now().saturating_sub(procs::SETTLED))
}

fn refusal(signal: &str, pid: Pid, error: &io::Error) -> String {
    format!("{signal} to {pid} was refused ({error})")
}

impl Findings {
    /// Records which members are alive; returns whether some had not been seen before.
    fn count(&mut self, tree: &Tree, living: &[Proc], coverage: Coverage) -> bool {
        let alive: HashSet<Identity> = living.iter().map(Proc::identity).collect();
        let has_ended = self.alive.iter().any(|identity| !alive.contains(identity));
        // A member that has ended may have started another process meanwhile, which scans miss if it is as short-lived. A control
        // group would show it.
        let may_have_moved = self.alive.iter().any(|identity| !alive.contains(identity) && identity.0 != tree.leader);
        self.grows |= may_have_moved && tree.group.is_none();
        let is_new = living.iter().any(|proc| !self.known.contains(&proc.identity()));
        self.grows |= is_new && self.scans > 0;
        self.scans += u32::from(coverage == Coverage::Complete);
        self.known.extend(living.iter().map(Proc::identity));
        self.alive = alive;
        self.seen.extend(living.iter().map(|proc| proc.pid));
        self.is_moving = is_new || has_ended;
        let is_quiet = living.is_empty() && !has_ended && tree.group.as_ref().is_none_or(ControlGroup::is_empty);
        self.quiet_scans = if is_quiet { self.quiet_scans + 1 } else { 0 };
        is_new
    }

    fn is_gone(&self) -> bool {
        self.quiet_scans >= if self.grows { QUIET_SCANS_OF_A_GROWING_TREE } else { QUIET_SCANS }
    }

    /// Returns the members that get the stop signal now: those that have not had it, and that `to` selects. Parents come before their
    /// children: a shell whose child has ended would continue with its next command.
    fn stop_targets(&self, leader: Pid, living: &[Proc], to: StopTargets) -> Vec<Proc> {
        let signalled: HashSet<Pid> =
            living.iter().filter(|proc| self.stopped.contains(&proc.identity())).map(|proc| proc.pid).collect();
        let by_pid: HashMap<Pid, &Proc> = living.iter().map(|proc| (proc.pid, proc)).collect();
        let is_later = |proc: &Proc| self.stopping_since.is_some_and(|since| proc.start >= since);
        // Processes that a member starts after the signal may do its clean-up, and so may their descendants. Those of a member that has not
        // had the signal yet do not, even if that one descends from a member that has.
        let is_clean_up = |proc: &Proc| {
            let parent = |proc: &&Proc| proc.parent.and_then(|pid| by_pid.get(&pid)).copied();
            let mut line = successors(Some(proc), parent).take(living.len());
            line.find(|proc| !is_later(proc) || signalled.contains(&proc.pid))
                .is_some_and(|found| signalled.contains(&found.pid))
        };
        let is_chosen = |proc: &&Proc| match to {
            _ if signalled.contains(&proc.pid) => false,
            StopTargets::Leader => proc.pid == leader,
            StopTargets::Members => !is_clean_up(proc),
            StopTargets::Everything => true,
        };
        let mut chosen: Vec<Proc> = living.iter().filter(is_chosen).copied().collect();
        sort_by_descent(&mut chosen, living);
        chosen
    }

    /// Removes members from `chosen` that get the stop signal from another engine, or have had it. `inner` has the segments of members of
    /// inner executions.
    fn leave_to_others(&mut self, leader: &Leader, chosen: Vec<Proc>, inner: &HashMap<Pid, Vec<u8>>) -> Vec<Proc> {
        let is_ours = |proc: &Proc| {
            let segment = inner.get(&proc.pid).map(Vec::as_slice);
            let sender = self.stop_sender(leader.tree(), segment);
            if sender == StopSender::Another {
                self.note_stopped(leader, proc);
                self.mechanism.stopped_by_another();
            }
            sender == StopSender::ThisEngine
        };
        chosen.into_iter().filter(is_ours).collect()
    }

    /// Notes that a member has had the stop signal.
    fn note_stopped(&mut self, leader: &Leader, proc: &Proc) {
        self.stopped.insert(proc.identity());
        if let Some(notes) = leader.tree().stop_notes.get() {
            notes.member(proc);
        }
    }

    /// Sends the stop signal, and SIGCONT, so that a stopped process can act on it.
    fn stop(&mut self, leader: &Leader, members: &[Proc], signal: StopSignal) {
        self.stopping_since.get_or_insert_with(procs::now);
        let mut refused = None;
        for proc in members {
            if self.stopped.contains(&proc.identity()) {
                continue;
            }
            let has_it = self.stopped_unseen.is_some_and(|sent| sent.includes(leader.tree().leader, proc));
            if has_it {
                self.note_stopped(leader, proc);
                continue;
            }
            let sending = stop_notes::sending();
            let sent = leader.tree().stop_signals(signal).try_for_each(|signal| leader.signal_member(proc, signal));
            self.note_stopped(leader, proc);
            drop(sending);
            match sent {
                Ok(()) => self.mechanism.stopped(signal.as_str(), leader.tree().leader, proc),
                Err(error) => refused = Some(refusal(signal.as_str(), proc.pid, &error)),
            }
        }
        if refused.is_some() {
            self.mechanism.refused(refused);
        }
    }

    /// Kills every member. A control group is killed in one step. Other members are stopped first, so that they start no processes: they
    /// are killed by the first scan that finds no change, or when that takes too long, or when no time is left for it.
    fn kill(&mut self, leader: &Leader, living: &[Proc], is_new: bool) {
        let tree = leader.tree();
        // The group is killed even if the scan has found no member: short-lived ones may escape every scan.
        let group = tree.group.as_ref().filter(|group| !group.is_empty());
        let in_group: HashSet<Pid> = group.map(ControlGroup::members).into_iter().flatten().collect();
        let is_group_killed = group.is_some_and(ControlGroup::kill);
        if is_group_killed {
            self.mechanism.control_group_killed();
        }
        let by_signal = |proc: &&Proc| !(is_group_killed && in_group.contains(&proc.pid));
        for proc in living.iter().filter(|proc| !by_signal(proc)) {
            self.mechanism.killed(tree.leader, proc);
            if !self.killed.insert(proc.identity()) {
                // `cgroup.kill` does not reach a process whose first thread has ended.
                let _ = leader.signal_member(proc, Signal::KILL);
            }
        }
        let mut others: Vec<Proc> = living.iter().filter(by_signal).copied().collect();
        // A shell with job control whose child is stopped continues with its next command.
        sort_by_descent(&mut others, living);
        self.kill_scans += 1;
        let may_wait = self.kill_scans < LONGEST_CHASE && !self.is_hurried;
        let mut refused = None;
        let mut fresh = false;
        for proc in &others {
            if !self.is_hurried && self.frozen.insert(proc.identity()) {
                fresh = true;
                // If this signal is refused, so is the kill, which reports it.
                let _ = leader.signal_member(proc, Signal::STOP);
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
            match leader.signal_member(&proc, Signal::KILL) {
                Ok(()) => {
                    self.mechanism.killed(tree.leader, &proc);
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
        // A tree without a group of its own must not have one, or cannot.
        let may_move = tree.group.is_some() && self.kill_scans > SCANS_BEFORE_MOVING && !out_of_reach.is_empty();
        if may_move && cgroup::kill_apart(&out_of_reach) {
            self.mechanism.control_group_killed();
            refused = None;
        }
        self.mechanism.refused(refused);
    }
}

#[cfg(test)]
mod tests;
