//! The first process of a tree: its exit is observed without reaping it, and no signal is sent after it was reaped.

use std::collections::{BTreeMap, HashSet};
use std::future::poll_fn;
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions, WaitIdStatus, waitid};
use tokio::sync::SetOnce;

use super::pid::Pid;
use super::procs::{Identity, Proc};
use super::readiness::Watched;
use super::signal::{self, Signal, kill, kill_group};
use super::tree::{StopSender, StoppedUnseen, Tree};
use super::{limits, orphans, pidfd, procs, stop_notes};
use crate::platform::{Exit, SpawnThread};
use crate::types::StopSignal;

/// The living leaders by process id. Locked for look-ups only; no signal is sent under the lock.
static LIVING: Mutex<BTreeMap<Pid, Weak<Leader>>> = Mutex::new(BTreeMap::new());

fn living() -> MutexGuard<'static, BTreeMap<Pid, Weak<Leader>>> {
    LIVING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A child that leads its own session and process group. If it is dropped alive, it is killed with its group and reaped.
#[derive(Debug)]
pub(crate) struct Leader {
    pid: Pid,
    watch: ExitSource,
    tree: Tree,
    /// Locked while a signal is sent and while the child is reaped: after that its id may belong to another process.
    reaped: Mutex<Option<Exit>>,
}

#[derive(Debug)]
enum ExitSource {
    /// Readable when the process has exited (Linux 5.3).
    Descriptor(Watched),
    /// The exit, set by a thread that waits.
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
    pub(super) fn new(tree: Tree, thread: &SpawnThread) -> Self {
        let pid = tree.leader;
        let watch = match pidfd::open(pid) {
            Ok(fd) => ExitSource::Descriptor(Watched::new(fd, thread)),
            Err(_) => ExitSource::Thread(wait_on_a_thread(pid)),
        };
        Self { pid, watch, tree, reaped: Mutex::new(None) }
    }

    /// Does what [`Leader::new`] does, for the leader of an execution: scans for other trees record its members too.
    pub(super) fn of_execution(tree: Tree, thread: &SpawnThread) -> Arc<Self> {
        let leader = Arc::new(Self::new(tree, thread));
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
        self.pid.number()
    }

