//! Returns when a file was made, for systems where the standard library does not know it.

use std::ffi::CStr;
use std::os::fd::RawFd;
use std::time::SystemTime;

/// The kernel's `struct statx`, as far as it is read here: the time when a file was made is at byte 80.
#[cfg(target_os = "linux")]
#[repr(C)]
struct Statx {
    mask: u32,
    before: [u32; 19],
    seconds: i64,
    nanoseconds: u32,
    after: [u32; 41],
}

/// Returns when a file was made; of a symbolic link, the link. `path` is relative to `directory`; an empty one means the open file
/// `directory` itself. `None`: the file system does not record it, or the kernel does not report it (Linux before 4.11).
#[cfg(target_os = "linux")]
pub(super) fn of(directory: RawFd, path: &CStr) -> Option<SystemTime> {
    use std::time::Duration;

    const STATX_BTIME: u32 = 0x800;
    let flags = libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW;
    // SAFETY: the structure is made of numbers, for which zeroes are valid.
    let mut found: Statx = unsafe { std::mem::zeroed() };
    // SAFETY: the path is a C string, and the structure has the size of the kernel's; both are valid until the call returns.
    let status =
        unsafe { libc::syscall(libc::SYS_statx, directory, path.as_ptr(), flags, STATX_BTIME, &raw mut found) };
    if status != 0 || found.mask & STATX_BTIME == 0 {
        return None;
    }
    let since = Duration::new(found.seconds.try_into().ok()?, found.nanoseconds);
    SystemTime::UNIX_EPOCH.checked_add(since)
}

/// Returns `None`: the standard library knows the time on the other systems.
#[cfg(not(target_os = "linux"))]
pub(super) fn of(_: RawFd, _: &CStr) -> Option<SystemTime> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::ffi::CString;
    use std::os::fd::AsRawFd;
    use std::os::unix::ffi::OsStrExt;

    use super::{Statx, of};

    #[test]
    fn the_structure_is_as_large_as_that_of_the_kernel() {
        assert_eq!(size_of::<Statx>(), 256);
        assert_eq!(std::mem::offset_of!(Statx, seconds), 80);
    }

    #[test]
    fn the_time_is_that_of_the_standard_library() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let known = file.as_file().metadata().unwrap().created().ok();
        let path = CString::new(file.path().as_os_str().as_bytes()).unwrap();
        let found = of(libc::AT_FDCWD, &path);
        assert_eq!(found, of(file.as_file().as_raw_fd(), c""));
        if known.is_some() {
            assert_eq!(found, known);
        }
    }
}
