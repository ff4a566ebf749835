//! A process from a program: its own session, default signals, nothing blocked, and open only what it is given.

use std::ffi::CStr;
use std::os::fd::RawFd;

use libc::c_char;

use super::host_state::HostState;

#[cfg(target_os = "linux")]
pub(super) use self::linux::start;
#[cfg(not(target_os = "linux"))]
pub(super) use self::posix::start;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod posix;

/// What the child is to be.
pub(super) struct Image<'a> {
    pub(super) program: &'a CStr,
    /// C strings, and a null at the end.
    pub(super) argv: &'a [*mut c_char],
    /// `NAME=value`, each a C string, and a null at the end.
    pub(super) envp: &'a [*mut c_char],
    pub(super) cwd: Option<&'a CStr>,
    /// The state of the host that it takes over, and whether it starts in the host's directory.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "`posix_spawn` sets no such state"))]
    pub(super) host: Option<(&'a HostState, bool)>,
    /// Which of our descriptors the child has as 0, 1 and so on. One that is not its own number is above 2, and none is the
    /// number of an earlier one's.
    pub(super) fds: &'a [RawFd],
    /// The directory of the control group that it is to start in.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux has control groups"))]
    pub(super) cgroup: Option<RawFd>,
}
