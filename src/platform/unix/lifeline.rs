//! The guardian's process and what it shares with us: a pipe that ends when the host does, and a table of what to kill.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use super::leader::Leader;
use super::pipe::{above_stderr, pipe};
use super::spawn;

/// One execution in the table: a process id of 8 characters, a blank, an id of 36, blanks and a line end.
const ROW_BYTES: usize = 48;
/// The table's address space; its file grows as rows are used.
const MOST_ROWS: usize = 64 * 1024;
const ROWS_AT_A_TIME: usize = 64;

/// The pipe's ends. The write end is never written: its closing, by whatever death, is the message.
#[derive(Debug)]
pub(crate) struct Lifeline {
    read: OwnedFd,
    _write: OwnedFd,
}

impl Lifeline {
    pub(crate) fn new() -> io::Result<Self> {
        let (read, write) = pipe()?;
        Ok(Self { read, _write: write })
    }
}

/// A table in memory that the guardian sees as a file: a row costs the host a few stores, and survives its death.
#[derive(Debug)]
pub(crate) struct Table {
    file: OwnedFd,
    start: NonNull<u8>,
    rows: AtomicU64,
}

// SAFETY: the memory is shared with another process anyway; ours is only touched through the methods below, each row by
// the one who holds it.
unsafe impl Send for Table {}
// SAFETY: as above.
unsafe impl Sync for Table {}

impl Table {
    pub(crate) fn new() -> io::Result<Self> {
        let file = above_stderr(unnamed_file()?)?;
        // SAFETY: a fresh mapping of a file that we own and that nobody truncates; pages beyond its end are not touched
        // before `grow` has made them.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                MOST_ROWS * ROW_BYTES,
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
        Ok(Self { file, start, rows: AtomicU64::new(0) })
    }

    /// Makes room for a row; called under the lock of whoever hands rows out.
    pub(crate) fn grow(&self, row: usize) -> io::Result<()> {
        if row >= MOST_ROWS {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        let rows = self.rows.load(Ordering::Acquire);
        if (row as u64) < rows {
            return Ok(());
        }
        let wanted = rows + ROWS_AT_A_TIME as u64;
        let bytes = libc::off_t::try_from(wanted * ROW_BYTES as u64).map_err(io::Error::other)?;
        // SAFETY: lengthens a file that we own.
        if unsafe { libc::ftruncate(self.file.as_raw_fd(), bytes) } != 0 {
            return Err(io::Error::last_os_error());
        }
        for row in rows..wanted {
            self.write(usize::try_from(row).map_err(io::Error::other)?, &[b' '; ROW_BYTES - 1]);
        }
        self.rows.store(wanted, Ordering::Release);
        Ok(())
    }

    /// Fills a row that the caller holds; what is missing is blank.
    pub(crate) fn write(&self, row: usize, text: &[u8]) {
        let mut bytes = [b' '; ROW_BYTES];
        bytes[..text.len()].copy_from_slice(text);
        bytes[ROW_BYTES - 1] = b'\n';
        debug_assert!(text.len() < ROW_BYTES && row < MOST_ROWS, "rows have a fixed size");
        // SAFETY: the row lies in the mapping and its pages exist since `grow`; only its holder writes it.
        unsafe { self.start.add(row * ROW_BYTES).copy_from_nonoverlapping(NonNull::from(&bytes).cast(), ROW_BYTES) };
    }

    /// Sets the first 8 characters of a row in one store: a host that dies in the middle leaves the old or the new ones.
    pub(crate) fn write_head(&self, row: usize, head: [u8; 8]) {
        debug_assert!(row < MOST_ROWS, "rows have a fixed size");
        // SAFETY: the row lies in the mapping, its pages exist since `grow`, and rows are multiples of 16 bytes long in a
        // page-aligned mapping, so the head is aligned for an atomic.
        let cell = unsafe { self.start.add(row * ROW_BYTES).cast::<AtomicU64>().as_ref() };
        cell.store(u64::from_ne_bytes(head), Ordering::Release);
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        // SAFETY: unmaps what `new` mapped; nobody uses it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), MOST_ROWS * ROW_BYTES) };
    }
}

#[cfg(target_os = "linux")]
fn unnamed_file() -> io::Result<OwnedFd> {
    // By number: the wrapper is younger than the oldest libc we run on.
    // SAFETY: the name is a C string; the result is checked.
    let fd = unsafe { libc::syscall(libc::SYS_memfd_create, c"escher-guardian".as_ptr(), libc::MFD_CLOEXEC) };
    match i32::try_from(fd) {
        // SAFETY: fresh and nobody else's.
        Ok(fd) if fd >= 0 => Ok(unsafe { std::os::fd::FromRawFd::from_raw_fd(fd) }),
        _ => unlinked_file(),
    }
}

#[cfg(not(target_os = "linux"))]
fn unnamed_file() -> io::Result<OwnedFd> {
    unlinked_file()
}

/// A file without a name: nobody else can open it, and it goes with its last user.
fn unlinked_file() -> io::Result<OwnedFd> {
    use std::os::unix::fs::OpenOptionsExt;
    let path = std::env::temp_dir().join(format!("escher-guardian-{}", uuid::Uuid::new_v4()));
    let file = std::fs::OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file.into())
}

/// The smallest shell at hand: a guardian should cost little.
fn guardian_shell() -> PathBuf {
    let small = Path::new("/bin/dash");
    if small.exists() { small.to_owned() } else { PathBuf::from("/bin/sh") }
}

/// Starts the guardian: a shell that runs `script`, in a session of its own, at the root directory, with the lifeline as
/// its standard input and the table as descriptor 3. Must be called within the runtime.
pub(crate) fn spawn_guardian(script: &str, lifeline: &Lifeline, table: &Table) -> io::Result<Leader> {
    // A descriptor of its own: the guardian reads the file from its start, whoever read it before.
    let table = reopened(&table.file)?;
    spawn::spawn_helper(&guardian_shell(), script, lifeline.read.as_raw_fd(), table.as_raw_fd())
}

#[cfg(target_os = "linux")]
fn reopened(file: &OwnedFd) -> io::Result<OwnedFd> {
    let again = std::fs::File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    above_stderr(again.into())
}

#[cfg(not(target_os = "linux"))]
fn reopened(file: &OwnedFd) -> io::Result<OwnedFd> {
    file.try_clone()
}
