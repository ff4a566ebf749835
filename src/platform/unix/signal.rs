//! Signals to processes and process groups. No other file of the library calls `kill`.

use std::io;

use libc::pid_t;

use super::pidfd;
use super::procs::{self, Proc};

/// Sends a signal to a process; if it is gone, that is no error. The caller ensures that the id still belongs to that process.
pub(super) fn send(pid: pid_t, signal: i32) -> io::Result<()> {
    if_there(kill(pid, signal))
}

/// Sends a signal to each process of the group that `leader` leads, as [`send`].
pub(super) fn send_to_group(leader: pid_t, signal: i32) -> io::Result<()> {
    match if_there(kill(-leader, signal)) {
        Err(error)
            if error.raw_os_error() == Some(libc::EPERM)
                && procs::REFUSES_DEAD_GROUPS
                && leader > 1
                && procs::is_dead_group(leader) =>
        {
            Ok(())
        }
        sent => sent,
    }
}

/// Sends a signal to a process if it is still the one that was seen: by a descriptor that stays one process, whatever becomes of its
/// number. If it is gone, that is no error.
pub(super) fn send_to_seen(seen: &Proc, signal: i32) -> io::Result<()> {
    let pinned = pidfd::open(seen.pid);
    let is_same = || procs::read(seen.pid).is_some_and(|now| now.start == seen.start);
    if !is_same() {
        return Ok(());
    }
    let sent = match &pinned {
        // A sandbox may deny this call and allow `kill`. What may not be signalled at all is refused by that too.
        Ok(fd) => match pidfd::signal(fd, signal) {
            Err(error) if error.raw_os_error() != Some(libc::ESRCH) && is_same() => send(seen.pid, signal),
            sent => sent,
        },
        // Without descriptors (Linux before 5.3, other systems) the look just above is the only guard.
        Err(_) => send(seen.pid, signal),
    };
    if_there(sent)
}

/// Whether no process has this id, not even one that waits to be reaped.
pub(super) fn is_unused(pid: pid_t) -> bool {
    kill(pid, 0).is_err_and(|error| error.raw_os_error() == Some(libc::ESRCH))
}

/// A process that is gone needs no signal.
fn if_there(sent: io::Result<()>) -> io::Result<()> {
    sent.or_else(|error| if error.raw_os_error() == Some(libc::ESRCH) { Ok(()) } else { Err(error) })
}

fn kill(pid: pid_t, signal: i32) -> io::Result<()> {
    // SAFETY: no memory is involved. The callers ensure that the id still belongs to that process.
    if unsafe { libc::kill(pid, signal) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
