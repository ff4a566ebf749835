//! Input that callers write while a command runs.

use std::sync::Arc;

use uuid::Uuid;

use super::ExecutionEngine;
use crate::config::bounds;
use crate::error::{ExecutionError, Invalid, Result};
use crate::process::{OpenInput, PendingWrite, WriteRefused};
use crate::types::TerminalSize;

impl ExecutionEngine {
    /// Writes to the standard input of a command that was started with [`Stdin::Open`](crate::Stdin::Open). Resolves when the pipe has
    /// accepted all bytes, so that awaiting it gives the pace of the command. Concurrent writes keep the order in which their
    /// futures are first polled. Before the command has started, it waits for the start.
    ///
    /// Cancel safe: dropped before the pipe takes the first of the bytes, it writes nothing; after that, all of them are written.
    ///
    /// # Errors
    /// `NOT_FOUND`. `INVALID_REQUEST` (`id`) when the input is not open, was ended, or is not read any more: the command has closed it or
    /// has exited. That is no error of the execution.
    pub async fn write(&self, id: Uuid, data: impl Into<Vec<u8>>) -> Result<()> {
        self.begin_write(id, data.into())?.accepted().await.map_err(refusal)
    }

    /// Ends the standard input of a command that was started with [`Stdin::Open`](crate::Stdin::Open), after the writes before this
    /// call. Does nothing if it has ended. Another attempt of a [`Retry`](crate::Retry) has an open input again.
    ///
    /// # Errors
    /// `NOT_FOUND`; `INVALID_REQUEST` (`id`) when the input was never open.
    pub fn end_input(&self, id: Uuid) -> Result<()> {
        self.open_input(id)?.end();
        Ok(())
    }

    /// Changes the size of the terminal of a command; the command gets SIGWINCH. Before it has started, it gets a terminal of that size. Does
    /// nothing after its end.
    ///
    /// # Errors
    /// `NOT_FOUND`; `INVALID_REQUEST` for a size of 0 columns or rows, and (`id`) if the execution has no terminal; `INTERNAL` when the system
    /// refuses.
    pub fn resize(&self, id: Uuid, size: TerminalSize) -> Result<()> {
        let record = self.record(id)?;
        bounds::terminal("", size).map_err(ExecutionError::InvalidRequest)?;
        let none = "that execution has no terminal: start it with the option `terminal`";
        let terminal = record.controls().terminal.as_ref();
        let terminal = terminal.ok_or_else(|| ExecutionError::InvalidRequest(Invalid::new("id", none)))?;
        terminal.resize(size).map_err(|error| ExecutionError::Internal {
            message: format!("the size of the terminal was refused by the system ({error})"),
            result: None,
        })
    }

    /// Takes a place in the order of writes.
    pub(crate) fn begin_write(&self, id: Uuid, bytes: Vec<u8>) -> Result<PendingWrite> {
        self.open_input(id)?.write(bytes).map_err(refusal)
    }

    fn open_input(&self, id: Uuid) -> Result<Arc<OpenInput>> {
        let record = self.record(id)?;
        let not_open = "the standard input of that execution is not open: start it with the option `stdin` as \"open\", or with a `terminal`";
        record.controls().input.clone().ok_or_else(|| ExecutionError::InvalidRequest(Invalid::new("id", not_open)))
    }
}

/// Returns the error of a write that is refused.
pub(crate) fn refusal(refused: WriteRefused) -> ExecutionError {
    ExecutionError::InvalidRequest(Invalid::new("id", refused.to_string()))
}
