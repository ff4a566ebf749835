//! Control groups below the host's own, through the cgroup file system.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::platform::unix::pid::Pid;
use crate::platform::unix::signal;

/// The most empty groups that are kept for the next executions, without their descriptors.
const MOST_IDLE: usize = 32;
/// The bounds for the number of unused groups that keep their descriptors, whose opening takes a fiftieth of the time
/// of a short command: as many are kept as are in use just then.
const OPEN: RangeInclusive<usize> = 1..=8;
/// The most groups with processes of earlier executions that the end of an execution tries to remove.
const REMOVED_AT_ONCE: usize = 2;

static POOL: Mutex<DirectoryPool> =
    Mutex::new(DirectoryPool { in_use: 0, open: Vec::new(), idle: Vec::new(), occupied: Vec::new() });
static IS_REFUSED: AtomicBool = AtomicBool::new(false);
/// The directory of this process's groups, made for the first of them; `None` where it may not create any.
static BASE: OnceLock<Option<PathBuf>> = OnceLock::new();

/// Locked only while a few words are moved.
struct DirectoryPool {
    in_use: usize,
    /// Empty groups, with their descriptors, and without.
    open: Vec<Arc<GroupDirectory>>,
    idle: Vec<NonZeroU32>,
    /// Groups whose execution is over, but which may still have background processes.
    occupied: Vec<NonZeroU32>,
}

/// The control group of one execution. After it is dropped, another execution may get it as soon as it is empty.
#[derive(Debug)]
pub(in super::super) struct ControlGroup {
    directory: Arc<GroupDirectory>,
    /// The group is not reused: it was killed, and kernels since 6.14 kill every process that is then started in it from outside; or
    /// the kernel has refused to start a process in it; or its number identifies what its execution has left.
    is_spent: AtomicBool,
}

/// The directory of a group.
#[derive(Debug)]
struct GroupDirectory {
    number: NonZeroU32,
    path: PathBuf,
    fd: OwnedFd,
    /// `cgroup.events`, once it was read.
    events: OnceLock<File>,
}

impl GroupDirectory {
    fn open(base: &Path, number: NonZeroU32) -> io::Result<Arc<Self>> {
        let path = base.join(number.to_string());
        let opened = OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(&path)?;
        Ok(Arc::new(Self { number, path, fd: opened.into(), events: OnceLock::new() }))
    }

    /// Whether neither the group nor one below it has a living process.
    fn is_empty(&self) -> bool {
        // A group that was removed is empty.
        let opened = match self.events.get() {
            Some(events) => events,
            None => match File::open(self.path.join("cgroup.events")) {
                Ok(events) => self.events.get_or_init(|| events),
                Err(_) => return true,
            },
        };
        let mut text = [0; 128];
        // One read returns the whole file.
        let Ok(count) = opened.read_at(&mut text, 0) else { return true };
        text[..count].split(|byte| *byte == b'\n').any(|line| line == b"populated 0")
    }
}

/// Returns a group for an execution; `None` where the host may not create any.
pub(in super::super) fn take() -> Option<ControlGroup> {
    if IS_REFUSED.load(Ordering::Relaxed) {
        return None;
    }
    let base = base()?;
    let (open, idle) = {
        let mut pool = pool();
        let open = pool.open.pop();
        let idle = if open.is_none() { pool.idle.pop() } else { None };
        (open, idle)
    };
    let directory = if let Some(directory) = open {
        directory
    } else {
        let number = idle.or_else(|| make(base).ok())?;
        let Ok(directory) = GroupDirectory::open(base, number) else {
            pool().occupied.push(number);
            return None;
        };
        directory
    };
    pool().in_use += 1;
    Some(ControlGroup { directory, is_spent: AtomicBool::new(false) })
}

impl ControlGroup {
    /// Returns the name of its directory below [`base`].
    pub(in super::super) fn number(&self) -> NonZeroU32 {
        self.directory.number
    }

    /// Returns its number, which stays its own: the group is not reused.
    pub(in super::super) fn keep_number(&self) -> NonZeroU32 {
        self.is_spent.store(true, Ordering::Relaxed);
        self.number()
    }

    /// Returns its directory, for the start of a process in it.
    pub(in super::super) fn fd(&self) -> RawFd {
        self.directory.fd.as_raw_fd()
    }

    /// Notes that the system has refused to start a process in it, but started the same one outside.
    pub(in super::super) fn refused(self, error: &io::Error) {
        // A group that other code has removed is no evidence about the next one.
        if !matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ENOENT)) {
            IS_REFUSED.store(true, Ordering::Relaxed);
        }
        self.is_spent.store(true, Ordering::Relaxed);
    }

    /// Whether neither it nor a group below it has a living process.
    pub(in super::super) fn is_empty(&self) -> bool {
        self.directory.is_empty()
    }

    /// Returns the living members, including those of groups below it.
    pub(in super::super) fn members(&self) -> Vec<Pid> {
        let mut found = Vec::new();
        collect(&self.directory.path, &mut found);
        found
    }

    /// Kills every member in one step, however fast they start others. Returns `false` if the kernel cannot do that (before 5.14).
    pub(in super::super) fn kill(&self) -> bool {
        self.is_spent.store(true, Ordering::Relaxed);
        fs::write(self.directory.path.join("cgroup.kill"), "1").is_ok()
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        let Some(base) = base() else { return };
        let (is_empty, number) = (self.directory.is_empty(), self.directory.number);
        let (mut leaving, mut closing) = (Vec::new(), Vec::new());
        {
            let mut pool = pool();
            pool.in_use -= 1;
            let most_open = pool.in_use.clamp(*OPEN.start(), *OPEN.end());
            let count = pool.occupied.len().min(REMOVED_AT_ONCE);
            leaving.extend(pool.occupied.drain(..count));
            if !is_empty {
                pool.occupied.push(number);
            } else if *self.is_spent.get_mut() || pool.idle.len() >= MOST_IDLE {
                leaving.push(number);
            } else if pool.open.len() < most_open {
                pool.open.push(Arc::clone(&self.directory));
            } else {
                pool.idle.push(number);
            }
            while pool.open.len() > most_open {
                let Some(directory) = pool.open.pop() else { break };
                pool.idle.push(directory.number);
                closing.push(directory);
            }
        }
        drop(closing);
        for number in leaving {
            let path = base.join(number.to_string());
            if path.exists() && !remove(&path) {
                pool().occupied.push(number);
            }
        }
    }
}

