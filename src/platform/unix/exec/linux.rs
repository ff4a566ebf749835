//! Starts a child by a `clone` that shares the host's memory until the exec, as `vfork` and glibc's `posix_spawn` do.
//!
//! `posix_spawn` maps a fresh stack for each child and unmaps it again, which interrupts every processor that runs a thread of the
//! host; here each thread that spawns keeps its stack. The functions that `posix_spawn` lacks on an old libc (change the directory,
//! close other descriptors) need no second implementation.

use std::cell::OnceCell;
use std::io;
use std::os::fd::RawFd;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use libc::{c_int, c_long, c_void};
use rustix::io::retry_on_intr;
use rustix::process::{Resource, WaitOptions, getrlimit, waitpid};

use self::report::Report;
use super::Image;
use crate::platform::unix::host_state::ApplyState;
use crate::platform::unix::limits::{self, RefusedLimit, Rlimit};
use crate::platform::unix::pid::Pid;

mod clone3;
mod report;

/// The stack of a child. Between clone and exec the child only makes system calls.
const STACK_BYTES: usize = 64 * 1024;
/// The error of a limit is that of the system, and so many times its place in the list.
const LIMIT: c_int = 4096;
const SIGNALS: c_int = 64;
const ALL_SIGNALS: u64 = u64::MAX;
/// The size of the kernel's signal sets.
const SET_BYTES: usize = 8;

thread_local! {
    /// The stack of the child, while this thread waits for its exec.
    static STACK: OnceCell<Stack> = const { OnceCell::new() };
}

/// Starts a child. Blocks until its exec has succeeded or failed.
pub(in super::super) fn start(image: &Image<'_>) -> io::Result<Pid> {
    STACK.with(|kept| {
        let fresh = if kept.get().is_none() { Some(Stack::new()?) } else { None };
        let stack = kept.get_or_init(|| fresh.expect("created if there is none"));
        let report = Report::new()?;
        let first_closed = image.fds.len() + report.descriptors();
        let open = if closes_many() { None } else { Some(inheritable(first_closed)?) };
        let state = image.host.map(|(host, enters)| host.apply(enters));
        let ignored = state.and_then(|state| state.ignored()).unwrap_or(ALL_SIGNALS);
        let pid = clone(&mut Child { image, state, ignored, open: open.as_deref(), report: &report }, stack)?;
        let Some(errno) = report.outcome() else { return Ok(pid) };
        // The child has called `_exit`, or will.
        let _ = retry_on_intr(|| waitpid(Some(pid.into()), WaitOptions::empty()));
        Err(refusal(errno, image.limits))
    })
}

/// Returns the error of a child that could not become its program.
fn refusal(code: c_int, asked: &[Rlimit]) -> io::Error {
    let (errno, index) = (code % LIMIT, code / LIMIT);
    let refused = match index {
        // A program that does not fit into the memory that it may have.
        0 if errno == libc::ENOMEM => asked.iter().find(|limit| limit.resource == limits::MEMORY),
        0 => None,
        index => usize::try_from(index - 1).ok().and_then(|index| asked.get(index)),
    };
    let error = io::Error::from_raw_os_error(errno);
    match refused {
        Some(Rlimit { name, .. }) => io::Error::new(error.kind(), RefusedLimit { name, error }),
        None => error,
    }
}

struct Child<'a> {
    image: &'a Image<'a>,
    state: Option<ApplyState<'a>>,
    /// The signals whose action may not be the default one, by bit.
    ignored: u64,
    /// The descriptors to close, where they are closed one by one.
    open: Option<&'a [RawFd]>,
    /// Reports why the exec failed.
    report: &'a Report,
}

fn clone(child: &mut Child<'_>, stack: &Stack) -> io::Result<Pid> {
    /// The kernel, a sandbox or this architecture does not have `clone3`, or not what is needed of it.
    static IS_OLD: AtomicBool = AtomicBool::new(false);
    // Signal handlers of the host must not run in the child, which shares the host's memory.
    let _blocked = AllSignals::block();
    let group = child.image.cgroup;
    if group.is_none() && IS_OLD.load(Relaxed) {
        return clone_here(child, stack);
    }
    let started = clone3::clone(child, stack, group);
    match started.as_ref().map_err(io::Error::raw_os_error) {
        Ok(_) | Err(Some(libc::EAGAIN | libc::ENOMEM)) => started,
        Err(_) if group.is_some() => started,
        Err(_) => {
            let started = clone_here(child, stack);
            IS_OLD.store(started.is_ok(), Relaxed);
            started
        }
    }
}

