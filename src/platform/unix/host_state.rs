//! The working directory, umask, niceness, affinity and ignored signals of the host.
//!
//! All of them are read for each command, since other threads, addons and `renice` may change them unnoticed; that takes three system
//! calls. A capture without a change shares the one before.

use std::cell::OnceCell;
use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};

use libc::{c_int, mode_t};

use crate::platform::unix::uptime;

/// The signals that the host ignores may change later than this: for a start that follows so soon after the capture, they have not.
const FRESH_MS: u64 = 100;
/// The size of the buffer: larger than the status file of any process.
const STATUS_BYTES: usize = 8 * 1024;

static CACHE: Mutex<Cache> = Mutex::new(Cache { status: None, last: None });

/// The state of the host at one moment.
#[derive(Debug)]
pub(crate) struct HostState {
    directory: Arc<HostDirectory>,
    umask: Option<mode_t>,
    niceness: Option<c_int>,
    affinity: Affinity,
    /// The signals that are ignored, by bit.
    ignored: Option<u64>,
    /// The time when the latest capture has found this state, in ms of the uptime.
    captured: AtomicU64,
}

#[derive(Debug)]
struct HostDirectory {
    id: Option<DirectoryId>,
    /// Keeps it reachable when it is renamed; `None` when it could not be opened.
    handle: Option<OwnedFd>,
    /// The path of the directory when it was opened; `None` when it had no path.
    path: Option<PathBuf>,
    /// Another path that was checked, such as one with links, and whether it names the directory.
    looked_at: Mutex<Option<(PathBuf, bool)>>,
}

/// The processors, as the system prints them and as the system call takes them. Empty when they are not known.
#[derive(Debug)]
struct Affinity {
    text: Vec<u8>,
    words: Vec<usize>,
}

/// The identity of a directory. No other directory has it while a descriptor of the directory is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct DirectoryId {
    device: u64,
    inode: u64,
}

struct Cache {
    /// The file with the status of this process.
    status: Option<File>,
    last: Option<Arc<HostState>>,
}

impl HostState {
    /// Captures the state of the process, and the niceness of the calling thread.
    pub(crate) fn capture() -> Arc<Self> {
        let id = DirectoryId::of_working_directory();
        let niceness = niceness();
        // A panic under the lock leaves a valid cache.
        let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut buffer = [0; STATUS_BYTES];
        let status = cache.read_status(&mut buffer);
        let umask = status.and_then(|text| field(text, b"\nUmask:")).and_then(parse_octal);
        let affinity = status.and_then(|text| field(text, b"\nCpus_allowed:")).unwrap_or_default();
        let ignored = status.and_then(|text| field(text, b"\nSigIgn:")).and_then(parse_hexadecimal);
        let now = uptime_ms();
        // The number may belong to another directory by now if no descriptor is open.
        let in_same_place = |last: &&Arc<Self>| last.directory.id == id && last.directory.handle.is_some();
        let known = cache.last.as_ref().filter(in_same_place);
        if let Some(last) = known
            && last.umask == umask
            && last.niceness == niceness
            && last.affinity.text == affinity
            && last.ignored == ignored
        {
            last.captured.store(now, Relaxed);
            return Arc::clone(last);
        }
        let directory = known.map_or_else(|| Arc::new(HostDirectory::open(id)), |last| Arc::clone(&last.directory));
        let affinity = Affinity { text: affinity.to_vec(), words: parse_mask(affinity).unwrap_or_default() };
        Arc::clone(cache.last.insert(Arc::new(Self {
            directory,
            umask,
            niceness,
            affinity,
            ignored,
            captured: now.into(),
        })))
    }

