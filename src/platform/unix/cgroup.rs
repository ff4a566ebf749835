//! Linux control groups, version 2: each execution has its own where the host may create some, so that its members are listed by the
//! kernel, and can be killed in one step.
//!
//! Groups are reused, since a new one costs a tenth of a short command. They limit nothing: a controller such as that of memory can be
//! enabled for groups below the host's own only where that one has no process, and the host is in it.

#[cfg(not(target_os = "linux"))]
pub(super) use self::none::{ControlGroup, base, is_populated, kill_apart, number_of, take};

#[cfg(target_os = "linux")]
pub(super) use self::linux::{ControlGroup, base, is_populated, kill_apart, number_of, take};

#[cfg(target_os = "linux")]
#[path = "cgroup/linux.rs"]
mod linux;

/// Systems without control groups.
#[cfg(not(target_os = "linux"))]
mod none {
    use std::num::NonZeroU32;
    use std::os::fd::RawFd;

    use super::super::pid::Pid;

    #[derive(Debug)]
    pub(in super::super) enum ControlGroup {}

    impl ControlGroup {
        pub(in super::super) fn number(&self) -> NonZeroU32 {
            match *self {}
        }

        pub(in super::super) fn keep_number(&self) -> NonZeroU32 {
            match *self {}
        }

        pub(in super::super) fn fd(&self) -> RawFd {
            match *self {}
        }

        pub(in super::super) fn refused(self, _error: &std::io::Error) {
            match self {}
        }

        pub(in super::super) fn is_empty(&self) -> bool {
            match *self {}
        }

        pub(in super::super) fn members(&self) -> Vec<Pid> {
            match *self {}
        }

        pub(in super::super) fn kill(&self) -> bool {
            match *self {}
        }
    }

    pub(in super::super) fn take() -> Option<ControlGroup> {
        None
    }

    pub(in super::super) fn base() -> Option<&'static std::path::Path> {
        None
    }

    pub(in super::super) fn is_populated(_number: NonZeroU32) -> bool {
        false
    }

    pub(in super::super) fn number_of(_pid: Pid) -> Option<NonZeroU32> {
        None
    }

    pub(in super::super) fn kill_apart(_pids: &[Pid]) -> bool {
        false
    }
}