    /// Resolves when the process has exited, without reaping it. Cancel-safe; one task waits at a time.
    pub(crate) async fn exited(&self) {
        match &self.watch {
            ExitSource::Descriptor(fd) => poll_fn(|context| fd.poll_readable(context)).await,
            ExitSource::Thread(waited) => {
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
        match exit_state(self.pid, WaitIdOptions::NOHANG) {
            ExitState::Runs => return false,
            ExitState::Exited => return true,
            ExitState::Denied => {}
        }
        if let ExitSource::Descriptor(fd) = &self.watch {
            return fd.is_readable();
        }
        if procs::is_visible() {
            return procs::read(self.pid).is_none_or(|proc| proc.is_dead());
        }
        // The exit cannot be observed without reaping.
        living().remove(&self.pid);
        *reaped = wait4(self.pid, WaitIdOptions::NOHANG);
        reaped.is_some()
    }

    /// Returns how the process has exited, without reaping it: its code or signal. `None` if it runs, or the system does not say.
    pub(crate) fn seen_exit(&self) -> Option<Exit> {
        let reaped = self.lock();
        if reaped.is_some() {
            return *reaped;
        }
        let status = wait_for_exit(self.pid, WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT).ok()??;
        Some(Exit { code: status.exit_status(), signal: status.terminating_signal(), ..Exit::default() })
    }

    /// Sends the stop signal to the process group, or to the leader alone, without a scan: where the scan does not come in time.
    /// Does nothing when the signal was sent before.
    pub(crate) fn stop_unseen(&self, signal: StopSignal, leader_only: bool) -> io::Result<()> {
        // The lock is held until the signals are sent: a scan that comes in the same moment must not send them again.
        let mut findings = self.tree.findings();
        if !findings.stopped.is_empty() || findings.stopped_unseen.is_some() {
            return Ok(());
        }
        if findings.stop_sender(&self.tree, None) == StopSender::Another {
            return Ok(());
        }
        let send =
            |signal| if leader_only { self.signal_leader(signal).map(|_| ()) } else { self.signal_group(signal) };
        let sending = stop_notes::sending();
        self.tree.stop_signals(signal).try_for_each(send)?;
        self.note_unseen_stop(leader_only);
        drop(sending);
        let group = StoppedUnseen::Group { by: procs::now() };
        findings.stopped_unseen = Some(if leader_only { StoppedUnseen::Leader } else { group });
        findings.mechanism.group_stopped(signal.as_str());
        Ok(())
    }

    /// Kills the group at once, without a scan: for a host that is going away, or a scan that does not come.
    pub(crate) fn kill_group(&self) {
        let _ = self.signal_group(Signal::KILL);
        self.tree.findings().mechanism.group_killed();
    }

    /// Kills the process group, the control group and the members that scans have found, without another scan; scans that follow kill
    /// what they find at once. For a host that is going away, and for a tree that is given up: without this kill, members that a scan has
    /// stopped (SIGSTOP) would stay stopped forever.
    pub(crate) fn kill_now(&self) {
        if let Some(group) = &self.tree.group {
            let _ = group.kill();
        }
        self.kill_group();
        let mut findings = self.tree.findings();
        findings.is_hurried = true;
        let found: HashSet<Identity> =
            findings.alive.union(&findings.frozen).filter(|found| !findings.killed.contains(found)).copied().collect();
        drop(findings);
        for identity in found {
            let Some(member) = procs::read(identity.0).filter(|proc| proc.identity() == identity) else { continue };
            // A refusal has been reported by the scan that was refused.
            if !member.is_dead() && self.signal_member(&member, Signal::KILL).is_ok() {
                let mut findings = self.tree.findings();
                findings.killed.insert(identity);
                findings.mechanism.killed(self.pid, &member);
            }
        }
    }

    /// Notes for the guardian that the leader, or its process group, has had the stop signal without a scan.
    pub(super) fn note_unseen_stop(&self, leader_only: bool) {
        let reaped = self.lock();
        // After the reaping, its row may belong to another execution.
        if let (None, Some(notes)) = (*reaped, self.tree.stop_notes.get()) {
            notes.unseen(leader_only);
        }
    }

    pub(super) fn signal_group(&self, signal: Signal) -> io::Result<()> {
        let reaped = self.lock();
        if reaped.is_some() { Ok(()) } else { kill_group(self.pid, signal) }
    }

    /// Returns what keeps this process, which is a guardian, from its work, as far as that can be seen.
    pub(crate) fn guardian_fault(&self) -> Option<&'static str> {
        // NOWAIT leaves the child as it is.
        let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        if waitid(WaitId::Pid(self.pid.into()), options).is_ok_and(|stopped| stopped.is_some()) {
            return Some("had been stopped (SIGSTOP)");
        }
        limits::are_below_own(self.pid).then_some("had been given lower limits than its host has")
    }

    /// Sends a signal to the leader alone. Returns `false` if it has exited.
    pub(crate) fn signal(&self, signal: i32) -> io::Result<bool> {
        let signal = signal::from_number(signal)?;
        if self.has_exited() { Ok(false) } else { self.signal_leader(signal) }
    }

    pub(super) fn signal_leader(&self, signal: Signal) -> io::Result<bool> {
        let reaped = self.lock();
        if reaped.is_some() {
            return Ok(false);
        }
        kill(self.pid, signal).map(|()| true)
    }

    /// Signals a process if it is still the one that was seen. The leader is signalled under the lock that its reaping takes; others by a
    /// pidfd, which stays valid when the process id is reused.
    pub(super) fn signal_member(&self, seen: &Proc, signal: Signal) -> io::Result<()> {
        if seen.pid == self.pid {
            return self.signal_leader(signal).map(|_| ());
        }
        let pinned = pidfd::open(seen.pid);
        let is_same = || procs::read(seen.pid).is_some_and(|now| now.start == seen.start);
        if !is_same() {
            return Ok(());
        }
        let done = match &pinned {
            // A sandbox may deny this call and allow `kill`. If the signal itself is not allowed, `kill` is refused too.
            Ok(fd) => match pidfd::signal(fd, signal) {
                Err(error) if !is_gone(&error) && is_same() => kill(seen.pid, signal),
                done => done,
            },
            // Without pidfds (Linux before 5.3, other systems) the check just above is the only protection.
            Err(_) => kill(seen.pid, signal),
        };
        match done {
            Err(error) if !is_gone(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Returns every member that was seen while the tree was being ended, and a description of what was done.
    pub(crate) fn ended(&self) -> (Vec<u32>, String) {
        let findings = self.tree.findings();
        (findings.seen.iter().map(|pid| pid.number()).collect(), findings.mechanism.text())
    }

    /// Reaps the leader if it has exited; from then on no signal is sent.
    pub(crate) fn reap(&self) -> Option<Exit> {
        let mut reaped = self.lock();
        if reaped.is_none() {
            // This comes before its id can become another leader's.
            living().remove(&self.pid);
            *reaped = wait4(self.pid, WaitIdOptions::NOHANG);
            if reaped.is_some() {
                orphans::watch(&self.tree);
            }
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
        let _ = kill_group(self.pid, Signal::KILL);
        if wait4(self.pid, WaitIdOptions::NOHANG).is_none() {
            // The leader has not exited yet: a thread waits, so that no zombie stays.
            let pid = self.pid;
            let _ = std::thread::Builder::new()
                .name("escher-reap".into())
                .spawn(move || wait4(pid, WaitIdOptions::empty()));
        }
    }
}

fn is_gone(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ESRCH)
}

/// Reaps one child. Returns `None` if it has not exited, and an exit without code and signal if other code has reaped it.
fn wait4(pid: Pid, options: WaitIdOptions) -> Option<Exit> {
    let flags = if options.contains(WaitIdOptions::NOHANG) { libc::WNOHANG } else { 0 };
    let mut status = 0;
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    loop {
        // SAFETY: both out-parameters are valid for the call.
        let got = unsafe { libc::wait4(pid.as_raw(), &raw mut status, flags, usage.as_mut_ptr()) };
        if got == 0 {
            return None;
        }
        if got == pid.as_raw() {
            break;
        }
        match io::Error::last_os_error().raw_os_error() {
            Some(libc::EINTR) => {}
            Some(libc::ECHILD) => return Some(Exit::default()),
            // A sandbox denies it.
            _ => return reap_without_usage(pid, options),
        }
    }
    // SAFETY: zeroed is a valid rusage, and the call has filled it.
    let usage = unsafe { usage.assume_init() };
    Some(Exit {
        code: libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status)),
        signal: libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status)),
        cpu_user: duration(usage.ru_utime),
        cpu_system: duration(usage.ru_stime),
        peak_memory: peak_memory(&usage),
    })
}

