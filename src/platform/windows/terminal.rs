//! Terminals of commands, which this system does not have here: pseudo-consoles are not used.

use std::io;

use super::pipe::PipeWriter;
use crate::platform::InputId;
use crate::types::TerminalSize;

/// Whether commands can have a terminal on this system.
pub(crate) const HAS_TERMINALS: bool = false;

/// Fails: no command has a terminal.
pub(crate) fn resize_terminal(_: &PipeWriter, _: TerminalSize) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Returns `None`: no command has a terminal.
pub(crate) fn terminal_id(_: &PipeWriter) -> Option<InputId> {
    None
}

/// Returns `false`: no command has a terminal.
pub(crate) fn is_terminal_missing(_: &io::Error) -> bool {
    false
}

/// Returns no bytes: no command has a terminal.
pub(crate) fn end_of_file(_: &PipeWriter, _is_line_open: bool) -> Vec<u8> {
    Vec::new()
}
