//! Process ids.

use std::fmt::{self, Display, Formatter};

use libc::pid_t;

/// The id of a process, or of the process group or session that it leads. Always positive: in system calls, 0 and negative numbers
/// stand for groups, or for all processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Pid(rustix::process::Pid);

impl Pid {
    /// The first process of the process id namespace.
    #[cfg(test)]
    pub(super) const INIT: Self = Self(rustix::process::Pid::INIT);

    /// Returns the id of this process.
    pub(super) fn own() -> Self {
        Self(rustix::process::getpid())
    }

    /// Returns `None` for a number that is not a process id, such as the 0 that the kernel shows for a process outside of this process
    /// id namespace.
    pub(super) fn from_raw(number: pid_t) -> Option<Self> {
        if number < 0 { None } else { rustix::process::Pid::from_raw(number).map(Self) }
    }

    /// Reads a decimal number.
    #[cfg(target_os = "linux")]
    pub(super) fn parse(text: &str) -> Option<Self> {
        text.parse().ok().and_then(Self::from_raw)
    }

    pub(super) fn as_raw(self) -> pid_t {
        self.0.as_raw_pid()
    }

    /// Returns the number that users of the engine see.
    pub(super) fn number(self) -> u32 {
        self.as_raw().unsigned_abs()
    }
}

impl Ord for Pid {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_raw().cmp(&other.as_raw())
    }
}

impl PartialOrd for Pid {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Display for Pid {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl From<Pid> for rustix::process::Pid {
    fn from(pid: Pid) -> Self {
        pid.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_id_is_positive() {
        assert_eq!(Pid::from_raw(12).map(Pid::as_raw), Some(12));
        assert_eq!((Pid::from_raw(0), Pid::from_raw(-1)), (None, None));
        assert_eq!(Pid::parse("12"), Pid::from_raw(12));
        assert_eq!((Pid::parse(""), Pid::parse("x"), Pid::parse("99999999999")), (None, None, None));
        assert!(Pid::parse("9") < Pid::parse("10"));
    }
}
