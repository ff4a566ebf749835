//! The processes of one execution: how they are recognized, and which signals they were sent.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::cgroup::ControlGroup;
use super::mechanism::Mechanism;
use super::pid::Pid;
use super::procs::{Identity, Proc};
use super::signal::{self, Signal};
use super::stop_claims::{self, StopClaim};
use super::stop_notes::StopNotes;
use crate::platform::Mark;
use crate::types::StopSignal;

/// The processes of one execution, from its spawn until its leader is reaped.
#[derive(Debug)]
pub(super) struct Tree {
    /// Identifies the tree within this process. Unlike a process id it is never reused.
    pub(super) serial: u64,
    pub(super) leader: Pid,
    pub(super) mark: Mark,
    /// The earliest start of a member, in the unit of [`Proc::start`](super::procs::Proc).
    pub(super) born: u64,
    /// The control group of the tree, where the host may create control groups.
    pub(super) group: Option<ControlGroup>,
    /// Whether it has a terminal: then SIGHUP follows the stop signal.
    pub(super) has_terminal: bool,
    /// Notes for the guardian; unset without one.
    pub(super) stop_notes: OnceLock<StopNotes>,
    /// Findings and actions so far. Used by the termination thread, and read when the tree is gone.
    findings: Mutex<Findings>,
}

/// Findings and actions while a tree was being ended.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Every member that was seen alive.
    pub(super) seen: BTreeSet<Pid>,
    /// Members that were alive at the latest scan.
    pub(super) alive: HashSet<Identity>,
    /// The identity of every member that was seen alive.
    pub(super) known: HashSet<Identity>,
    /// Members appeared or vanished between the latest two scans.
    pub(super) is_moving: bool,
    /// Members that were sent the stop signal.
    pub(super) stopped: HashSet<Identity>,
    /// The time when the first of them was sent the signal, in the unit of [`Proc::start`].
    pub(super) stopping_since: Option<u64>,
    /// The executions whose members get the stop signal from this engine, by segment: this one, and those of inner engines.
    pub(super) claims: HashMap<Vec<u8>, StopClaim>,
    /// The members that were sent the stop signal without a scan.
    pub(super) stopped_unseen: Option<StoppedUnseen>,
    /// Members that were sent SIGSTOP, so that they start no others before they are killed.
    pub(super) frozen: HashSet<Identity>,
    /// Members that were sent SIGKILL. They may take some time to exit.
    pub(super) killed: HashSet<Identity>,
    /// Whether no time is left: members are killed by the scan that finds them, and not stopped before. The host may exit between the two.
    pub(super) is_hurried: bool,
    /// The number of scans that killed.
    pub(super) kill_scans: u32,
    /// The number of scans.
    pub(super) scans: u32,
    /// The number of consecutive scans that found no member, and none that had vanished since the scan before.
    pub(super) quiet_scans: u32,
    /// Members appeared after the first scan: a single scan may miss members that create processes.
    pub(super) grows: bool,
    pub(super) mechanism: Mechanism,
}

/// Members that were sent the stop signal without a scan, so that a later scan does not send it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StoppedUnseen {
    Leader,
    /// The members of the process group that had started by then; in the unit of [`Proc::start`](super::procs::Proc).
    Group {
        by: u64,
    },
}

impl StoppedUnseen {
    pub(super) fn includes(self, leader: Pid, member: &Proc) -> bool {
        match self {
            Self::Leader => member.pid == leader,
            Self::Group { by } => member.group == Some(leader) && member.start <= by,
        }
    }
}

/// The engine or guardian that sends the stop signal to members that nested engines have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopSender {
    ThisEngine,
    /// Another engine or guardian sends the signal, or has sent it.
    Another,
    /// The guardian of the inner engine, which knows the members that have had the signal.
    Guardian,
}

impl Findings {
    /// Decides which engine sends the stop signal to the members of `tree`, or to those of an inner execution within it.
    pub(super) fn stop_sender(&mut self, tree: &Tree, inner: Option<&[u8]>) -> StopSender {
        let segment = match inner {
            Some(inner) => inner,
            // Only nested engines have members in common.
            None if tree.mark.segment.is_empty() || !super::is_nested() => return StopSender::ThisEngine,
            None => &tree.mark.segment,
        };
        if self.claims.contains_key(segment) {
            return StopSender::ThisEngine;
        }
        if inner.is_some() && stop_claims::is_left_to_guardian(segment) {
            return StopSender::Guardian;
        }
        let Some(claim) = StopClaim::take(segment) else { return StopSender::Another };
        self.claims.insert(segment.to_vec(), claim);
        StopSender::ThisEngine
    }
}

impl Tree {
    pub(super) fn new(leader: Pid, mark: Mark, born: u64, group: Option<ControlGroup>) -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let serial = LAST.fetch_add(1, Ordering::Relaxed);
        Self {
            serial,
            leader,
            mark,
            born,
            group,
            has_terminal: false,
            stop_notes: OnceLock::new(),
            findings: Mutex::default(),
        }
    }

    /// Returns the signals that request a member to end, in their order.
    pub(super) fn stop_signals(&self, signal: StopSignal) -> impl Iterator<Item = Signal> {
        // An interactive shell ignores SIGTERM, and expects SIGHUP when its terminal goes away.
        let hang_up = (self.has_terminal && signal != StopSignal::Hup).then_some(Signal::HUP);
        [signal::of_stop(signal)].into_iter().chain(hang_up).chain([Signal::CONT])
    }

    pub(super) fn findings(&self) -> MutexGuard<'_, Findings> {
        // A panic under the lock leaves valid counts and sets.
        self.findings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
