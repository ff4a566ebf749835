//! What the system limits for the processes of a command.

use std::io;

use super::exec::Rlimit;
use super::pid::Pid;
use crate::types::ResourceLimits;

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

/// The limits of a command in the form of the system; the memory too, unless its control group limits that.
pub(super) fn rlimits(limits: &ResourceLimits, with_memory: bool) -> Vec<Rlimit> {
    let each = [
        ("open_files", libc::RLIMIT_NOFILE, limits.open_files),
        ("processes", libc::RLIMIT_NPROC, limits.processes),
        ("memory_bytes", libc::RLIMIT_AS, limits.memory_bytes.filter(|_| with_memory)),
        ("cpu_seconds", libc::RLIMIT_CPU, limits.cpu_seconds),
        ("file_size_bytes", libc::RLIMIT_FSIZE, limits.file_size_bytes),
    ];
    let rlimit = |(name, resource, limit): (_, _, Option<u64>)| {
        // At the soft limit the process gets SIGXCPU, and at the hard one SIGKILL: the signal says more.
        let hard = if resource == libc::RLIMIT_CPU { hard_limit(resource, limit?) } else { limit? };
        Some(Rlimit { name, resource: u32::try_from(resource).ok()?, values: [limit?, hard] })
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

/// Other systems do not let a process change the limits of another one.
#[cfg(not(target_os = "linux"))]
pub(super) fn are_below_own(_: Pid) -> bool {
    false
}

/// One more than the soft limit, if the host has as much.
fn hard_limit(resource: libc::__rlimit_resource_t, soft: u64) -> u64 {
    let mut own = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is valid for the call.
    let is_known = unsafe { libc::getrlimit(resource, &raw mut own) } == 0;
    if is_known && own.rlim_max > soft { soft.saturating_add(1) } else { soft }
}
