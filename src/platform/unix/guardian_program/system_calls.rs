//! Linux on x86-64 and arm64: system calls without a C library, and the start of a program that is linked with none. So it needs no
//! dynamic loader, which some systems do not have where others look for it.

use core::arch::{asm, global_asm};
use core::ffi::{c_char, c_int, c_long, c_void};
use core::sync::atomic::AtomicI32;
use core::sync::atomic::Ordering::Relaxed;

use super::{PollFd, TimeSpec};

#[cfg(target_arch = "x86_64")]
mod number {
    use core::ffi::c_long;

    pub(super) const READ: c_long = 0;
    pub(super) const WRITE: c_long = 1;
    pub(super) const CLOSE: c_long = 3;
    pub(super) const MMAP: c_long = 9;
    pub(super) const RT_SIGACTION: c_long = 13;
    pub(super) const GETPID: c_long = 39;
    pub(super) const SOCKET: c_long = 41;
    pub(super) const CONNECT: c_long = 42;
    pub(super) const BIND: c_long = 49;
    pub(super) const KILL: c_long = 62;
    pub(super) const CHDIR: c_long = 80;
    pub(super) const GETPPID: c_long = 110;
    pub(super) const PRCTL: c_long = 157;
    pub(super) const CLOCK_GETTIME: c_long = 228;
    pub(super) const EXIT_GROUP: c_long = 231;
    pub(super) const OPENAT: c_long = 257;
    pub(super) const UNLINKAT: c_long = 263;
    pub(super) const READLINKAT: c_long = 267;
    pub(super) const PPOLL: c_long = 271;
    pub(super) const PRLIMIT64: c_long = 302;
}

#[cfg(target_arch = "aarch64")]
mod number {
    use core::ffi::c_long;

    pub(super) const UNLINKAT: c_long = 35;
    pub(super) const CHDIR: c_long = 49;
    pub(super) const OPENAT: c_long = 56;
    pub(super) const CLOSE: c_long = 57;
    pub(super) const READ: c_long = 63;
    pub(super) const WRITE: c_long = 64;
    pub(super) const PPOLL: c_long = 73;
    pub(super) const READLINKAT: c_long = 78;
    pub(super) const EXIT_GROUP: c_long = 94;
    pub(super) const CLOCK_GETTIME: c_long = 113;
    pub(super) const KILL: c_long = 129;
    pub(super) const RT_SIGACTION: c_long = 134;
    pub(super) const PRCTL: c_long = 167;
    pub(super) const GETPID: c_long = 172;
    pub(super) const GETPPID: c_long = 173;
    pub(super) const SOCKET: c_long = 198;
    pub(super) const BIND: c_long = 200;
    pub(super) const CONNECT: c_long = 203;
    pub(super) const MMAP: c_long = 222;
    pub(super) const PRLIMIT64: c_long = 261;
}

/// Paths are relative to the working directory, as those of `open` are.
const AT_FDCWD: c_long = -100;
const AT_REMOVEDIR: c_long = 0x200;
const MOST_ERRORS: isize = 4_095;
/// The kernel's set of signals, in bytes.
const SIGNAL_SET_BYTES: c_long = 8;

// The kernel begins here, with a stack that is aligned to 16 bytes. A call leaves the return address on it on x86-64, which is what
// compiled functions expect.
#[cfg(target_arch = "x86_64")]
global_asm!(".globl _start", "_start:", "xor ebp, ebp", "call {start}", "ud2", start = sym start);
#[cfg(target_arch = "aarch64")]
global_asm!(".globl _start", "_start:", "mov x29, #0", "mov x30, #0", "bl {start}", "brk #1", start = sym start);

extern "C" fn start() -> ! {
    let code = crate::main(0, core::ptr::null());
    // SAFETY: ends this process.
    unsafe { _exit(code) }
}

/// Why the last call failed. The program has one thread.
static LAST_ERROR: AtomicI32 = AtomicI32::new(0);

pub(crate) fn last_error() -> c_int {
    LAST_ERROR.load(Relaxed)
}

/// # Safety
///
/// The arguments are what the kernel expects for that number.
unsafe fn call<const COUNT: usize>(number: c_long, given: [c_long; COUNT]) -> isize {
    let mut arguments: [c_long; 6] = [0; 6];
    for (to, from) in arguments.iter_mut().zip(given) {
        *to = from;
    }
    let [a, b, c, d, e, f] = arguments;
    let result: isize;
    // SAFETY: the registers are those of the kernel's interface; what the call does to memory is the caller's responsibility.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!(
            "svc #0",
            in("x8") number,
            inlateout("x0") a as isize => result,
            in("x1") b, in("x2") c, in("x3") d, in("x4") e, in("x5") f,
            options(nostack),
        );
    }
    if (-MOST_ERRORS..0).contains(&result) {
        LAST_ERROR.store(-result as c_int, Relaxed);
        return -1;
    }
    result
}

