//! Starts the guardian. It shares with the host a pipe that closes when the host exits, and a table of the executions to end.

use std::ffi::CString;
use std::io::{self, Write as _};
use std::mem::{offset_of, size_of};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::ptr::NonNull;
use std::sync::Once;
use std::sync::atomic::Ordering;

use rustix::fs::ftruncate;
#[cfg(target_os = "linux")]
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

use super::file_size_limit::without_file_size_signal;
use super::guardian_table::{
    ALLOW_DETACHED, BASE_BYTES, Header, IN_USE, LEADER_FIRST, MOST_ROWS, Row, STOPPED_OFFSET, TABLE_BYTES, TAG_BYTES,
};
use super::leader::Leader;
use super::pid::Pid;
use super::pipe::{duplicate_from, pipe, set_nonblocking};
use super::spawn::{Helper, spawn_helper};
use super::stop_claims::Presence;
use super::stop_notes::StopNotes;
use super::{cgroup, pidfd, signal};
use crate::platform::Guarded;

/// The guardian's program, compiled by the build script.
const PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guardian"));
const NAME: &std::ffi::CStr = c"escher-guardian";
/// Descriptors that the guardian inherits have at least this number in the host, so that none is the target of another one in the
/// guardian.
const LEAST_FD: RawFd = 10;

/// A pipe to the guardian: it closes when the host exits, in whatever way. A byte in it asks the guardian whether it runs; reading the byte
/// is the answer.
#[derive(Debug)]
pub(crate) struct Lifeline {
    read: OwnedFd,
    write: OwnedFd,
}

impl Lifeline {
    pub(crate) fn new() -> io::Result<Self> {
        let (read, write) = pipe()?;
        // Other processes of the user can fill the pipe, or empty it.
        set_nonblocking(&read)?;
        set_nonblocking(&write)?;
        Ok(Self { read: high(&read)?, write })
    }

    /// Whether the guardian has read the last beat; if so, sends the next one.
    pub(crate) fn beat(&self) -> bool {
        let is_waiting = rustix::io::ioctl_fionread(&self.read).is_ok_and(|unread| unread > 0);
        if !is_waiting {
            let _ = rustix::io::write(&self.write, &[0]);
        }
        !is_waiting
    }
}

/// Memory that the host shares with the guardian: a row costs a few stores, and survives the host. No other process of this user can
/// write to it, or shorten it, which would end the host by SIGBUS. It is never unmapped.
#[derive(Debug)]
pub(crate) struct Table {
    file: OwnedFd,
    start: NonNull<u8>,
    base_is_set: Once,
    /// Visible to outer engines, if there are any.
    _presence: Option<Presence>,
}

// SAFETY: the memory is accessed only by atomics and the methods below, and each row only by its holder.
unsafe impl Send for Table {}
// SAFETY: as above.
unsafe impl Sync for Table {}

impl Table {
    pub(crate) fn new() -> io::Result<Self> {
        let file = shared_file()?;
        // SAFETY: a fresh mapping of a file of that length; the length is sealed, or the file has no name.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                TABLE_BYTES,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or_else(io::Error::last_os_error)?;
        let number = super::is_nested().then(crate::platform::host_number);
        let table = Self { file, start, base_is_set: Once::new(), _presence: number.and_then(Presence::of_host) };
        forbid_writing(&table.file);
        table.header().host.store(Pid::own().as_raw(), Ordering::Relaxed);
        table.header().nested_host.store(number.unwrap_or(0), Ordering::Relaxed);
        Ok(table)
    }

    fn header(&self) -> &Header {
        // SAFETY: the mapping begins with it, is aligned to a page, and is valid as long as this.
        unsafe { self.start.cast::<Header>().as_ref() }
    }

