//! Reads and discards the output of members whose reader was the host.

use core::ffi::c_int;

use crate::{kernel, sys};

/// The most pipes that are read; members with other pipes have no reader.
const MOST_PIPES: usize = 8_192;
/// The size of a read.
const READS: usize = 4;

pub(crate) struct Outputs {
    pipes: &'static mut [(c_int, [u8; 32])],
    count: usize,
}

impl Outputs {
    pub(crate) fn reserve() -> Option<Self> {
        Some(Self { pipes: sys::memory(MOST_PIPES)?, count: 0 })
    }

    /// Opens the output pipes of a process for reading.
    pub(crate) fn hold(&mut self, pid: i32) {
        for number in [1, 2] {
            if self.count == self.pipes.len() {
                return;
            }
            let held = &self.pipes[..self.count];
            let is_held = |name: &[u8]| held.iter().any(|(_, known)| known == name);
            if let Some(pipe) = kernel::open_output(pid, number, &is_held) {
                self.pipes[self.count] = pipe;
                self.count += 1;
            }
        }
    }

    /// Reads the available bytes, so that no member waits for space in the pipe.
    pub(crate) fn drain(&mut self) {
        let mut buffer = [0_u8; 16 * 1024];
        for (fd, _) in &self.pipes[..self.count] {
            for _ in 0..READS {
                // SAFETY: the buffer has the given length.
                if unsafe { sys::read(*fd, buffer.as_mut_ptr().cast(), buffer.len()) } <= 0 {
                    break;
                }
            }
        }
    }
}
