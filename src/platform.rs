//! The operating system: everything that is unsafe, FFI, a signal or a process id.
//!
//! `unix.rs` and `windows.rs` are siblings with the same functions; no other room asks which system this is.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::types::StopSignal;

pub(crate) mod clock;
#[cfg(feature = "node")]
pub(crate) mod node;

#[cfg(unix)]
mod unix;
#[cfg(unix)]
use self::unix as system;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use self::windows as system;

#[cfg(any(windows, test))]
mod windows_rules;

// The build script has stopped before this, so that it is the one error; it is for builds that have another script.
#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
compile_error!("escher-execution-engine runs on Linux, macOS and Windows, and not on this target");

#[cfg(test)]
pub(crate) use self::system::LONG_COMMAND;
pub(crate) use self::system::{
    ENV_IGNORES_CASE, HAS_PWD, HostState, INTERPRETERS, Leader, Lifeline, PipeReader, PipeWriter, SHEBANG_IS_A_PATH,
    SIGNALS, Spawned, TREES_END_WITH_THE_HOST, Table, append_private, at_exit, attend, check_private_dir,
    core_env_names, create_private, create_private_dir, default_path, default_shell, errno_name, executable, file_id,
    file_id_at, file_kind, free_bytes, interpreter_flags, interpreter_problem, is_batch, is_complete, is_deleted,
    is_executable, is_exhaustion, is_null_device_missing, is_too_long_a_directory, limited_sight, names_descriptor,
    nobody_reads, not_executable, open_no_follow, open_regular, own_tag, path_from_bytes, prepare, private_temp_dir,
    same_name, search, shell_args, signal_name, spawn, spawn_guardian, start_clock, try_lock,
};

/// What to start: absolute, complete, and with nothing left to look up.
#[derive(Debug)]
pub(crate) struct Launch {
    /// What the program is, for messages: `program`, `shell` or `interpreter`.
    pub(crate) role: &'static str,
    /// The absolute path of the program.
    pub(crate) program: PathBuf,
    /// Its arguments, its own name not among them.
    pub(crate) args: Vec<OsString>,
    /// The arguments are the rest of the command line as it is: for a shell that reads it by rules of its own.
    #[cfg_attr(unix, expect(dead_code, reason = "only Windows has command lines"))]
    pub(crate) verbatim: bool,
    /// `NAME=value` entries, each ended by a NUL.
    pub(crate) env: Vec<u8>,
    /// The absolute working directory; `None` is that of `host`.
    pub(crate) cwd: Option<PathBuf>,
    /// The state of the host when the command was accepted.
    pub(crate) host: Arc<HostState>,
    /// How its processes are recognised.
    pub(crate) mark: Mark,
    /// Whether it gets a control group of its own, where the system has those.
    #[cfg_attr(windows, expect(dead_code, reason = "a job is one"))]
    pub(crate) control_group: bool,
    pub(crate) stdin: StdinKind,
    /// What it reads from its descriptor 3; without, it has none.
    #[cfg_attr(windows, expect(dead_code, reason = "a shell gets its line as arguments"))]
    pub(crate) descriptor: Option<Vec<u8>>,
    /// Standard error goes into standard output's pipe.
    pub(crate) merge_output: bool,
}

#[cfg(test)]
impl Launch {
    /// A program of a test, with nothing but its arguments.
    pub(crate) fn plain(program: PathBuf, args: Vec<OsString>) -> Self {
        Self {
            role: "program",
            program,
            args,
            verbatim: false,
            env: Vec::new(),
            cwd: None,
            host: HostState::capture(),
            mark: Mark::default(),
            control_group: false,
            stdin: StdinKind::Empty,
            descriptor: None,
            merge_output: true,
        }
    }

    /// A child that does nothing for a long time.
    pub(crate) fn sleeper() -> Arc<Leader> {
        let shell = default_shell();
        let ShellArgs { args, verbatim, .. } = shell_args(&shell, LONG_COMMAND, false);
        spawn(&Self { verbatim, ..Self::plain(shell, args) }).unwrap().leader
    }
}

