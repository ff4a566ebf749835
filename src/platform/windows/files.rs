//! Files that hold output. They inherit the access rights of their folder; a folder in a user's profile is accessible to that user
//! only.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::windows::fs::{MetadataExt, OpenOptionsExt};
use std::os::windows::io::AsRawHandle;
use std::path::{Path, PathBuf};
use std::ptr;

use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, FILE_ATTRIBUTE_REPARSE_POINT, FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT,
    FILE_STANDARD_INFO, FILE_TYPE_DISK, FileStandardInfo, GetDiskFreeSpaceExW, GetFileInformationByHandle,
    GetFileInformationByHandleEx, GetFileType, LOCKFILE_EXCLUSIVE_LOCK, LOCKFILE_FAIL_IMMEDIATELY, LockFileEx,
    SECURITY_IDENTIFICATION,
};
use windows_sys::Win32::System::IO::OVERLAPPED;

use super::command_line::wide_z;
use crate::platform::{DescriptorOwner, FileId, FileKind, windows_rules};

/// Opens a file for reading, unless it is something else: reading a pipe or a device can block.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    // A pipe's server must not impersonate this user.
    let file = OpenOptions::new().read(true).security_qos_flags(SECURITY_IDENTIFICATION).open(path)?;
    // SAFETY: the handle is open for the whole call.
    if unsafe { GetFileType(file.as_raw_handle()) } == FILE_TYPE_DISK {
        return Ok(file);
    }
    Err(io::Error::other("it is a pipe or a device, not a regular file"))
}

/// Whether any user may execute a file. Windows has no such mode, so the answer is always yes.
pub(crate) fn is_executable(_: &Metadata) -> bool {
    true
}

/// Does nothing: no signal comes with a limit here.
pub(crate) fn block_file_size_signal() {}

/// Whether this user may enter a directory: the system checks the rights of what is in it, and not those of the way to it.
pub(crate) fn may_enter(_: &Path) -> bool {
    true
}

/// Opens a file for reading, unless it is something else, a link included.
pub(crate) fn open_no_follow(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .security_qos_flags(SECURITY_IDENTIFICATION)
        .custom_flags(FILE_FLAG_OPEN_REPARSE_POINT)
        .open(path)?;
    // SAFETY: the handle is open for the whole call.
    if unsafe { GetFileType(file.as_raw_handle()) } != FILE_TYPE_DISK {
        return Err(io::Error::other("it is a pipe or a device, not a regular file"));
    }
    if file.metadata()?.file_attributes() & FILE_ATTRIBUTE_REPARSE_POINT != 0 {
        return Err(io::Error::other("it is a symbolic link, or stands for something else"));
    }
    Ok(file)
}

/// Returns which file is open.
pub(crate) fn file_id(file: &File) -> io::Result<FileId> {
    let mut info = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: the handle is open, and the struct is there, for the whole call.
    if unsafe { GetFileInformationByHandle(file.as_raw_handle(), &raw mut info) } == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(FileId {
        device: u64::from(info.dwVolumeSerialNumber),
        number: u64::from(info.nFileIndexHigh) << 32 | u64::from(info.nFileIndexLow),
        // The number is not reused: it includes a sequence number. The time of creation would add nothing, and not every file system
        // keeps it (Wine shows the time of the last write).
        created: None,
    })
}

/// Returns which file has a name; of a link, the link.
pub(crate) fn file_id_at(path: &Path) -> io::Result<FileId> {
    // Opens the file without access to its data.
    let file = OpenOptions::new()
        .access_mode(0)
        .security_qos_flags(SECURITY_IDENTIFICATION)
        .custom_flags(FILE_FLAG_OPEN_REPARSE_POINT | FILE_FLAG_BACKUP_SEMANTICS)
        .open(path)?;
    file_id(&file)
}

pub(crate) fn file_kind(found: &Metadata) -> FileKind {
    if found.is_dir() {
        FileKind::Directory
    } else if found.is_file() {
        FileKind::Regular
    } else {
        FileKind::Special("not a regular file")
    }
}

/// Whether a path means a descriptor of a process. No path does so here.
pub(crate) fn names_descriptor(_: &Path) -> Option<DescriptorOwner> {
    None
}

/// Creates a file; an existing one is an error.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    check_path(path)?;
    // A handle with append access alone cannot lock.
    OpenOptions::new().read(true).append(true).create_new(true).custom_flags(FILE_FLAG_OPEN_REPARSE_POINT).open(path)
}

