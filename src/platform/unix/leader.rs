//! The first process of a tree: its exit is seen without reaping it, and no signal is sent after it was reaped.

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

/// By their process ids. Held for a look-up; no signal is sent meanwhile.
static LIVING: Mutex<BTreeMap<pid_t, Weak<Leader>>> = Mutex::new(BTreeMap::new());

fn living() -> MutexGuard<'static, BTreeMap<pid_t, Weak<Leader>>> {
    LIVING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A child of ours that leads its own session and process group. Dropped alive, it is killed with its group and reaped.
#[derive(Debug)]
pub(crate) struct Leader {
    pid: pid_t,
    watch: Watch,
    tree: Tree,
    /// Held while a signal is sent and while the child is reaped: after the reaping its number may be somebody else's.
    reaped: Mutex<Option<Exit>>,
}

#[derive(Debug)]
enum Watch {
    /// Readable when the process has exited (Linux 5.3).
    Descriptor(Watched),
    /// A thread waits.
    Thread(Arc<SetOnce<Waited>>),
}

/// What the thread that waits for an exit has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waited {
    Exited,
    /// A sandbox denies the system call.
    Denied,
}

/// Where nothing reports an exit, it is looked for so often.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

impl Leader {
    /// Takes a child that was just spawned into its own session. Must be called within the runtime.
    pub(super) fn new(tree: Tree) -> Self {
        let pid = tree.leader;
        let watch = pidfd::open(pid)
            .map_or_else(|_| Watch::Thread(wait_on_a_thread(pid)), |fd| Watch::Descriptor(Watched::new(fd)));
        Self { pid, watch, tree, reaped: Mutex::new(None) }
    }

    /// As [`Leader::new`], for the leader of an execution: scans for other trees remember its members too.
    pub(super) fn of_execution(tree: Tree) -> Arc<Self> {
        let leader = Arc::new(Self::new(tree));
        living().insert(leader.pid, Arc::downgrade(&leader));
        leader
    }

    /// The leaders of all executions that are not over.
    pub(super) fn all_living() -> Vec<Arc<Self>> {
        living().values().filter_map(Weak::upgrade).collect()
    }

    pub(super) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The process id, for people.
    pub(crate) fn id(&self) -> u32 {
        self.pid.unsigned_abs()
    }

    /// Resolves when the process has exited. It is not reaped by that. Cancel-safe; one waits at a time.
    pub(crate) async fn exited(&self) {
        match &self.watch {
            Watch::Descriptor(fd) => poll_fn(|context| fd.poll_readable(context)).await,
            Watch::Thread(waited) => {
                if *waited.wait().await == Waited::Denied {
                    while !self.has_exited() {
                        tokio::time::sleep(LOOK_AGAIN).await;
                    }
                }
            }
        }
    }

    /// Whether the process has exited: also if nothing was reported yet, since the runtime has not looked for a while.
    pub(crate) fn has_exited(&self) -> bool {
        let mut reaped = self.lock();
        if reaped.is_some() {
            return true;
        }
        match look_for_exit(self.pid, libc::WNOHANG) {
            Look::Runs => return false,
            Look::Exited => return true,
            Look::Denied => {}
        }
        if let Watch::Descriptor(fd) = &self.watch {
            return fd.is_readable();
        }
        if procs::is_visible() {
            return procs::read(self.pid).is_none_or(|proc| proc.is_dead());
        }
        // Nothing shows the exit without reaping.
        living().remove(&self.pid);
        *reaped = wait4(self.pid, libc::WNOHANG);
        reaped.is_some()
    }

    /// Scans the tree and does with its members what `act` says. `leader_exited` is what the caller knows of the leader.
    /// Resolves to an error when the scan failed. Cancel-safe: a scan that nobody waits for is done all the same.
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

    /// Kills the group at once and looks no further: for a host that is going away, or a scan that does not come.
    pub(crate) fn kill_group(&self) {
        let _ = self.signal_group(libc::SIGKILL);
        self.tree.findings().mechanism.group_killed();
    }

