//! The table of processes as it was seen last, so that a scan reads what has changed only.

use std::collections::HashMap;

use libc::pid_t;

use super::procs::{self, Entry, Proc};

/// What was read so long ago, in units of [`Proc::start`], is read again.
const LONGEST_KEPT: u64 = procs::SETTLED;

/// Scans the table of processes. What a scan has read of a process that has its place in a session is used again by those that
/// follow at once: opening and parsing the file of each process is most of what a scan costs.
#[derive(Debug, Default)]
pub(super) struct ProcessTable {
    read: HashMap<pid_t, Reading>,
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    proc: Proc,
    /// The number of its entry in the list of processes, which another process with the same id does not have.
    entry: u64,
    at: u64,
}

impl ProcessTable {
    /// Calls `met` for each process as soon as it is known; those that `is_watched` names are read anew. `None`: `met` has said not to
    /// go on.
    pub(super) fn scan(
        &mut self,
        is_watched: impl Fn(&Proc) -> bool,
        mut met: impl FnMut(&Proc) -> bool,
    ) -> Option<Vec<Proc>> {
        let now = procs::now();
        let mut found = Vec::with_capacity(self.read.len() + 64);
        let mut read = HashMap::with_capacity(self.read.len() + 64);
        for Entry { pid, number } in procs::entries() {
            let kept = number.and_then(|number| self.read.get(&pid).filter(|kept| kept.entry == number));
            let kept = kept.filter(|kept| now.saturating_sub(kept.at) < LONGEST_KEPT && !is_watched(&kept.proc));
            let read_now = || procs::read(pid).map(|proc| Reading { proc, entry: number.unwrap_or(0), at: now });
            let Some(reading) = kept.copied().or_else(read_now) else { continue };
            if !met(&reading.proc) {
                return None;
            }
            found.push(reading.proc);
            if number.is_some() && is_lasting(&reading.proc, now) {
                read.insert(pid, reading);
            }
        }
        self.read = read;
        Some(found)
    }
}

/// Whether what was read of a process will hold, but for its state and its parent. One that leads a session cannot leave it, nor
/// its group.
fn is_lasting(proc: &Proc, now: u64) -> bool {
    !proc.is_dead() && (proc.session == proc.pid || now.saturating_sub(proc.start) > procs::SETTLED)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::Command;

    use super::*;

    /// Has started long ago on every machine.
    const FIRST: pid_t = 1;
    /// No time at which anything was read.
    const NEVER: u64 = u64::MAX;

    fn mark_as_kept(table: &mut ProcessTable) {
        table.read.get_mut(&FIRST).unwrap().at = NEVER;
    }

    #[test]
    fn an_old_process_is_read_once_by_scans_that_follow_at_once() {
        let mut table = ProcessTable::default();
        let first = table.scan(|_| false, |_| true).unwrap();
        mark_as_kept(&mut table);
        let second = table.scan(|_| false, |_| true).unwrap();
        assert_eq!(table.read[&FIRST].at, NEVER, "it was not read again");
        let found = |procs: &[Proc]| procs.iter().find(|proc| proc.pid == FIRST).map(Proc::identity);
        assert!(found(&first).is_some());
        assert_eq!(found(&first), found(&second));
    }

    #[test]
    fn what_is_watched_or_was_read_long_ago_or_is_another_process_by_now_is_read_anew() {
        let mut table = ProcessTable::default();
        let mut scan = |watched: bool, change: fn(&mut Reading)| {
            table.scan(|_| false, |_| true).unwrap();
            mark_as_kept(&mut table);
            change(table.read.get_mut(&FIRST).unwrap());
            table.scan(|proc| watched && proc.pid == FIRST, |_| true).unwrap();
            assert_ne!(table.read[&FIRST].at, NEVER);
        };
        scan(true, |_| {});
        scan(false, |reading| reading.at = 0);
        scan(false, |reading| reading.entry += 1);
    }

    #[test]
    fn a_young_process_is_read_by_each_scan_and_is_gone_when_it_was_reaped() {
        let mut table = ProcessTable::default();
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let pid = pid_t::try_from(child.id()).unwrap();
        let mut is_found = || table.scan(|_| false, |_| true).unwrap().iter().any(|proc| proc.pid == pid);
        assert!(is_found());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!is_found());
    }
}
