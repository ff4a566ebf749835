//! The first process of a tree: its exit is seen without reaping it, and no signal is sent after it was reaped.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use libc::pid_t;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::tree;
use crate::latch::Latch;
use crate::platform::Exit;

/// A child of ours that leads its own session and process group. Dropped alive, it is killed with its group and reaped.
#[derive(Debug)]
pub(crate) struct Leader {
    pid: pid_t,
    watch: Watch,
    /// Held while a signal is sent and while the child is reaped: after the reaping its number may be somebody else's.
    reaped: Mutex<Option<Exit>>,
}

#[derive(Debug)]
enum Watch {
    /// Readable when the process has exited (Linux 5.3).
    Descriptor(AsyncFd<OwnedFd>),
    /// A thread waits.
    Thread(Arc<Latch<()>>),
}

impl Leader {
    /// Takes a child that was just spawned into its own session. Must be called within the runtime.
    pub(super) fn new(pid: pid_t) -> Self {
        let watch = open_pidfd(pid)
            // SAFETY: an `OwnedFd` gives the same open descriptor for as long as it lives, and the `AsyncFd` owns it.
            .and_then(|fd| unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }.map_err(Into::into))
            .map_or_else(|_| Watch::Thread(wait_on_a_thread(pid)), Watch::Descriptor);
        Self { pid, watch, reaped: Mutex::new(None) }
    }

    /// The process id, for people.
    pub(crate) fn id(&self) -> u32 {
        self.pid.unsigned_abs()
    }

    /// Resolves when the process has exited. It is not reaped by that. Cancel-safe.
    pub(crate) async fn exited(&self) {
        match &self.watch {
            Watch::Descriptor(fd) => {
                // An error means the runtime is going away; the caller's own deadline then ends the wait.
                if fd.readable().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
            Watch::Thread(exited) => {
                exited.wait().await;
            }
        }
    }

    /// Asks the group to end: SIGTERM, and SIGCONT so that a stopped process hears it.
    pub(crate) fn terminate_group(&self) -> io::Result<()> {
        let reaped = self.lock();
        if reaped.is_some() {
            return Ok(());
        }
        kill(-self.pid, libc::SIGTERM)?;
        kill(-self.pid, libc::SIGCONT)
    }

    /// Kills every member of the session, the ones that left the group included, and says which are still there.
    /// The leader itself, if it is only waiting to be reaped, does not count.
    pub(crate) fn kill_session(&self) -> Vec<i32> {
        let reaped = self.lock();
        if reaped.is_some() {
            return Vec::new();
        }
        let _ = kill(-self.pid, libc::SIGKILL);
        let members = tree::session_members(self.pid);
        for pid in &members {
            tree::kill_member(*pid, self.pid);
        }
        members
    }

    /// The living members of the session.
    pub(crate) fn members(&self) -> Vec<i32> {
        let reaped = self.lock();
        if reaped.is_some() { Vec::new() } else { tree::session_members(self.pid) }
    }

    /// Reaps the leader if it has exited; from then on no signal is sent.
    pub(crate) fn reap(&self) -> Option<Exit> {
        let mut reaped = self.lock();
        if reaped.is_none() {
            *reaped = wait4(self.pid, libc::WNOHANG);
        }
        *reaped
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Exit>> {
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
        let _ = kill(-self.pid, libc::SIGKILL);
        if wait4(self.pid, libc::WNOHANG).is_none() {
            // Killed and not gone yet: a thread waits, so that no zombie stays.
            let pid = self.pid;
            let _ = std::thread::Builder::new().name("escher-reap".into()).spawn(move || wait4(pid, 0));
        }
    }
}

fn kill(pid: pid_t, signal: i32) -> io::Result<()> {
    // SAFETY: no memory is involved. The callers hold the lock that keeps the number ours.
    if unsafe { libc::kill(pid, signal) } == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() == Some(libc::ESRCH) { Ok(()) } else { Err(error) }
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
        if io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
            return Some(Exit::default());
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

fn duration(time: libc::timeval) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    // Below a million by definition; its type differs between systems.
    let micros = u32::try_from(time.tv_usec).unwrap_or(0);
    Duration::new(seconds, micros * 1_000)
}

#[cfg(target_os = "linux")]
fn open_pidfd(pid: pid_t) -> io::Result<OwnedFd> {
    // SAFETY: no memory is involved; the result is checked.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: fresh and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(not(target_os = "linux"))]
fn open_pidfd(_pid: pid_t) -> io::Result<OwnedFd> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

/// For systems without process descriptors: a thread waits for the exit and leaves the reaping to us.
fn wait_on_a_thread(pid: pid_t) -> Arc<Latch<()>> {
    let exited = Arc::new(Latch::new());
    let tell = Arc::clone(&exited);
    let waiter = move || {
        loop {
            let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
            // SAFETY: the out-parameter is valid for the call. WNOWAIT leaves the child as it is.
            let done = unsafe {
                libc::waitid(libc::P_PID, pid.unsigned_abs(), info.as_mut_ptr(), libc::WEXITED | libc::WNOWAIT)
            };
            if done == 0 || io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
                break;
            }
        }
        tell.set(());
    };
    tokio::task::spawn_blocking(waiter);
    exited
}