/// What a shell gets to run a line.
#[derive(Debug)]
pub(crate) struct ShellArgs {
    pub(crate) args: Vec<OsString>,
    /// As in [`Launch`].
    pub(crate) verbatim: bool,
    /// As in [`Launch`].
    pub(crate) descriptor: Option<Vec<u8>>,
}

/// What a path stands for, links followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    Regular,
    Directory,
    /// Opening or reading it can block, or consume what is meant for another reader; what it is, with its article.
    Special(&'static str),
}

/// Which file this is, whatever name it has. When it was created tells a file from a later one that has got its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId {
    pub(crate) device: u64,
    pub(crate) number: u64,
    /// `None` where the file system does not record it, or where no other file gets the number.
    pub(crate) created: Option<SystemTime>,
}

/// A program that reads scripts, and what stands between it and the script.
pub(crate) type Interpreter = (&'static str, &'static [&'static str]);

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

/// Whose descriptor a path means, instead of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(windows, expect(dead_code, reason = "no path means a descriptor there"))]
pub(crate) enum DescriptorOwner {
    /// That of whichever process opens it: `/dev/stdin`, `/dev/fd/0`, `/proc/self/fd/0` and the like.
    Opener,
    /// This process's, by its number: `/proc/1234/fd/0`.
    Host,
    Another,
}

/// Tells this process from all others in the tags that its engines write.
pub(crate) fn host_number() -> u32 {
    static NUMBER: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    *NUMBER.get_or_init(|| uuid::Uuid::new_v4().as_fields().0.max(1))
}

/// How the processes of an execution are recognised.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// `<id>.<nonce>`: a part of the value of `ESCHER_EXECUTION_ID` in the environment of every process that has not scrubbed it.
    /// Empty for a tree that has none.
    pub(crate) segment: Vec<u8>,
    /// Whether a process with the value `detached`, in a session of its own, is no member.
    pub(crate) allow_detached: bool,
}

/// How the guardian recognises an execution, and how it is to end it.
#[derive(Debug)]
#[cfg_attr(windows, expect(dead_code, reason = "a job needs no guardian"))]
pub(crate) struct Guarded<'a> {
    /// As in [`Mark`].
    pub(crate) segment: &'a [u8],
    pub(crate) stop_signal: StopSignal,
    pub(crate) leader_first: bool,
    /// Between the stop signal and SIGKILL.
    pub(crate) grace: Duration,
    pub(crate) allow_detached: bool,
    /// Nothing that started before is a member, in the unit of [`start_clock`].
    pub(crate) earliest_start: u64,
}

/// What is done with the members that a scan finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// They are described, for people, and then get the stop signal as by [`Act::Stop`], if there is one. Describing may take so
    /// long that members appear meanwhile; then another scan has to send it.
    Describe { then: Option<(StopSignal, StopTargets)> },
    /// Each gets the stop signal, once. `to` says which of them get it now.
    Stop { signal: StopSignal, to: StopTargets },
    /// They are killed, each as soon as it can start no others.
    Kill,
}

/// What became of the stop signal that an [`Act`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum StopSent {
    #[default]
    No,
    Yes,
    /// The system has none for this tree: it can only be killed.
    Impossible,
}

/// Which scans come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScanPriority {
    /// A deadline has passed: many trees that end meanwhile must not make it late.
    Deadline,
    Normal,
}

/// Which members get the stop signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopTargets {
    /// The leader alone.
    Leader,
    /// All that there were at the first scan, and those that appear later, except what a member has started that has had the signal
    /// and lives on: that may be its clean-up.
    Members,
    /// All.
    Everything,
}

/// What a scan found.
#[derive(Debug, Default)]
pub(crate) struct Sight {
    /// Filled by [`Act::Describe`].
    pub(crate) processes: Vec<ProcessInfo>,
    pub(crate) stop: StopSent,
    /// Whether some of them had not been seen before.
    pub(crate) is_new: bool,
    /// Enough scans in a row have found no member, and none that had vanished since the scan before.
    pub(crate) is_gone: bool,
}

/// How a process ended. Both absent: somebody else reaped it, so nobody here can know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Exit {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) cpu_user: Duration,
    pub(crate) cpu_system: Duration,
}
