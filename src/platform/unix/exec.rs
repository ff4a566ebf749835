//! Starts a program with its own session, default signals, no blocked signals, and only the given descriptors.

use std::ffi::CStr;
use std::os::fd::RawFd;

use libc::c_char;

use super::limits::Rlimit;
use crate::platform::HostState;

#[cfg(target_os = "linux")]
pub(super) use self::linux::start;
#[cfg(not(target_os = "linux"))]
pub(super) use self::posix::start;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod posix;

/// The program of a child, and its initial state.
pub(super) struct Image<'a> {
    pub(super) program: &'a CStr,
    /// C strings, with a null at the end.
    pub(super) argv: &'a [*mut c_char],
    /// `NAME=value` C strings, with a null at the end.
    pub(super) envp: &'a [*mut c_char],
    pub(super) cwd: Option<&'a CStr>,
    /// The state of the host that the child takes over, and whether it starts in the host's directory.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "`posix_spawn` sets no such state"))]
    pub(super) host: Option<(&'a HostState, bool)>,
    /// The descriptors of the host that become 0, 1 and so on in the child. One that does not keep its number is above
    /// 2, and none is the target of an earlier one.
    pub(super) fds: &'a [RawFd],
    /// The path of the terminal that its descriptors are, which becomes its controlling terminal.
    pub(super) terminal: Option<&'a CStr>,
    /// The directory of the control group in which the child starts.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux has control groups"))]
    pub(super) cgroup: Option<RawFd>,
    /// The limits of the system for the child.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux has them"))]
    pub(super) limits: &'a [Rlimit],
}
