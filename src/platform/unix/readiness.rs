//! Waits until descriptors are readable: on the thread that polls their execution, or by the runtime.
//!
//! A short command is polled by the thread that has started it: no other thread is woken, and nothing is registered for it. A
//! longer one is polled by the runtime, where it occupies no thread.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use libc::pollfd;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{Sleep, sleep};

use crate::platform::SpawnThread;
use crate::runtime::WaitSet;

/// The interval of polls of a descriptor that the system has no room to register.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// The descriptors that a spawning thread waits for on behalf of an execution.
#[derive(Default)]
pub(crate) struct Descriptors(Vec<pollfd>);

/// A descriptor that one task waits for at a time.
#[derive(Debug)]
pub(super) struct Watched {
    /// Created when the runtime is to poll it. Dropped before the descriptor.
    watch: OnceLock<Registration>,
    fd: OwnedFd,
    /// The thread that polls its execution at first.
    thread: SpawnThread,
}

#[derive(Debug)]
enum Registration {
    Registered(AsyncFd<RawFd>),
    /// The system has no room for another registration.
    Polled(Mutex<Pin<Box<Sleep>>>),
}

impl Watched {
    pub(super) fn new(fd: OwnedFd, thread: &SpawnThread) -> Self {
        Self { watch: OnceLock::new(), fd, thread: thread.clone() }
    }

    /// Whether it can be read, or is at its end of file. Must be called within the runtime.
    pub(super) fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
        let number = self.fd.as_raw_fd();
        if let Some(is_ready) = self.thread.with_waits(|awaited| awaited.poll(number)) {
            return if is_ready { Poll::Ready(()) } else { Poll::Pending };
        }
        match self.watch.get_or_init(|| Registration::new(number)) {
            // An error means that the runtime is shutting down; then the caller's deadline ends the wait.
            Registration::Registered(fd) => match fd.poll_read_ready(context) {
                Poll::Ready(Ok(_)) => Poll::Ready(()),
                Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
            },
            Registration::Polled(pause) => {
                let mut pause = pause.lock().unwrap_or_else(PoisonError::into_inner);
                loop {
                    if is_readable(number) {
                        return Poll::Ready(());
                    }
                    if pause.as_mut().poll(context).is_pending() {
                        return Poll::Pending;
                    }
                    pause.set(sleep(POLL_INTERVAL));
                }
            }
        }
    }

    /// Whether it can be read now, by a system call.
    pub(super) fn is_readable(&self) -> bool {
        is_readable(self.fd.as_raw_fd())
    }

    /// Reads without waiting, from a non-blocking descriptor.
    pub(super) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(Registration::Registered(fd)) = self.watch.get() else { return self.read_unreported(buffer) };
        let mut got = Err(io::ErrorKind::WouldBlock.into());
        // A short read has emptied the pipe: the next read would only fail with `WouldBlock`.
        let _ = fd.try_io(Interest::READABLE, |_| {
            got = self.read_unreported(buffer);
            match got {
                Ok(count) if count == 0 || count == buffer.len() => Ok(()),
                Ok(_) | Err(_) => Err(io::ErrorKind::WouldBlock.into()),
            }
        });
        got
    }

    /// Does what [`Watched::read`] does, for a descriptor that may hold more although a read was short.
    pub(super) fn read_part(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(Registration::Registered(fd)) = self.watch.get() else { return self.read_unreported(buffer) };
        fd.try_io(Interest::READABLE, |_| self.read_unreported(buffer))
    }

    /// Reads without waiting, also when the runtime has not reported it as readable. If it reads everything, the next wait may end with
    /// nothing to read.
    pub(super) fn read_unreported(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(&self.fd, buffer)?)
    }
}

/// Forgets the number, which the next descriptor may get.
impl Drop for Watched {
    fn drop(&mut self) {
        let number = self.fd.as_raw_fd();
        self.thread.with_waits(|awaited| awaited.0.retain(|known| known.fd != number));
    }
}