    fn row(&self, row: usize) -> &'static Row {
        assert!(row < MOST_ROWS, "there is no such row");
        // SAFETY: the rows follow the header, whose size is a multiple of their alignment, and lie in the mapping, which stays for
        // the life of the process.
        unsafe { self.start.add(size_of::<Header>()).cast::<Row>().add(row).as_ref() }
    }

    fn set_base(&self) {
        let Some(base) = cgroup::base() else { return };
        let bytes = base.as_os_str().as_bytes();
        if bytes.len() >= BASE_BYTES {
            return;
        }
        // SAFETY: within the header; written once, before `has_base` is set.
        unsafe {
            let to = self.start.add(offset_of!(Header, base));
            to.copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len());
        }
        self.header().has_base.store(1, Ordering::Release);
    }

    /// Whether there is such a row.
    pub(crate) fn has(row: usize) -> bool {
        row < MOST_ROWS
    }

    /// Fills a row of which the caller is the holder.
    pub(crate) fn write(&self, index: usize, guarded: &Guarded<'_>) {
        let row = self.row(index);
        row.leader.store(0, Ordering::Relaxed);
        row.earliest_start.store(guarded.earliest_start, Ordering::Relaxed);
        row.latest_start.store(u64::MAX, Ordering::Relaxed);
        row.stop_sent_at.store(0, Ordering::Relaxed);
        row.kill_at_ms.store(0, Ordering::Relaxed);
        row.stop_signal.store(signal::of_stop(guarded.stop_signal).as_raw(), Ordering::Relaxed);
        row.grace_ms.store(u32::try_from(guarded.grace.as_millis()).unwrap_or(u32::MAX), Ordering::Relaxed);
        let leader_first = if guarded.leader_first { LEADER_FIRST } else { 0 };
        let allow_detached = if guarded.allow_detached { ALLOW_DETACHED } else { 0 };
        row.flags.store(leader_first | allow_detached, Ordering::Relaxed);
        row.cgroup.store(0, Ordering::Relaxed);
        let mut tag = [0; TAG_BYTES];
        let length = guarded.segment.len().min(TAG_BYTES);
        tag[..length].copy_from_slice(&guarded.segment[..length]);
        // SAFETY: only the holder writes the row, and the guardian reads it only when the state is `IN_USE`.
        unsafe { NonNull::from(&row.tag).cast::<[u8; TAG_BYTES]>().write(tag) };
        row.state.store(IN_USE, Ordering::Release);
        self.header().rows.fetch_max(u32::try_from(index + 1).unwrap_or(u32::MAX), Ordering::Release);
    }

    /// Enters the leader, which has started by now, and its control group.
    pub(crate) fn set_leader(&self, row: usize, leader: &Leader) {
        let row = self.row(row);
        let tree = leader.tree();
        if tree.group.is_some() {
            // The base is not set earlier: without groups, no directory is made for them.
            self.base_is_set.call_once(|| self.set_base());
        }
        row.cgroup.store(tree.group.as_ref().map_or(0, |group| group.number().get()), Ordering::Relaxed);
        row.latest_start.store(super::procs::now() + 1, Ordering::Relaxed);
        row.leader.store(tree.leader.as_raw(), Ordering::Release);
        // SAFETY: the notes follow the rows, at a multiple of their alignment, and lie in the mapping, which stays for the life of the
        // process.
        let stopped = unsafe { self.start.add(STOPPED_OFFSET).cast().as_ref() };
        let _ = tree.stop_notes.set(StopNotes { row, stopped });
    }

    /// Enters when the host will kill the tree: after `grace`.
    pub(crate) fn set_kill_time(&self, row: usize, grace: std::time::Duration) {
        let grace = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        self.row(row).kill_at_ms.store(monotonic_ms().saturating_add(grace), Ordering::Release);
    }

    pub(crate) fn clear(&self, row: usize) {
        self.row(row).state.store(0, Ordering::Release);
    }
}

fn monotonic_ms() -> u64 {
    u64::try_from(super::uptime().as_millis()).unwrap_or(u64::MAX)
}

/// Duplicates a descriptor to a number that no descriptor of the guardian has.
fn high(fd: &OwnedFd) -> io::Result<OwnedFd> {
    duplicate_from(fd, LEAST_FD)
}

