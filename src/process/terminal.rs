//! The terminal of a running command: its size, which may change.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::platform::{self, PipeWriter};
use crate::types::TerminalSize;

/// The terminal of one execution. Each attempt has one of its own, of the size that was set last.
#[derive(Debug)]
pub(crate) struct TerminalControl {
    /// Locked for one system call at most.
    state: Mutex<TerminalState>,
}

#[derive(Debug)]
struct TerminalState {
    size: TerminalSize,
    /// The terminal that is open now.
    open: Weak<PipeWriter>,
}

impl TerminalControl {
    pub(crate) fn new(size: TerminalSize) -> Self {
        Self { state: Mutex::new(TerminalState { size, open: Weak::new() }) }
    }

    /// Changes the size: at once if it is open, else for the next attempt.
    pub(crate) fn resize(&self, size: TerminalSize) -> io::Result<()> {
        let mut state = self.lock();
        state.size = size;
        state.open.upgrade().map_or(Ok(()), |open| platform::resize_terminal(&open, size))
    }

    pub(crate) fn size(&self) -> TerminalSize {
        self.lock().size
    }

    /// Records that the terminal is open; it was opened with the size `of`.
    pub(super) fn opened(&self, terminal: &Arc<PipeWriter>, of: Option<TerminalSize>) {
        let mut state = self.lock();
        state.open = Arc::downgrade(terminal);
        if of != Some(state.size) {
            // The terminal exists, so it accepts any size.
            let _ = platform::resize_terminal(terminal, state.size);
        }
    }

    fn lock(&self) -> MutexGuard<'_, TerminalState> {
        // A panic under the lock leaves a valid value.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
