//! Ends one tree: stop signal, grace period, SIGKILL.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::platform::clock::Instant;
use crate::platform::{Act, Leader, ProcessInfo, ScanPriority, Sight, StopSent, StopTargets};
use crate::state::Stop;
use crate::types::{Killed, ProcessDiagnosis, StopOrder, StopSignal};

/// A tree is scanned this soon after its leader has exited, then ever more rarely up to [`SLOWEST_SCAN`].
/// A tree of more is told by its first processes, and a number.
const MOST_DESCRIBED: usize = 256;
const FIRST_SCAN: Duration = Duration::from_millis(1);
const SLOWEST_SCAN: Duration = Duration::from_millis(50);
/// How often a tree whose leader lives is scanned for members that need the stop signal too.
const SCAN_IN_GRACE: Duration = Duration::from_millis(100);
/// A scan that takes longer is not waited for: the process group is signalled without it.
const LONGEST_SCAN: Duration = Duration::from_secs(1);
/// A tree in which SIGKILL has ended no process for so long, and in which none appeared, is given up: its processes hang in the
/// kernel, or belong to another user.
const GIVE_UP_AFTER: Duration = Duration::from_secs(5);
/// The end of killing in any case: scans that hang, or a machine that a fork bomb has brought down.
const GIVE_UP_ANYWAY_AFTER: Duration = Duration::from_secs(30);

/// Why a tree is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    Stop(Stop),
    /// The command has exited; what it left behind goes too.
    Leftovers,
}

impl Cause {
    fn is_deadline(self) -> bool {
        matches!(self, Self::Stop(Stop::Timeout | Stop::IdleTimeout))
    }
}

/// How a tree is asked to end.
#[derive(Debug, Clone, Copy)]
pub(super) struct StopPlan {
    pub(super) signal: StopSignal,
    pub(super) order: StopOrder,
    /// Between the stop signal and SIGKILL.
    pub(super) grace: Duration,
}

/// The ending of one tree.
///
/// | step | what is done | next |
/// | --- | --- | --- |
/// | describe | what do the members do? for the diagnosis of a timeout; then the stop signal, from the same scan | stop; not later than a second after |
/// | stop | the stop signal and SIGCONT to each member, once, when it is first seen; what a signalled member starts gets it after half of the grace period; Ctrl-Break on Windows | gone, or the grace period is over |
/// | kill | SIGKILL to every member, or an end of the job, in scans | gone |
///
/// Gone means that the leader has exited, and that scan after scan found no member. Scans are done by the platform, one at a
/// time for each tree.
#[derive(Debug)]
pub(super) struct Termination {
    pub(super) cause: Cause,
    leader: Arc<Leader>,
    plan: StopPlan,
    step: Step,
    scan: Option<Scan>,
    next_scan: Instant,
    pause: Duration,
    is_given_up: bool,
    /// How long from now on the tree has until it is killed; taken by the supervisor when it has changed.
    announced: Option<Duration>,
    processes: Vec<ProcessDiagnosis>,
    /// How many there were beyond those.
    more_processes: usize,
}

#[derive(Debug)]
struct Scan {
    sight: oneshot::Receiver<Sight>,
    /// When the process group is signalled without it; `None` once that was done.
    overdue_at: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Describing { stop_at: Instant },
    Stopping { others_at: Instant, kill_at: Instant },
    Killing { last_new: Instant, give_up_at: Instant },
}

impl Termination {
    /// Begins to end a tree. A caller may want it killed at `kill_at`, which is sooner than the plan says.
    pub(super) fn begin(leader: &Arc<Leader>, cause: Cause, plan: StopPlan, kill_at: Option<Instant>) -> Self {
        let now = Instant::now();
        let left = kill_at.map(|at| at.saturating_duration_since(now));
        let grace = left.map_or(plan.grace, |left| left.min(plan.grace));
        let mut this = Self {
            cause,
            leader: Arc::clone(leader),
            plan: StopPlan { grace, ..plan },
            step: Step::Describing { stop_at: now + LONGEST_SCAN },
            scan: None,
            next_scan: now,
            pause: FIRST_SCAN,
            is_given_up: false,
            announced: None,
            processes: Vec::new(),
            more_processes: 0,
        };
        // What a cancelled command was doing interests no caller; it would only delay the signal.
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
        match &mut self.step {
            // What is left of it is for the members: their description is not waited for.
            Step::Describing { stop_at } if left < self.plan.grace => *stop_at = now,
            Step::Stopping { others_at, kill_at } if at < *kill_at => {
                *kill_at = at;
                *others_at = (now + left / 2).min(*others_at);
                self.next_scan = self.next_scan.min(*others_at);
                self.announced = Some(left);
            }
            Step::Describing { .. } | Step::Stopping { .. } | Step::Killing { .. } => {}
        }
        self.plan.grace = self.plan.grace.min(left);
    }

