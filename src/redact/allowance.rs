//! Bounds how much a thread masks in one call: the event loop of a host must not wait for megabytes.

/// The most bytes that are masked on the thread of a caller: about a millisecond.
const BYTES_OF_CALLER: usize = 64 * 1024;
/// The allowance of a listing, whose commands are masked once: those of some ten thousand executions.
const BYTES_OF_LISTING: usize = 2 * 1024 * 1024;
/// Making a line of a secret ready costs as much as masking so many bytes.
const BYTES_FOR_LINE: usize = 512;

/// The bytes that may still be masked.
#[derive(Debug)]
pub(crate) struct Allowance {
    left: Option<usize>,
    is_exceeded: bool,
}

/// The allowance does not suffice: a thread of the engine is to mask it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Beyond;

impl Allowance {
    /// Returns the allowance of a caller's thread, such as that of JavaScript.
    pub(crate) fn of_caller() -> Self {
        Self { left: Some(BYTES_OF_CALLER), is_exceeded: false }
    }

    /// Returns the allowance of a listing on such a thread.
    pub(crate) fn of_listing() -> Self {
        Self { left: Some(BYTES_OF_LISTING), is_exceeded: false }
    }

    /// Returns the allowance of a thread of the engine.
    pub(crate) fn unlimited() -> Self {
        Self { left: None, is_exceeded: false }
    }

    pub(super) fn is_unlimited(&self) -> bool {
        self.left.is_none()
    }

    pub(crate) fn suffices(&self, bytes: usize) -> bool {
        self.left.is_none_or(|left| bytes <= left)
    }

    /// Takes what masking a text costs.
    pub(crate) fn spend(&mut self, bytes: usize) -> Result<(), Beyond> {
        let Some(left) = self.left else { return Ok(()) };
        let after = left.checked_sub(bytes);
        self.is_exceeded |= after.is_none();
        self.left = Some(after.ok_or(Beyond)?);
        Ok(())
    }

    /// Whether something was not masked.
    pub(crate) fn is_exceeded(&self) -> bool {
        self.is_exceeded
    }

    /// Takes what making secrets ready costs.
    pub(super) fn prepare(&mut self, lines: usize, bytes: usize) -> Result<(), Beyond> {
        self.spend(lines * BYTES_FOR_LINE + bytes)
    }
}
