//! The first process of a tree, and the job that holds the tree.

use std::io;
use std::os::windows::io::{AsHandle, OwnedHandle};
use std::sync::{Mutex, MutexGuard, PoisonError};

use windows_sys::Win32::Foundation::STATUS_CONTROL_C_EXIT;
use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, GenerateConsoleCtrlEvent};

use super::exit_watch::ExitWatch;
use super::job::Job;
use super::{SIGBREAK, SIGKILL, process};
use crate::platform::{Exit, ProcessInfo, Round};

/// The exit code of whoever was ended with a job: nobody chooses this one by himself.
const KILLED: u32 = 0x4b49_4c4c;

/// A process in a group and a job of its own. Dropped alive, its whole job ends.
#[derive(Debug)]
pub(crate) struct Leader {
    pid: u32,
    // Before the handle that it watches: fields are dropped in this order.
    watch: ExitWatch,
    process: OwnedHandle,
    job: Job,
    /// Whether it has our console, through which it can be asked to end.
    has_our_console: bool,
    /// Held while the job is ended and while it is let go: what it left behind is not ours to end after that. The handle
    /// keeps the process id from becoming somebody else's.
    reaped: Mutex<Option<Exit>>,
}

impl Leader {
    /// Takes a process that was born into `job` and does not run yet.
    pub(super) fn new(pid: u32, process: OwnedHandle, job: Job, has_our_console: bool) -> io::Result<Self> {
        let watch = ExitWatch::new(process.as_handle())?;
        Ok(Self { pid, watch, process, job, has_our_console, reaped: Mutex::new(None) })
    }

    /// The process id, for people.
    pub(crate) fn id(&self) -> u32 {
        self.pid
    }

    /// Resolves when the process has exited. Cancel-safe.
    pub(crate) async fn exited(&self) {
        self.watch.exited().await;
    }

    /// Asks the group to end, by Ctrl-Break. It goes through the console that we share: without one nobody can be asked.
    pub(crate) fn terminate_group(&self) -> io::Result<()> {
        let reaped = self.lock();
        if reaped.is_some() {
            return Ok(());
        }
        if !self.has_our_console {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "the host has no console"));
        }
        // SAFETY: no memory is involved. The process id is still the group's, since we hold a handle of its leader.
        if unsafe { GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, self.pid) } == 0 {
            let error = io::Error::last_os_error();
            // The console has gone meanwhile.
            return Err(io::Error::new(io::ErrorKind::Unsupported, error));
        }
        Ok(())
    }

    /// Ends the job. `round` counts from 1.
    pub(crate) fn kill_tree(&self, _round: u32) -> Round {
        let reaped = self.lock();
        let found = if reaped.is_none() { self.job.members() } else { Vec::new() };
        let refused = if found.is_empty() { None } else { self.job.terminate(KILLED).err() };
        Round {
            found: found.into_iter().map(u32::cast_signed).collect(),
            means: Means::Kill,
            refused: refused.map(|error| format!("{} was refused ({error})", Means::Kill.text())),
        }
    }

    /// Ends the job at once and looks no further: for a host that is going away.
    pub(crate) fn kill_group(&self) {
        let reaped = self.lock();
        if reaped.is_none() {
            // It fails only for a handle that is none.
            let _ = self.job.terminate(KILLED);
        }
    }

    /// The living members of the tree.
    pub(crate) fn living(&self) -> Vec<i32> {
        self.job.members().into_iter().map(u32::cast_signed).collect()
    }

    /// The living members of the tree with what they do now.
    pub(crate) fn describe(&self) -> Vec<ProcessInfo> {
        process::describe(&self.job.members())
    }

    /// Takes the exit of the leader, if it has exited; from then on the job is let go, and whoever is left in it.
    pub(crate) fn reap(&self) -> Option<Exit> {
        let mut reaped = self.lock();
        if reaped.is_none() && self.watch.has_exited() {
            *reaped = Some(self.exit());
            self.job.let_go();
        }
        *reaped
    }

    fn exit(&self) -> Exit {
        let code = process::exit_code(self.process.as_handle());
        let (own_user, own_kernel) = process::times(self.process.as_handle());
        let (user, kernel) = self.job.times();
        let signal = match code {
            Some(KILLED) => Some(SIGKILL),
            // What a process without a handler for Ctrl-Break ends with.
            Some(code) if code == STATUS_CONTROL_C_EXIT.cast_unsigned() => Some(SIGBREAK),
            _ => None,
        };
        Exit {
            code: if signal.is_none() { code.map(u32::cast_signed) } else { None },
            signal,
            // The tree's time is told; where the system does not count it, the leader's.
            cpu_user: user.max(own_user),
            cpu_system: kernel.max(own_kernel),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Exit>> {
        // Nothing that holds the lock can leave it half-way.
        self.reaped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        // The job would end with its handle; it is ended here for the exit code.
        self.kill_group();
    }
}

/// What is done to end a tree, from the nearest to the farthest means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Means {
    /// Nobody is forced.
    Ask,
    /// What is done by force.
    Kill,
}

impl Means {
    /// In the words of `killed.mechanism`.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Ask => "Ctrl-Break to the group",
            Self::Kill => "end of the job",
        }
    }
}