    /// Returns the path of the working directory, also after the directory was renamed.
    ///
    /// # Errors
    /// `NotFound` when the directory has been deleted.
    pub(crate) fn directory(&self) -> io::Result<PathBuf> {
        let HostDirectory { handle, path, .. } = &*self.directory;
        if let Some(path) = path.as_deref().filter(|path| handle.is_none() || self.is_directory(path)) {
            return Ok(path.to_owned());
        }
        let link = handle.as_ref().map(|handle| format!("/proc/self/fd/{}", handle.as_raw_fd()));
        let renamed = link.and_then(|link| std::fs::read_link(link).ok()).filter(|path| self.is_directory(path));
        renamed.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Returns the directory that a child has to change to by path; `None` if it uses the descriptor.
    pub(super) fn change_to(&self) -> Option<&Path> {
        let HostDirectory { handle, path, .. } = &*self.directory;
        if handle.is_some() { None } else { path.as_deref() }
    }

    /// Returns the path of the working directory when a command was first started in it: a shell does not notice a rename of its
    /// directory either. `None` when it had been deleted.
    pub(crate) fn name(&self) -> Option<&Path> {
        self.directory.path.as_deref()
    }

    /// Whether a path is a name of the working directory. The result for the last path other than [`HostState::name`] is cached.
    pub(crate) fn is_known_as(&self, path: &Path) -> bool {
        if self.name() == Some(path) {
            return true;
        }
        let mut looked_at = self.directory.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((last, is_name)) = &*looked_at
            && last == path
        {
            return *is_name;
        }
        let is_name = path.is_absolute() && self.is_directory(path);
        *looked_at = Some((path.to_owned(), is_name));
        is_name
    }

    fn is_directory(&self, path: &Path) -> bool {
        let found = std::fs::metadata(path).map(|found| DirectoryId { device: found.dev(), inode: found.ino() });
        found.is_ok_and(|found| Some(found) == self.directory.id)
    }

    /// Returns the steps by which a child takes over this state. `enter`: the child starts in the working directory of the host.
    pub(super) fn apply(&self, enter: bool) -> ApplyState<'_> {
        ApplyState {
            id: self.directory.id,
            directory: self.directory.handle.as_ref().filter(|_| enter).map(AsRawFd::as_raw_fd),
            umask: self.umask,
            niceness: self.niceness,
            affinity: Some(&*self.affinity.words).filter(|words| !words.is_empty() && !is_of_this_thread(words)),
            ignored: self.ignored.filter(|_| uptime_ms().saturating_sub(self.captured.load(Relaxed)) < FRESH_MS),
        }
    }
}

/// The state of the host as arguments of the child's system calls. Plain data, since the child shares the memory of the host.
#[derive(Clone, Copy)]
pub(super) struct ApplyState<'a> {
    id: Option<DirectoryId>,
    directory: Option<RawFd>,
    umask: Option<mode_t>,
    niceness: Option<c_int>,
    /// `None` if the thread that starts the child has the same affinity.
    affinity: Option<&'a [usize]>,
    ignored: Option<u64>,
}

impl ApplyState<'_> {
    /// Returns the signals that the host ignores, by bit; `None` if they are not known, or may have changed.
    pub(super) fn ignored(&self) -> Option<u64> {
        self.ignored
    }

    /// Applies the state, in the child, before that closes descriptors. Returns the error of a directory that it may not enter, or 0.
    /// Refused niceness and affinity are ignored: the host could not set them either.
    pub(super) fn apply(&self) -> c_int {
        if let Some(mask) = self.umask {
            // SAFETY: no memory is involved; the child does not share its umask with the host.
            unsafe { libc::umask(mask) };
        }
        if let Some(niceness) = self.niceness {
            // SAFETY: no memory is involved.
            unsafe { libc::syscall(libc::SYS_setpriority, libc::PRIO_PROCESS, 0, niceness) };
        }
        if let Some(words) = self.affinity {
            // SAFETY: the mask has the given length, and is valid until the child's exec.
            unsafe { libc::syscall(libc::SYS_sched_setaffinity, 0, size_of_val(words), words.as_ptr()) };
        }
        let Some(directory) = self.directory else { return 0 };
        // SAFETY: no memory is involved.
        if unsafe { libc::fchdir(directory) } == 0 {
            return 0;
        }
        // SAFETY: the `errno` of the calling thread.
        let refused = unsafe { *libc::__errno_location() };
        // A process may stay in a directory that it may not enter any more.
        if self.is_here() { 0 } else { refused }
    }

    /// Whether that is the current directory of the calling process.
    pub(super) fn is_here(&self) -> bool {
        self.id.is_some() && DirectoryId::of_working_directory() == self.id
    }
}

impl DirectoryId {
    /// Returns the identity of the current directory. Needs no right to search it, and does not wait for a file server. `None` before
    /// Linux 4.11 and in sandboxes that refuse the call: there the path is used. A plain system call, since the child uses it too.
    fn of_working_directory() -> Option<Self> {
        const HERE: &CStr = c"";
        const FLAGS: c_int = libc::AT_EMPTY_PATH | libc::AT_STATX_DONT_SYNC;
        let mut found = MaybeUninit::<Status>::uninit();
        // SAFETY: a C string and a buffer of the size that the call fills, both valid during the call. Old C libraries have no function
        // for it.
        let done = unsafe {
            libc::syscall(libc::SYS_statx, libc::AT_FDCWD, HERE.as_ptr(), FLAGS, STATX_INO, found.as_mut_ptr())
        };
        if done != 0 {
            return None;
        }
        // SAFETY: the call has succeeded, so that the structure is filled; every bit pattern of it is valid.
        let found = unsafe { found.assume_init() };
        Some(Self { device: libc::makedev(found.device[0], found.device[1]), inode: found.inode })
    }
}

/// Requests the inode number. The device is always returned.
const STATX_INO: c_int = 0x100;

