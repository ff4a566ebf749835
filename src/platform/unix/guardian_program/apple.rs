//! macOS: processes as `libproc` and `sysctl` show them. There are no control groups.

use core::ffi::{c_int, c_void};

use crate::Proc;
use crate::claims::Bound;
use crate::sys::{self, Path};

const TAG: &[u8] = b"ESCHER_EXECUTION_ID=";
const ARGUMENTS_BYTES: usize = 1024 * 1024;
const MOST_PROCESSES: usize = 128 * 1024;

/// `struct proc_bsdinfo`. Only the first fields and the start are used.
#[repr(C)]
struct Info {
    flags: u32,
    status: u32,
    exit_status: u32,
    pid: u32,
    parent: u32,
    users: [u32; 7],
    names: [u8; 48],
    files: u32,
    group: u32,
    rest: [u32; 4],
    start_seconds: u64,
    start_microseconds: u64,
}

const ZOMBIE: u32 = 5;
/// Includes zombies, which are not found otherwise.
const INCLUDE_ZOMBIES: u64 = 1;

pub(crate) fn prepare() {}

/// Whether a process has variables: the system does not report that.
pub(crate) fn has_environment(_: i32) -> bool {
    true
}

pub(crate) fn is_visible() -> bool {
    true
}

/// Calls `visit` with each process, in ascending order of ids.
pub(crate) fn each(visit: &mut dyn FnMut(Proc)) {
    static mut PIDS: &[c_int] = &[];
    // SAFETY: this program has one thread; the buffer has the given length.
    let pids = unsafe {
        if PIDS.is_empty() {
            PIDS = sys::memory::<c_int>(MOST_PROCESSES).map_or(&[], |pids| pids);
        }
        let pids = core::slice::from_raw_parts_mut(PIDS.as_ptr().cast_mut(), PIDS.len());
        let count = sys::proc_listallpids(pids.as_mut_ptr().cast(), size_of_val(pids) as c_int);
        &mut pids[..count.max(0) as usize]
    };
    pids.sort_unstable();
    for pid in pids {
        if let Some(proc) = read(*pid) {
            visit(proc);
        }
    }
}

/// Returns the time on the clock of process starts: microseconds of the wall clock.
pub(crate) fn now() -> u64 {
    sys::clock_ms(0) * 1_000
}

pub(crate) fn read(pid: i32) -> Option<Proc> {
    let mut info = core::mem::MaybeUninit::<Info>::zeroed();
    let bytes = size_of::<Info>() as c_int;
    // SAFETY: the buffer has the size that this flavour writes; it has plain numbers, for which zeroes are valid.
    let (got, info) = unsafe {
        let got = sys::proc_pidinfo(pid, 3, INCLUDE_ZOMBIES, info.as_mut_ptr().cast(), bytes);
        (got, info.assume_init())
    };
    if got != bytes {
        return None;
    }
    Some(Proc {
        pid,
        parent: info.parent as i32,
        group: info.group as i32,
        // SAFETY: no memory is involved; -1 for a zombie or a process that is gone. 0 stands for an unknown session, so that the zombies
        // of all trees are not in one session.
        session: unsafe { sys::getsid(pid) }.max(0),
        start: info.start_seconds * 1_000_000 + info.start_microseconds,
        is_dead: info.status == ZOMBIE,
        owner: 0,
        is_detached: false, is_served: false,
    })
}

/// Copies the value of the variable that marks members into `tag` and returns its length; `None` if there is none, or it cannot be
/// read, as in a program of the system.
pub(crate) fn tag(pid: i32, tag: &mut [u8]) -> Option<usize> {
    static mut ARGUMENTS: &[u8] = &[];
    let mut name = [1, 49, pid];
    let mut size = ARGUMENTS_BYTES;
    // SAFETY: this program has one thread; the name has three numbers, the buffer has `size` bytes, and nothing is set.
    let bytes = unsafe {
        if ARGUMENTS.is_empty() {
            ARGUMENTS = sys::memory::<u8>(ARGUMENTS_BYTES).map_or(&[], |bytes| bytes);
        }
        let at = ARGUMENTS.as_ptr().cast_mut().cast::<c_void>();
        if sys::sysctl(name.as_mut_ptr(), 3, at, &raw mut size, core::ptr::null_mut(), 0) != 0 {
            return None;
        }
        &ARGUMENTS[..size.min(ARGUMENTS.len())]
    };
    let value = bytes.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(TAG))?;
    let count = value.len().min(tag.len());
    tag[..count].copy_from_slice(&value[..count]);
    Some(count)
}

/// Signals a process if it still is the one that was seen.
pub(crate) fn signal(proc: &Proc, signal: c_int) {
    if read(proc.pid).is_some_and(|now| now.start == proc.start) {
        // SAFETY: no memory is involved.
        unsafe { sys::kill(proc.pid, signal) };
    }
}

/// Returns `None`: a pipe of another process cannot be opened here.
pub(crate) fn open_output(_: i32, _: u32, _: &dyn Fn(&[u8]) -> bool) -> Option<(c_int, [u8; 32])> {
    None
}

pub(crate) fn each_in_group(_: &mut Path, _: &mut dyn FnMut(i32)) {}

pub(crate) fn is_populated(_: &mut Path) -> bool {
    false
}

pub(crate) fn kill_group(_: &mut Path) {}

pub(crate) fn remove_group(_: &mut Path) {}

/// Does nothing: macOS has no names of sockets that the system frees with their holder, so every engine sends the signals.
pub(crate) fn bind(_: &[u8], _: &[u8]) -> Bound {
    Bound::Nowhere
}

pub(crate) fn is_bound(_: &[u8], _: &[u8]) -> bool {
    false
}
