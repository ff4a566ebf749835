//! Notes for the guardian which processes have had the stop signal from this host, so that each gets it once if the host ends while it
//! ends a tree.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::guardian_table::{LEADER_STOPPED, Row, STOPPED_PLACES, place_of, stopped};
use super::procs::{self, Proc};

/// The lock is held while a process gets its stop signals and the note is written.
static SENDING: Mutex<()> = Mutex::new(());

/// Locks the sending of stop signals: an orderly exit of the host ends no thread between a signal and its note.
pub(super) fn sending() -> MutexGuard<'static, ()> {
    SENDING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends no stop signal from now on: the host exits, and the guardian sends those that are due.
pub(crate) fn end_stop_signals() {
    std::mem::forget(sending());
}

/// The place of the notes about one tree.
pub(super) struct StopNotes {
    pub(super) row: &'static Row,
    pub(super) stopped: &'static [AtomicU64; STOPPED_PLACES],
}

impl std::fmt::Debug for StopNotes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StopNotes").finish_non_exhaustive()
    }
}

impl StopNotes {
    /// Notes that a member has had the stop signal.
    pub(super) fn member(&self, proc: &Proc) {
        let pid = proc.pid.as_raw();
        self.stopped[place_of(pid)].store(stopped(pid, proc.start), Ordering::Release);
    }

    /// Notes that the leader has had it, or every member of its process group that has started by now. Only while the row belongs to the
    /// tree.
    pub(super) fn unseen(&self, leader_only: bool) {
        if leader_only {
            self.row.flags.fetch_or(LEADER_STOPPED, Ordering::Release);
        } else {
            let now = procs::now() + 1;
            let _ = self.row.stop_sent_at.compare_exchange(0, now, Ordering::Release, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_about_one_process() {
        let pid = 4_711;
        let shares_the_place = pid + i32::try_from(STOPPED_PLACES).unwrap();
        assert_eq!(place_of(pid), place_of(shares_the_place));
        let note = stopped(pid, 1_000);
        assert_ne!(note, stopped(shares_the_place, 1_000));
        assert_ne!(note, stopped(pid, 1_001));
        assert_ne!(stopped(pid, 0), 0, "a place without a note has 0");
        // The largest id of Linux, and a start in microseconds.
        assert_ne!(stopped((1 << 22) - 1, 1 << 51), stopped((1 << 22) - 1, 1 << 52));
    }
}
