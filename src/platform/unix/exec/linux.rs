//! A `clone` that shares the host's memory until the child is the new program, as `vfork` and glibc's `posix_spawn` do it.
//!
//! `posix_spawn` would do too. It maps a fresh stack for each child and unmaps it again, which interrupts every processor that
//! runs a thread of the host; here each thread that spawns keeps its stack. And what it cannot do on an old libc (change the
//! directory, close the rest) needs no second way.

use std::cell::OnceCell;
use std::io;
use std::os::fd::RawFd;
use std::ptr;
use std::sync::OnceLock;

use libc::{c_int, c_long, c_void, pid_t};
use rustix::process::{Resource, getrlimit};

use self::report::Report;
use super::Image;
use crate::platform::unix::host_state::ApplyState;

mod into_group;
mod report;

/// Between clone and exec the child makes system calls and nothing else.
const STACK_BYTES: usize = 64 * 1024;
const SIGNALS: c_int = 64;
/// Of the kernel's signal sets, in bytes.
const SET_BYTES: usize = 8;

thread_local! {
    /// The child's, while this thread waits for its exec.
    static STACK: OnceCell<Stack> = const { OnceCell::new() };
}

/// Starts a child. Blocks until it is the program, or has failed to be.
pub(in super::super) fn start(image: &Image<'_>) -> io::Result<pid_t> {
    STACK.with(|kept| {
        let fresh = if kept.get().is_none() { Some(Stack::new()?) } else { None };
        let stack = kept.get_or_init(|| fresh.expect("made where there is none"));
        let report = Report::new()?;
        let first_closed = image.fds.len() + report.descriptors();
        let open = if closes_many() { None } else { Some(inheritable(first_closed)?) };
        let state = image.host.map(|(host, enters)| host.apply(enters));
        let pid = clone(&Child { image, state, open: open.as_deref(), report: &report }, stack)?;
        let Some(errno) = report.outcome() else { return Ok(pid) };
        // SAFETY: a child of ours that has called `_exit`, or is about to; it has no out-parameter.
        while unsafe { libc::waitpid(pid, ptr::null_mut(), 0) } < 0
            && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
        {}
        Err(io::Error::from_raw_os_error(errno))
    })
}

struct Child<'a> {
    image: &'a Image<'a>,
    state: Option<ApplyState<'a>>,
    /// What is to be closed, where that is done one by one.
    open: Option<&'a [RawFd]>,
    /// Says why it did not become the program.
    report: &'a Report,
}

fn clone(child: &Child<'_>, stack: &Stack) -> io::Result<pid_t> {
    // No handler of the host's may run in the child, which has the host's memory.
    let blocked = AllSignals::block();
    let into_group = child.image.cgroup.map(|group| into_group::clone(child, stack, group));
    let started = into_group.unwrap_or_else(|| clone_here(child, stack));
    drop(blocked);
    started
}

/// Starts the child in the control group of the host.
fn clone_here(child: &Child<'_>, stack: &Stack) -> io::Result<pid_t> {
    let shares_until_exec = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    let argument = ptr::from_ref(child).cast_mut().cast::<c_void>();
    // SAFETY: the stack is ours alone: this thread, whose it is, waits in the kernel until the child is another program or is
    // gone (CLONE_VFORK), and `child` with all it points to lives as long. `become_program` keeps to what is allowed there.
    let pid = unsafe { libc::clone(run, stack.top(), shares_until_exec, argument) };
    if pid < 0 { Err(io::Error::last_os_error()) } else { Ok(pid) }
}

