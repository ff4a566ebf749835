//! Descriptors that say when they can be read: to a thread that attends to their execution, or by the runtime.
//!
//! A command that is over soon is attended to by the thread that has started it: nobody else has to be woken, and nothing is
//! registered for it. What takes longer is watched by the runtime, where it costs no thread.

use std::cell::RefCell;
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

/// A system that has no room to watch a descriptor is asked so often.
const ASK_AGAIN: Duration = Duration::from_millis(10);

thread_local! {
    /// What the execution that this thread attends to waits for; `None` where the runtime watches.
    static ASKED: RefCell<Option<Vec<pollfd>>> = const { RefCell::new(None) };
}

/// A descriptor of which one waits at a time.
#[derive(Debug)]
pub(super) struct Watched {
    /// Made when the runtime is to watch. It goes before the descriptor does.
    watch: OnceLock<Watch>,
    fd: OwnedFd,
}

#[derive(Debug)]
enum Watch {
    Registered(AsyncFd<RawFd>),
    /// The system has no room for another watch.
    Asked(Mutex<Pin<Box<Sleep>>>),
}

impl Watched {
    pub(super) fn new(fd: OwnedFd) -> Self {
        Self { watch: OnceLock::new(), fd }
    }

    /// Whether it can be read, or is at its end. Must be called within the runtime.
    pub(super) fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
        let number = self.fd.as_raw_fd();
        if let Some(is_ready) = ask(number) {
            return if is_ready { Poll::Ready(()) } else { Poll::Pending };
        }
        match self.watch.get_or_init(|| Watch::new(number)) {
            // An error means that the runtime is going away; the caller's own deadline then ends the wait.
            Watch::Registered(fd) => match fd.poll_read_ready(context) {
                Poll::Ready(Ok(_)) => Poll::Ready(()),
                Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
            },
            Watch::Asked(pause) => {
                let mut pause = pause.lock().unwrap_or_else(PoisonError::into_inner);
                loop {
                    if is_readable(number) {
                        return Poll::Ready(());
                    }
                    if pause.as_mut().poll(context).is_pending() {
                        return Poll::Pending;
                    }
                    pause.set(sleep(ASK_AGAIN));
                }
            }
        }
    }

    /// Whether it can be read now, whatever is known to be ready.
    pub(super) fn is_readable(&self) -> bool {
        is_readable(self.fd.as_raw_fd())
    }

    /// Reads without waiting, from a descriptor that is set so.
    pub(super) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(Watch::Registered(fd)) = self.watch.get() else { return read(self.fd.as_raw_fd(), buffer) };
        let mut got = Err(io::ErrorKind::WouldBlock.into());
        // Less than there is room for was all that there was: the next read would only be told so.
        let _ = fd.try_io(Interest::READABLE, |fd| {
            got = read(*fd, buffer);
            match got {
                Ok(count) if count == 0 || count == buffer.len() => Ok(()),
                Ok(_) | Err(_) => Err(io::ErrorKind::WouldBlock.into()),
            }
        });
        got
    }

    /// Reads without waiting, whatever is known to be ready. If it reads all there is, the next wait may end with nothing to read.
    pub(super) fn read_unreported(&self, buffer: &mut [u8]) -> io::Result<usize> {
        read(self.fd.as_raw_fd(), buffer)
    }
}

/// Its number may be another descriptor's next. A thread that ends attends to nothing.
impl Drop for Watched {
    fn drop(&mut self) {
        let number = self.fd.as_raw_fd();
        let forget = |asked: &mut Vec<pollfd>| asked.retain(|known| known.fd != number);
        let _ = ASKED.try_with(|asked| asked.borrow_mut().as_mut().map(forget));
    }
}

