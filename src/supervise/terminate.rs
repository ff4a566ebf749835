//! The end of one tree, as a table of phases: stop signal, grace period, SIGKILL.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::platform::clock::Instant;
use crate::platform::{Act, Leader, ProcessInfo, ScanPriority, Sight, StopSent, StopTargets};
use crate::runtime;
use crate::state::Stop;
use crate::types::{Killed, ProcessDiagnosis, StopOrder, StopSignal};

/// A diagnosis describes no more processes than that; of the others it has the number.
const MOST_DESCRIBED: usize = 256;
/// The pause between the first two scans after the exit of the leader. It doubles up to [`SLOWEST_SCAN`].
const FIRST_SCAN: Duration = Duration::from_millis(1);
const SLOWEST_SCAN: Duration = Duration::from_millis(50);
/// The pause between two scans in the grace period while the leader runs: new members need the stop signal too.
const SCAN_IN_GRACE: Duration = Duration::from_millis(100);
/// The pause before the scan that follows a partial one. Most trees have ended by then.
const SCAN_AFTER_PARTIAL: Duration = Duration::from_millis(10);
/// A scan that takes longer is not waited for: the process group is signalled without it.
const LONGEST_SCAN: Duration = Duration::from_secs(1);
/// A tree in which for so long no process has appeared and none has ended is given up: its processes hang in the kernel, or belong to
/// another user.
const GIVE_UP_AFTER: Duration = Duration::from_secs(5);
/// The longest time between two scans that counts for that: the host may have been stopped meanwhile.
const LONGEST_STEP: Duration = Duration::from_millis(500);
/// A tree is given up after so long in any case, such as when scans hang, or a fork bomb has overloaded the machine.
const GIVE_UP_ANYWAY_AFTER: Duration = Duration::from_secs(30);
/// A host that notices the end of that time so much later was stopped meanwhile, and the time begins again.
const STOPPED_FOR: Duration = Duration::from_secs(5);

/// Why a tree is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    Stop(Stop),
    /// The command has exited, and its background processes are ended.
    Leftovers,
}

impl Cause {
    fn is_deadline(self) -> bool {
        matches!(self, Self::Stop(Stop::Timeout | Stop::IdleTimeout))
    }
}

/// The plan for stopping a tree.
#[derive(Debug, Clone, Copy)]
pub(super) struct StopPlan {
    pub(super) signal: StopSignal,
    pub(super) order: StopOrder,
    /// The time between the stop signal and SIGKILL.
    pub(super) grace: Duration,
}

/// The ending of one tree.
///
/// | phase | action | next |
/// | --- | --- | --- |
/// | describe | describes the members, for the diagnosis of a timeout; then sends the stop signal, in the same scan | stop, after one second at most |
/// | stop | sends the stop signal and SIGCONT to each member once, when it is first found; processes that a signalled member starts get it after half of the grace period; Ctrl-Break on Windows | gone, or kill when the grace period is over |
/// | kill | sends SIGKILL to every member in each scan, or ends the job on Windows | gone, or given up |
///
/// Gone means that the leader has exited, and that two scans in a row found no member. The platform scans, once at a time for each
/// tree.
#[derive(Debug)]
pub(super) struct Termination {
    pub(super) cause: Cause,
    leader: Arc<Leader>,
    plan: StopPlan,
    phase: TerminationPhase,
    scan: Option<Scan>,
    next_scan: Instant,
    pause: Duration,
    is_given_up: bool,
    /// The time from now until the tree is killed, if the supervisor has to announce it to the guardian.
    announced: Option<Duration>,
    processes: Vec<ProcessDiagnosis>,
    /// The number of processes beyond [`MOST_DESCRIBED`].
    more_processes: usize,
}

#[derive(Debug)]
struct Scan {
    sight: oneshot::Receiver<Sight>,
    /// The time when the process group is signalled without the result of the scan; `None` once that was done.
    overdue_at: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
enum TerminationPhase {
    Describing { stop_at: Instant },
    Stopping { others_at: Instant, kill_at: Instant },
    Killing { looked_at: Instant, unchanged_for: Duration, give_up_at: Instant },
}

impl Termination {
    /// Begins to end a tree. `kill_at` is when it is killed, if that is sooner than by the plan.
    pub(super) fn begin(leader: &Arc<Leader>, cause: Cause, plan: StopPlan, kill_at: Option<Instant>) -> Self {
        let now = Instant::now();
        let left = kill_at.map(|at| at.saturating_duration_since(now));
        let grace = left.map_or(plan.grace, |left| left.min(plan.grace));
        let mut this = Self {
            cause,
            leader: Arc::clone(leader),
            plan: StopPlan { grace, ..plan },
            phase: TerminationPhase::Describing { stop_at: now + LONGEST_SCAN },
            scan: None,
            next_scan: now,
            pause: FIRST_SCAN,
            is_given_up: false,
            announced: None,
            processes: Vec::new(),
            more_processes: 0,
        };
        // A diagnosis exists for timeouts only; for a cancel it would delay the signal.
        if cause.is_deadline() {
            this.start_scan(false, now);
        } else {
            this.stop(cause == Cause::Leftovers, now);
        }
        this
    }

