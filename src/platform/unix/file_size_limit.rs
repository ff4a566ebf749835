//! Keeps the limit on the size of files (`ulimit -f`) from ending the host: a write beyond it fails with `EFBIG`, and the system sends the
//! writing thread SIGXFSZ besides, which ends a process that does not ignore it. Node.js ignores it; a Rust host does not.
//!
//! The signal is blocked where the engine writes, since its disposition is the host's. macOS sends it to the process, where that is no help.

use std::cell::Cell;
use std::mem::MaybeUninit;

thread_local! {
    /// The signal is blocked on this thread for good.
    static BLOCKED: Cell<bool> = const { Cell::new(false) };
}

/// Blocks the signal on a thread of the engine, for as long as the thread runs.
pub(crate) fn block_file_size_signal() {
    if !BLOCKED.replace(true) {
        mask(libc::SIG_BLOCK);
    }
}

/// Calls `write` with the signal blocked, on a thread that may be the host's.
pub(super) fn without_file_size_signal<T>(write: impl FnOnce() -> T) -> T {
    if BLOCKED.get() || mask(libc::SIG_BLOCK) {
        return write();
    }
    let done = write();
    take_pending();
    mask(libc::SIG_UNBLOCK);
    done
}

fn signals() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the set is initialised by the first call, and the signal exists.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGXFSZ);
        set.assume_init()
    }
}

/// Changes the mask of this thread. Returns whether the signal was blocked before.
fn mask(how: libc::c_int) -> bool {
    let set = signals();
    let mut before = MaybeUninit::uninit();
    // SAFETY: both sets are valid for the call, which initialises the second one unless it fails.
    unsafe {
        libc::pthread_sigmask(how, &raw const set, before.as_mut_ptr()) == 0
            && libc::sigismember(before.as_ptr(), libc::SIGXFSZ) == 1
    }
}

/// Consumes the signal, if a write has caused it.
fn take_pending() {
    let set = signals();
    #[cfg(target_os = "linux")]
    {
        let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the pointers are valid for the call; without a signal it fails at once.
        unsafe { libc::sigtimedwait(&raw const set, std::ptr::null_mut(), &raw const at_once) };
    }
    #[cfg(not(target_os = "linux"))]
    {
        let mut pending = MaybeUninit::uninit();
        let mut taken = 0;
        // SAFETY: the set is initialised by a successful call; a pending signal is taken without waiting.
        unsafe {
            if libc::sigpending(pending.as_mut_ptr()) == 0 && libc::sigismember(pending.as_ptr(), libc::SIGXFSZ) == 1 {
                libc::sigwait(&raw const set, &raw mut taken);
            }
        }
    }
}
