//! Defines the resource limits of a command.

use serde::{Deserialize, Serialize};

/// Resource limits that the system enforces for each process of a command (Linux). `None` means the limit of the host. A limit above the
/// hard limit of the host requires the privilege to raise it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct ResourceLimits {
    /// The most open file descriptors of one process, at least 1. Opening one more fails with `EMFILE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u64>,
    /// The most processes and threads of the user, in total, at least 1. Creating one more fails with `EAGAIN`. The limit does not apply to
    /// root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<u64>,
    /// The largest address space of one process, in bytes, at least 1. Allocations beyond it fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// The most processor time of one process, in seconds, at least 1. At the limit the process gets SIGXCPU, and SIGKILL one second later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<u64>,
    /// The largest file that a process may write, in bytes. A write beyond it raises SIGXFSZ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_size_bytes: Option<u64>,
}

impl ResourceLimits {
    /// Creates limits that are all unset, so that only those of the host apply.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the limits, each with its name and its smallest permitted value.
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
