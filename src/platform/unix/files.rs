//! Files that hold output. They belong to this user, and no other user can read them.

use std::ffi::CString;
use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{Access, AtFlags, CWD, FlockOperation, accessat, flock, statvfs};
use rustix::process::geteuid;

use super::birth;
use crate::platform::{DescriptorOwner, FileId, FileKind};

/// Opens a file for reading, unless it is something else: opening a FIFO or a device can block, and reading it consumes what
/// another reader may wait for. Blocks only as long as the file system does.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    // Checked before the open, which can change the state of a device, or unblock the writer of a FIFO.
    check_regular(&std::fs::metadata(path)?)?;
    let flags = libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    // The path may have been replaced between the check and the open.
    check_regular(&file.metadata()?)?;
    Ok(file)
}

/// Opens a file for reading, unless it is something else, a symbolic link included. Blocks only as long as the file system does.
pub(crate) fn open_no_follow(path: &Path) -> io::Result<File> {
    let found = std::fs::symlink_metadata(path)?;
    if found.is_symlink() {
        return Err(io::Error::other("it is a symbolic link"));
    }
    check_regular(&found)?;
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    check_regular(&file.metadata()?)?;
    Ok(file)
}

/// Returns which file is open.
pub(crate) fn file_id(file: &File) -> io::Result<FileId> {
    let made = || birth::of(file.as_raw_fd(), c"");
    Ok(id_of(&file.metadata()?, made))
}

/// Returns which file has a name; of a symbolic link, the link.
pub(crate) fn file_id_at(path: &Path) -> io::Result<FileId> {
    let made = || birth::of(libc::AT_FDCWD, &CString::new(path.as_os_str().as_bytes()).ok()?);
    Ok(id_of(&std::fs::symlink_metadata(path)?, made))
}

/// Returns the id of a file. Many file systems use the number of a removed file for the next one: only the time when it
/// was made distinguishes the two.
fn id_of(found: &Metadata, made: impl FnOnce() -> Option<SystemTime>) -> FileId {
    FileId { device: found.dev(), number: found.ino(), created: found.created().ok().or_else(made) }
}

fn check_regular(found: &Metadata) -> io::Result<()> {
    match file_kind(found) {
        FileKind::Regular => Ok(()),
        FileKind::Directory => Err(io::ErrorKind::IsADirectory.into()),
        FileKind::Special(what) => Err(io::Error::other(format!("it is {what}, not a regular file"))),
    }
}

pub(crate) fn file_kind(found: &Metadata) -> FileKind {
    let kind = found.file_type();
    if kind.is_file() {
        FileKind::Regular
    } else if kind.is_dir() {
        FileKind::Directory
    } else if kind.is_fifo() {
        FileKind::Special("a FIFO")
    } else if kind.is_socket() {
        FileKind::Special("a socket")
    } else {
        FileKind::Special("a device")
    }
}

/// Whether any user may execute a file.
pub(crate) fn is_executable(found: &Metadata) -> bool {
    found.mode() & 0o111 != 0
}

/// Whether this user may enter a directory, and reach what is in it. `true` where the system does not say.
pub(crate) fn may_enter(dir: &Path) -> bool {
    let found = accessat(CWD, dir, Access::EXEC_OK, AtFlags::EACCESS);
    found != Err(rustix::io::Errno::ACCESS)
}

/// The most symbolic links in a path, as in the kernel.
const MOST_LINKS: usize = 40;

/// Returns whose descriptor a path refers to, by its name or through symbolic links; `None` for other paths. The host must not open its
/// own descriptors for a request. Links of descriptors are not followed: they lead to the open files.
pub(crate) fn names_descriptor(path: &Path) -> Option<DescriptorOwner> {
    let mut walked = PathBuf::new();
    let mut rest: Vec<PathBuf> = parts(path);
    let mut links = 0;
    while let Some(part) = rest.pop() {
        if part.as_os_str() == ".." {
            walked.pop();
            continue;
        }
        walked.push(&part);
        let found = descriptor(&walked);
        if found.is_some() {
            return found;
        }
        let Ok(target) = std::fs::read_link(&walked) else { continue };
        links += 1;
        if links > MOST_LINKS {
            return None;
        }
        // Following `/proc/self` and `/dev/fd` would give the numbers of this process instead of the child's.
        if let ["/", "proc", "self" | "thread-self"] = names(&walked).as_slice() {
            continue;
        }
        walked.pop();
        rest.extend(parts(&target));
    }
    None
}

