//! The process table of macOS: `libproc` and `sysctl`.

use std::mem::{MaybeUninit, size_of};
use std::ptr;

use libc::{c_int, pid_t};

use super::{Proc, ProcEntry, TagRead};
use crate::platform::ProcessInfo;
use crate::platform::unix::pid::Pid;

/// Lists all processes.
pub(in super::super) fn entries() -> Vec<ProcEntry> {
    // Room for twice as many, since some may start meanwhile.
    // SAFETY: without a buffer the call only counts.
    let count = unsafe { libc::proc_listallpids(ptr::null_mut(), 0) };
    let mut pids: Vec<pid_t> = vec![0; usize::try_from(count).unwrap_or(0) * 2 + 64];
    let bytes = c_int::try_from(pids.len() * size_of::<pid_t>()).unwrap_or(c_int::MAX);
    // SAFETY: the buffer has the given size.
    let found = unsafe { libc::proc_listallpids(pids.as_mut_ptr().cast(), bytes) };
    pids.truncate(usize::try_from(found).unwrap_or(0));
    pids.into_iter().filter_map(Pid::from_raw).map(|pid| ProcEntry { pid, number: None }).collect()
}

/// Includes zombies, which are not found otherwise.
const INCLUDE_ZOMBIES: u64 = 1;

fn info(pid: Pid) -> Option<libc::proc_bsdinfo> {
    let mut info = MaybeUninit::<libc::proc_bsdinfo>::zeroed();
    let bytes = c_int::try_from(size_of::<libc::proc_bsdinfo>()).ok()?;
    // SAFETY: the buffer has the size of what this flavour writes.
    let got = unsafe {
        libc::proc_pidinfo(pid.as_raw(), libc::PROC_PIDTBSDINFO, INCLUDE_ZOMBIES, info.as_mut_ptr().cast(), bytes)
    };
    // SAFETY: plain numbers, for which zeroes are valid; filled when the returned size is that of the struct.
    (got == bytes).then(|| unsafe { info.assume_init() })
}

pub(in super::super) fn read(pid: Pid) -> Option<Proc> {
    let info = info(pid)?;
    Some(Proc {
        pid,
        parent: Pid::from_raw(pid_t::try_from(info.pbi_ppid).ok()?),
        group: Pid::from_raw(pid_t::try_from(info.pbi_pgid).ok()?),
        // Fails for a zombie.
        session: rustix::process::getsid(Some(pid.into())).ok().and_then(|session| Pid::from_raw(session.as_raw_pid())),
        state: state(info.pbi_status),
        start: info.pbi_start_tvsec * 1_000_000 + info.pbi_start_tvusec,
    })
}

/// Returns `SIDL`, `SRUN`, `SSLEEP`, `SSTOP`, `SZOMB` as the letters of `ps`.
fn state(status: u32) -> u8 {
    match status {
        1 => b'I',
        2 => b'R',
        4 => b'T',
        5 => b'Z',
        _ => b'S',
    }
}

/// Returns the data of the last exec: the number of arguments, the program, the arguments, the environment.
fn arguments(pid: Pid) -> Option<Vec<u8>> {
    let mut name = [libc::CTL_KERN, libc::KERN_PROCARGS2, pid.as_raw()];
    let mut size = 1024 * 1024;
    let mut buffer = vec![0u8; size];
    // SAFETY: the name has three numbers, the buffer has `size` bytes, and nothing is set.
    let done =
        unsafe { libc::sysctl(name.as_mut_ptr(), 3, buffer.as_mut_ptr().cast(), &raw mut size, ptr::null_mut(), 0) };
    buffer.truncate(size);
    (done == 0).then_some(buffer)
}

/// Does what [`tag`] does. The system does not show whether a process is in an exec.
pub(in super::super) fn settled_tag(pid: Pid) -> TagRead {
    tag(pid).map_or(TagRead::Absent, TagRead::Found)
}

/// Returns the value of the variable that marks the processes of an execution, as it was at the last exec of the process. The system
/// hides the environment of its own programs (`/bin`, `/usr/bin`): those are found by session and parent.
pub(in super::super) fn tag(pid: Pid) -> Option<Vec<u8>> {
    let bytes = arguments(pid)?;
    let mut entries = bytes.split(|byte| *byte == 0);
    entries.find_map(|entry| entry.strip_prefix(b"ESCHER_EXECUTION_ID=")).map(<[u8]>::to_vec)
}

/// Whether the system refuses a signal to a group that has only zombies (`EPERM`), as it does for a group of another user.
pub(in super::super) const REFUSES_DEAD_GROUPS: bool = true;

/// Does what [`tag`] does, for this process.
pub(in super::super) fn own_tag() -> Option<Vec<u8>> {
    tag(Pid::own())
}

/// Returns `None`: `getrusage` has the value, since a child does not share the memory of its host here.
pub(in super::super) fn own_peak_memory() -> Option<u64> {
    None
}

/// Whether the process table can be read. It always can.
pub(in super::super) fn is_visible() -> bool {
    true
}

/// Whether a process has variables. The system does not show that.
pub(in super::super) fn has_environment(_: Pid) -> bool {
    true
}

/// Returns which processes are hidden from this process. The system does not show that.
pub(in super::super) fn limit() -> Option<&'static str> {
    None
}

/// The time after its start, in units of [`Proc::start`], by which a process has finished its exec.
pub(in super::super) const SETTLED: u64 = 1_000_000;

/// Returns the present time in the unit of [`Proc::start`].
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
        pid: proc.pid.number(),
        parent: proc.parent.map_or(0, Pid::number),
        command: command.unwrap_or_default(),
        state: char::from(proc.state).to_string(),
        cpu_ms: 0.0,
        waits_for: None,
    }
}
