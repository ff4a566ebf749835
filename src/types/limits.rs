//! The limits of the resources of a command.

use serde::{Deserialize, Serialize};

/// What the system limits for each process of a command (Linux). `None` means the limit of the host. Above its hard limit, the host needs
/// the right to raise it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct ResourceLimits {
    /// Open descriptors of one process, at least 1. One more fails with `EMFILE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u64>,
    /// Processes and threads of the user, in all, at least 1. One more fails with `EAGAIN`. It does not hold for root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<u64>,
    /// Bytes of the address space of one process, at least 1. Allocations beyond fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Seconds of processor time of one process, at least 1. Then it gets SIGXCPU, and SIGKILL a second later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<u64>,
    /// Bytes of a file that a process writes. A write beyond gives SIGXFSZ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_size_bytes: Option<u64>,
}

impl ResourceLimits {
    /// Only the limits of the host apply.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The limits, each with its name and the least value that is allowed.
    pub(crate) fn each(&self) -> [(&'static str, Option<u64>, u64); 5] {
        [
            ("open_files", self.open_files, 1),
            ("processes", self.processes, 1),
            ("memory_bytes", self.memory_bytes, 1),
            ("cpu_seconds", self.cpu_seconds, 1),
            ("file_size_bytes", self.file_size_bytes, 0),
        ]
    }
}