fn set_length(file: &OwnedFd) -> io::Result<()> {
    let length = u64::try_from(TABLE_BYTES).map_err(io::Error::other)?;
    Ok(without_file_size_signal(|| ftruncate(file, length))?)
}

#[cfg(target_os = "linux")]
fn memory_file(flags: MemfdFlags) -> io::Result<OwnedFd> {
    high(&memfd_create(NAME, flags | MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?)
}

/// Does nothing where the system does not know a seal.
#[cfg(target_os = "linux")]
fn seal(file: &OwnedFd, seals: SealFlags) {
    let _ = fcntl_add_seals(file, seals);
}

#[cfg(target_os = "linux")]
fn shared_file() -> io::Result<OwnedFd> {
    let Ok(file) = memory_file(MemfdFlags::empty()) else { return unlinked_file() };
    set_length(&file)?;
    seal(&file, SealFlags::SHRINK | SealFlags::GROW);
    Ok(file)
}

#[cfg(not(target_os = "linux"))]
fn shared_file() -> io::Result<OwnedFd> {
    unlinked_file()
}

/// Allows writes by the existing mapping only, from now on (Linux 5.1).
fn forbid_writing(file: &OwnedFd) {
    #[cfg(target_os = "linux")]
    {
        seal(file, SealFlags::FUTURE_WRITE);
        seal(file, SealFlags::SEAL);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}

/// Creates a file without a name: no other process can open it, and it is freed with its last descriptor.
fn unlinked_file() -> io::Result<OwnedFd> {
    use std::os::unix::fs::OpenOptionsExt;
    let path = std::env::temp_dir().join(format!("escher-guardian-{}", uuid::Uuid::new_v4()));
    let file = std::fs::OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    std::fs::remove_file(&path)?;
    let file = OwnedFd::from(file);
    set_length(&file)?;
    high(&file)
}

/// Starts the guardian: in a session of its own, at the root directory, with the lifeline as its standard input, the table as
/// descriptor 3 and the host's process as 4. Must be called within the runtime.
pub(crate) fn spawn_guardian(lifeline: &Lifeline, table: &Table) -> io::Result<Leader> {
    if PROGRAM.is_empty() {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "this build of the engine has no guardian"));
    }
    let host = pidfd::open(Pid::own()).and_then(|fd| high(&fd)).ok();
    let helper = Helper {
        name: NAME,
        input: lifeline.read.as_raw_fd(),
        table: table.file.as_raw_fd(),
        host: host.as_ref().map(AsRawFd::as_raw_fd),
    };
    from_memory(&helper).or_else(|error| match error.raw_os_error() {
        Some(libc::EAGAIN | libc::EMFILE | libc::ENFILE | libc::ENOMEM) => Err(error),
        // The system does not run programs from memory, or has no `/proc`.
        _ => from_disk(&helper),
    })
}

#[cfg(target_os = "linux")]
fn from_memory(helper: &Helper<'_>) -> io::Result<Leader> {
    // Before Linux 6.3 the flag is unknown, and every file in memory can be executed.
    let file = memory_file(MemfdFlags::EXEC).or_else(|_| memory_file(MemfdFlags::empty()))?;
    let mut file = std::fs::File::from(file);
    without_file_size_signal(|| file.write_all(PROGRAM))?;
    let file = OwnedFd::from(file);
    seal(&file, SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL);
    spawn_helper(helper, c"/proc/self/fd/5", Some(file.as_raw_fd()))
}

#[cfg(not(target_os = "linux"))]
fn from_memory(_: &Helper<'_>) -> io::Result<Leader> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

/// Starts the guardian from a file that only this user can read, and removes the file.
fn from_disk(helper: &Helper<'_>) -> io::Result<Leader> {
    use std::os::unix::fs::OpenOptionsExt;
    let path = std::env::temp_dir().join(format!("escher-guardian-{}", uuid::Uuid::new_v4()));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o700).open(&path)?;
    let started = without_file_size_signal(|| file.write_all(PROGRAM)).and_then(|()| {
        drop(file);
        let program = CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other)?;
        spawn_helper(helper, &program, None)
    });
    std::fs::remove_file(&path)?;
    started
}