/// Starts the child in the control group of the host, with the signal handlers of the host.
fn clone_here(child: &mut Child<'_>, stack: &Stack) -> io::Result<Pid> {
    child.ignored = ALL_SIGNALS;
    let shares_until_exec = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    let argument = ptr::from_mut(child).cast::<c_void>();
    // SAFETY: no other code uses the stack: it belongs to this thread, which waits in the kernel until the child's exec or exit
    // (CLONE_VFORK). `child` and all that it points to are valid as long. `become_program` does only what is allowed there.
    let pid = unsafe { libc::clone(run, stack.top(), shares_until_exec, argument) };
    Pid::from_raw(pid).ok_or_else(io::Error::last_os_error)
}

extern "C" fn run(child: *mut c_void) -> c_int {
    // SAFETY: the argument of `clone`; the thread that passed it waits.
    let child = unsafe { &*child.cast::<Child<'_>>() };
    child.report.begin();
    child.report.failed(become_program(child));
    // SAFETY: ends the child alone; exit handlers of the host do not run.
    unsafe { libc::_exit(127) }
}

/// Sets the child up and calls `execve`. Returns only with an error. It allocates nothing, takes no lock and cannot panic: the memory,
/// and the thread-local `errno`, belong to a thread of the host.
fn become_program(child: &Child<'_>) -> c_int {
    let Child { image, state, ignored, open, report } = child;
    // Each of these system calls takes as long as any other, so those that change nothing are left out.
    for signal in (1..=SIGNALS).filter(|signal| ignored & 1 << (signal - 1) != 0) {
        // Zeroes: the default action, no flags, an empty mask, in the layout of every architecture; none is larger than this.
        let default = [0_u64; 4];
        // SAFETY: the structure is valid for the call; SIGKILL and SIGSTOP are refused. An exec resets handlers, but not ignored signals.
        // libc's own function refuses the two signals that glibc reserves.
        unsafe {
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), ptr::null_mut::<c_void>(), SET_BYTES)
        };
    }
    // SAFETY: no memory is involved.
    if unsafe { libc::setsid() } < 0 {
        return errno();
    }
    let refused = state.map_or(0, |state| state.apply());
    if refused != 0 {
        return refused;
    }
    let mut number: RawFd = 0;
    for &fd in image.fds {
        // SAFETY: no memory is involved. A descriptor with the right number only has to survive the exec.
        let done = unsafe { if fd == number { libc::fcntl(fd, libc::F_SETFD, 0) } else { libc::dup2(fd, number) } };
        if done < 0 {
            return errno();
        }
        number += 1;
    }
    // SAFETY: no memory is involved; descriptor 0 is the terminal.
    if image.terminal.is_some() && unsafe { libc::syscall(libc::SYS_ioctl, 0, libc::TIOCSCTTY, 0) } < 0 {
        return errno();
    }
    match report.move_to(number) {
        Some(moved) => number += RawFd::from(moved),
        None => return errno(),
    }
    if let Some(open) = open {
        for &fd in *open {
            // SAFETY: the child has its own descriptor table; a number that is not open does no harm. libc's own function uses state
            // of the host's thread.
            unsafe { libc::syscall(libc::SYS_close, c_long::from(fd)) };
        }
    } else if !close_from(c_long::from(number)) {
        return errno();
    }
    if let Some(cwd) = image.cwd {
        // SAFETY: a valid C string.
        if unsafe { libc::chdir(cwd.as_ptr()) } < 0 {
            let refused = errno();
            if !(image.host.is_some_and(|(_, stays)| stays) && state.is_some_and(|state| state.is_here())) {
                return refused;
            }
        }
    }
    let mut index = 0;
    for Rlimit { resource, values, .. } in image.limits {
        index += 1;
        // SAFETY: the kernel's structure is two such numbers on every architecture; it is valid for the call.
        let done =
            unsafe { libc::syscall(libc::SYS_prlimit64, 0, *resource, values.as_ptr(), ptr::null_mut::<c_void>()) };
        if done < 0 {
            return errno() + index * LIMIT;
        }
    }
    set_mask(0, libc::SIG_SETMASK);
    // SAFETY: C strings, and null-terminated arrays of C strings, all valid during the call.
    unsafe { libc::execve(image.program.as_ptr(), image.argv.as_ptr().cast(), image.envp.as_ptr().cast()) };
    errno()
}