impl AsFd for Watched {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Registration {
    fn new(fd: RawFd) -> Self {
        // SAFETY: the number belongs to the descriptor in the same `Watched`, which is closed after this.
        let registered = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
        registered.map_or_else(|_| Self::Polled(Mutex::new(Box::pin(sleep(POLL_INTERVAL)))), Self::Registered)
    }
}

impl Descriptors {
    /// Whether a descriptor has become readable since the call before, which is reported once. If it has not, it is waited for.
    fn poll(&mut self, fd: RawFd) -> bool {
        let Some(known) = self.0.iter().position(|known| known.fd == fd) else {
            self.0.push(pollfd { fd, events: libc::POLLIN, revents: 0 });
            return false;
        };
        let is_ready = self.0[known].revents != 0;
        if is_ready {
            self.0.swap_remove(known);
        }
        is_ready
    }
}

impl WaitSet for Descriptors {
    fn wait(&mut self, until: Instant) -> bool {
        let left = until.saturating_duration_since(Instant::now());
        // The time counts even if a descriptor is readable after it: a child with constant output is handed to the
        // runtime.
        if self.0.is_empty() || left.is_zero() || !poll(&mut self.0, left) {
            return false;
        }
        // The execution polls again those that it still waits for.
        self.0.retain(|fd| fd.revents != 0);
        true
    }

