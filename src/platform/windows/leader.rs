//! The first process of a tree, and the job that holds the tree.

use std::collections::BTreeSet;
use std::io;
use std::os::windows::io::{AsHandle, OwnedHandle};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use windows_sys::Win32::Foundation::STATUS_CONTROL_C_EXIT;
use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, GenerateConsoleCtrlEvent};

use super::exit_watch::ExitWatch;
use super::job::JobObject;
use super::{SIGBREAK, SIGKILL, process};
use crate::platform::{Act, Exit, ScanPriority, Sight, StopSent};
use crate::runtime;
use crate::types::StopSignal;

/// The exit code of processes that are ended with their job. Programs do not use it otherwise ("KILL" in ASCII).
const KILLED: u32 = 0x4b49_4c4c;
/// The tree is gone after this many consecutive scans without a member.
const QUIET_SCANS: u32 = 2;

/// A process with its own process group and job. If it is dropped alive, its whole job ends.
#[derive(Debug)]
pub(crate) struct Leader {
    pid: u32,
    // The watch is before the handle that it waits on: fields are dropped in this order.
    watch: ExitWatch,
    process: OwnedHandle,
    job: JobObject,
    /// Whether it shares the host's console, through which Ctrl-Break can be sent.
    has_our_console: bool,
    /// The exit of a reaped leader. The lock is held while the job is terminated and while it is released: after the
    /// release, the remaining processes are not ended any more.
    reaped: Mutex<Option<Exit>>,
    findings: Mutex<Findings>,
}

impl Leader {
    /// Takes a suspended process that was created in `job`.
    pub(super) fn new(pid: u32, process: OwnedHandle, job: JobObject, has_our_console: bool) -> io::Result<Self> {
        let watch = ExitWatch::new(process.as_handle())?;
        Ok(Self { pid, watch, process, job, has_our_console, reaped: Mutex::new(None), findings: Mutex::default() })
    }

    /// Returns the process id.
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

    /// Returns how the process has exited. `None` if it runs.
    pub(crate) fn seen_exit(&self) -> Option<Exit> {
        self.watch.has_exited().then(|| self.exit())
    }

    /// Scans the job and applies `act` to its members. Resolves to an error when that failed. Cancel-safe.
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
        findings.seen.extend(&members);
        findings.quiet = if members.is_empty() { findings.quiet + 1 } else { 0 };
        let mut sight = Sight {
            has_changed: findings.seen.len() > count,
            is_gone: findings.quiet >= QUIET_SCANS,
            ..Sight::default()
        };
        if let Act::Describe { .. } = act {
            sight.processes = process::describe(&members);
        }
        match act {
            Act::Describe { then: Some(_) } | Act::Stop { .. } if !findings.is_break_requested => {
                findings.is_break_requested = true;
                findings.is_break_sent = self.send_break().is_ok();
                sight.stop = if findings.is_break_sent { StopSent::Yes } else { StopSent::Impossible };
            }
            Act::Describe { .. } | Act::Stop { .. } | Act::Look { .. } => {}
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

    /// Sends Ctrl-Break to the process group, through the console that the host shares with it: without one, this fails.
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

    /// Sends Ctrl-Break to the process group once, without a scan: where a scan does not come in time.
    pub(crate) fn stop_unseen(&self, _signal: StopSignal, _leader_only: bool) -> io::Result<()> {
        if std::mem::replace(&mut self.findings().is_break_requested, true) {
            return Ok(());
        }
        self.send_break()
    }

    /// Terminates the job at once: for a host that is going away, or a scan that does not come.
    pub(crate) fn kill_group(&self) {
        let reaped = self.lock();
        if reaped.is_none() {
            // The call fails only for an invalid handle.
            let _ = self.job.terminate(KILLED);
        }
    }

    /// Does what [`Leader::kill_group`] does: the job holds the whole tree.
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

    /// Returns `None`: Windows has no guardian.
    #[expect(clippy::unused_self, reason = "elsewhere it looks at the process")]
    pub(crate) fn guardian_fault(&self) -> Option<&'static str> {
        None
    }

    /// Returns every member that was seen while the tree was being ended, and a description of what was done.
    pub(crate) fn ended(&self) -> (Vec<u32>, String) {
        let findings = self.findings();
        let stopped = findings.is_break_sent.then(|| "Ctrl-Break to the group".to_owned());
        let killed = findings.is_killed.then(|| "end of the job".to_owned());
        let steps: Vec<String> = stopped.into_iter().chain(killed).chain(findings.refused.clone()).collect();
        (findings.seen.iter().copied().collect(), steps.join(", then "))
    }

    fn findings(&self) -> MutexGuard<'_, Findings> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the exit of the leader, if it has exited. Then the job is released, and its remaining processes are left alone.
    pub(crate) fn reap(&self) -> Option<Exit> {
        let mut reaped = self.lock();
        if reaped.is_none() && self.watch.has_exited() {
            *reaped = Some(self.exit());
            self.job.release();
        }
        *reaped
    }

    fn exit(&self) -> Exit {
        let code = process::exit_code(self.process.as_handle());
        let (own_user, own_kernel) = process::times(self.process.as_handle());
        let (user, kernel) = self.job.times();
        let signal = match code {
            Some(KILLED) => Some(SIGKILL),
            // The exit code of a process that Ctrl-Break has ended.
            Some(code) if code == STATUS_CONTROL_C_EXIT.cast_unsigned() => Some(SIGBREAK),
            _ => None,
        };
        Exit {
            code: if signal.is_none() { code.map(u32::cast_signed) } else { None },
            signal,
            // The time of the whole tree; of the leader alone, where the system does not count the tree's.
            cpu_user: user.max(own_user),
            cpu_system: kernel.max(own_kernel),
            peak_memory: None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Exit>> {
        // A panic under the lock leaves a valid value.
        self.reaped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        // Closing the handle would end the job too; this sets the exit code.
        self.kill_group();
    }
}

/// Findings and actions while the tree was being ended.
#[derive(Debug, Default)]
struct Findings {
    seen: BTreeSet<u32>,
    /// The number of consecutive scans without a member.
    quiet: u32,
    is_break_requested: bool,
    is_break_sent: bool,
    is_killed: bool,
    refused: Option<String>,
}
