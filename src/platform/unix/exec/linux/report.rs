//! Reports why the exec of a child has failed.
//!
//! The child writes the reason into the memory that it shares with the host. Under an emulator (qemu-user) or in a sandbox the child may
//! have a copy of the memory instead, as after a fork: then it writes to a pipe. Every child has a pipe until one was seen to share the
//! memory.

use std::io::{self, Read as _};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicI32};

use libc::c_int;

use crate::platform::unix::pipe::{duplicate_from, pipe};

/// The value in the memory when the child has begun to run.
const HAS_BEGUN: c_int = -1;
/// The lowest number, above those that children are given.
const LEAST_FD: RawFd = 10;

/// Whether a child has shared its memory with us: then all of them do.
static IS_SHARED: AtomicBool = AtomicBool::new(false);

pub(super) struct Report {
    /// 0 until the child has begun; then [`HAS_BEGUN`], or the error of its exec.
    memory: AtomicI32,
    pipe: Option<Pipe>,
}

struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    /// The number of the write end: it differs between the child and the host.
    number: AtomicI32,
}

impl Report {
    pub(super) fn new() -> io::Result<Self> {
        let pipe = if IS_SHARED.load(Relaxed) { None } else { Some(Pipe::new()?) };
        Ok(Self { memory: AtomicI32::new(0), pipe })
    }

    /// Returns the number of descriptors that the child needs for it.
    pub(super) fn descriptors(&self) -> usize {
        usize::from(self.pipe.is_some())
    }

    /// Notes that the child runs. Called in the child.
    pub(super) fn begin(&self) {
        self.memory.store(HAS_BEGUN, Relaxed);
    }

    /// Moves the descriptor to this number, and returns whether there is one. `None`: that has failed, with `errno`. Called in the
    /// child.
    pub(super) fn move_to(&self, number: RawFd) -> Option<bool> {
        let Some(pipe) = &self.pipe else { return Some(false) };
        // SAFETY: no memory is involved. A descriptor of that number would be closed in the child anyway.
        let done = unsafe { libc::dup3(pipe.write.as_raw_fd(), number, libc::O_CLOEXEC) };
        if done < 0 {
            return None;
        }
        pipe.number.store(number, Relaxed);
        Some(true)
    }

    /// Stores the error of the exec. Called in the child, which exits next.
    pub(super) fn failed(&self, errno: c_int) {
        self.memory.store(errno, Relaxed);
        let Some(pipe) = &self.pipe else { return };
        let bytes = errno.to_ne_bytes();
        // SAFETY: the array is valid for the call.
        unsafe { libc::write(pipe.number.load(Relaxed), bytes.as_ptr().cast(), bytes.len()) };
    }

    /// Returns the error of the child's exec; `None` if that has succeeded. Called after the start.
    pub(super) fn outcome(self) -> Option<c_int> {
        let written = self.memory.into_inner();
        if written != 0 {
            IS_SHARED.store(true, Relaxed);
            return (written != HAS_BEGUN).then_some(written);
        }
        // The memory is not shared, or the child was killed before it began.
        let Pipe { read, write, .. } = self.pipe?;
        drop(write);
        let mut bytes = [0; size_of::<c_int>()];
        // The pipe ends with the exec.
        std::fs::File::from(read).read_exact(&mut bytes).ok()?;
        Some(c_int::from_ne_bytes(bytes))
    }
}

impl Pipe {
    fn new() -> io::Result<Self> {
        let (read, write) = pipe()?;
        let write = duplicate_from(&write, LEAST_FD)?;
        let number = AtomicI32::new(write.as_raw_fd());
        Ok(Self { read, write, number })
    }
}
