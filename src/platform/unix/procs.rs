//! The table of processes.

use libc::pid_t;

pub(super) use self::kernel::{
    REFUSES_DEAD_GROUPS, SETTLED, describe, entries, has_environment, is_visible, limit, may_be_in_exec, now, own_tag,
    read, tag,
};

#[cfg_attr(target_os = "linux", path = "procs/linux.rs")]
#[cfg_attr(target_vendor = "apple", path = "procs/apple.rs")]
mod kernel;

/// A process for all time: a number may come back, with another start.
pub(super) type Identity = (pid_t, u64);

/// One process as the kernel shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Proc {
    pub(super) pid: pid_t,
    pub(super) parent: pid_t,
    pub(super) group: pid_t,
    pub(super) session: pid_t,
    /// As in `ps`: R, S, D, T, Z…
    pub(super) state: u8,
    /// When it started, in the kernel's own unit: with the number it names a process for all time.
    pub(super) start: u64,
}

impl Proc {
    /// It, and not another with the same number later.
    pub(super) fn identity(&self) -> Identity {
        (self.pid, self.start)
    }

    /// It only waits to be reaped.
    pub(super) fn is_dead(&self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }
}

/// A process in the list of all.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) pid: pid_t,
    /// A number that another process with the same id does not have, where the system gives one.
    pub(super) number: Option<u64>,
}

/// Whether no process of a group is left that could take a signal.
pub(super) fn is_dead_group(group: pid_t) -> bool {
    entries().iter().filter_map(|entry| read(entry.pid)).all(|proc| proc.group != group || proc.is_dead())
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
        let group = pid_t::try_from(child.id()).unwrap();
        assert!(!is_dead_group(group));
        drop(child.stdin.take());
        while read(group).is_some_and(|proc| !proc.is_dead()) {
            std::thread::yield_now();
        }
        assert!(read(group).is_some_and(|proc| proc.group == group), "it is found although it is dead");
        assert!(is_dead_group(group));
        child.wait().unwrap();
    }
}
