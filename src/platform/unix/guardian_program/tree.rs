//! Ends the tree of one execution.

use core::sync::atomic::Ordering::{Acquire, Relaxed};

use crate::table::{ALLOW_DETACHED, LEADER_STOPPED, Row, TAG_BYTES};
use crate::{LONGEST_STEP_MS, Proc};

/// An execution that is being ended.
#[derive(Clone, Copy)]
pub(crate) struct Tree {
    pub(crate) leader: i32,
    pub(crate) earliest_start: u64,
    pub(crate) latest_start: u64,
    pub(crate) stop_signal: i32,
    pub(crate) stop_sent_at: u64,
    pub(crate) flags: u32,
    pub(crate) cgroup: u32,
    pub(crate) others_at: u64,
    pub(crate) kill_at: u64,
    /// `None`: the host has planned the kill.
    grace: Option<u64>,
    pub(crate) tag: [u8; TAG_BYTES],
    pub(crate) is_gone: bool,
    pub(crate) leader_runs: bool,
    /// The id of the leader belongs to another process by now, and so do the session and the group with that id.
    pub(crate) is_reused: bool,
    pub(crate) living: u32,
    pub(crate) is_moving: bool,
    pub(crate) has_fresh: bool,
    pub(crate) grows: bool,
    pub(crate) scans: u32,
    pub(crate) kill_scans: u32,
    /// The latest time at which it was killed; 0: it was not yet.
    killed_at: u64,
    /// The time of killing so far, in ms, without that in which the guardian was stopped.
    pub(crate) killed_for: u64,
    pub(crate) quiet_scans: u32,
    pub(crate) unsure_scans: u32,
}

impl Tree {
    pub(crate) fn of(row: &Row, now: u64) -> Self {
        let grace = u64::from(row.grace_ms.load(Relaxed));
        let planned = row.kill_at_ms.load(Relaxed);
        let latest = now + grace;
        Self {
            leader: row.leader.load(Acquire),
            earliest_start: row.earliest_start.load(Relaxed),
            latest_start: row.latest_start.load(Relaxed),
            stop_signal: row.stop_signal.load(Relaxed),
            stop_sent_at: row.stop_sent_at.load(Relaxed),
            flags: row.flags.load(Relaxed),
            cgroup: row.cgroup.load(Relaxed),
            others_at: now + grace / 2,
            kill_at: if planned == 0 { latest } else { planned.min(latest) },
            grace: (planned == 0).then_some(grace),
            tag: row.tag,
            is_gone: false,
            leader_runs: false,
            is_reused: false,
            living: 0,
            is_moving: false,
            has_fresh: false,
            grows: false,
            scans: 0,
            kill_scans: 0,
            killed_at: 0,
            killed_for: 0,
            quiet_scans: 0,
            unsure_scans: 0,
        }
    }

    /// Begins the grace period anew, once the stop signals have been sent: on a busy machine the first scan may take longer than it.
    pub(crate) fn begin_grace(&mut self, now: u64) {
        if let Some(grace) = self.grace {
            self.others_at = now + grace / 2;
            self.kill_at = now + grace;
        }
    }

    /// Counts a scan that kills, and the time since the one before.
    pub(crate) fn count_killing(&mut self, now: u64) {
        self.kill_scans += 1;
        self.killed_for += (now - self.killed_at.max(self.kill_at)).min(LONGEST_STEP_MS);
        self.killed_at = now;
    }

    pub(crate) fn segment(&self) -> &[u8] {
        self.tag.split(|byte| *byte == 0).next().unwrap_or(b"")
    }

    /// Records that a member has ended. It may have started another one meanwhile: a control group would show that.
    pub(crate) fn has_lost(&mut self, pid: i32) {
        self.is_moving = true;
        self.grows |= self.cgroup == 0 && pid != self.leader;
    }

    /// Whether the host has sent the stop signal to a member without a scan.
    pub(crate) fn was_stopped_unseen(&self, proc: &Proc) -> bool {
        let is_leader = proc.pid == self.leader && self.flags & LEADER_STOPPED != 0;
        is_leader || (proc.group == self.leader && proc.start < self.stop_sent_at)
    }

    pub(crate) fn allows_detached(&self) -> bool {
        self.flags & ALLOW_DETACHED != 0
    }

    pub(crate) fn may_opt_out(&self, proc: &Proc) -> bool {
        self.allows_detached() && proc.session != self.leader
    }
}
