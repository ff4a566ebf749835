//! Signals: their names, and how they are sent to processes and process groups.

use std::io;

use rustix::io::Errno;
pub(super) use rustix::process::Signal;
use rustix::process::{kill_process, kill_process_group, test_kill_process};

use super::pid::Pid;
use super::procs;
use crate::types::StopSignal;

macro_rules! named {
    ($($name:ident)*) => {
        &[$((stringify!($name), libc::$name)),*]
    };
}

/// Every signal that can be sent to a command, by its name.
#[rustfmt::skip]
pub(crate) const SIGNALS: &[(&str, i32)] = named!(
    SIGHUP SIGINT SIGQUIT SIGILL SIGTRAP SIGABRT SIGBUS SIGFPE SIGKILL
    SIGUSR1 SIGSEGV SIGUSR2 SIGPIPE SIGALRM SIGTERM SIGCHLD SIGCONT SIGSTOP
    SIGTSTP SIGTTIN SIGTTOU SIGURG SIGXCPU SIGXFSZ SIGVTALRM SIGPROF SIGWINCH
    SIGIO SIGSYS
);

/// Returns the name of a signal, such as `SIGKILL`.
pub(crate) fn signal_name(signal: i32) -> String {
    let known = SIGNALS.iter().find(|(_, number)| *number == signal);
    known.map_or_else(|| format!("signal {signal}"), |(name, _)| (*name).to_owned())
}

pub(super) const fn of_stop(signal: StopSignal) -> Signal {
    match signal {
        StopSignal::Term => Signal::TERM,
        StopSignal::Int => Signal::INT,
        StopSignal::Hup => Signal::HUP,
        StopSignal::Quit => Signal::QUIT,
        StopSignal::Usr1 => Signal::USR1,
        StopSignal::Usr2 => Signal::USR2,
    }
}

/// Returns one of [`SIGNALS`] by its number.
pub(super) fn from_number(number: i32) -> io::Result<Signal> {
    Signal::from_named_raw(number).ok_or_else(|| Errno::INVAL.into())
}

/// Signals a process. A process that is gone is not an error. The caller ensures that the id still belongs to the process.
pub(super) fn kill(pid: Pid, signal: Signal) -> io::Result<()> {
    match kill_process(pid.into(), signal) {
        Err(Errno::SRCH) => Ok(()),
        done => Ok(done?),
    }
}

/// Signals a process group. A group that is gone is not an error. The caller ensures that the id still belongs to the group.
pub(super) fn kill_group(group: Pid, signal: Signal) -> io::Result<()> {
    match kill_process_group(group.into(), signal) {
        Err(Errno::SRCH) => Ok(()),
        Err(Errno::PERM) if procs::REFUSES_DEAD_GROUPS && procs::is_dead_group(group) => Ok(()),
        done => Ok(done?),
    }
}

/// Whether orphans of its commands become children of this process: it has the process id 1, or is a subreaper.
pub(super) fn is_reaper() -> bool {
    #[cfg(target_os = "linux")]
    {
        let mut is_subreaper: libc::c_int = 0;
        // SAFETY: the out-parameter is valid for the call.
        let is_known = unsafe { libc::prctl(libc::PR_GET_CHILD_SUBREAPER, &raw mut is_subreaper) } == 0;
        if is_known && is_subreaper != 0 {
            return true;
        }
    }
    std::process::id() == 1
}

/// Whether no process has this id.
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only used for control groups"))]
pub(super) fn is_gone(pid: Pid) -> bool {
    test_kill_process(pid.into()) == Err(Errno::SRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_that_has_a_name_can_be_sent() {
        for (name, number) in SIGNALS {
            assert_eq!(from_number(*number).unwrap().as_raw(), *number, "{name}");
            assert_eq!(signal_name(*number), *name);
        }
        assert_eq!(signal_name(0), "signal 0");
        assert_eq!(from_number(0).unwrap_err().raw_os_error(), Some(libc::EINVAL));
    }
}