    /// How long the tree has until it is killed, if that has changed since the last call.
    pub(super) fn take_announcement(&mut self) -> Option<Duration> {
        self.announced.take()
    }

    /// Resolves with what a scan under way gives; pends for ever when there is none. Cancel-safe.
    pub(super) async fn scanned(&mut self) -> Option<Sight> {
        let Some(scan) = &mut self.scan else { return std::future::pending().await };
        let sight = (&mut scan.sight).await.ok();
        self.scan = None;
        sight
    }

    /// When [`Termination::tick`] has something to do next.
    pub(super) fn deadline(&self) -> Instant {
        let scan = match &self.scan {
            None => Some(self.next_scan),
            Some(scan) => scan.overdue_at,
        };
        let step = match self.step {
            Step::Describing { stop_at } => stop_at,
            Step::Stopping { kill_at, .. } => kill_at,
            Step::Killing { give_up_at, .. } => give_up_at,
        };
        scan.map_or(step, |scan| scan.min(step))
    }

    /// The leader has exited: the rest of the tree is looked for at once.
    pub(super) fn leader_exited(&mut self, now: Instant) {
        self.pause = FIRST_SCAN;
        self.next_scan = now;
    }

    /// Starts what is due. `true`: nothing more can be done.
    pub(super) fn tick(&mut self, leader_exited: bool, now: Instant) -> bool {
        match self.step {
            // What it finds is taken when it comes.
            Step::Describing { stop_at } if now >= stop_at => self.stop(leader_exited, now),
            Step::Stopping { kill_at, .. } if now >= kill_at => self.kill(leader_exited, now),
            Step::Killing { give_up_at, .. } if now >= give_up_at => {
                self.is_given_up = true;
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

    /// Takes what a scan gave; `None` if it failed. `true`: no member is left.
    pub(super) fn take(&mut self, sight: Option<Sight>, leader_exited: bool, now: Instant) -> bool {
        let sight = sight.unwrap_or_default();
        match &mut self.step {
            Step::Describing { .. } => {
                self.more_processes = sight.processes.len().saturating_sub(MOST_DESCRIBED);
                self.processes = sight.processes.into_iter().take(MOST_DESCRIBED).map(diagnosis).collect();
                if sight.stop == StopSent::No || self.plan.grace.is_zero() {
                    self.stop(leader_exited, now);
                    return false;
                }
                self.stopping(now);
                if sight.stop == StopSent::Impossible {
                    self.kill(leader_exited, now);
                    return false;
                }
            }
            Step::Stopping { .. } if sight.stop == StopSent::Impossible => {
                self.kill(leader_exited, now);
                return false;
            }
            Step::Stopping { .. } => {}
            Step::Killing { last_new, give_up_at } => {
                if sight.is_new {
                    *last_new = now;
                } else if now >= *last_new + GIVE_UP_AFTER {
                    *give_up_at = now;
                }
            }
        }
        self.next_scan = if leader_exited || self.is_killing() { now + self.pause } else { now + SCAN_IN_GRACE };
        if let Step::Stopping { others_at, .. } = self.step
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
        self.stopping(now);
        self.begin_scans(leader_exited, now);
    }

    /// Begins the grace period.
    fn stopping(&mut self, now: Instant) {
        self.announced = Some(self.plan.grace);
        self.step = Step::Stopping { others_at: now + self.plan.grace / 2, kill_at: now + self.plan.grace };
    }

    fn kill(&mut self, leader_exited: bool, now: Instant) {
        self.announced = Some(Duration::ZERO);
        self.step = Step::Killing { last_new: now, give_up_at: now + GIVE_UP_ANYWAY_AFTER };
        self.begin_scans(leader_exited, now);
    }

    fn begin_scans(&mut self, leader_exited: bool, now: Instant) {
        // One that hangs is not waited for.
        self.scan = None;
        self.pause = FIRST_SCAN;
        self.start_scan(leader_exited, now);
    }

    fn is_killing(&self) -> bool {
        matches!(self.step, Step::Killing { .. })
    }

    fn start_scan(&mut self, leader_exited: bool, now: Instant) {
        let act = match self.step {
            // One scan for both: each is a wait on a machine with many processes.
            Step::Describing { .. } => {
                let is_leader_first = self.plan.order == StopOrder::Leader && !leader_exited;
                let to = if is_leader_first { StopTargets::Leader } else { StopTargets::Members };
                Act::Describe { then: (!self.plan.grace.is_zero()).then_some((self.plan.signal, to)) }
            }
            Step::Stopping { others_at, .. } => {
                let to = if now >= others_at {
                    StopTargets::Everything
                } else if self.is_leader_first(others_at, leader_exited, now) {
                    StopTargets::Leader
                } else {
                    StopTargets::Members
                };
                Act::Stop { signal: self.plan.signal, to }
            }
            Step::Killing { .. } => Act::Kill,
        };
        // A tree that takes long to end is scanned like the others.
        let is_urgent = self.cause.is_deadline() && self.pause < SLOWEST_SCAN;
        let priority = if is_urgent { ScanPriority::Deadline } else { ScanPriority::Normal };
        let sight = self.leader.scan(act, leader_exited, priority);
        self.scan = Some(Scan { sight, overdue_at: Some(now + LONGEST_SCAN) });
    }

    /// Whether the leader is still the only one that gets the stop signal.
    fn is_leader_first(&self, others_at: Instant, leader_exited: bool, now: Instant) -> bool {
        self.plan.order == StopOrder::Leader && !leader_exited && now < others_at
    }

    fn signal_without_scan(&self, leader_exited: bool, now: Instant) {
        match self.step {
            Step::Describing { .. } => {}
            Step::Stopping { others_at, .. } => {
                let leader_only = self.is_leader_first(others_at, leader_exited, now);
                // A refusal is met again by the scan, which reports it.
                let _ = self.leader.stop_unseen(self.plan.signal, leader_only);
            }
            Step::Killing { .. } => self.leader.kill_group(),
        }
    }

    /// What was ended, and what it was doing before.
    pub(super) fn into_report(self) -> (Killed, Vec<ProcessDiagnosis>, usize) {
        let (pids, mut mechanism) = self.leader.ended();
        if self.is_given_up {
            mechanism.push_str("; unreaped: still there when given up");
        }
        (Killed { pids, mechanism }, self.processes, self.more_processes)
    }
}

fn diagnosis(process: ProcessInfo) -> ProcessDiagnosis {
    let ProcessInfo { pid, parent, command, state, cpu_ms, waits_for } = process;
    ProcessDiagnosis { pid, parent, command, state, cpu_ms, waits_for }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::Launch;

    fn describing(leader: &Arc<Leader>) -> Termination {
        let plan =
            StopPlan { signal: StopSignal::default(), order: StopOrder::default(), grace: Duration::from_secs(600) };
        Termination::begin(leader, Cause::Stop(Stop::Timeout), plan, None)
    }

    #[tokio::test]
    async fn a_shorter_grace_period_does_not_wait_for_the_description() {
        let leader = Launch::sleeper();
        let mut ending = describing(&leader);
        ending.kill_sooner(Instant::now() + Duration::from_secs(60));
        assert!(ending.deadline() <= Instant::now());
        assert!(!ending.tick(false, Instant::now()));
        assert!(
            matches!(ending.step, Step::Stopping { kill_at, .. } if kill_at <= Instant::now() + Duration::from_secs(60))
        );
        ending.kill_sooner(Instant::now());
        assert!(!ending.tick(false, Instant::now()));
        assert!(ending.is_killing());

        let mut at_once = describing(&leader);
        at_once.kill_sooner(Instant::now());
        assert!(!at_once.tick(false, Instant::now()));
        assert!(at_once.is_killing(), "without a stop signal");
    }

    #[tokio::test]
    async fn a_longer_grace_period_leaves_the_description_its_time() {
        let leader = Launch::sleeper();
        let mut ending = describing(&leader);
        ending.kill_sooner(Instant::now() + Duration::from_secs(3_600));
        assert!(!ending.tick(false, Instant::now()));
        assert!(matches!(ending.step, Step::Describing { stop_at } if stop_at > Instant::now()));
    }
}