    /// Shortens the grace period.
    pub(super) fn kill_sooner(&mut self, at: Instant) {
        let now = Instant::now();
        let left = at.saturating_duration_since(now);
        match &mut self.phase {
            // The rest of the grace period is for the members to exit: it is not spent on their description.
            TerminationPhase::Describing { stop_at } if left < self.plan.grace => *stop_at = now,
            TerminationPhase::Stopping { others_at, kill_at } if at < *kill_at => {
                *kill_at = at;
                *others_at = (now + left / 2).min(*others_at);
                self.next_scan = self.next_scan.min(*others_at);
                self.announced = Some(left);
            }
            TerminationPhase::Describing { .. }
            | TerminationPhase::Stopping { .. }
            | TerminationPhase::Killing { .. } => {}
        }
        self.plan.grace = self.plan.grace.min(left);
    }

    /// Takes the time until the tree is killed, if that has changed since the last call.
    pub(super) fn take_announcement(&mut self) -> Option<Duration> {
        self.announced.take()
    }

    /// Waits for the result of the current scan, or forever without one. Cancel-safe.
    pub(super) async fn scanned(&mut self) -> Option<Sight> {
        let Some(scan) = &mut self.scan else { return std::future::pending().await };
        let sight = (&mut scan.sight).await.ok();
        self.scan = None;
        sight
    }

    /// Returns when [`Termination::tick`] has something to do next.
    pub(super) fn deadline(&self) -> Instant {
        let scan = match &self.scan {
            None => Some(self.next_scan),
            Some(scan) => scan.overdue_at,
        };
        let phase = match self.phase {
            TerminationPhase::Describing { stop_at } => stop_at,
            TerminationPhase::Stopping { kill_at, .. } => kill_at,
            TerminationPhase::Killing { give_up_at, .. } => give_up_at,
        };
        scan.map_or(phase, |scan| scan.min(phase))
    }

    /// Records that the leader has exited: scans at once for the rest of the tree.
    pub(super) fn leader_exited(&mut self, now: Instant) {
        self.pause = FIRST_SCAN;
        self.next_scan = now;
    }

    /// Does what is due. `true`: the tree is given up.
    pub(super) fn tick(&mut self, leader_exited: bool, now: Instant) -> bool {
        match self.phase {
            // The description is taken when its scan ends.
            TerminationPhase::Describing { stop_at } if now >= stop_at => self.stop(leader_exited, now),
            TerminationPhase::Stopping { kill_at, .. } if now >= kill_at => self.kill(leader_exited, now),
            TerminationPhase::Killing { give_up_at, .. } if now >= give_up_at + STOPPED_FOR => {
                self.kill(leader_exited, now);
            }
            TerminationPhase::Killing { give_up_at, .. } if now >= give_up_at => {
                self.is_given_up = true;
                // It may have thousands of members.
                let leader = Arc::clone(&self.leader);
                runtime::start_blocking(move || leader.kill_now());
                return true;
            }
            _ => {}
        }
        if let Some(scan) = &mut self.scan
            && scan.overdue_at.is_some_and(|at| now >= at)
        {
            scan.overdue_at = None;
            self.signal_without_scan(leader_exited, now);
        }
        if self.scan.is_none() && now >= self.next_scan {
            self.start_scan(leader_exited, now);
        }
        false
    }

    /// Takes the result of a scan, or `None` if it failed. `true`: no member is left.
    pub(super) fn take(&mut self, sight: Option<Sight>, leader_exited: bool, now: Instant) -> bool {
        let sight = sight.unwrap_or_default();
        match &mut self.phase {
            TerminationPhase::Describing { .. } => {
                self.more_processes = sight.processes.len().saturating_sub(MOST_DESCRIBED);
                self.processes = sight.processes.into_iter().take(MOST_DESCRIBED).map(to_diagnosis).collect();
                if sight.stop == StopSent::No || self.plan.grace.is_zero() {
                    self.stop(leader_exited, now);
                    return false;
                }
                self.begin_grace(now);
                if sight.stop == StopSent::Impossible {
                    self.kill(leader_exited, now);
                    return false;
                }
            }
            TerminationPhase::Stopping { .. } if sight.stop == StopSent::Impossible => {
                self.kill(leader_exited, now);
                return false;
            }
            TerminationPhase::Stopping { .. } => {}
            TerminationPhase::Killing { looked_at, unchanged_for, give_up_at } => {
                *unchanged_for += (now - *looked_at).min(LONGEST_STEP);
                *looked_at = now;
                if sight.has_changed {
                    *unchanged_for = Duration::ZERO;
                } else if *unchanged_for >= GIVE_UP_AFTER {
                    *give_up_at = now;
                }
            }
        }
        let in_grace = if sight.is_partial { SCAN_AFTER_PARTIAL } else { SCAN_IN_GRACE };
        self.next_scan = now + if leader_exited || self.is_killing() { self.pause } else { in_grace };
        if let TerminationPhase::Stopping { others_at, .. } = self.phase
            && now < others_at
        {
            self.next_scan = self.next_scan.min(others_at);
        }
        self.pause = (self.pause * 2).min(SLOWEST_SCAN);
        leader_exited && sight.is_gone
    }