/// Returns the components in reverse order.
fn parts(path: &Path) -> Vec<PathBuf> {
    path.components()
        .rev()
        .filter(|part| *part != Component::CurDir)
        .map(|part| PathBuf::from(part.as_os_str()))
        .collect()
}

fn names(path: &Path) -> Vec<&str> {
    path.iter().map(|name| name.to_str().unwrap_or_default()).collect()
}

fn descriptor(path: &Path) -> Option<DescriptorOwner> {
    let process = |name: &str| match name {
        "self" | "thread-self" => Some(DescriptorOwner::Opener),
        number => number.parse::<u32>().ok().map(|pid| {
            // A thread of this process has its own id.
            let is_host = pid == std::process::id() || Path::new("/proc/self/task").join(number).exists();
            if is_host { DescriptorOwner::Host } else { DescriptorOwner::Another }
        }),
    };
    match names(path).as_slice() {
        ["/", "dev", "stdin" | "stdout" | "stderr"] | ["/", "dev", "fd", _] => Some(DescriptorOwner::Opener),
        ["/", "proc", name, "fd", _] | ["/", "proc", name, "task", _, "fd", _] => process(name),
        _ => None,
    }
}

/// Creates a file that only this user can read, whatever the umask. An existing file is an error.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .append(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(path)?;
    // A umask can remove the owner's rights.
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

/// Opens a file to append to, or creates it. An existing one must be a regular file of this user without other names: a path must not
/// lead through a link to another file, or to a pipe or a device.
pub(crate) fn append_private(path: &Path) -> io::Result<File> {
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return create_private(path),
        Err(error) => return Err(error),
    };
    check_plain(&found)?;
    let file = OpenOptions::new()
        .append(true)
        // The path may have been replaced with a FIFO without a reader since the check.
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    check_plain(&file.metadata()?)?;
    Ok(file)
}

fn check_plain(found: &Metadata) -> io::Result<()> {
    let kind = found.file_type();
    let problem = if kind.is_symlink() {
        "it is a symbolic link"
    } else if !kind.is_file() {
        "it is not a plain file"
    } else if found.nlink() != 1 {
        "it has another name too (a hard link)"
    } else if found.uid() != effective_user() {
        "it belongs to another user"
    } else {
        return Ok(());
    };
    Err(io::Error::other(problem))
}

/// Whether a file has been deleted while it was open.
pub(crate) fn is_deleted(file: &File) -> bool {
    file.metadata().is_ok_and(|found| found.nlink() == 0)
}

/// Creates a directory for this user only, and its parents. An existing one is not changed.
pub(crate) fn create_private_dir(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| match error.kind() {
        // "File exists" would suggest that the directory exists.
        io::ErrorKind::AlreadyExists => io::Error::from(rustix::io::Errno::NOTDIR),
        _ => error,
    })?;
    std::fs::set_permissions(path, Permissions::from_mode(0o700))
}

/// Refuses a directory that another user owns, or may write to.
pub(crate) fn check_private_dir(path: &Path) -> io::Result<()> {
    let found = std::fs::symlink_metadata(path)?;
    let problem = if !found.is_dir() {
        "it is not a directory"
    } else if found.uid() != effective_user() {
        "it belongs to another user"
    } else if found.mode() & 0o022 != 0 {
        "other users may write to it"
    } else {
        return Ok(());
    };
    Err(io::Error::other(problem))
}

/// Returns a path in the temp folder that contains the user's id, so that users do not share it.
pub(crate) fn private_temp_dir(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("{name}-{}", effective_user()))
}

/// Locks a file until it is closed. Fails at once when another process has the lock.
pub(crate) fn try_lock(file: &File) -> io::Result<()> {
    Ok(flock(file, FlockOperation::NonBlockingLockExclusive)?)
}

/// Returns the bytes that this user may still write on the file system of `path`.
pub(crate) fn free_bytes(path: &Path) -> io::Result<u64> {
    let found = statvfs(path)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

fn effective_user() -> u32 {
    geteuid().as_raw()
}
