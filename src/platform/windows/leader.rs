//! The first process of a tree, and the job that holds the tree.

use std::collections::BTreeSet;
use std::io;
use std::os::windows::io::{AsHandle, OwnedHandle};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use windows_sys::Win32::Foundation::STATUS_CONTROL_C_EXIT;
use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, GenerateConsoleCtrlEvent};

use super::exit_watch::ExitWatch;
use super::job::Job;
use super::{SIGBREAK, SIGKILL, process};
use crate::platform::{Act, Exit, ScanPriority, Sight, StopSent};
use crate::runtime;
use crate::types::StopSignal;

/// The exit code of whoever was ended with a job: nobody chooses this one by himself.
const KILLED: u32 = 0x4b49_4c4c;
/// So many looks in a row without a member show that the tree is gone.
const QUIET_LOOKS: u32 = 2;

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
    findings: Mutex<Findings>,
}

impl Leader {
    /// Takes a process that was born into `job` and does not run yet.
    pub(super) fn new(pid: u32, process: OwnedHandle, job: Job, has_our_console: bool) -> io::Result<Self> {
        let watch = ExitWatch::new(process.as_handle())?;
        Ok(Self { pid, watch, process, job, has_our_console, reaped: Mutex::new(None), findings: Mutex::default() })
    }

    /// The process id, for people.
    pub(crate) fn id(&self) -> u32 {
        self.pid
    }

    /// Resolves when the process has exited. Cancel-safe.
    pub(crate) async fn exited(&self) {
        self.watch.exited().await;
    }

    /// Whether the process has exited.
    pub(crate) fn has_exited(&self) -> bool {
        self.watch.has_exited()
    }

    /// Looks at the tree and does with its members what `act` says. Resolves to an error when that failed. Cancel-safe.
    pub(crate) fn scan(
        self: &Arc<Self>,
        act: Act,
        _leader_exited: bool,
        _priority: ScanPriority,
    ) -> oneshot::Receiver<Sight> {
        let (answer, sight) = oneshot::channel();
        let leader = Arc::clone(self);
        runtime::start_blocking(move || drop(answer.send(leader.act(act))));
        sight
    }

    fn act(&self, act: Act) -> Sight {
        let members = self.job.members();
        let mut findings = self.findings();
        let count = findings.seen.len();
        findings.seen.extend(members.iter().map(|pid| pid.cast_signed()));
        findings.quiet = if members.is_empty() { findings.quiet + 1 } else { 0 };
        let mut sight =
            Sight { is_new: findings.seen.len() > count, is_gone: findings.quiet >= QUIET_LOOKS, ..Sight::default() };
        if let Act::Describe { .. } = act {
            sight.processes = process::describe(&members);
        }
        match act {
            Act::Describe { then: Some(_) } | Act::Stop { .. } if !findings.is_asked => {
                findings.is_asked = true;
                findings.was_asked = self.send_break().is_ok();
                sight.stop = if findings.was_asked { StopSent::Yes } else { StopSent::Impossible };
            }
            Act::Describe { .. } | Act::Stop { .. } => {}
            Act::Kill if members.is_empty() => {}
            Act::Kill => {
                let reaped = self.lock();
                let ended = if reaped.is_none() { self.job.terminate(KILLED) } else { Ok(()) };
                findings.is_killed = true;
                findings.refused = ended.err().map(|error| format!("end of the job was refused ({error})"));
            }
        }
        sight
    }

    /// Asks the group to end, by Ctrl-Break. It goes through the console that we share: without one it cannot be sent.
    fn send_break(&self) -> io::Result<()> {
        let reaped = self.lock();
        if reaped.is_some() {
            return Ok(());
        }
        if !self.has_our_console {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "the host has no console"));
        }
        // SAFETY: no memory is involved. The process id is still the group's, since we hold a handle of its leader.
        if unsafe { GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, self.pid) } == 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// Asks the group to end, once: where a look does not come in time.
    pub(crate) fn stop_unseen(&self, _signal: StopSignal, _leader_only: bool) -> io::Result<()> {
        if std::mem::replace(&mut self.findings().is_asked, true) {
            return Ok(());
        }
        self.send_break()
    }

    /// Ends the job at once and looks no further: for a host that is going away, or a look that does not come.
    pub(crate) fn kill_group(&self) {
        let reaped = self.lock();
        if reaped.is_none() {
            // It fails only for a handle that is none.
            let _ = self.job.terminate(KILLED);
        }
    }

    /// As [`Leader::kill_group`]: the job is all of the tree.
    pub(crate) fn kill_now(&self) {
        self.kill_group();
    }

    /// Sends a signal to the command. `false`: it has exited.
    pub(crate) fn signal(&self, signal: i32) -> io::Result<bool> {
        if self.watch.has_exited() {
            return Ok(false);
        }
        match signal {
            SIGKILL => self.kill_group(),
            _ => self.send_break()?,
        }
        Ok(true)
    }

    /// Whether the leader is stopped: no process is, here.
    #[expect(clippy::unused_self, reason = "elsewhere it looks at the process")]
    pub(crate) fn is_stopped(&self) -> bool {
        false
    }

    /// What was done to end the tree, and every member that was seen meanwhile.
    pub(crate) fn ended(&self) -> (Vec<i32>, String) {
        let findings = self.findings();
        let asked = findings.was_asked.then(|| "Ctrl-Break to the group".to_owned());
        let killed = findings.is_killed.then(|| "end of the job".to_owned());
        let steps: Vec<String> = asked.into_iter().chain(killed).chain(findings.refused.clone()).collect();
        (findings.seen.iter().copied().collect(), steps.join(", then "))
    }

    fn findings(&self) -> MutexGuard<'_, Findings> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner)
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

/// What was found and done while the tree was being ended.
#[derive(Debug, Default)]
struct Findings {
    seen: BTreeSet<i32>,
    /// How many looks in a row found no member.
    quiet: u32,
    is_asked: bool,
    was_asked: bool,
    is_killed: bool,
    refused: Option<String>,
}
