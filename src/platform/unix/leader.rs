//! The first process of a tree: its exit is observed without reaping it, and no signal is sent after it was reaped.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use libc::pid_t;
use tokio::sync::{SetOnce, oneshot};

use super::readiness::Watched;
use super::tree::{StopSender, StoppedUnseen, Tree};
use super::{pidfd, procs, stop_number, termination_thread};
use crate::platform::{Act, Exit, ScanPriority, Sight};
use crate::types::StopSignal;

/// The living leaders by process id. Locked for look-ups only; no signal is sent under the lock.
static LIVING: Mutex<BTreeMap<pid_t, Weak<Leader>>> = Mutex::new(BTreeMap::new());

fn living() -> MutexGuard<'static, BTreeMap<pid_t, Weak<Leader>>> {
    LIVING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A child that leads its own session and process group. If it is dropped alive, it is killed with its group and reaped.
#[derive(Debug)]
pub(crate) struct Leader {
    pid: pid_t,
    watch: Watch,
    tree: Tree,
    /// Locked while a signal is sent and while the child is reaped: after that its id may belong to another process.
    reaped: Mutex<Option<Exit>>,
}

#[derive(Debug)]
enum Watch {
    /// Readable when the process has exited (Linux 5.3).
    Descriptor(Watched),
    /// Set by a thread that waits.
    Thread(Arc<SetOnce<Waited>>),
}

/// The outcome of a thread that waits for an exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waited {
    Exited,
    /// A sandbox denies the system call.
    Denied,
}

/// The interval of polls for an exit, where nothing reports it.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

impl Leader {
    /// Takes a child that was just spawned in its own session. Must be called within the runtime.
    pub(super) fn new(tree: Tree) -> Self {
        let pid = tree.leader;
        let watch = pidfd::open(pid)
            .map_or_else(|_| Watch::Thread(wait_on_a_thread(pid)), |fd| Watch::Descriptor(Watched::new(fd)));
        Self { pid, watch, tree, reaped: Mutex::new(None) }
    }

    /// As [`Leader::new`], for the leader of an execution: scans for other trees record its members too.
    pub(super) fn of_execution(tree: Tree) -> Arc<Self> {
        let leader = Arc::new(Self::new(tree));
        living().insert(leader.pid, Arc::downgrade(&leader));
        leader
    }

    /// Returns the leaders of all executions that are not over.
    pub(super) fn all_living() -> Vec<Arc<Self>> {
        living().values().filter_map(Weak::upgrade).collect()
    }

    pub(super) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Returns the process id.
    pub(crate) fn id(&self) -> u32 {
        self.pid.unsigned_abs()
    }

    /// Resolves when the process has exited, without reaping it. Cancel-safe; one task waits at a time.
    pub(crate) async fn exited(&self) {
        match &self.watch {
            Watch::Descriptor(fd) => poll_fn(|context| fd.poll_readable(context)).await,
            Watch::Thread(waited) => {
                if *waited.wait().await == Waited::Denied {
                    while !self.has_exited() {
                        tokio::time::sleep(POLL_INTERVAL).await;
                    }
                }
            }
        }
    }

    /// Whether the process has exited, also if the runtime has not reported it yet: it may not have polled for a while.
    pub(crate) fn has_exited(&self) -> bool {
        let mut reaped = self.lock();
        if reaped.is_some() {
            return true;
        }
        match exit_state(self.pid, libc::WNOHANG) {
            ExitState::Runs => return false,
            ExitState::Exited => return true,
            ExitState::Denied => {}
        }
        if let Watch::Descriptor(fd) = &self.watch {
            return fd.is_readable();
        }
        if procs::is_visible() {
            return procs::read(self.pid).is_none_or(|proc| proc.is_dead());
        }
        // There is no way to observe the exit without reaping.
        living().remove(&self.pid);
        *reaped = wait4(self.pid, libc::WNOHANG);
        reaped.is_some()
    }

    /// Scans the tree and applies `act` to its members. `leader_exited`: the caller knows that the leader has exited. Resolves to an
    /// error when the scan failed. Cancel-safe: dropping the receiver does not cancel the scan.
    pub(crate) fn scan(
        self: &Arc<Self>,
        act: Act,
        leader_exited: bool,
        priority: ScanPriority,
    ) -> oneshot::Receiver<Sight> {
        termination_thread::scan(Arc::clone(self), act, leader_exited, priority)
    }