    fn stop(&mut self, leader_exited: bool, now: Instant) {
        if self.plan.grace.is_zero() {
            self.kill(leader_exited, now);
            return;
        }
        self.begin_grace(now);
        self.begin_scans(leader_exited, now);
    }

    /// Begins the grace period.
    fn begin_grace(&mut self, now: Instant) {
        self.announced = Some(self.plan.grace);
        self.phase =
            TerminationPhase::Stopping { others_at: now + self.plan.grace / 2, kill_at: now + self.plan.grace };
    }

    fn kill(&mut self, leader_exited: bool, now: Instant) {
        self.announced = Some(Duration::ZERO);
        self.phase = TerminationPhase::Killing {
            looked_at: now,
            unchanged_for: Duration::ZERO,
            give_up_at: now + GIVE_UP_ANYWAY_AFTER,
        };
        self.begin_scans(leader_exited, now);
    }

    fn begin_scans(&mut self, leader_exited: bool, now: Instant) {
        // A current scan may hang: it is not waited for.
        self.scan = None;
        self.pause = FIRST_SCAN;
        self.start_scan(leader_exited, now);
    }

    fn is_killing(&self) -> bool {
        matches!(self.phase, TerminationPhase::Killing { .. })
    }

    fn start_scan(&mut self, leader_exited: bool, now: Instant) {
        let sight = self.leader.scan(self.act(leader_exited, now), leader_exited, self.priority());
        self.scan = Some(Scan { sight, overdue_at: Some(now + LONGEST_SCAN) });
    }

    /// Returns what a scan does now with the members.
    fn act(&self, leader_exited: bool, now: Instant) -> Act {
        let signal = self.plan.signal;
        match self.phase {
            // One scan serves both: on a machine with many processes each scan takes long.
            TerminationPhase::Describing { .. } => {
                let then = (signal, self.first_targets(leader_exited));
                Act::Describe { then: (!self.plan.grace.is_zero()).then_some(then) }
            }
            TerminationPhase::Stopping { others_at, .. } => {
                Act::Stop { signal, to: self.stop_targets(others_at, leader_exited, now) }
            }
            TerminationPhase::Killing { .. } => Act::Kill,
        }
    }

    fn priority(&self) -> ScanPriority {
        // A tree that takes long to end has no precedence over others.
        let is_urgent = self.cause.is_deadline() && self.pause < SLOWEST_SCAN;
        if is_urgent { ScanPriority::Deadline } else { ScanPriority::Normal }
    }

    /// Returns the members that get the stop signal in the first half of the grace period.
    fn first_targets(&self, leader_exited: bool) -> StopTargets {
        if self.plan.order == StopOrder::Leader && !leader_exited { StopTargets::Leader } else { StopTargets::Members }
    }

    /// Returns the members that get the stop signal now.
    fn stop_targets(&self, others_at: Instant, leader_exited: bool, now: Instant) -> StopTargets {
        if now >= others_at { StopTargets::Everything } else { self.first_targets(leader_exited) }
    }

    fn signal_without_scan(&self, leader_exited: bool, now: Instant) {
        match self.phase {
            TerminationPhase::Describing { .. } => {}
            TerminationPhase::Stopping { others_at, .. } => {
                let leader_only = self.stop_targets(others_at, leader_exited, now) == StopTargets::Leader;
                // If the stop is refused, the scan is refused too, and reports it.
                let _ = self.leader.stop_unseen(self.plan.signal, leader_only);
            }
            TerminationPhase::Killing { .. } => self.leader.kill_group(),
        }
    }

    /// Returns the processes that were signalled, the description of the members, and how many members were not
    /// described.
    pub(super) fn into_report(self) -> (Killed, Vec<ProcessDiagnosis>, usize) {
        let (pids, mut mechanism) = self.leader.ended();
        if self.is_given_up {
            let separator = if mechanism.is_empty() { "" } else { "; " };
            mechanism.push_str(separator);
            mechanism.push_str("unreaped: still there when given up");
        }
        (Killed { pids, mechanism }, self.processes, self.more_processes)
    }
}

fn to_diagnosis(process: ProcessInfo) -> ProcessDiagnosis {
    let ProcessInfo { pid, parent, command, state, cpu_ms, waits_for } = process;
    ProcessDiagnosis { pid, parent, command, state, cpu_ms, waits_for }
}

#[cfg(test)]
mod tests;
