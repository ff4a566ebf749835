//! The process table of the last scan, so that a scan reads only what has changed.

use std::collections::{HashMap, HashSet};

use super::census::Memory;
use super::pid::Pid;
use super::procs::{self, Proc, ProcEntry};

/// The age in units of [`Proc::start`] from which an entry is read again.
const LONGEST_KEPT: u64 = procs::SETTLED;

/// Scans the process table. The entry of a process that has its place in a session is reused by the scans that follow at once: opening
/// and parsing the file of each process is most of the cost of a scan.
#[derive(Debug, Default)]
pub(super) struct ProcessTable {
    read: HashMap<Pid, Reading>,
    tags: HashMap<Pid, Vec<u8>>,
}

/// The data that a scan needs besides that of the scans before.
#[derive(Debug)]
pub(super) struct Interest<'a> {
    pub(super) memory: &'a Memory,
    /// The trees, by serial number, whose members are read by each scan.
    pub(super) ending: &'a HashSet<u64>,
    /// The tag of a process that has started since then is read together with its entry: it may be gone a moment later.
    pub(super) young: Option<u64>,
}

impl Interest<'_> {
    fn is_watched(&self, proc: &Proc) -> bool {
        self.memory.is_in(proc, self.ending)
    }

    /// Tags are read of young processes only: the read for a process that hangs would hang this thread.
    fn needs_tag(&self, proc: &Proc) -> bool {
        let is_young = self.young.is_some_and(|young| proc.start >= young);
        is_young && !proc.is_dead() && self.memory.tree_of(proc).is_none()
    }
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    proc: Proc,
    /// The number of its entry in the list of processes, which a later process with the same id does not have.
    entry: u64,
    at: u64,
}

impl ProcessTable {
    /// Calls `visit` for each process as soon as it is read. Returns `None` when `visit` has returned `false`.
    pub(super) fn scan(&mut self, interest: &Interest<'_>, mut visit: impl FnMut(&Proc) -> bool) -> Option<Vec<Proc>> {
        let now = procs::now();
        self.tags.clear();
        let mut found = Vec::with_capacity(self.read.len() + 64);
        let mut read = HashMap::with_capacity(self.read.len() + 64);
        for ProcEntry { pid, number } in procs::entries() {
            let kept = number.and_then(|number| self.read.get(&pid).filter(|kept| kept.entry == number));
            let kept =
                kept.filter(|kept| now.saturating_sub(kept.at) < LONGEST_KEPT && !interest.is_watched(&kept.proc));
            let read_now = || procs::read(pid).map(|proc| Reading { proc, entry: number.unwrap_or(0), at: now });
            let Some(reading) = kept.copied().or_else(read_now) else { continue };
            if interest.needs_tag(&reading.proc)
                && let Some(tag) = procs::tag(pid)
            {
                self.tags.insert(pid, tag);
            }
            if !visit(&reading.proc) {
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

    /// Returns the tags that the latest scan has read.
    pub(super) fn tags(&self) -> &HashMap<Pid, Vec<u8>> {
        &self.tags
    }
}

/// Whether what was read of a process will hold, but for its state and its parent. One that leads a session cannot leave it, nor
/// its group.
fn is_lasting(proc: &Proc, now: u64) -> bool {
    proc.is_dead() || (proc.session == Some(proc.pid) || now.saturating_sub(proc.start) > procs::SETTLED)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    /// The first process, which has started long ago on every machine.
    const FIRST: Pid = Pid::INIT;
    /// A time at which nothing was read.
    const NEVER: u64 = u64::MAX;

    /// A table, and what is known when it is scanned.
    #[derive(Default)]
    struct Scanned {
        table: ProcessTable,
        memory: Memory,
        ending: HashSet<u64>,
        young: Option<u64>,
    }

    impl Scanned {
        fn scan(&mut self) -> Vec<Proc> {
            let interest = Interest { memory: &self.memory, ending: &self.ending, young: self.young };
            self.table.scan(&interest, |_| true).unwrap()
        }

        /// Whether a scan reads the first process again.
        fn reads_again(&mut self, change: impl FnOnce(&mut Self)) -> bool {
            let first = *self.scan().iter().find(|proc| proc.pid == FIRST).unwrap();
            self.table.read.get_mut(&FIRST).unwrap().at = NEVER;
            change(self);
            let second = *self.scan().iter().find(|proc| proc.pid == FIRST).unwrap();
            assert_eq!(first.identity(), second.identity());
            self.table.read[&FIRST].at != NEVER
        }
    }

    fn sleeper() -> (Child, Pid) {
        let child = Command::new("sleep").arg("600").env("ESCHER_EXECUTION_ID", "tag").spawn().unwrap();
        let pid = Pid::from_raw(child.id().cast_signed()).unwrap();
        (child, pid)
    }

    #[test]
    fn an_old_process_is_read_once_by_scans_that_follow_at_once() {
        assert!(!Scanned::default().reads_again(|_| {}));
    }

    #[test]
    fn what_is_watched_or_was_read_long_ago_or_is_another_process_by_now_is_read_anew() {
        const SERIAL: u64 = 7;
        let mut watched = Scanned::default();
        let first = *watched.scan().iter().find(|proc| proc.pid == FIRST).unwrap();
        watched.memory.remember(&first, SERIAL);
        assert!(!watched.reads_again(|_| {}), "its tree is not being ended");
        assert!(watched.reads_again(|it| _ = it.ending.insert(SERIAL)));

        let changed = |change: fn(&mut Reading)| {
            Scanned::default().reads_again(|it| change(it.table.read.get_mut(&FIRST).unwrap()))
        };
        assert!(changed(|reading| reading.at = 0));
        assert!(changed(|reading| reading.entry += 1));
    }

    #[test]
    fn a_process_is_found_until_it_is_reaped() {
        let mut scanned = Scanned::default();
        let (mut child, pid) = sleeper();
        let mut state = || scanned.scan().iter().find(|proc| proc.pid == pid).map(Proc::is_dead);
        assert_eq!(state(), Some(false));
        child.kill().unwrap();
        while state() != Some(true) {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert_eq!(state(), None);
    }

    #[test]
    fn the_tag_of_a_young_process_without_a_known_tree_is_read_with_it() {
        let mut scanned = Scanned::default();
        let (mut child, pid) = sleeper();
        let found = scanned.scan();
        assert_eq!(scanned.table.tags().get(&pid), None, "nothing needs it");
        scanned.young = Some(procs::now().saturating_sub(procs::SETTLED));
        // A child that has not become its program may have no environment.
        while scanned.table.tags().get(&pid).is_none() {
            scanned.scan();
        }
        assert_eq!(scanned.table.tags()[&pid], b"tag");
        let child_proc = found.iter().find(|proc| proc.pid == pid).unwrap();
        scanned.memory.remember(child_proc, 7);
        scanned.scan();
        assert_eq!(scanned.table.tags().get(&pid), None, "its tree is known");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
