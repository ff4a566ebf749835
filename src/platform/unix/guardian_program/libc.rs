//! System calls by way of the C library: macOS has no other way, and this program has no other way on processors that
//! `system_calls.rs` does not know.

use core::ffi::{c_char, c_int, c_long, c_void};

use super::{PollFd, TimeSpec};

#[cfg_attr(target_os = "linux", link(name = "c"))]
#[cfg_attr(not(target_os = "linux"), link(name = "System"))]
unsafe extern "C" {
    pub(crate) fn read(fd: c_int, buffer: *mut c_void, count: usize) -> isize;
    pub(crate) fn write(fd: c_int, buffer: *const c_void, count: usize) -> isize;
    pub(crate) fn open(path: *const c_char, flags: c_int, ...) -> c_int;
    pub(crate) fn close(fd: c_int) -> c_int;
    pub(crate) fn poll(fds: *mut PollFd, count: u64, timeout: c_int) -> c_int;
    pub(crate) fn kill(pid: c_int, signal: c_int) -> c_int;
    pub(crate) fn getpid() -> c_int;
    pub(crate) fn getppid() -> c_int;
    pub(crate) fn mmap(
        at: *mut c_void,
        bytes: usize,
        protection: c_int,
        flags: c_int,
        fd: c_int,
        offset: i64,
    ) -> *mut c_void;
    pub(crate) fn signal(signal: c_int, handler: usize) -> usize;
    pub(crate) fn _exit(code: c_int) -> !;
    pub(crate) fn chdir(path: *const c_char) -> c_int;
    pub(crate) fn readlink(path: *const c_char, buffer: *mut c_char, bytes: usize) -> isize;
    pub(crate) fn getrlimit(what: c_int, limit: *mut [u64; 2]) -> c_int;
    pub(crate) fn setrlimit(what: c_int, limit: *const [u64; 2]) -> c_int;
    pub(crate) fn rmdir(path: *const c_char) -> c_int;
    pub(crate) fn clock_gettime(clock: c_int, time: *mut TimeSpec) -> c_int;
    #[cfg(target_os = "linux")]
    pub(crate) fn socket(family: c_int, kind: c_int, protocol: c_int) -> c_int;
    #[cfg(target_os = "linux")]
    pub(crate) fn bind(fd: c_int, address: *const c_void, bytes: u32) -> c_int;
    #[cfg(target_os = "linux")]
    pub(crate) fn connect(fd: c_int, address: *const c_void, bytes: u32) -> c_int;
    #[cfg(target_os = "linux")]
    fn __errno_location() -> *mut c_int;
    #[cfg(target_os = "linux")]
    fn syscall(number: c_long, ...) -> c_long;
    #[cfg(target_os = "linux")]
    pub(crate) fn prctl(option: c_int, ...) -> c_int;
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn getsid(pid: c_int) -> c_int;
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn proc_listallpids(buffer: *mut c_void, bytes: c_int) -> c_int;
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn proc_pidinfo(pid: c_int, flavor: c_int, argument: u64, buffer: *mut c_void, bytes: c_int) -> c_int;
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn sysctl(
        name: *mut c_int,
        count: u32,
        old: *mut c_void,
        size: *mut usize,
        new: *mut c_void,
        new_size: usize,
    ) -> c_int;
}

/// Returns the error of the last call.
#[cfg(target_os = "linux")]
pub(crate) fn last_error() -> c_int {
    // SAFETY: the address is valid in every thread.
    unsafe { *__errno_location() }
}

/// # Safety
///
/// The arguments are what the kernel expects for that number.
#[cfg(target_os = "linux")]
pub(crate) unsafe fn system_call(number: c_long, [a, b, c, d]: [c_long; 4]) -> c_long {
    // SAFETY: the caller's.
    unsafe { syscall(number, a, b, c, d) }
}
