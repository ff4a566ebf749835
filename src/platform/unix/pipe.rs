//! A child's pipes.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::task::{Context, Poll};

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::fcntl_dupfd_cloexec;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::readiness::Watched;

/// The write end of a child's input, registered with the runtime.
pub(crate) type PipeWriter = tokio::net::unix::pipe::Sender;

/// What a pipe of a child that writes much holds. In one of the usual size its writes and our reads wait for each other, which
/// takes three times as long. On Linux the system keeps 64 KiB for a pipe unless it is asked for more.
#[cfg(target_os = "linux")]
const WIDE_BYTES: usize = 256 * 1024;
/// So many of them at once: a user has 64 MiB for pipes, those of other programs included.
static WIDE: Semaphore = Semaphore::const_new(64);

/// The read end of a child's output.
#[derive(Debug)]
pub(crate) struct PipeReader {
    fd: Watched,
    width: Width,
}

#[derive(Debug)]
enum Width {
    Usual,
    Wide(#[expect(dead_code, reason = "gives its place back when it is dropped")] SemaphorePermit<'static>),
    /// There was no room for a wider one; it is not asked for again.
    Fixed,
}

impl PipeReader {
    /// Our end, and the one that a child writes to.
    pub(super) fn new() -> io::Result<(Self, OwnedFd)> {
        let (read, write) = pipe()?;
        set_nonblocking(&read)?;
        Ok((Self { fd: Watched::new(read), width: Width::Usual }, write))
    }

    /// Whether there are bytes, or an end. One waits at a time.
    pub(crate) fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<()> {
        self.fd.poll_readable(context)
    }

    /// Reads without waiting. A buffer that gets full is a reason for a wider pipe.
    pub(crate) fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fd.read(buffer)?;
        if count == buffer.len() && matches!(self.width, Width::Usual) {
            let place = WIDE.try_acquire().ok().filter(|_| widen(&self.fd));
            self.width = place.map_or(Width::Fixed, Width::Wide);
        }
        Ok(count)
    }

    /// Reads without waiting, also when the runtime has not reported anything to read: it may not have looked for a while.
    pub(crate) fn read_unreported(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.fd.read_unreported(buffer)
    }
}

/// Enlarges a pipe; what is in it stays. Returns whether it is wider now.
#[cfg(target_os = "linux")]
fn widen(pipe: &Watched) -> bool {
    rustix::pipe::fcntl_setpipe_size(pipe, WIDE_BYTES).is_ok()
}

/// Other systems decide by themselves.
#[cfg(not(target_os = "linux"))]
fn widen(_: &Watched) -> bool {
    false
}

/// Waits until the child has closed its end of a pipe to it. Not every system tells that of an idle pipe; the next write
/// meets it then.
pub(crate) async fn nobody_reads(pipe: &PipeWriter) {
    if pipe.ready(tokio::io::Interest::ERROR).await.is_err() {
        // It cannot be watched, which says nothing of the child.
        std::future::pending::<()>().await;
    }
}

/// Creates a pipe that no child inherits by accident, with both ends above standard error.
pub(super) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = io::pipe()?;
    Ok((above_stderr(read.into())?, above_stderr(write.into())?))
}

/// A host that closed 0, 1 or 2 gets such numbers for new files; `dup2` in the child would overwrite them.
pub(super) fn above_stderr(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() > libc::STDERR_FILENO { Ok(fd) } else { duplicate_from(&fd, libc::STDERR_FILENO + 1) }
}

/// Duplicates a descriptor to a number that is not below `least`.
pub(super) fn duplicate_from(fd: &OwnedFd, least: RawFd) -> io::Result<OwnedFd> {
    Ok(fcntl_dupfd_cloexec(fd, least)?)
}

/// Makes reads and writes return at once. A fresh pipe has no other status flags to keep.
pub(super) fn set_nonblocking(fd: &OwnedFd) -> io::Result<()> {
    Ok(fcntl_setfl(fd, OFlags::NONBLOCK)?)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;

    use super::*;

    fn width(fd: impl AsFd) -> usize {
        rustix::pipe::fcntl_getpipe_size(fd).unwrap()
    }

    /// One test, for the places are the process's.
    #[test]
    fn a_pipe_whose_reader_cannot_follow_is_wider_as_long_as_there_is_room_for_such() {
        let mut buffer = vec![0; 64 * 1024];
        let mut pipes = Vec::new();
        let usual = width(&pipe().unwrap().0);
        loop {
            let (mut reader, write) = PipeReader::new().unwrap();
            let mut write = std::fs::File::from(write);
            write.write_all(&buffer[1..]).unwrap();
            assert_eq!(reader.try_read(&mut buffer).unwrap(), buffer.len() - 1);
            assert_eq!(width(&reader.fd), usual, "it did not fill the buffer");
            write.write_all(&buffer).unwrap();
            assert_eq!(reader.try_read(&mut buffer).unwrap(), buffer.len());
            let is_wide = width(&reader.fd) == WIDE_BYTES;
            assert_eq!(is_wide, matches!(reader.width, Width::Wide(_)));
            pipes.push((reader, write));
            if !is_wide {
                break;
            }
            assert!(pipes.len() <= 64, "there is an end of the places");
        }
        assert!(pipes.len() > 1, "none was wide");
        assert_eq!(width(&pipes.last().unwrap().0.fd), usual);
        pipes.clear();
        assert!(WIDE.try_acquire().is_ok(), "the places are free again");
    }
}
