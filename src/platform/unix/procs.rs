//! The process table.

pub(super) use self::kernel::{
    REFUSES_DEAD_GROUPS, SETTLED, describe, entries, has_environment, is_visible, limit, now, own_peak_memory, own_tag,
    read, settled_tag, tag,
};

use super::pid::Pid;

#[cfg_attr(target_os = "linux", path = "procs/linux.rs")]
#[cfg_attr(target_vendor = "apple", path = "procs/apple.rs")]
mod kernel;

/// The tag of a process, as one read shows it.
pub(super) enum TagRead {
    Found(Vec<u8>),
    /// The process has no tag.
    Absent,
    /// The process was in an exec during the read.
    #[cfg_attr(target_vendor = "apple", expect(dead_code, reason = "the system does not show it"))]
    Unsettled,
}

/// Identifies a process: an id may be reused, with another start.
pub(super) type Identity = (Pid, u64);

/// A process as the kernel shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Proc {
    pub(super) pid: Pid,
    /// `None`, as for the next two, if the process of that id is outside of this process id namespace, or is not known.
    pub(super) parent: Option<Pid>,
    pub(super) group: Option<Pid>,
    pub(super) session: Option<Pid>,
    /// The state letter that `ps` shows: R, S, D, T, Z… If its first thread has ended before the others, the state of
    /// another one.
    pub(super) state: u8,
    /// The time when it started, in the unit of [`now`]. Together with the id it identifies the process.
    pub(super) start: u64,
}

impl Proc {
    /// Returns its identity, which a later process with the same id does not have.
    pub(super) fn identity(&self) -> Identity {
        (self.pid, self.start)
    }

    /// Whether all of its threads have ended.
    pub(super) fn is_dead(&self) -> bool {
        is_dead(self.state)
    }

    /// Whether a signal or a debugger has stopped it.
    #[cfg_attr(
        target_vendor = "apple",
        expect(dead_code, reason = "the system does not show what a process waits for")
    )]
    pub(super) fn is_stopped(&self) -> bool {
        matches!(self.state, b'T' | b't')
    }
}

/// Whether this is the state of a process or a thread that has ended.
fn is_dead(state: u8) -> bool {
    matches!(state, b'Z' | b'X')
}

/// An entry in the list of processes.
#[derive(Debug, Clone, Copy)]
pub(super) struct ProcEntry {
    pub(super) pid: Pid,
    /// A number that a later process with the same id does not have, where the system has one.
    pub(super) number: Option<u64>,
}

/// Whether a group has no process that can get a signal.
pub(super) fn is_dead_group(group: Pid) -> bool {
    entries().iter().filter_map(|entry| read(entry.pid)).all(|proc| proc.group != Some(group) || proc.is_dead())
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_group_is_dead_when_all_of_it_waits_to_be_reaped() {
        let mut shell = Command::new("/bin/sh");
        let mut child = shell.args(["-c", "read line"]).stdin(Stdio::piped()).process_group(0).spawn().unwrap();
        let group = Pid::from_raw(child.id().cast_signed()).unwrap();
        assert!(!is_dead_group(group));
        drop(child.stdin.take());
        while read(group).is_some_and(|proc| !proc.is_dead()) {
            std::thread::yield_now();
        }
        assert!(read(group).is_some_and(|proc| proc.group == Some(group)), "it is found although it is dead");
        assert!(is_dead_group(group));
        child.wait().unwrap();
    }
}