    /// Sends the stop signal to the process group, or to the leader alone, without a scan: where the scan does not come in time.
    /// Does nothing when the signal was sent before.
    pub(crate) fn stop_unseen(&self, signal: StopSignal, leader_only: bool) -> io::Result<()> {
        // Held until the signals are sent: a scan that comes in the same moment must not send them again.
        let mut findings = self.tree.findings();
        if !findings.stopped.is_empty() || findings.stopped_unseen.is_some() {
            return Ok(());
        }
        if findings.stop_sender(&self.tree, None) == StopSender::Another {
            return Ok(());
        }
        let send = |number| if leader_only { self.signal(number).map(|_| ()) } else { self.signal_group(number) };
        send(stop_number(signal))?;
        let group = StoppedUnseen::Group { by: procs::now() };
        findings.stopped_unseen = Some(if leader_only { StoppedUnseen::Leader } else { group });
        findings.mechanism.group_stopped(signal.as_str());
        send(libc::SIGCONT)
    }

    /// Kills the group at once, without a scan: for a host that is going away, or a scan that does not come.
    pub(crate) fn kill_group(&self) {
        let _ = self.signal_group(libc::SIGKILL);
        self.tree.findings().mechanism.group_killed();
    }

    /// Kills the process group and the control group: for a host that is going away.
    pub(crate) fn kill_now(&self) {
        if let Some(group) = &self.tree.group {
            let _ = group.kill();
        }
        self.kill_group();
    }

    /// Notes for the guardian that the stop signal is being sent.
    pub(super) fn announce_stop(&self) {
        let reaped = self.lock();
        // After the reaping, its row may belong to another execution.
        if let (None, Some(cell)) = (*reaped, self.tree.stop_sent_at.get()) {
            let _ = cell.compare_exchange(0, procs::now() + 1, Ordering::Release, Ordering::Relaxed);
        }
    }

    pub(super) fn signal_group(&self, signal: i32) -> io::Result<()> {
        let reaped = self.lock();
        if reaped.is_some() { Ok(()) } else { kill(-self.pid, signal) }
    }

    /// Whether the leader is stopped (SIGSTOP).
    pub(crate) fn is_stopped(&self) -> bool {
        let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
        let flags = libc::WSTOPPED | libc::WNOHANG | libc::WNOWAIT;
        // SAFETY: the out-parameter is valid for the call and a zeroed one is valid to read. WNOWAIT leaves the child as it is.
        let (done, info) = unsafe {
            let done = libc::waitid(libc::P_PID, self.pid.unsigned_abs(), info.as_mut_ptr(), flags);
            (done, info.assume_init())
        };
        done == 0 && info.si_signo != 0
    }

    /// Sends a signal to the leader alone. Returns `false` if it has exited and was reaped.
    pub(crate) fn signal(&self, signal: i32) -> io::Result<bool> {
        let reaped = self.lock();
        if reaped.is_some() {
            return Ok(false);
        }
        kill(self.pid, signal).map(|()| true)
    }

    /// Returns every member that was seen while the tree was being ended, and a description of what was done.
    pub(crate) fn ended(&self) -> (Vec<i32>, String) {
        let findings = self.tree.findings();
        (findings.seen.iter().copied().collect(), findings.mechanism.text())
    }

    /// Reaps the leader if it has exited; from then on no signal is sent.
    pub(crate) fn reap(&self) -> Option<Exit> {
        let mut reaped = self.lock();
        if reaped.is_none() {
            // Before its id can become another leader's.
            living().remove(&self.pid);
            *reaped = wait4(self.pid, libc::WNOHANG);
        }
        *reaped
    }

    fn lock(&self) -> MutexGuard<'_, Option<Exit>> {
        // A panic under the lock leaves a valid value.
        self.reaped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        let reaped = self.reaped.get_mut().unwrap_or_else(PoisonError::into_inner);
        if reaped.is_some() {
            return;
        }
        living().remove(&self.pid);
        if let Some(group) = &self.tree.group {
            let _ = group.kill();
        }
        let _ = kill(-self.pid, libc::SIGKILL);
        if wait4(self.pid, libc::WNOHANG).is_none() {
            // It has not exited yet: a thread waits, so that no zombie stays.
            let pid = self.pid;
            let _ = std::thread::Builder::new().name("escher-reap".into()).spawn(move || wait4(pid, 0));
        }
    }
}

pub(super) fn kill(pid: pid_t, signal: i32) -> io::Result<()> {
    // SAFETY: no memory is involved. The callers ensure that the id still belongs to that process.
    if unsafe { libc::kill(pid, signal) } == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::ESRCH) => Ok(()),
        Some(libc::EPERM) if procs::REFUSES_DEAD_GROUPS && pid < -1 && procs::is_dead_group(-pid) => Ok(()),
        _ => Err(error),
    }
}