impl AsFd for Watched {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Watch {
    fn new(fd: RawFd) -> Self {
        // SAFETY: the number is that of the descriptor that stands beside this in `Watched`, and which is closed after it.
        let registered = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
        registered.map_or_else(|_| Self::Asked(Mutex::new(Box::pin(sleep(ASK_AGAIN)))), Self::Registered)
    }
}

/// Calls `step` again and again, for as long as it says that it pends, each time when one of the descriptors is ready for which it
/// has asked. Comes back when it does not pend, when it has asked for nothing, or when all this takes longer than `longest`.
pub(crate) fn attend(longest: Duration, step: &mut dyn FnMut() -> bool) {
    let _end = Attending::begin();
    let mut until = None;
    while step() {
        let until = *until.get_or_insert_with(|| Instant::now() + longest);
        if !wait(until) {
            return;
        }
    }
}

struct Attending;

impl Attending {
    fn begin() -> Self {
        ASKED.set(Some(Vec::new()));
        Self
    }
}

/// The runtime watches again, even after a panic.
impl Drop for Attending {
    fn drop(&mut self) {
        ASKED.set(None);
    }
}

/// `None` where this thread does not attend. Otherwise whether the descriptor has become ready since it was asked for, which is told
/// once.
fn ask(fd: RawFd) -> Option<bool> {
    ASKED.with_borrow_mut(|asked| {
        let asked = asked.as_mut()?;
        let Some(known) = asked.iter().position(|known| known.fd == fd) else {
            asked.push(pollfd { fd, events: libc::POLLIN, revents: 0 });
            return Some(false);
        };
        if asked[known].revents == 0 {
            return Some(false);
        }
        asked.swap_remove(known);
        Some(true)
    })
}

/// Waits for one of those that were asked for; `false` when there is none, or none becomes ready in time.
fn wait(until: Instant) -> bool {
    ASKED.with_borrow_mut(|asked| {
        let Some(asked) = asked else { return false };
        // What was ready and is not asked for any more: the step has ended it, or has come to something else.
        asked.retain(|fd| fd.revents == 0);
        let left = until.saturating_duration_since(Instant::now());
        // Whatever is ready then: who always has something to say is for the runtime.
        if asked.is_empty() || left.is_zero() || !poll(asked, left) {
            return false;
        }
        // The step asks anew for what it still wants.
        asked.retain(|fd| fd.revents != 0);
        true
    })
}

fn is_readable(fd: RawFd) -> bool {
    poll(&mut [pollfd { fd, events: libc::POLLIN, revents: 0 }], Duration::ZERO)
}

/// Whether one of them is ready, at the latest when the time is up.
fn poll(fds: &mut [pollfd], longest: Duration) -> bool {
    let milliseconds = libc::c_int::try_from(longest.as_micros().div_ceil(1_000)).unwrap_or(libc::c_int::MAX);
    let count = libc::nfds_t::try_from(fds.len()).unwrap_or(0);
    // SAFETY: reads and writes `count` elements of a slice that lives. A number that was closed meanwhile, or is another
    // descriptor's now, is ready once too often and is looked at by a read that does not wait.
    let ready = unsafe { libc::poll(fds.as_mut_ptr(), count, milliseconds) };
    // Interrupted by a signal: the time counts as up.
    ready > 0
}

fn read(fd: RawFd, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the call writes at most the length of a buffer that lives.
    let count = unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len()) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::{PipeReader, PipeWriter, Write};
    use std::sync::mpsc;
    use std::task::Waker;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn pipe() -> (Watched, PipeWriter) {
        let (read, write): (PipeReader, PipeWriter) = io::pipe().unwrap();
        let read = OwnedFd::from(read);
        super::super::pipe::set_nonblocking(&read).unwrap();
        (Watched::new(read), write)
    }

    fn poll_once(fd: &Watched) -> Poll<()> {
        fd.poll_readable(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn who_attends_is_called_when_there_is_something_to_read_and_needs_no_runtime() {
        let (fd, mut write) = pipe();
        let (say, asked) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                asked.recv().unwrap();
                write.write_all(b"abc").unwrap();
            });
            let mut steps = 0;
            attend(LONG, &mut || {
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
        assert_eq!(fd.read(&mut buffer).unwrap(), 0, "nobody writes any more");
    }

    #[test]
    fn what_is_ready_is_told_once_and_what_is_not_asked_for_any_more_wakes_nobody() {
        let ((one, one_end), (other, _write)) = (pipe(), pipe());
        drop(one_end);
        let mut steps = 0;
        let start = Instant::now();
        attend(Duration::from_millis(50), &mut || {
            steps += 1;
            match steps {
                1 => assert!(poll_once(&one).is_pending() && poll_once(&other).is_pending()),
                // Its end stays ready; this step has come to something else.
                2 => assert!(poll_once(&other).is_pending()),
                _ => panic!("nothing more has happened"),
            }
            true
        });
        assert_eq!(steps, 2);
        assert!(start.elapsed() >= Duration::from_millis(50), "it has waited for the other one");
    }

    #[test]
    fn what_is_always_ready_is_attended_to_for_no_longer_than_is_said() {
        let (fd, mut write) = pipe();
        write.write_all(b"nobody reads this").unwrap();
        let start = Instant::now();
        let mut steps = 0;
        attend(Duration::from_millis(20), &mut || {
            steps += 1;
            // Told once, asked for again, and never read.
            let _ = poll_once(&fd);
            let _ = poll_once(&fd);
            start.elapsed() < LONG
        });
        assert!(steps > 1 && start.elapsed() < LONG, "{steps} steps");
    }

    #[test]
    fn who_asks_for_nothing_is_not_attended_to() {
        let mut steps = 0;
        attend(LONG, &mut || {
            steps += 1;
            true
        });
        assert_eq!(steps, 1);
        assert_eq!(ask(0), None, "this thread does not attend any more");
    }

    #[test]
    fn a_panic_ends_the_attendance() {
        let step = || std::panic::panic_any("on purpose");
        assert!(std::panic::catch_unwind(|| attend(LONG, &mut { step })).is_err());
        assert_eq!(ask(0), None);
    }

    #[test]
    fn a_number_that_is_closed_is_forgotten() {
        let (fd, _write) = pipe();
        let number = fd.fd.as_raw_fd();
        let mut fd = Some(fd);
        attend(LONG, &mut || {
            if let Some(fd) = fd.take() {
                assert!(poll_once(&fd).is_pending());
            }
            assert!(ASKED.with_borrow(|asked| asked.as_ref().unwrap().iter().all(|asked| asked.fd != number)));
            true
        });
    }

    #[tokio::test]
    async fn the_runtime_goes_on_with_what_was_attended_to() {
        let (fd, mut write) = pipe();
        attend(Duration::ZERO, &mut || poll_once(&fd).is_pending());
        let mut buffer = [0; 2];
        for round in 0..100 {
            // More than fits, exactly what fits, less than fits.
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
