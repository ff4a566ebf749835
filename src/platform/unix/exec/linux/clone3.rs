//! Starts a child by `clone3`, for which libc has no function: without the signal handlers of the host, and in another control group.
//!
//! Moving a child into a group after its start would need a wait for all processors; a start in the group has no extra cost.

use std::io;
use std::mem::size_of;
use std::os::fd::RawFd;
use std::ptr;

use libc::{c_int, c_void};

use super::{Child, STACK_BYTES, Stack, run};
use crate::platform::unix::pid::Pid;

const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// The kernel's `struct clone_args`, as far as Linux 5.7 has it.
#[repr(C, align(8))]
#[derive(Default)]
struct Arguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Starts the child, in the group if there is one. Fails with `ENOSYS` or `EINVAL` where the kernel, or this code on the architecture, does
/// not support it.
pub(super) fn clone(child: &Child<'_>, stack: &Stack, group: Option<RawFd>) -> io::Result<Pid> {
    let size = STACK_BYTES as u64;
    let into_group = if group.is_some() { CLONE_INTO_CGROUP } else { 0 };
    let arguments = Arguments {
        flags: u64::from((libc::CLONE_VM | libc::CLONE_VFORK).cast_unsigned()) | CLONE_CLEAR_SIGHAND | into_group,
        exit_signal: u64::from(libc::SIGCHLD.cast_unsigned()),
        stack: stack.top() as u64 - size,
        stack_size: size,
        cgroup: u64::from(group.unwrap_or(0).cast_unsigned()),
        ..Arguments::default()
    };
    let child = ptr::from_ref(child).cast_mut().cast::<c_void>();
    // SAFETY: as for `clone` in the parent module: this thread waits in the kernel until the child's exec or exit, and the stack and
    // all that `child` points to are valid as long. `run` does not return.
    let done = unsafe { clone3(&arguments, size_of::<Arguments>(), run, child) };
    let done = c_int::try_from(done).map_err(io::Error::other)?;
    Pid::from_raw(done).ok_or_else(|| io::Error::from_raw_os_error(-done))
}

/// # Safety
/// No other code uses the stack of `arguments` until the child's exec; `start` does not return.
#[cfg(target_arch = "x86_64")]
unsafe fn clone3(
    arguments: &Arguments,
    size: usize,
    start: extern "C" fn(*mut c_void) -> c_int,
    child: *mut c_void,
) -> i64 {
    let mut result = libc::SYS_clone3;
    // SAFETY: a system call; in the child, which has an empty stack aligned to 16, it calls a C function that does not return.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r8",
            "call r9",
            "ud2",
            "2:",
            inlateout("rax") result,
            in("rdi") ptr::from_ref(arguments),
            in("rsi") size,
            in("r8") child,
            in("r9") start,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}

/// # Safety
/// No other code uses the stack of `arguments` until the child's exec; `start` does not return.
#[cfg(target_arch = "aarch64")]
unsafe fn clone3(
    arguments: &Arguments,
    size: usize,
    start: extern "C" fn(*mut c_void) -> c_int,
    child: *mut c_void,
) -> i64 {
    let mut result = ptr::from_ref(arguments) as i64;
    // SAFETY: a system call; in the child, which has an empty stack aligned to 16, it calls a C function that does not return.
    unsafe {
        std::arch::asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x30, xzr",
            "mov x0, x9",
            "blr x10",
            "brk #1",
            "2:",
            in("x8") libc::SYS_clone3,
            inlateout("x0") result,
            in("x1") size,
            in("x9") child,
            in("x10") start,
        );
    }
    result
}

/// Fails: other architectures start children in the group of the host.
///
/// # Safety
/// None is needed.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
unsafe fn clone3(_: &Arguments, _: usize, _: extern "C" fn(*mut c_void) -> c_int, _: *mut c_void) -> i64 {
    i64::from(-libc::ENOSYS)
}
