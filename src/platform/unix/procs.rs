//! The table of processes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use libc::pid_t;

pub(super) use self::kernel::{describe, has_tag, read};

#[cfg_attr(target_os = "linux", path = "procs/linux.rs")]
#[cfg_attr(target_vendor = "apple", path = "procs/apple.rs")]
mod kernel;

/// One process as the kernel tells it.
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
    pub(super) fn identity(&self) -> (pid_t, u64) {
        (self.pid, self.start)
    }

    /// It only waits to be reaped.
    pub(super) fn is_dead(&self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }
}

type Shared = (Instant, Arc<[Proc]>);

/// All processes, as they were at `since` or later. Many trees that end together share one look.
pub(super) fn snapshot(since: Instant) -> Arc<[Proc]> {
    static LAST: Mutex<Option<Shared>> = Mutex::new(None);
    // Held while the table is read: whoever comes meanwhile waits, and may find that the next look serves it too.
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((at, procs)) = &*last
        && *at >= since
    {
        return Arc::clone(procs);
    }
    let at = Instant::now();
    let procs: Arc<[Proc]> = kernel::pids().into_iter().filter_map(read).collect();
    *last = Some((at, Arc::clone(&procs)));
    procs
}