/// Opens a file to append to, or creates it. An existing one must be a regular file without other names: a path must not lead
/// through a link to another file, or to a pipe or a device.
pub(crate) fn append_private(path: &Path) -> io::Result<File> {
    check_path(path)?;
    let opened = OpenOptions::new()
        .append(true)
        // A pipe's server must not impersonate this user; a folder can be opened, and recognized, only with the other flag.
        .security_qos_flags(SECURITY_IDENTIFICATION)
        .custom_flags(FILE_FLAG_OPEN_REPARSE_POINT | FILE_FLAG_BACKUP_SEMANTICS)
        .open(path);
    match opened {
        Ok(file) => check_plain(&file).map(|()| file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => create_private(path),
        Err(error) => Err(error),
    }
}

/// Refuses the names of devices, whether or not this version of Windows treats them as such, and alternate data streams.
fn check_path(path: &Path) -> io::Result<()> {
    windows_rules::file_path_problem(&path.to_string_lossy()).map_or(Ok(()), |problem| Err(io::Error::other(problem)))
}

fn check_plain(file: &File) -> io::Result<()> {
    // SAFETY: the handle is open for the whole call.
    let is_on_disk = unsafe { GetFileType(file.as_raw_handle()) } == FILE_TYPE_DISK;
    let problem = if !is_on_disk {
        "it is not a plain file"
    } else if file.metadata()?.file_attributes() & FILE_ATTRIBUTE_REPARSE_POINT != 0 {
        "it is a symbolic link, or stands for something else"
    } else {
        match standard_info(file)? {
            FILE_STANDARD_INFO { Directory: true, .. } => "it is not a plain file",
            FILE_STANDARD_INFO { NumberOfLinks: 1, .. } => return Ok(()),
            _ => "it has another name too (a hard link)",
        }
    };
    Err(io::Error::other(problem))
}

fn standard_info(file: &File) -> io::Result<FILE_STANDARD_INFO> {
    let mut info = FILE_STANDARD_INFO::default();
    // SAFETY: the struct is the one of this class, and its length is passed; the handle is open for the whole call.
    let done = unsafe {
        GetFileInformationByHandleEx(
            file.as_raw_handle(),
            FileStandardInfo,
            (&raw mut info).cast(),
            super::size::<FILE_STANDARD_INFO>(),
        )
    };
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(info) }
}

/// Whether a file has been deleted while it was open.
pub(crate) fn is_deleted(file: &File) -> bool {
    standard_info(file).is_ok_and(|info| info.DeletePending || info.NumberOfLinks == 0)
}

/// Creates a directory and its parents. An existing one is not changed.
pub(crate) fn create_private_dir(path: &Path) -> io::Result<()> {
    check_path(path)?;
    std::fs::create_dir_all(path)
}

/// Refuses a path that is not itself a directory, such as a junction to another one.
pub(crate) fn check_private_dir(path: &Path) -> io::Result<()> {
    if std::fs::symlink_metadata(path)?.is_dir() {
        return Ok(());
    }
    Err(io::Error::other("it is not a directory"))
}

/// Returns a folder name under the temp folder, which is in the user's profile. Services may share theirs, so the user
/// is in the name.
pub(crate) fn private_temp_dir(name: &str) -> PathBuf {
    let user = std::env::var("USERNAME").unwrap_or_default();
    std::env::temp_dir().join(format!("{name}-{user}"))
}

/// Locks a file until it is closed. Fails at once when another process has the lock.
pub(crate) fn try_lock(file: &File) -> io::Result<()> {
    let flags = LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY;
    let mut from_the_start = OVERLAPPED::default();
    // SAFETY: the handle is open for the whole call, and not an overlapped one: the struct is not used after it.
    let done = unsafe { LockFileEx(file.as_raw_handle(), flags, 0, u32::MAX, u32::MAX, &raw mut from_the_start) };
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Returns the bytes that this user may still write on the disk of a directory.
pub(crate) fn free_bytes(path: &Path) -> io::Result<u64> {
    let path = wide_z(path.as_os_str())?;
    let mut available = 0;
    // SAFETY: the path ends with a NUL; one out-parameter is valid for the call, the optional ones are null.
    let done = unsafe { GetDiskFreeSpaceExW(path.as_ptr(), &raw mut available, ptr::null_mut(), ptr::null_mut()) };
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(available) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::*;

    #[test]
    fn what_is_appended_to_is_a_plain_file_with_one_name() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for text in ["one", "two"] {
            append_private(&at("plain")).unwrap().write_all(text.as_bytes()).unwrap();
        }
        assert_eq!(fs::read_to_string(at("plain")).unwrap(), "onetwo");
        assert_eq!(create_private(&at("plain")).unwrap_err().kind(), io::ErrorKind::AlreadyExists);

        fs::hard_link(at("plain"), at("other name")).unwrap();
        let problem = append_private(&at("plain")).unwrap_err().to_string();
        assert!(problem.contains("hard link"), "{problem}");
        assert!(append_private(folder.path()).is_err(), "a folder");
        for device in [r"\\.\NUL", "nul", "NUL.log", "com1"] {
            let problem = append_private(&folder.path().join(device)).unwrap_err().to_string();
            assert!(problem.contains("device"), "{device}: {problem}");
            assert!(create_private_dir(&at(device).join("logs")).is_err());
        }
        let problem = append_private(&at("plain:x")).unwrap_err().to_string();
        assert!(problem.contains("stream"), "{problem}");
        assert!(create_private(&at("new:x")).is_err());
        assert_eq!(append_private(&at(r"no\such")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_lock_is_held_while_its_file_is_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let mine = create_private(&path).unwrap();
        try_lock(&mine).unwrap();
        let other = File::open(&path).unwrap();
        assert!(try_lock(&other).is_err());
        drop(mine);
        try_lock(&other).unwrap();
    }

    #[test]
    fn folders_are_made_and_have_room() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a").join("b");
        create_private_dir(&deep).unwrap();
        create_private_dir(&deep).unwrap();
        check_private_dir(&deep).unwrap();
        assert!(free_bytes(&deep).unwrap() > 0);
        drop(create_private(&deep.join("file")).unwrap());
        assert!(check_private_dir(&deep.join("file")).is_err());
        assert!(private_temp_dir("x").starts_with(std::env::temp_dir()));
    }
}
