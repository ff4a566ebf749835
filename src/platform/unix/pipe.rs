//! A child's pipes.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::task::{Context, Poll};

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::fcntl_dupfd_cloexec;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::readiness::Watched;
use crate::platform::{InputId, SpawnThread};

/// The write end of a child's input, registered with the runtime.
pub(crate) type PipeWriter = tokio::net::unix::pipe::Sender;

/// The capacity of a pipe of a child that writes much. With Linux's default of 64 KiB, the child's writes and our reads wait for each
/// other, which takes three times as long.
#[cfg(target_os = "linux")]
const WIDE_BYTES: usize = 256 * 1024;
/// A pipe that held so many bytes for one read is enlarged: it was full.
const USUAL_BYTES: usize = 64 * 1024;
/// The permits for wide pipes, at most 64 at once: a user has 64 MiB for the pipes of all programs.
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
    /// A terminal: it has a size of its own, and hands out a part of what it holds. The child's end is kept while the command runs: if no
    /// process had it open, that would be the end of its output, although a process of its session can open it again.
    Terminal(Option<OwnedFd>),
    Wide(#[expect(dead_code, reason = "dropping it releases the permit")] SemaphorePermit<'static>),
    /// The pipe could not be enlarged; that is not tried again.
    Fixed,
}

impl PipeReader {
    /// Creates a pipe: our end, and the one that a child writes to.
    pub(super) fn new(thread: &SpawnThread) -> io::Result<(Self, OwnedFd)> {
        let (read, write) = pipe()?;
        set_nonblocking(&read)?;
        Ok((Self { fd: Watched::new(read, thread), width: Width::Usual }, write))
    }

    /// Returns the engine's end of a terminal, which does not block.
    pub(super) fn of_terminal(fd: OwnedFd, thread: &SpawnThread) -> Self {
        Self { fd: Watched::new(fd, thread), width: Width::Terminal(None) }
    }

    /// Keeps the child's end of a terminal until [`PipeReader::command_exited`]; that of a pipe is closed.
    pub(super) fn keep_open(&mut self, child_end: OwnedFd) {
        if let Width::Terminal(kept) = &mut self.width {
            *kept = Some(child_end);
        }
    }

    /// Records that the command has exited: the other end belongs to processes that it left behind, or is closed.
    pub(crate) fn command_exited(&mut self) {
        if let Width::Terminal(kept) = &mut self.width {
            *kept = None;
        }
    }

    /// Resolves when there are bytes, or an end of file. One task waits at a time.
    pub(crate) fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<()> {
        self.fd.poll_readable(context)
    }

    /// Reads without waiting. The pipe is enlarged when a read shows that it was full.
    pub(crate) fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if matches!(self.width, Width::Terminal(_)) {
            return self.fd.read_part(buffer);
        }
        let count = self.fd.read(buffer)?;
        if count >= USUAL_BYTES && matches!(self.width, Width::Usual) {
            let place = WIDE.try_acquire().ok().filter(|_| widen(&self.fd));
            self.width = place.map_or(Width::Fixed, Width::Wide);
        }
        Ok(count)
    }

    /// Reads without waiting, also when the runtime has not reported the pipe as readable: it may not have polled for a while.
    pub(crate) fn read_unreported(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.fd.read_unreported(buffer)
    }
}

/// Enlarges a pipe; what is in it stays. Returns whether it is wider now.
#[cfg(target_os = "linux")]
fn widen(pipe: &Watched) -> bool {
    rustix::pipe::fcntl_setpipe_size(pipe, WIDE_BYTES).is_ok()
}

/// Returns `false`: other systems decide the size by themselves.
#[cfg(not(target_os = "linux"))]
fn widen(_: &Watched) -> bool {
    false
}

/// Returns the identity of a pipe that holds nothing to read; `None` if it holds bytes, or the system does not say.
pub(crate) fn empty_pipe(pipe: &PipeWriter) -> Option<InputId> {
    let mut unread: libc::c_int = 0;
    // SAFETY: the out-parameter is valid for the call.
    let done = unsafe { libc::ioctl(pipe.as_raw_fd(), libc::FIONREAD, &raw mut unread) };
    if done < 0 || unread != 0 {
        return None;
    }
    Some(InputId::Pipe(rustix::fs::fstat(pipe).ok()?.st_ino))
}

/// Waits until the child has closed its end of a pipe to it. Not every system reports that for an idle pipe; then the next write
/// fails.
pub(crate) async fn reader_closed(pipe: &PipeWriter) {
    if pipe.ready(tokio::io::Interest::ERROR).await.is_err() {
        // The pipe cannot be polled, which does not show that the child has closed it.
        std::future::pending::<()>().await;
    }
}

/// Waits until a pipe or terminal takes bytes, and writes once. Cancel-safe: cancelled, it has written nothing.
pub(crate) async fn write_some(pipe: &PipeWriter, bytes: &[u8]) -> io::Result<usize> {
    let ready = pipe.ready(tokio::io::Interest::WRITABLE).await?;
    match pipe.try_write(bytes) {
        // A full terminal that no process has open is always reported as ready, and takes nothing.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock && ready.is_write_closed() => {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        written => written,
    }
}

/// Creates a pipe that no child inherits by accident, with both ends above standard error.
pub(super) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = io::pipe()?;
    Ok((above_stderr(read.into())?, above_stderr(write.into())?))
}

/// Moves a descriptor above standard error. A host that has closed 0, 1 or 2 gets these numbers for new files, and `dup2` in the child
/// would overwrite them.
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

    /// A single test, since the permits are shared in the process.
    #[test]
    fn a_pipe_whose_reader_cannot_follow_is_wider_as_long_as_there_is_room_for_such() {
        let mut buffer = vec![0; WIDE_BYTES];
        let full = vec![0; USUAL_BYTES];
        let mut pipes = Vec::new();
        let usual = width(&pipe().unwrap().0);
        loop {
            let (mut reader, write) = PipeReader::new(&SpawnThread::none()).unwrap();
            let mut write = std::fs::File::from(write);
            write.write_all(&full[1..]).unwrap();
            assert_eq!(reader.try_read(&mut buffer).unwrap(), full.len() - 1);
            assert_eq!(width(&reader.fd), usual, "it was not full");
            write.write_all(&full).unwrap();
            assert_eq!(reader.try_read(&mut buffer).unwrap(), full.len());
            let is_wide = width(&reader.fd) == WIDE_BYTES;
            assert_eq!(is_wide, matches!(reader.width, Width::Wide(_)));
            pipes.push((reader, write));
            if !is_wide {
                break;
            }
            assert!(pipes.len() <= 64, "the permits are bounded");
        }
        assert!(pipes.len() > 1, "none was wide");
        assert_eq!(width(&pipes.last().unwrap().0.fd), usual);
        pipes.clear();
        assert!(WIDE.try_acquire().is_ok(), "the permits are released");
    }
}