/// The kernel's `struct statx`.
#[repr(C)]
struct Status {
    before: [u64; 4],
    inode: u64,
    between: [u64; 12],
    /// Major and minor.
    device: [u32; 2],
    after: [u64; 14],
}

impl Cache {
    fn read_status<'a>(&mut self, buffer: &'a mut [u8; STATUS_BYTES]) -> Option<&'a [u8]> {
        if self.status.is_none() {
            self.status = File::open("/proc/self/status").ok();
        }
        let length = self.status.as_ref()?.read_at(buffer, 0).ok()?;
        Some(&buffer[..length])
    }
}

impl HostDirectory {
    fn open(id: Option<DirectoryId>) -> Self {
        Self { id, handle: open_here(id), path: std::env::current_dir().ok(), looked_at: Mutex::new(None) }
    }
}

/// Opens the working directory, if it still is the given one.
fn open_here(id: Option<DirectoryId>) -> Option<OwnedFd> {
    let id = id?;
    // The second path needs no right to search the directory.
    [".", "/proc/self/cwd"].into_iter().find_map(|name| {
        let found = File::options().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(name).ok()?;
        let is_same = found.metadata().is_ok_and(|it| DirectoryId { device: it.dev(), inode: it.ino() } == id);
        is_same.then(|| found.into())
    })
}

fn niceness() -> Option<c_int> {
    rustix::process::getpriority_process(None).ok()
}

/// Whether this thread has that affinity. It is read when the thread starts its first child; threads of the engine do not change it.
fn is_of_this_thread(words: &[usize]) -> bool {
    thread_local! {
        static OWN: OnceCell<Vec<usize>> = const { OnceCell::new() };
    }
    OWN.with(|own| {
        let read = || {
            let status = std::fs::read("/proc/thread-self/status").ok()?;
            parse_mask(field(&status, b"\nCpus_allowed:")?)
        };
        own.get_or_init(|| read().unwrap_or_default()) == words
    })
}

/// Returns the text after a name, up to the end of the line.
fn field<'a>(status: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let start = memchr::memmem::find(status, name)? + name.len();
    let rest = &status[start..];
    Some(rest[..memchr::memchr(b'\n', rest)?].trim_ascii())
}

fn parse_hexadecimal(text: &[u8]) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok()
}

fn uptime_ms() -> u64 {
    u64::try_from(uptime().as_millis()).unwrap_or(u64::MAX)
}

fn parse_octal(text: &[u8]) -> Option<mode_t> {
    mode_t::from_str_radix(std::str::from_utf8(text).ok()?, 8).ok()
}

/// Converts processors from the system's text, groups of 32 with the highest first, to the words of the system call.
fn parse_mask(text: &[u8]) -> Option<Vec<usize>> {
    const PER_WORD: usize = size_of::<usize>() / size_of::<u32>();
    let groups = std::str::from_utf8(text).ok()?.rsplit(',').map(|group| u32::from_str_radix(group, 16).ok());
    let groups = groups.collect::<Option<Vec<u32>>>()?;
    let word = |parts: &[u32]| {
        parts.iter().rev().fold(0_usize, |word, part| {
            // If a word is one group wide, the shift by a whole word leaves the group alone.
            word.checked_shl(u32::BITS).unwrap_or(0) | usize::try_from(*part).unwrap_or_default()
        })
    };
    Some(groups.chunks(PER_WORD).map(word).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_without_a_change_shares_the_one_before() {
        let first = HostState::capture();
        assert!(first.umask.is_some() && first.niceness.is_some() && first.directory.handle.is_some());
        assert_eq!(first.directory().unwrap(), std::env::current_dir().unwrap());
        assert!(first.is_directory(Path::new(".")) && !first.is_directory(Path::new("/proc")));
    }

    #[test]
    fn processors_are_read_as_they_are_printed() {
        assert_eq!(parse_mask(b"3"), Some(vec![3]));
        let wide = parse_mask(b"80000000,00000001").unwrap();
        let bytes: Vec<u8> = wide.iter().flat_map(|word| word.to_ne_bytes()).collect();
        assert_eq!(wide.iter().map(|word| word.count_ones()).sum::<u32>(), 2);
        if cfg!(target_endian = "little") {
            assert_eq!(bytes, [1, 0, 0, 0, 0, 0, 0, 0x80]);
        }
        assert_eq!(parse_mask(b"x"), None);
        assert_eq!(parse_mask(b""), None);
    }

    #[test]
    fn the_status_of_a_process_has_lines() {
        let text = b"Name:\ta\nUmask:\t0027\nCpus_allowed:\tff\nCpus_allowed_list:\t0-7\n";
        assert_eq!(field(text, b"\nUmask:").and_then(parse_octal), Some(0o27));
        assert_eq!(field(text, b"\nCpus_allowed:"), Some(&b"ff"[..]));
        assert_eq!(field(b"", b"\nUmask:"), None);
    }
}
