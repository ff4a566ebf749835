//! The system calls of the program, with their parameters and results.

#[cfg(without_libc)]
#[path = "system_calls.rs"]
mod calls;
#[cfg(not(without_libc))]
#[path = "libc.rs"]
mod calls;

use core::ffi::{c_int, c_long, c_short};

pub(crate) use self::calls::*;

#[repr(C)]
pub(crate) struct PollFd {
    pub(crate) fd: c_int,
    pub(crate) events: c_short,
    pub(crate) revents: c_short,
}

#[repr(C)]
pub(crate) struct TimeSpec {
    pub(crate) seconds: c_long,
    pub(crate) nanoseconds: c_long,
}

pub(crate) const POLLIN: c_short = 1;
#[cfg(target_os = "linux")]
pub(crate) const POLLERR: c_short = 8;
pub(crate) const PROT_READ: c_int = 1;
pub(crate) const PROT_WRITE: c_int = 2;
pub(crate) const MAP_SHARED: c_int = 1;
#[cfg(target_os = "linux")]
pub(crate) const MAP_PRIVATE_ANONYMOUS: c_int = 0x22;
#[cfg(not(target_os = "linux"))]
pub(crate) const MAP_PRIVATE_ANONYMOUS: c_int = 0x1002;
pub(crate) const O_RDONLY: c_int = 0;
pub(crate) const O_WRONLY: c_int = 1;
#[cfg(target_os = "linux")]
/// The clock of the host's deadlines. It stops while the machine sleeps.
pub(crate) const CLOCK_UPTIME: c_int = 1;
#[cfg(not(target_os = "linux"))]
pub(crate) const CLOCK_UPTIME: c_int = 8;
pub(crate) const SIGKILL: c_int = 9;
#[cfg(target_os = "linux")]
pub(crate) const SIGSTOP: c_int = 19;
#[cfg(target_os = "linux")]
pub(crate) const SIGCONT: c_int = 18;
#[cfg(not(target_os = "linux"))]
pub(crate) const SIGSTOP: c_int = 17;
#[cfg(not(target_os = "linux"))]
pub(crate) const SIGCONT: c_int = 19;
pub(crate) const SIG_IGN: usize = 1;

#[cfg(target_os = "linux")]
const RLIMIT_NOFILE: c_int = 7;
#[cfg(not(target_os = "linux"))]
const RLIMIT_NOFILE: c_int = 8;

/// Raises the limit of open files to the maximum that this process may set.
pub(crate) fn allow_open_files() {
    let mut limit = [0_u64; 2];
    // SAFETY: the structure has two numbers, the soft limit and the hard limit.
    unsafe {
        if getrlimit(RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit[0] = limit[1];
            setrlimit(RLIMIT_NOFILE, &raw const limit);
        }
    }
}

/// Returns the milliseconds since the machine was started, without the time in which it slept.
pub(crate) fn now_ms() -> u64 {
    clock_ms(CLOCK_UPTIME)
}

pub(crate) fn clock_ms(clock: c_int) -> u64 {
    let mut time = TimeSpec { seconds: 0, nanoseconds: 0 };
    // SAFETY: the out-parameter is valid for the call.
    unsafe { clock_gettime(clock, &raw mut time) };
    time.seconds as u64 * 1_000 + time.nanoseconds as u64 / 1_000_000
}

pub(crate) fn sleep_ms(ms: u64) {
    // SAFETY: without descriptors, no memory is involved.
    unsafe { poll(core::ptr::null_mut(), 0, ms as c_int) };
}

/// Maps zeroed memory for `count` values, for which zeroes are valid. Untouched pages take no memory.
pub(crate) fn memory<T>(count: usize) -> Option<&'static mut [T]> {
    let bytes = count * size_of::<T>();
    // SAFETY: fresh memory without another owner; zeroes are valid for the types it is used for; the result is checked.
    unsafe {
        let at = mmap(core::ptr::null_mut(), bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0);
        if at as isize == -1 {
            return None;
        }
        Some(core::slice::from_raw_parts_mut(at.cast(), count))
    }
}

/// Reads a file from its start, as far as it fits in the buffer.
pub(crate) fn read_file(path: &[u8], buffer: &mut [u8]) -> Option<usize> {
    debug_assert!(path.ends_with(b"\0"));
    // SAFETY: the path ends with a NUL, and the buffer has the given length.
    unsafe {
        let fd = open(path.as_ptr().cast(), O_RDONLY);
        if fd < 0 {
            return None;
        }
        let mut filled = 0;
        while filled < buffer.len() {
            let count = read(fd, buffer[filled..].as_mut_ptr().cast(), buffer.len() - filled);
            if count <= 0 {
                break;
            }
            filled += count as usize;
        }
        close(fd);
        Some(filled)
    }
}

/// A text in a fixed buffer, with a final NUL.
pub(crate) struct Path {
    bytes: [u8; 4352],
    length: usize,
}

impl Path {
    pub(crate) fn new() -> Self {
        Self { bytes: [0; 4352], length: 0 }
    }

    pub(crate) fn push(&mut self, text: &[u8]) -> &mut Self {
        let room = self.bytes.len() - 1 - self.length;
        let count = text.len().min(room);
        self.bytes[self.length..self.length + count].copy_from_slice(&text[..count]);
        self.length += count;
        self.bytes[self.length] = 0;
        self
    }

    pub(crate) fn number(&mut self, mut number: u32) -> &mut Self {
        let mut digits = [0; 10];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.push(&digits[at..])
    }

    pub(crate) fn length(&self) -> usize {
        self.length
    }

    pub(crate) fn truncate(&mut self, length: usize) {
        self.length = length;
        self.bytes[length] = 0;
    }

    /// Returns the text with the final NUL.
    pub(crate) fn text(&self) -> &[u8] {
        &self.bytes[..=self.length]
    }
}
