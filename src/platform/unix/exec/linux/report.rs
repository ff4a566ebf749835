//! How a child says why it did not become its program.
//!
//! It writes the reason into the memory that it shares with us. Under an emulator (qemu-user) or in a sandbox the child may have a copy
//! of the memory instead, as after a fork: there the reason comes by a pipe. Until a child was seen to share the memory, each has one.

use std::io::{self, Read as _};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicI32};

use libc::c_int;

use crate::platform::unix::pipe::{duplicate_from, pipe};

/// In the memory: the child has begun to run.
const HAS_BEGUN: c_int = -1;
/// Above the numbers that children are given.
const LEAST_FD: RawFd = 10;

/// Whether a child has shared its memory with us: then all of them do.
static IS_SHARED: AtomicBool = AtomicBool::new(false);

pub(super) struct Report {
    /// 0 until the child has begun; then [`HAS_BEGUN`], or why it did not become the program.
    memory: AtomicI32,
    pipe: Option<Pipe>,
}

struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    /// The number of the write end: in the child another one than here.
    number: AtomicI32,
}

impl Report {
    pub(super) fn new() -> io::Result<Self> {
        let pipe = if IS_SHARED.load(Relaxed) { None } else { Some(Pipe::new()?) };
        Ok(Self { memory: AtomicI32::new(0), pipe })
    }

    /// How many descriptors the child needs for it.
    pub(super) fn descriptors(&self) -> usize {
        usize::from(self.pipe.is_some())
    }

    /// In the child: it runs.
    pub(super) fn begin(&self) {
        self.memory.store(HAS_BEGUN, Relaxed);
    }

    /// In the child: gives its descriptor this number, and returns whether it has one. `None` and `errno`: that failed.
    pub(super) fn move_to(&self, number: RawFd) -> Option<bool> {
        let Some(pipe) = &self.pipe else { return Some(false) };
        // SAFETY: no memory is involved. What the number was before is to be closed in the child anyway.
        let done = unsafe { libc::dup3(pipe.write.as_raw_fd(), number, libc::O_CLOEXEC) };
        if done < 0 {
            return None;
        }
        pipe.number.store(number, Relaxed);
        Some(true)
    }

    /// In the child, which exits next: why it did not become the program.
    pub(super) fn failed(&self, errno: c_int) {
        self.memory.store(errno, Relaxed);
        let Some(pipe) = &self.pipe else { return };
        let bytes = errno.to_ne_bytes();
        // SAFETY: reads an array that lives.
        unsafe { libc::write(pipe.number.load(Relaxed), bytes.as_ptr().cast(), bytes.len()) };
    }

    /// After the start: why the child did not become the program; `None` if it did.
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
