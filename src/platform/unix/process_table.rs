//! The table of processes as it was seen last, so that a scan reads what has changed only.

use std::collections::HashMap;

use libc::pid_t;

use super::procs::{self, Entry, Proc};

/// What was read so long ago, in units of [`Proc::start`], is read again.
const LONGEST_KEPT: u64 = procs::SETTLED;

/// Scans the table of processes. Of a process that has become the program that it is to be, what a scan has read is used again by
/// those that follow at once: opening and parsing the file of each process is most of what a scan costs.
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
            let reading = match kept {
                Some(kept) => *kept,
                None => {
                    let Some(proc) = procs::read(pid) else { continue };
                    Reading { proc, entry: number.unwrap_or(0), at: now }
                }
            };
            if !met(&reading.proc) {
                return None;
            }
            found.push(reading.proc);
            if number.is_some() && now.saturating_sub(reading.proc.start) > procs::SETTLED && !reading.proc.is_dead() {
                read.insert(pid, reading);
            }
        }
        self.read = read;
        Some(found)
    }
}