/// Creates a group and returns its number.
fn make(base: &Path) -> io::Result<NonZeroU32> {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed).checked_add(1).and_then(NonZeroU32::new);
    let number = number.ok_or(io::ErrorKind::StorageFull)?;
    fs::create_dir(base.join(number.to_string()))?;
    Ok(number)
}

fn pool() -> MutexGuard<'static, DirectoryPool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

fn collect(group: &Path, found: &mut Vec<Pid>) {
    // The file is read without a query for the size, which is always 0 here: many of these files are read in a row.
    let mut procs = Vec::with_capacity(512);
    let file = File::open(group.join("cgroup.procs"));
    _ = file.and_then(|file| file.take(u64::MAX).read_to_end(&mut procs));
    let lines = procs.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
    // 0 stands for a process of another process id namespace.
    found.extend(lines.filter_map(Pid::parse));
    for below in groups_below(group) {
        collect(&below, found);
    }
}

fn groups_below(group: &Path) -> Vec<PathBuf> {
    // The directory has two links, and one more for each group below it.
    if fs::metadata(group).is_ok_and(|found| found.nlink() <= 2) {
        return Vec::new();
    }
    let entries = fs::read_dir(group).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

/// Removes a group and those below it. The kernel removes only empty groups.
fn remove(group: &Path) -> bool {
    remove_below(group);
    fs::remove_dir(group).is_ok()
}

fn remove_below(group: &Path) {
    for below in groups_below(group) {
        remove(&below);
    }
}

/// Returns the directory of this process's groups, and makes it first; `None` where it may not create any.
pub(in super::super) fn base() -> Option<&'static Path> {
    BASE.get_or_init(|| {
        let home = home()?;
        let prefix = prefix()?;
        remove_abandoned(&home, &prefix);
        let base = home.join(format!("{prefix}{}", std::process::id()));
        // An existing one belonged to an earlier process with this id: its members, if it has any, are left alone.
        if !remove(&base) && base.exists() {
            return None;
        }
        fs::create_dir(&base).ok()?;
        Some(base)
    })
    .as_deref()
}

/// Returns the prefix of the groups of all hosts in this process id namespace: hosts in several namespaces may share a control group,
/// and do not see the processes of each other.
fn prefix() -> Option<String> {
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    let number = namespace.to_str()?.strip_prefix("pid:[")?.strip_suffix(']')?;
    Some(format!("escher-{number}-"))
}

/// Returns the directory of the control group of this process, if it is verified to be that.
fn home() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let ours = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = ours.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mut fields = mounts.lines().find(|line| line.contains(" - cgroup2 "))?.split(' ').skip(3);
    let (root, mount) = (fields.next()?, fields.next()?);
    let below = Path::new(path).strip_prefix(root).ok()?;
    let home = Path::new(mount).join(below);
    // A mount of another namespace may show another group under this path.
    let pid = std::process::id().to_string();
    fs::read_to_string(home.join("cgroup.procs")).ok()?.lines().any(|line| line == pid).then_some(home)
}

/// Removes the groups of hosts that were killed together with their guardian.
fn remove_abandoned(home: &Path, prefix: &str) {
    for group in groups_below(home) {
        let name = group.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(pid) = name.strip_prefix(prefix).and_then(Pid::parse) else { continue };
        if signal::is_gone(pid) {
            remove(&group);
        }
    }
}

/// Whether a group of ours has a living process.
pub(in super::super) fn is_populated(number: NonZeroU32) -> bool {
    base().and_then(|base| GroupDirectory::open(base, number).ok()).is_some_and(|directory| !directory.is_empty())
}

/// Returns the number of the group of ours that a process is in, or was in when it ended.
pub(in super::super) fn number_of(pid: Pid) -> Option<NonZeroU32> {
    let base = BASE.get()?.as_ref()?.file_name()?.to_str()?;
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    // A group that was removed has a mark behind its path.
    let path = path.strip_suffix(" (deleted)").unwrap_or(path);
    path.split('/').skip_while(|part| *part != base).nth(1)?.parse().ok()
}

/// Moves processes that are in no group of ours into one, and kills that. `false`: that is not possible here.
pub(in super::super) fn kill_apart(pids: &[Pid]) -> bool {
    let Some(group) = take() else { return false };
    let file = group.directory.path.join("cgroup.procs");
    // Each write has one number; a process that has ended, or may not be moved, is left to the signals.
    let moved = pids.iter().filter(|pid| fs::write(&file, pid.to_string()).is_ok()).count();
    moved > 0 && group.kill()
}