/// Returns the most memory that a child had, in bytes, if it is more than the host has had.
///
/// The child shares the memory of the host until its exec, and the kernel counts that as its own.
fn peak_memory(usage: &libc::rusage) -> Option<u64> {
    /// The most memory that the host had by the latest look. It only grows.
    static OWN: AtomicU64 = AtomicU64::new(0);
    let bytes = |usage: &libc::rusage| u64::try_from(usage.ru_maxrss).ok()?.checked_mul(MAXRSS_UNIT);
    let peak = bytes(usage)?;
    if peak <= OWN.load(Relaxed) + COUNTING_ERROR {
        return None;
    }
    let counted = || {
        let mut own = std::mem::MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: the out-parameter is valid for the call, and zeroed is a valid rusage.
        let own = unsafe {
            libc::getrusage(libc::RUSAGE_SELF, own.as_mut_ptr());
            own.assume_init()
        };
        bytes(&own)
    };
    let own = procs::own_peak_memory().or_else(counted)?;
    OWN.fetch_max(own, Relaxed);
    (peak > own + COUNTING_ERROR).then_some(peak)
}

/// The kernel counts pages for each processor at first.
const COUNTING_ERROR: u64 = 2 * 1024 * 1024;
/// Bytes in the unit in which the system reports memory.
const MAXRSS_UNIT: u64 = if cfg!(target_vendor = "apple") { 1 } else { 1024 };

/// Does what [`wait4`] does, without the processor time of the child.
fn reap_without_usage(pid: Pid, options: WaitIdOptions) -> Option<Exit> {
    loop {
        match wait_for_exit(pid, options) {
            Ok(None) => return None,
            Ok(Some(status)) => {
                let (code, signal) = (status.exit_status(), status.terminating_signal());
                return Some(Exit { code, signal, ..Exit::default() });
            }
            Err(Errno::INTR) => {}
            Err(_) => return Some(Exit::default()),
        }
    }
}

fn duration(time: libc::timeval) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    // The value is below a million; its type differs between systems.
    let micros = u32::try_from(time.tv_usec).unwrap_or(0);
    Duration::new(seconds, micros * 1_000)
}

/// Starts a thread that waits for the exit without reaping, for systems without pidfds.
fn wait_on_a_thread(pid: Pid) -> Arc<SetOnce<Waited>> {
    let waited = Arc::new(SetOnce::new());
    let set = Arc::clone(&waited);
    let wait = move || {
        let outcome = loop {
            match exit_state(pid, WaitIdOptions::empty()) {
                ExitState::Runs => {}
                ExitState::Exited => break Waited::Exited,
                ExitState::Denied => break Waited::Denied,
            }
        };
        let _ = set.set(outcome);
    };
    // The wait is not on the runtime's pool: its threads would all wait, and none could spawn.
    let started = std::thread::Builder::new().name("escher-wait".into()).stack_size(64 * 1024).spawn(wait);
    if started.is_err() {
        // The exit is polled, as on systems without this call.
        let _ = waited.set(Waited::Denied);
    }
    waited
}

/// Whether a child has exited.
enum ExitState {
    Runs,
    /// Other code has reaped the child.
    Exited,
    /// The exit is not known: a sandbox denies the system call.
    Denied,
}

/// Checks for an exit without reaping; waits for it without `WNOHANG`.
fn exit_state(pid: Pid, options: WaitIdOptions) -> ExitState {
    match wait_for_exit(pid, options | WaitIdOptions::NOWAIT) {
        Ok(None) | Err(Errno::INTR) => ExitState::Runs,
        Ok(Some(_)) | Err(Errno::CHILD) => ExitState::Exited,
        Err(_) => ExitState::Denied,
    }
}

/// Returns `None` while the child runs, with `NOHANG`.
fn wait_for_exit(pid: Pid, options: WaitIdOptions) -> rustix::io::Result<Option<WaitIdStatus>> {
    waitid(WaitId::Pid(pid.into()), WaitIdOptions::EXITED | options)
}
