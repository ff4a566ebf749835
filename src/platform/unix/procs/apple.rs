//! macOS: `libproc` and `sysctl`.

use std::mem::{MaybeUninit, size_of};
use std::ptr;

use libc::{c_int, pid_t};

use super::{Entry, Proc};
use crate::platform::ProcessInfo;

/// Every process there is.
pub(in super::super) fn entries() -> Vec<Entry> {
    // Twice as many as there are: some may start meanwhile.
    // SAFETY: without a buffer the call only counts.
    let count = unsafe { libc::proc_listallpids(ptr::null_mut(), 0) };
    let mut pids: Vec<pid_t> = vec![0; usize::try_from(count).unwrap_or(0) * 2 + 64];
    let bytes = c_int::try_from(pids.len() * size_of::<pid_t>()).unwrap_or(c_int::MAX);
    // SAFETY: the buffer has so many bytes.
    let found = unsafe { libc::proc_listallpids(pids.as_mut_ptr().cast(), bytes) };
    pids.truncate(usize::try_from(found).unwrap_or(0));
    pids.into_iter().map(|pid| Entry { pid, number: None }).collect()
}

/// Asks for a process also if it only waits to be reaped: without it those are not found.
const WITH_THE_DEAD: u64 = 1;

fn info(pid: pid_t) -> Option<libc::proc_bsdinfo> {
    let mut info = MaybeUninit::<libc::proc_bsdinfo>::zeroed();
    let bytes = c_int::try_from(size_of::<libc::proc_bsdinfo>()).ok()?;
    // SAFETY: the buffer has the size of what this flavour writes.
    let got =
        unsafe { libc::proc_pidinfo(pid, libc::PROC_PIDTBSDINFO, WITH_THE_DEAD, info.as_mut_ptr().cast(), bytes) };
    // SAFETY: plain numbers, for which zeroes are valid; filled when the size says so.
    (got == bytes).then(|| unsafe { info.assume_init() })
}

pub(in super::super) fn read(pid: pid_t) -> Option<Proc> {
    let info = info(pid)?;
    // SAFETY: no memory is involved; -1 for a process that is gone or only waits to be reaped.
    let session = unsafe { libc::getsid(pid) };
    Some(Proc {
        pid,
        parent: pid_t::try_from(info.pbi_ppid).ok()?,
        group: pid_t::try_from(info.pbi_pgid).ok()?,
        // 0 stands for one that is not known: else the dead of all trees would be in one session.
        session: session.max(0),
        state: state(info.pbi_status),
        start: info.pbi_start_tvsec * 1_000_000 + info.pbi_start_tvusec,
    })
}

/// `SIDL`, `SRUN`, `SSLEEP`, `SSTOP`, `SZOMB` as the letters of `ps`.
fn state(status: u32) -> u8 {
    match status {
        1 => b'I',
        2 => b'R',
        4 => b'T',
        5 => b'Z',
        _ => b'S',
    }
}

/// What the process was started with: a count, the program, its arguments, its environment.
fn arguments(pid: pid_t) -> Option<Vec<u8>> {
    let mut name = [libc::CTL_KERN, libc::KERN_PROCARGS2, pid];
    let mut size = 1024 * 1024;
    let mut buffer = vec![0u8; size];
    // SAFETY: the name has three numbers, the buffer has `size` bytes, and nothing is set.
    let done =
        unsafe { libc::sysctl(name.as_mut_ptr(), 3, buffer.as_mut_ptr().cast(), &raw mut size, ptr::null_mut(), 0) };
    buffer.truncate(size);
    (done == 0).then_some(buffer)
}

/// Whether a process may be on the way to becoming another program: the system does not say.
pub(in super::super) fn may_be_in_exec(_: pid_t) -> bool {
    false
}

/// The value of the variable that marks the processes of an execution, as it was when the process became the program that it is. Of
/// programs that came with the system (`/bin`, `/usr/bin`) the environment is hidden: those are found by session and parent.
pub(in super::super) fn tag(pid: pid_t) -> Option<Vec<u8>> {
    let bytes = arguments(pid)?;
    let mut entries = bytes.split(|byte| *byte == 0);
    entries.find_map(|entry| entry.strip_prefix(b"ESCHER_EXECUTION_ID=")).map(<[u8]>::to_vec)
}

/// Whether a signal to a group in which all only wait to be reaped is refused (`EPERM`), as to a group of another user.
pub(in super::super) const REFUSES_DEAD_GROUPS: bool = true;

/// As [`tag`], of this process.
pub(in super::super) fn own_tag() -> Option<Vec<u8>> {
    tag(std::process::id().cast_signed())
}

/// Whether the table of processes can be read: always.
pub(in super::super) fn is_visible() -> bool {
    true
}

/// Whether a process has variables: that cannot be asked for.
pub(in super::super) fn has_environment(_: pid_t) -> bool {
    true
}

/// What of the table of processes is hidden from this process: nothing that could be asked for.
pub(in super::super) fn limit() -> Option<&'static str> {
    None
}

/// So long after its start, in units of [`Proc::start`], a process has become the program that it is to be.
pub(in super::super) const SETTLED: u64 = 1_000_000;

/// What [`Proc::start`] of a process would be that starts now.
pub(in super::super) fn now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}

pub(in super::super) fn describe(proc: &Proc) -> ProcessInfo {
    let command = arguments(proc.pid).and_then(|bytes| {
        let count = usize::try_from(i32::from_ne_bytes(bytes.first_chunk().copied()?)).ok()?;
        let mut words = bytes.get(4..)?.split(|byte| *byte == 0).filter(|word| !word.is_empty());
        let _program = words.next()?;
        let words: Vec<_> = words.take(count).map(String::from_utf8_lossy).collect();
        Some(words.join(" "))
    });
    ProcessInfo {
        pid: proc.pid,
        parent: proc.parent,
        command: command.unwrap_or_default(),
        state: char::from(proc.state).to_string(),
        cpu_ms: 0.0,
        waits_for: None,
    }
}
