//! Descriptors that stay one process, whatever becomes of its number (Linux 5.3; other systems have none).

pub(super) use self::kernel::{open, signal};

#[cfg(target_os = "linux")]
mod kernel {
    use std::io;
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

    use libc::pid_t;

    pub(in super::super) fn open(pid: pid_t) -> io::Result<OwnedFd> {
        // SAFETY: no memory is involved; the result is checked.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a fresh descriptor without another owner.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    pub(in super::super) fn signal(fd: &OwnedFd, signal: i32) -> io::Result<()> {
        // SAFETY: a descriptor that lives; a null siginfo is allowed.
        let done = unsafe {
            libc::syscall(libc::SYS_pidfd_send_signal, fd.as_raw_fd(), signal, std::ptr::null::<libc::siginfo_t>(), 0)
        };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

#[cfg(not(target_os = "linux"))]
mod kernel {
    use std::io;
    use std::os::fd::OwnedFd;

    use libc::pid_t;

    pub(in super::super) fn open(_pid: pid_t) -> io::Result<OwnedFd> {
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }

    pub(in super::super) fn signal(_fd: &OwnedFd, _signal: i32) -> io::Result<()> {
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }
}