fn errno() -> c_int {
    // SAFETY: the `errno` of the calling thread.
    unsafe { *libc::__errno_location() }
}

/// Closes all descriptors from a number on, in case the host has some without CLOEXEC.
fn close_from(first: c_long) -> bool {
    // SAFETY: no memory is involved; called in the child, which has its own descriptor table, or with a number that is never open.
    unsafe { libc::syscall(libc::SYS_close_range, first, c_long::from(u32::MAX), 0) == 0 }
}

/// Whether the kernel has `close_range` (Linux 5.9), and the sandbox allows it.
fn closes_many() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| close_from(c_long::from(u32::MAX)))
}

/// Returns the open descriptors from a number on that would be inherited. One that another thread opens without CLOEXEC after this
/// call is inherited.
fn inheritable(first: usize) -> io::Result<Vec<RawFd>> {
    let first = RawFd::try_from(first).map_err(io::Error::other)?;
    // SAFETY: reads a flag; a number that is not open gives an error.
    let is_inherited = |fd: &RawFd| matches!(unsafe { libc::fcntl(*fd, libc::F_GETFD) }, flags if flags >= 0 && flags & libc::FD_CLOEXEC == 0);
    let Ok(listed) = std::fs::read_dir("/proc/self/fd") else {
        // Without `/proc` all possible numbers are tried.
        return Ok((first..most_descriptors()).filter(is_inherited).collect());
    };
    let numbers = listed.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Ok(numbers.filter(|fd| *fd >= first).filter(is_inherited).collect())
}

/// Returns the limit of descriptor numbers. Descriptors that were opened before the limit was lowered may have larger ones.
fn most_descriptors() -> RawFd {
    /// The default maximum of the kernel.
    const MOST: RawFd = 1 << 20;
    let limit = getrlimit(Resource::Nofile).current.and_then(|limit| RawFd::try_from(limit).ok());
    limit.map_or(MOST, |limit| limit.min(MOST))
}

/// Blocks all signals of this thread until it is dropped.
struct AllSignals {
    before: u64,
}

impl AllSignals {
    fn block() -> Self {
        Self { before: set_mask(u64::MAX, libc::SIG_BLOCK) }
    }
}

impl Drop for AllSignals {
    fn drop(&mut self) {
        set_mask(self.before, libc::SIG_SETMASK);
    }
}

/// Changes the signal mask of this thread and returns the previous one. libc's own function skips the signals that glibc reserves.
fn set_mask(mask: u64, how: c_int) -> u64 {
    let mut before = 0_u64;
    // SAFETY: both sets have the given size and are valid for the call.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, how, &raw const mask, &raw mut before, SET_BYTES) };
    before
}

/// Memory for a child's stack, with a guard page below it.
struct Stack {
    bottom: *mut c_void,
    bytes: usize,
}

impl Stack {
    fn new() -> io::Result<Self> {
        let page = page_bytes();
        let bytes = page + STACK_BYTES.next_multiple_of(page);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK;
        // SAFETY: a fresh mapping; the result is checked.
        let bottom = unsafe { libc::mmap(ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
        if bottom == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let stack = Self { bottom, bytes };
        // SAFETY: the first page of what was just mapped.
        if unsafe { libc::mprotect(bottom, page, libc::PROT_NONE) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(stack)
    }

    /// Returns the address from which the stack grows downwards: a multiple of 16, as every architecture requires.
    fn top(&self) -> *mut c_void {
        self.bottom.wrapping_byte_add(self.bytes)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`; its thread is ending, so no child runs on it.
        unsafe { libc::munmap(self.bottom, self.bytes) };
    }
}

fn page_bytes() -> usize {
    // SAFETY: reads a constant of the system.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}
