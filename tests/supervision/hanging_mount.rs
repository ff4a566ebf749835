//! A file system that never answers, as a network disk whose server is gone.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::common::scratch;

/// The words before a program that gets mounts of its own.
pub(crate) const OWN_MOUNTS: &[&str] = &["unshare", "--mount", "--propagation", "private"];

/// A FUSE mount that no process serves: whatever looks at it waits until it is dropped, and then gets an error.
pub(crate) struct HangingMount {
    dir: tempfile::TempDir,
    _server: File,
}

impl HangingMount {
    /// Mounts the file system; to be called in a process with [`OWN_MOUNTS`]. An error: the system does not allow it.
    pub(crate) fn new() -> io::Result<Self> {
        let server = File::options().read(true).write(true).open("/dev/fuse")?;
        let dir = scratch();
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", server.as_raw_fd());
        let [target, options] =
            [dir.path().as_os_str().as_bytes(), options.as_bytes()].map(|it| CString::new(it).unwrap());
        // SAFETY: all strings end with a NUL and are valid for the call.
        let done =
            unsafe { libc::mount(c"hang".as_ptr(), target.as_ptr(), c"fuse".as_ptr(), 0, options.as_ptr().cast()) };
        if done == 0 { Ok(Self { dir, _server: server }) } else { Err(io::Error::last_os_error()) }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

impl Drop for HangingMount {
    fn drop(&mut self) {
        let target = CString::new(self.dir.path().as_os_str().as_bytes()).unwrap();
        // The unmount allows the directory to be removed. The mount itself ends with its server, right after this.
        // SAFETY: a valid string.
        unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) };
    }
}