extern "C" fn run(child: *mut c_void) -> c_int {
    // SAFETY: what `clone` was given; the thread that gave it waits.
    let child = unsafe { &*child.cast::<Child<'_>>() };
    child.report.begin();
    child.report.failed(become_program(child));
    // SAFETY: ends the child alone: nothing of the host's is run at its exit.
    unsafe { libc::_exit(127) }
}

/// Returns only with an error. It allocates nothing, takes no lock and cannot panic: the memory, and the thread-local `errno`, are
/// those of a thread of the host.
fn become_program(child: &Child<'_>) -> c_int {
    let Child { image, state, open, report } = child;
    for signal in (1..=SIGNALS).filter(|signal| ![libc::SIGKILL, libc::SIGSTOP].contains(signal)) {
        // Zeroes: the default action, no flags, an empty mask, whatever the machine's layout; it is no larger than this.
        let default = [0_u64; 4];
        // SAFETY: the structure is valid for the call. Handlers go with the exec; what is ignored would stay so. libc's own
        // function refuses the two signals that glibc keeps to itself.
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
        // SAFETY: no memory is involved. The same number only has to survive the exec.
        let done = unsafe { if fd == number { libc::fcntl(fd, libc::F_SETFD, 0) } else { libc::dup2(fd, number) } };
        if done < 0 {
            return errno();
        }
        number += 1;
    }
    match report.move_to(number) {
        Some(moved) => number += RawFd::from(moved),
        None => return errno(),
    }
    if let Some(open) = open {
        for &fd in *open {
            // SAFETY: the child's own table of descriptors; a number that is not open does no harm. libc's own function looks at
            // what belongs to the host's thread.
            unsafe { libc::syscall(libc::SYS_close, c_long::from(fd)) };
        }
    } else if !close_from(c_long::from(number)) {
        return errno();
    }
    if let Some(cwd) = image.cwd {
        // SAFETY: a C string that lives.
        if unsafe { libc::chdir(cwd.as_ptr()) } < 0 {
            let refused = errno();
            if !(image.host.is_some_and(|(_, stays)| stays) && state.is_some_and(|state| state.is_here())) {
                return refused;
            }
        }
    }
    set_mask(0, libc::SIG_SETMASK);
    // SAFETY: C strings, and arrays of C strings that end with a null; all of them live.
    unsafe { libc::execve(image.program.as_ptr(), image.argv.as_ptr().cast(), image.envp.as_ptr().cast()) };
    errno()
}

fn errno() -> c_int {
    // SAFETY: the calling thread's own.
    unsafe { *libc::__errno_location() }
}

/// Closes everything from a number on: whatever the host forgot to mark.
fn close_from(first: c_long) -> bool {
    // SAFETY: no memory is involved; in the child, which has a table of descriptors of its own, or with a number that nobody has.
    unsafe { libc::syscall(libc::SYS_close_range, first, c_long::from(u32::MAX), 0) == 0 }
}

/// Whether this kernel, and what guards it, closes many descriptors at once (Linux 5.9).
fn closes_many() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| close_from(c_long::from(u32::MAX)))
}

/// What is open now from a number on and would be inherited. A descriptor that another thread opens unmarked after this look gets
/// through.
fn inheritable(first: usize) -> io::Result<Vec<RawFd>> {
    let first = RawFd::try_from(first).map_err(io::Error::other)?;
    // SAFETY: reads a flag; a number that is closed, or was never open, gives an error.
    let is_inherited = |fd: &RawFd| matches!(unsafe { libc::fcntl(*fd, libc::F_GETFD) }, flags if flags >= 0 && flags & libc::FD_CLOEXEC == 0);
    let Ok(listed) = std::fs::read_dir("/proc/self/fd") else {
        // Without `/proc` every number is tried that can be open.
        return Ok((first..most_descriptors()).filter(is_inherited).collect());
    };
    let numbers = listed.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Ok(numbers.filter(|fd| *fd >= first).filter(is_inherited).collect())
}

/// No descriptor has this number or a larger one, unless it was opened before the limit was lowered.
fn most_descriptors() -> RawFd {
    /// What the kernel allows without further settings.
    const MOST: RawFd = 1 << 20;
    let limit = getrlimit(Resource::Nofile).current.and_then(|limit| RawFd::try_from(limit).ok());
    limit.map_or(MOST, |limit| limit.min(MOST))
}

/// While it lives, this thread gets no signal.
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

/// Changes this thread's mask and gives what it was. libc's own function leaves out the signals that glibc keeps to itself.
fn set_mask(mask: u64, how: c_int) -> u64 {
    let mut before = 0_u64;
    // SAFETY: both sets are as large as is said, and live.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, how, &raw const mask, &raw mut before, SET_BYTES) };
    before
}

/// Memory for a child's stack, with a page below it that nobody may touch.
struct Stack {
    bottom: *mut c_void,
    bytes: usize,
}

impl Stack {
    fn new() -> io::Result<Self> {
        let page = page_bytes();
        let bytes = page + STACK_BYTES.next_multiple_of(page);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK;
        // SAFETY: fresh memory of which nobody knows; the result is checked.
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

    /// Stacks grow downwards. A multiple of 16, as every machine wants it.
    fn top(&self) -> *mut c_void {
        self.bottom.wrapping_byte_add(self.bytes)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`; its thread ends, so that no child runs on it.
        unsafe { libc::munmap(self.bottom, self.bytes) };
    }
}

fn page_bytes() -> usize {
    // SAFETY: reads a constant of the system.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}
