//! Descriptors of processes, which stay valid when the process id is reused (Linux 5.3; other systems have none).

pub(super) use self::kernel::{open, signal};

#[cfg(target_os = "linux")]
mod kernel {
    use std::io;
    use std::os::fd::OwnedFd;

    use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};

    use super::super::pid::Pid;
    use super::super::signal::Signal;

    pub(in super::super) fn open(pid: Pid) -> io::Result<OwnedFd> {
        Ok(pidfd_open(pid.into(), PidfdFlags::empty())?)
    }

    pub(in super::super) fn signal(fd: &OwnedFd, signal: Signal) -> io::Result<()> {
        Ok(pidfd_send_signal(fd, signal)?)
    }
}

#[cfg(not(target_os = "linux"))]
mod kernel {
    use std::io;
    use std::os::fd::OwnedFd;

    use super::super::pid::Pid;
    use super::super::signal::Signal;

    pub(in super::super) fn open(_pid: Pid) -> io::Result<OwnedFd> {
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }

    pub(in super::super) fn signal(_fd: &OwnedFd, _signal: Signal) -> io::Result<()> {
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }
}
