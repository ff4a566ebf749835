//! The limits of the system for the processes of a command.

use std::io;

use rustix::process::{Resource, getrlimit};

use super::pid::Pid;
use crate::types::ResourceLimits;

/// A limit of the system for a process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rlimit {
    /// The name among the options.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux has them"))]
    pub(super) name: &'static str,
    /// The number of the resource.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux has them"))]
    pub(super) resource: u32,
    /// The soft limit, then the hard one.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux has them"))]
    pub(super) values: [u64; 2],
}

/// A limit that the system does not accept.
#[derive(Debug, thiserror::Error)]
#[error("{name} was refused ({error})")]
pub(super) struct RefusedLimit {
    pub(super) name: &'static str,
    pub(super) error: io::Error,
}

/// Returns the limit that kept a command from being started, and the error of the system.
pub(crate) fn refused_limit(error: &io::Error) -> Option<(&'static str, &io::Error)> {
    let refused = error.get_ref()?.downcast_ref::<RefusedLimit>()?;
    Some((refused.name, &refused.error))
}

/// Whether commands can be limited here.
pub(crate) const HAS_LIMITS: bool = cfg!(target_os = "linux");

/// The numbers that Linux has for limits, on every architecture that is supported.
const CPU: u32 = 0;
const FILE_SIZE: u32 = 1;
const PROCESSES: u32 = 6;
const OPEN_FILES: u32 = 7;
pub(super) const MEMORY: u32 = 9;

/// Returns the limits of a command in the form of the system.
pub(super) fn rlimits(limits: &ResourceLimits) -> Vec<Rlimit> {
    let each = [
        ("open_files", OPEN_FILES, limits.open_files),
        ("processes", PROCESSES, limits.processes),
        ("memory_bytes", MEMORY, limits.memory_bytes),
        ("cpu_seconds", CPU, limits.cpu_seconds),
        ("file_size_bytes", FILE_SIZE, limits.file_size_bytes),
    ];
    let rlimit = |(name, resource, limit): (_, _, Option<u64>)| {
        let soft = limit?;
        // At the soft limit the process gets SIGXCPU, and at the hard one SIGKILL: SIGXCPU names the cause.
        let has_more = resource == CPU && getrlimit(Resource::Cpu).maximum.is_none_or(|most| most > soft);
        Some(Rlimit { name, resource, values: [soft, soft.saturating_add(u64::from(has_more))] })
    };
    each.into_iter().filter_map(rlimit).collect()
}

/// Whether a process that began with this process's limits has lower ones now, which would keep it from reading files, or end it.
#[cfg(target_os = "linux")]
pub(super) fn are_below_own(pid: Pid) -> bool {
    let hard = |pid, resource| {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the out-parameter is valid for the call; no limit is changed.
        let is_known = unsafe { libc::prlimit(pid, resource, std::ptr::null(), &raw mut limit) } == 0;
        is_known.then_some(limit.rlim_max)
    };
    [libc::RLIMIT_NOFILE, libc::RLIMIT_CPU, libc::RLIMIT_STACK]
        .into_iter()
        .any(|resource| hard(pid.as_raw(), resource).zip(hard(0, resource)).is_some_and(|(its, own)| its < own))
}

/// Returns `false`: other systems do not let a process change the limits of another one.
#[cfg(not(target_os = "linux"))]
pub(super) fn are_below_own(_: Pid) -> bool {
    false
}