    /// Kills the group, and the control group with all that is in it: for a host that is going away.
    pub(crate) fn kill_now(&self) {
        if let Some(group) = &self.tree.group {
            let _ = group.kill();
        }
        self.kill_group();
    }

    /// Makes known to the guardian that the stop signal is being sent.
    pub(super) fn announce_stop(&self) {
        let reaped = self.lock();
        // Once it is reaped, its row may be another execution's.
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

    /// Sends a signal to the leader alone. `false`: it has exited and was reaped.
    pub(crate) fn signal(&self, signal: i32) -> io::Result<bool> {
        let reaped = self.lock();
        if reaped.is_some() {
            return Ok(false);
        }
        kill(self.pid, signal).map(|()| true)
    }

    /// What was done to end the tree, and every member that was seen meanwhile.
    pub(crate) fn ended(&self) -> (Vec<i32>, String) {
        let findings = self.tree.findings();
        (findings.seen.iter().copied().collect(), findings.mechanism.text())
    }

    /// Reaps the leader if it has exited; from then on no signal is sent.
    pub(crate) fn reap(&self) -> Option<Exit> {
        let mut reaped = self.lock();
        if reaped.is_none() {
            // Before its number can become another leader's.
            living().remove(&self.pid);
            *reaped = wait4(self.pid, libc::WNOHANG);
        }
        *reaped
    }

    fn lock(&self) -> MutexGuard<'_, Option<Exit>> {
        // Nothing that holds the lock can leave it half-way.
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
            // Killed and not gone yet: a thread waits, so that no zombie stays.
            let pid = self.pid;
            let _ = std::thread::Builder::new().name("escher-reap".into()).spawn(move || wait4(pid, 0));
        }
    }
}

pub(super) fn kill(pid: pid_t, signal: i32) -> io::Result<()> {
    // SAFETY: no memory is involved. The callers make sure that the number is still that process.
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

/// Reaps one child that is not a leader: an orphan of an ended tree that became a child of this process.
pub(super) fn reap_orphan(pid: pid_t) {
    let _ = wait4(pid, libc::WNOHANG);
}

/// Reaps one child. `None`: it has not exited. Somebody else reaped it: an exit of which nothing is known.
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

/// As [`wait4`]; what the child has used of the processors is not known.
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
    // Below a million by definition; its type differs between systems.
    let micros = u32::try_from(time.tv_usec).unwrap_or(0);
    Duration::new(seconds, micros * 1_000)
}

/// For systems without process descriptors: a thread waits for the exit and leaves the reaping to us.
fn wait_on_a_thread(pid: pid_t) -> Arc<SetOnce<Waited>> {
    let waited = Arc::new(SetOnce::new());
    let set = Arc::clone(&waited);
    let wait = move || {
        let outcome = loop {
            match look_for_exit(pid, 0) {
                Look::Runs => {}
                Look::Exited => break Waited::Exited,
                Look::Denied => break Waited::Denied,
            }
        };
        let _ = set.set(outcome);
    };
    // Not the runtime's pool: as many children as it has threads would leave none to spawn with.
    let started = std::thread::Builder::new().name("escher-wait".into()).stack_size(64 * 1024).spawn(wait);
    if started.is_err() {
        // As without the system call, the exit is polled.
        let _ = waited.set(Waited::Denied);
    }
    waited
}

enum Look {
    Runs,
    /// Also: it was reaped by something else.
    Exited,
    /// A sandbox denies the system call, so nothing is known.
    Denied,
}

/// Looks for an exit without reaping; without `WNOHANG` it waits for it.
fn look_for_exit(pid: pid_t, flags: i32) -> Look {
    match wait_for_exit(pid, flags | libc::WNOWAIT) {
        // With WNOHANG nothing is filled in while it runs.
        Ok(info) if info.si_signo == 0 => Look::Runs,
        Ok(_) => Look::Exited,
        Err(error) => match error.raw_os_error() {
            Some(libc::EINTR) => Look::Runs,
            Some(libc::ECHILD) => Look::Exited,
            _ => Look::Denied,
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