/// Defines functions of the C library as the calls that it makes for them.
macro_rules! functions {
    ($($name:ident($($parameter:ident: $kind:ty),*) -> $result:ty = $number:ident [$($argument:expr),*];)*) => {$(
        pub(crate) unsafe fn $name($($parameter: $kind),*) -> $result {
            // SAFETY: the caller gives what the function of the C library needs.
            unsafe { call(number::$number, [$($argument as c_long),*]) as $result }
        }
    )*};
}

functions! {
    read(fd: c_int, buffer: *mut c_void, count: usize) -> isize = READ [fd, buffer, count];
    write(fd: c_int, buffer: *const c_void, count: usize) -> isize = WRITE [fd, buffer, count];
    open(path: *const c_char, flags: c_int) -> c_int = OPENAT [AT_FDCWD, path, flags, 0];
    close(fd: c_int) -> c_int = CLOSE [fd];
    kill(pid: c_int, signal: c_int) -> c_int = KILL [pid, signal];
    getpid() -> c_int = GETPID [];
    getppid() -> c_int = GETPPID [];
    chdir(path: *const c_char) -> c_int = CHDIR [path];
    readlink(path: *const c_char, buffer: *mut c_char, bytes: usize) -> isize = READLINKAT [AT_FDCWD, path, buffer, bytes];
    getrlimit(what: c_int, limit: *mut [u64; 2]) -> c_int = PRLIMIT64 [0, what, 0, limit];
    setrlimit(what: c_int, limit: *const [u64; 2]) -> c_int = PRLIMIT64 [0, what, limit, 0];
    rmdir(path: *const c_char) -> c_int = UNLINKAT [AT_FDCWD, path, AT_REMOVEDIR];
    clock_gettime(clock: c_int, time: *mut TimeSpec) -> c_int = CLOCK_GETTIME [clock, time];
    socket(family: c_int, kind: c_int, protocol: c_int) -> c_int = SOCKET [family, kind, protocol];
    bind(fd: c_int, address: *const c_void, bytes: u32) -> c_int = BIND [fd, address, bytes];
    connect(fd: c_int, address: *const c_void, bytes: u32) -> c_int = CONNECT [fd, address, bytes];
    prctl(option: c_int, argument: usize) -> c_int = PRCTL [option, argument, 0, 0, 0];
}

pub(crate) unsafe fn mmap(
    at: *mut c_void,
    bytes: usize,
    protection: c_int,
    flags: c_int,
    fd: c_int,
    offset: i64,
) -> *mut c_void {
    let arguments = [at as c_long, bytes as c_long, protection.into(), flags.into(), fd.into(), offset as c_long];
    // SAFETY: the caller's.
    unsafe { call(number::MMAP, arguments) as *mut c_void }
}

/// Sets the handler of a signal; a handler that is a function cannot be given.
pub(crate) unsafe fn signal(signal: c_int, handler: usize) -> c_int {
    // The handler, flags, a function to return with, and the set of signals that it blocks.
    let action = [handler, 0, 0, 0];
    let arguments = [signal.into(), (&raw const action) as c_long, 0, SIGNAL_SET_BYTES];
    // SAFETY: the structure is the kernel's, and is valid until the call returns.
    unsafe { call(number::RT_SIGACTION, arguments) as c_int }
}

pub(crate) unsafe fn poll(fds: *mut PollFd, count: u64, timeout_ms: c_int) -> c_int {
    let time = TimeSpec { seconds: (timeout_ms / 1_000).into(), nanoseconds: (timeout_ms % 1_000 * 1_000_000).into() };
    let time = if timeout_ms < 0 { core::ptr::null() } else { &raw const time };
    // SAFETY: the time is valid until the call returns; the array is the caller's.
    unsafe { call(number::PPOLL, [fds as c_long, count as c_long, time as c_long, 0, SIGNAL_SET_BYTES]) as c_int }
}

pub(crate) unsafe fn system_call(number: c_long, arguments: [c_long; 4]) -> c_long {
    // SAFETY: the caller's.
    unsafe { call(number, arguments) as c_long }
}

pub(crate) unsafe fn _exit(code: c_int) -> ! {
    loop {
        // SAFETY: no memory is involved.
        unsafe { call(number::EXIT_GROUP, [code.into()]) };
    }
}
