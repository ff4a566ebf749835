//! The only place that ends a tree.

use std::time::{Duration, Instant};

use crate::platform::Leader;
use crate::state::Stop;
use crate::types::Killed;

/// A tree is looked at this soon after it was signalled, then ever more rarely up to [`SLOWEST_SCAN`].
const FIRST_SCAN: Duration = Duration::from_millis(2);
const SLOWEST_SCAN: Duration = Duration::from_millis(50);
/// A tree that SIGKILL does not end for so long is given up: its processes hang in the kernel.
const GIVE_UP_AFTER: Duration = Duration::from_secs(5);

/// The ending of one tree: asked politely, then killed, until two looks in a row find nobody.
#[derive(Debug)]
pub(super) struct Termination {
    pub(super) why: Stop,
    kill_at: Instant,
    give_up_at: Instant,
    next_scan: Instant,
    pause: Duration,
    empty_scans: u8,
    killing: bool,
    killed: Killed,
}

impl Termination {
    /// Asks the tree to end.
    pub(super) fn begin(leader: &Leader, why: Stop, grace: Duration) -> Self {
        let now = Instant::now();
        let kill_at = now + grace;
        let mut this = Self {
            why,
            kill_at,
            give_up_at: kill_at + GIVE_UP_AFTER,
            next_scan: now + FIRST_SCAN,
            pause: FIRST_SCAN,
            empty_scans: 0,
            killing: false,
            killed: Killed { pids: leader.members(), mechanism: String::from("SIGTERM to the group") },
        };
        if grace.is_zero() {
            this.kill(leader);
        } else if let Err(error) = leader.terminate_group() {
            this.killed.mechanism = format!("SIGTERM to the group was refused ({error})");
        }
        this
    }

    /// When [`Termination::tick`] has something to do next.
    pub(super) fn deadline(&self, leader_exited: bool) -> Instant {
        let next_step = if self.killing { self.give_up_at } else { self.kill_at };
        if leader_exited || self.killing { self.next_scan.min(next_step) } else { next_step }
    }

    /// Looks at the tree, and kills it when its grace is over. `true` when nobody is left, or nothing more can be done.
    pub(super) fn tick(&mut self, leader: &Leader, leader_exited: bool, now: Instant) -> bool {
        if now >= self.give_up_at {
            self.killed.mechanism.push_str("; unreaped");
            return true;
        }
        let left = if now >= self.kill_at {
            self.kill(leader)
        } else if leader_exited {
            leader.members()
        } else {
            return false;
        };
        self.pause = (self.pause * 2).min(SLOWEST_SCAN);
        self.next_scan = now + self.pause;
        self.empty_scans = if left.is_empty() { self.empty_scans + 1 } else { 0 };
        leader_exited && self.empty_scans >= 2
    }

    fn kill(&mut self, leader: &Leader) -> Vec<i32> {
        self.killing = true;
        let left = leader.kill_session();
        self.killed.mechanism = String::from("SIGKILL to the session");
        for pid in &left {
            if !self.killed.pids.contains(pid) {
                self.killed.pids.push(*pid);
            }
        }
        left
    }

    pub(super) fn into_killed(self) -> Killed {
        self.killed
    }
}
