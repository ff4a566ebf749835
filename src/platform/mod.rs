//! The operating system: everything that is unsafe, FFI, a signal or a process id.
//!
//! `unix.rs` and `windows.rs` are siblings with the same functions; no other room asks which system this is.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(crate) use self::unix::{
    DEFAULT_PATH, Leader, Lifeline, PipeReader, PipeWriter, Round, Spawned, Table, append_private, check_private_dir,
    core_env_names, create_private, create_private_dir, default_shell, errno_name, free_bytes, is_deleted,
    is_exhaustion, lock, nobody_reads, path_from_bytes, private_temp_dir, shell_flags, signal_name, spawn,
    spawn_guardian, try_lock,
};

#[cfg(not(unix))]
compile_error!("this version runs on Linux and macOS; Windows is not supported yet");

/// What to start: absolute, complete, and with nothing left to look up.
#[derive(Debug)]
pub(crate) struct Launch {
    /// The absolute path of the program.
    pub(crate) program: PathBuf,
    /// Its arguments, its own name not among them.
    pub(crate) args: Vec<OsString>,
    /// `NAME=value` entries, each ended by a NUL.
    pub(crate) env: Vec<u8>,
    /// The absolute working directory; `None` is the host's own.
    pub(crate) cwd: Option<PathBuf>,
    /// The entry of `env` that every process of this execution carries.
    pub(crate) tag: Vec<u8>,
    pub(crate) stdin: StdinKind,
    /// Standard error goes into standard output's pipe.
    pub(crate) merge_output: bool,
}

/// What the child's standard input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StdinKind {
    Empty,
    Pipe,
    Inherit,
}

/// A living process, for people.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ProcessInfo {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    pub(crate) command: String,
    /// As in `ps`.
    pub(crate) state: String,
    pub(crate) cpu_ms: f64,
    /// `stdin` or `terminal`, when it is blocked reading that.
    pub(crate) waits_for: Option<String>,
}

/// How a process ended. Both absent: somebody else reaped it, so nobody here can know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Exit {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) cpu_user: Duration,
    pub(crate) cpu_system: Duration,
}