/// Reaps a child that is not a leader: an orphan of an ended tree that became a child of this process.
pub(super) fn reap_orphan(pid: pid_t) {
    let _ = wait4(pid, libc::WNOHANG);
}

/// Reaps one child. Returns `None` if it has not exited, and an exit without code and signal if other code has reaped it.
fn wait4(pid: pid_t, flags: i32) -> Option<Exit> {
    let mut status = 0;
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    loop {
        // SAFETY: both out-parameters are valid for the call.
        let got = unsafe { libc::wait4(pid, &raw mut status, flags, usage.as_mut_ptr()) };
        if got == 0 {
            return None;
        }
        if got == pid {
            break;
        }
        match io::Error::last_os_error().raw_os_error() {
            Some(libc::EINTR) => {}
            Some(libc::ECHILD) => return Some(Exit::default()),
            // A sandbox denies it.
            _ => return waitid(pid, flags),
        }
    }
    // SAFETY: zeroed is a valid rusage, and the call has filled it.
    let usage = unsafe { usage.assume_init() };
    Some(Exit {
        code: libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status)),
        signal: libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status)),
        cpu_user: duration(usage.ru_utime),
        cpu_system: duration(usage.ru_stime),
    })
}

/// As [`wait4`], without the processor time of the child.
fn waitid(pid: pid_t, flags: i32) -> Option<Exit> {
    loop {
        match wait_for_exit(pid, flags) {
            Ok(info) if info.si_signo == 0 => return None,
            Ok(info) => {
                // SAFETY: filled in for the exit of a child.
                let status = unsafe { info.si_status() };
                let is_exit = info.si_code == libc::CLD_EXITED;
                let (code, signal) = if is_exit { (Some(status), None) } else { (None, Some(status)) };
                return Some(Exit { code, signal, ..Exit::default() });
            }
            Err(error) if error.raw_os_error() == Some(libc::EINTR) => {}
            Err(_) => return Some(Exit::default()),
        }
    }
}

fn duration(time: libc::timeval) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    // Below a million; its type differs between systems.
    let micros = u32::try_from(time.tv_usec).unwrap_or(0);
    Duration::new(seconds, micros * 1_000)
}

/// Starts a thread that waits for the exit without reaping, for systems without pidfds.
fn wait_on_a_thread(pid: pid_t) -> Arc<SetOnce<Waited>> {
    let waited = Arc::new(SetOnce::new());
    let set = Arc::clone(&waited);
    let wait = move || {
        let outcome = loop {
            match exit_state(pid, 0) {
                ExitState::Runs => {}
                ExitState::Exited => break Waited::Exited,
                ExitState::Denied => break Waited::Denied,
            }
        };
        let _ = set.set(outcome);
    };
    // Not on the runtime's pool: its threads would all wait, and none could spawn.
    let started = std::thread::Builder::new().name("escher-wait".into()).stack_size(64 * 1024).spawn(wait);
    if started.is_err() {
        // As without the system call, the exit is polled.
        let _ = waited.set(Waited::Denied);
    }
    waited
}

/// Whether a child has exited.
enum ExitState {
    Runs,
    /// Or other code has reaped it.
    Exited,
    /// Not known: a sandbox denies the system call.
    Denied,
}

/// Checks for an exit without reaping; waits for it without `WNOHANG`.
fn exit_state(pid: pid_t, flags: i32) -> ExitState {
    match wait_for_exit(pid, flags | libc::WNOWAIT) {
        // With WNOHANG the structure is not filled while the child runs.
        Ok(info) if info.si_signo == 0 => ExitState::Runs,
        Ok(_) => ExitState::Exited,
        Err(error) => match error.raw_os_error() {
            Some(libc::EINTR) => ExitState::Runs,
            Some(libc::ECHILD) => ExitState::Exited,
            _ => ExitState::Denied,
        },
    }
}

fn wait_for_exit(pid: pid_t, flags: i32) -> io::Result<libc::siginfo_t> {
    let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: the out-parameter is valid for the call and a zeroed one is valid to read.
    let (done, info) = unsafe {
        let done = libc::waitid(libc::P_PID, pid.unsigned_abs(), info.as_mut_ptr(), libc::WEXITED | flags);
        (done, info.assume_init())
    };
    if done == 0 { Ok(info) } else { Err(io::Error::last_os_error()) }
}