    fn end_poll(&mut self) {
        self.0.retain(|fd| fd.revents == 0);
    }
}

fn is_readable(fd: RawFd) -> bool {
    poll(&mut [pollfd { fd, events: libc::POLLIN, revents: 0 }], Duration::ZERO)
}

/// Waits until one of them is readable; returns whether one is.
fn poll(fds: &mut [pollfd], longest: Duration) -> bool {
    let milliseconds = libc::c_int::try_from(longest.as_micros().div_ceil(1_000)).unwrap_or(libc::c_int::MAX);
    let count = libc::nfds_t::try_from(fds.len()).unwrap_or(0);
    // SAFETY: reads and writes `count` elements of a valid slice. A number that was closed meanwhile, or reused, is reported as
    // readable once too often, and a read that does not wait follows.
    let ready = unsafe { libc::poll(fds.as_mut_ptr(), count, milliseconds) };
    // An interruption by a signal counts as a timeout.
    ready > 0
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::{PipeReader, PipeWriter, Write};
    use std::sync::mpsc;
    use std::task::Waker;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn pipe(thread: &SpawnThread) -> (Watched, PipeWriter) {
        let (read, write): (PipeReader, PipeWriter) = io::pipe().unwrap();
        let read = OwnedFd::from(read);
        rustix::fs::fcntl_setfl(&read, rustix::fs::OFlags::NONBLOCK).unwrap();
        (Watched::new(read, thread), write)
    }

    /// Calls `step` as a poll of an execution that this thread polls itself.
    fn poll_inline(thread: &SpawnThread, longest: Duration, step: &mut dyn FnMut() -> bool) {
        let until = Instant::now() + longest;
        while thread.polling(&mut *step) && thread.wait(until) {}
    }

    /// Calls `attempt` with a limit and returns how many steps there were. If there was one step only, the thread did not run within the
    /// limit: then it calls again with twice the limit.
    fn with_enough_time(first: Duration, mut attempt: impl FnMut(Duration) -> usize) -> usize {
        let mut limit = first;
        loop {
            let steps = attempt(limit);
            if steps > 1 || limit > LONG {
                return steps;
            }
            limit *= 2;
        }
    }

    fn poll_once(fd: &Watched) -> Poll<()> {
        fd.poll_readable(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_step_is_called_again_when_there_is_something_to_read_and_needs_no_runtime() {
        let thread = SpawnThread::new();
        let (fd, mut write) = pipe(&thread);
        let (say, pending) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                pending.recv().unwrap();
                write.write_all(b"abc").unwrap();
            });
            let mut steps = 0;
            poll_inline(&thread, LONG, &mut || {
                steps += 1;
                if poll_once(&fd).is_pending() {
                    assert_eq!(steps, 1, "it is called again only when there is something");
                    say.send(()).unwrap();
                    return true;
                }
                false
            });
            assert_eq!(steps, 2);
        });
        let mut buffer = [0; 8];
        assert_eq!(fd.read(&mut buffer).unwrap(), 3);
        assert_eq!(fd.read(&mut buffer).unwrap(), 0, "the pipe has no writer any more");
    }

    #[test]
    fn readiness_is_reported_once_and_a_descriptor_that_is_not_polled_again_wakes_no_step() {
        let steps = with_enough_time(Duration::from_millis(50), |limit| {
            let thread = SpawnThread::new();
            let ((one, one_end), (other, _write)) = (pipe(&thread), pipe(&thread));
            drop(one_end);
            let mut steps = 0;
            let start = Instant::now();
            poll_inline(&thread, limit, &mut || {
                steps += 1;
                match steps {
                    1 => assert!(poll_once(&one).is_pending() && poll_once(&other).is_pending()),
                    // The end of file stays readable; this step does not wait for it any more.
                    2 => assert!(poll_once(&other).is_pending()),
                    _ => panic!("no descriptor has become readable"),
                }
                true
            });
            assert!(start.elapsed() >= limit, "it has waited for the other one");
            steps
        });
        assert_eq!(steps, 2);
    }

    #[test]
    fn a_descriptor_that_is_always_readable_is_polled_no_longer_than_the_limit() {
        let steps = with_enough_time(Duration::from_millis(20), |limit| {
            let thread = SpawnThread::new();
            let (fd, mut write) = pipe(&thread);
            write.write_all(b"never read").unwrap();
            let start = Instant::now();
            let mut steps = 0;
            poll_inline(&thread, limit, &mut || {
                steps += 1;
                // Reported once, polled again, and never read.
                let _ = poll_once(&fd);
                let _ = poll_once(&fd);
                start.elapsed() < limit + LONG
            });
            assert!(start.elapsed() < limit + LONG);
            steps
        });
        assert!(steps > 1);
    }

    #[test]
    fn a_step_that_polls_no_descriptor_is_not_polled_again() {
        let thread = SpawnThread::new();
        let mut steps = 0;
        poll_inline(&thread, LONG, &mut || {
            steps += 1;
            true
        });
        assert_eq!(steps, 1);
        assert_eq!(thread.with_waits(|_| ()), None, "this thread does not poll the execution any more");
    }

    #[test]
    fn a_panic_ends_the_inline_polls() {
        let thread = SpawnThread::new();
        let step = || std::panic::panic_any("on purpose");
        let outcome =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| poll_inline(&thread, LONG, &mut { step })));
        assert!(outcome.is_err());
        assert_eq!(thread.with_waits(|_| ()), None);
    }

    #[test]
    fn a_closed_descriptor_is_forgotten() {
        let thread = SpawnThread::new();
        let (fd, _write) = pipe(&thread);
        let number = fd.fd.as_raw_fd();
        let mut fd = Some(fd);
        poll_inline(&thread, LONG, &mut || {
            if let Some(fd) = fd.take() {
                assert!(poll_once(&fd).is_pending());
            }
            let is_forgotten = |awaited: &mut Descriptors| awaited.0.iter().all(|awaited| awaited.fd != number);
            assert!(thread.with_waits(is_forgotten).unwrap());
            true
        });
    }

    #[tokio::test]
    async fn the_runtime_polls_a_descriptor_after_its_thread() {
        let thread = SpawnThread::new();
        let (fd, mut write) = pipe(&thread);
        poll_inline(&thread, Duration::ZERO, &mut || poll_once(&fd).is_pending());
        let mut buffer = [0; 2];
        for round in 0..100 {
            // The lengths are those of a read of more than fits, of exactly what fits, and of less than fits.
            for length in [3, 2, 1] {
                write.write_all(&[round; 3][..length]).unwrap();
                let mut got = 0;
                while got < length {
                    tokio::time::timeout(LONG, poll_fn(|context| fd.poll_readable(context))).await.unwrap();
                    match fd.read(&mut buffer) {
                        Ok(count) => got += count,
                        Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
                    }
                }
                assert_eq!(got, length);
            }
        }
        write.write_all(b"x").unwrap();
        drop(write);
        let mut ends = Vec::new();
        while ends.last() != Some(&0) {
            tokio::time::timeout(LONG, poll_fn(|context| fd.poll_readable(context))).await.unwrap();
            ends.extend(fd.read(&mut buffer).ok());
        }
        assert_eq!(ends, [1, 0]);
    }
}
