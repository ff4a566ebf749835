//! The operating system: everything that is unsafe, FFI, a signal or a process id.
//!
//! `unix.rs` and `windows.rs` are siblings with the same functions; no other module depends on the operating system.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::runtime;
use crate::types::{ResourceLimits, StopSignal, TerminalSize, WaitsFor};

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

#[cfg(not(target_os = "linux"))]
mod host_directory;
#[cfg(any(windows, test))]
mod windows_rules;

// The build script stops with this error before the compiler gets here. This copy is for builds with another build script.
#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
compile_error!("escher-execution-engine runs on Linux, macOS and Windows, and not on this target");

#[cfg(not(target_os = "linux"))]
pub(crate) use self::host_directory::HostState;
#[cfg(target_os = "linux")]
pub(crate) use self::system::HostState;
#[cfg(feature = "node")]
pub(crate) use self::system::is_first_thread;
pub(crate) use self::system::{
    ENV_IGNORES_CASE, HAS_LIMITS, HAS_LOGIN_SHELLS, HAS_PWD, HAS_TERMINALS, INTERPRETERS, Leader, Lifeline, PipeReader,
    PipeWriter, SHEBANG_IS_A_PATH, SIGNALS, Spawned, TREES_END_WITH_THE_HOST, Table, append_private, at_exit,
    block_file_size_signal, check_private_dir, core_env_names, create_private, create_private_dir, default_path,
    default_shell, empty_pipe, end_of_file, end_stop_signals, errno_name, executable, file_id, file_id_at, file_kind,
    free_bytes, interpreter_flags, interpreter_problem, is_batch, is_complete, is_deleted, is_executable,
    is_exhaustion, is_null_device_missing, is_terminal_missing, is_too_long_a_directory, limited_sight, login_shell,
    may_enter, names_descriptor, not_executable, open_no_follow, open_regular, own_tag, path_from_bytes, prepare,
    private_temp_dir, reader_closed, refused_limit, resize_terminal, same_name, search, shell_args, signal_name, spawn,
    spawn_guardian, start_clock, terminal_id, try_lock, write_some,
};
#[cfg(test)]
pub(crate) use self::system::{LONG_COMMAND, exhaustion};

/// A handle to the spawning thread of an execution, which starts its command and waits for its pipes and its exit at first.
pub(crate) type SpawnThread = runtime::SpawnThread<system::Waits>;

/// A program to start: absolute paths, complete variables, nothing left to look up.
#[derive(Debug)]
pub(crate) struct Launch {
    /// The role of the program in messages: `program`, `shell` or `interpreter`.
    pub(crate) role: &'static str,
    /// The absolute path of the program.
    pub(crate) program: PathBuf,
    /// The arguments, without the name of the program.
    pub(crate) args: Vec<OsString>,
    /// The arguments are passed on unquoted, as the rest of the command line: for a shell with its own rules.
    #[cfg_attr(unix, expect(dead_code, reason = "only Windows has command lines"))]
    pub(crate) verbatim: bool,
    /// `NAME=value` entries, each ended by a NUL.
    pub(crate) env: Vec<u8>,
    /// The absolute working directory; `None` is that of `host`.
    pub(crate) cwd: Option<PathBuf>,
    /// The state of the host when the command was accepted.
    pub(crate) host: Arc<HostState>,
    /// The mark by which its processes are recognized.
    pub(crate) mark: Mark,
    /// Whether it gets its own control group, where the system has control groups.
    #[cfg_attr(windows, expect(dead_code, reason = "a job is one"))]
    pub(crate) control_group: bool,
    pub(crate) stdin: StdinKind,
    /// The size of the terminal that is its input and output, if it has one.
    pub(crate) terminal: Option<TerminalSize>,
    /// The content of its descriptor 3; `None` leaves that closed.
    #[cfg_attr(windows, expect(dead_code, reason = "a shell gets its line as arguments"))]
    pub(crate) descriptor: Option<Vec<u8>>,
    /// The limits of the system for its processes.
    pub(crate) limits: ResourceLimits,
    /// Standard error goes into standard output's pipe.
    pub(crate) merge_output: bool,
}

#[cfg(test)]
impl Launch {
    /// Returns the launch of a program of a test, with nothing but its arguments.
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
            terminal: None,
            descriptor: None,
            limits: ResourceLimits::default(),
            merge_output: true,
        }
    }

    /// Returns a child that does nothing for a long time.
    pub(crate) fn sleeper() -> Arc<Leader> {
        Self::sleeper_with(|_| {})
    }

    /// Returns the same launch with other settings.
    pub(crate) fn sleeper_with(change: impl FnOnce(&mut Self)) -> Arc<Leader> {
        let shell = default_shell();
        let ShellArgs { args, verbatim, .. } = shell_args(&shell, LONG_COMMAND, false);
        let mut launch = Self { verbatim, ..Self::plain(shell, args) };
        change(&mut launch);
        spawn(&launch, &SpawnThread::none()).unwrap().leader
    }
}

/// The arguments and input with which a shell runs a line.
#[derive(Debug)]
pub(crate) struct ShellArgs {
    pub(crate) args: Vec<OsString>,
    /// The same setting as in [`Launch`].
    pub(crate) verbatim: bool,
    /// The same descriptor as in [`Launch`].
    pub(crate) descriptor: Option<Vec<u8>>,
}

/// The kind of file at a path, with links followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    Regular,
    Directory,
    /// Opening or reading it can block, or consume data meant for another reader. The name of the kind, with its article.
    Special(&'static str),
}

/// The identity of a file, whatever its name. The time of creation distinguishes a file from a later one with the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId {
    pub(crate) device: u64,
    pub(crate) number: u64,
    /// `None` where the file system does not record it, or where no other file gets the number.
    pub(crate) created: Option<SystemTime>,
}

/// A program that reads scripts, and the arguments before the script's path.
pub(crate) type Interpreter = (&'static str, &'static [&'static str]);

/// The standard input of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StdinKind {
    Empty,
    Pipe,
    Inherit,
}

/// A living process, as it is shown to users.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ProcessInfo {
    pub(crate) pid: u32,
    pub(crate) parent: u32,
    pub(crate) command: String,
    /// The state letter that `ps` shows.
    pub(crate) state: String,
    pub(crate) cpu_ms: f64,
    /// `stdin` or `terminal`, when it is blocked reading from that.
    pub(crate) waits_for: Option<String>,
}

/// The process whose descriptor a path refers to, instead of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(windows, expect(dead_code, reason = "no path means a descriptor there"))]
pub(crate) enum DescriptorOwner {
    /// The process that opens the path: `/dev/stdin`, `/dev/fd/0`, `/proc/self/fd/0` and the like.
    Opener,
    /// This process, named by its id: `/proc/1234/fd/0`.
    Host,
    Another,
}

/// Returns the number by which the tags of this process differ from those of all others.
pub(crate) fn host_number() -> u32 {
    static NUMBER: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    *NUMBER.get_or_init(|| uuid::Uuid::new_v4().as_fields().0.max(1))
}

/// The mark by which the processes of an execution are recognized.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// `<id>.<nonce>`: a part of the value of `ESCHER_EXECUTION_ID` in the environment of every process that has not scrubbed it.
    /// Empty for a tree that has none.
    pub(crate) segment: Vec<u8>,
    /// Whether a process with the value `detached`, in a session of its own, is no member.
    pub(crate) allow_detached: bool,
}

/// The data by which the guardian recognizes and ends an execution.
#[derive(Debug)]
#[cfg_attr(windows, expect(dead_code, reason = "a job needs no guardian"))]
pub(crate) struct Guarded<'a> {
    /// The same segment as in [`Mark`].
    pub(crate) segment: &'a [u8],
    pub(crate) stop_signal: StopSignal,
    pub(crate) leader_first: bool,
    /// The time between the stop signal and SIGKILL.
    pub(crate) grace: Duration,
    pub(crate) allow_detached: bool,
    /// The earliest start of a member, in the unit of [`start_clock`].
    pub(crate) earliest_start: u64,
}

/// The action for the members that a scan finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Describes the members for users, and then sends the stop signal as [`Act::Stop`] does, if there is one. If describing takes
    /// so long that members may have appeared meanwhile, another scan has to send the signal.
    Describe { then: Option<(StopSignal, StopTargets)> },
    /// Sends the stop signal to each member once. `to` selects the members that get it now.
    Stop { signal: StopSignal, to: StopTargets },
    /// Looks which members are blocked reading this input, and changes nothing.
    Look { input: InputId },
    /// Kills the members, each as soon as it cannot start other processes.
    Kill,
}

/// The input of a command, as the system names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "the system does not show the reader"))]
pub(crate) enum InputId {
    /// The inode number of a pipe.
    Pipe(u64),
    /// The device number of the child's end of a terminal.
    Terminal(u64),
}

/// The activity of the members of a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Look {
    /// The processor time of each member, in units of the system.
    pub(crate) used: Vec<(i32, u64)>,
    /// The input that one of them is blocked reading.
    pub(crate) waits_for: Option<WaitsFor>,
}

/// The outcome of the stop signal of an [`Act`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum StopSent {
    #[default]
    No,
    Yes,
    /// The system has no stop signal for this tree: it can only be killed.
    Impossible,
}

/// The order of scans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScanPriority {
    /// A deadline has passed: other trees that are ending must not delay it.
    Deadline,
    Normal,
}

/// The members that get the stop signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopTargets {
    /// The leader alone.
    Leader,
    /// All members at the first scan and those that appear later, except descendants of a living member that has already had the
    /// signal: those may do its clean-up.
    Members,
    /// All members.
    Everything,
}

/// The result of a scan.
#[derive(Debug, Default)]
pub(crate) struct Sight {
    /// Filled by [`Act::Describe`].
    pub(crate) processes: Vec<ProcessInfo>,
    /// Filled by [`Act::Look`].
    pub(crate) look: Look,
    pub(crate) stop: StopSent,
    /// Whether the scan found members that earlier scans had not found, or missed some that the scan before had found.
    pub(crate) has_changed: bool,
    /// Whether enough consecutive scans have found no member, and none that had vanished since the scan before.
    pub(crate) is_gone: bool,
    /// Whether only members that are found without a scan were looked for: another scan has to follow soon.
    pub(crate) is_partial: bool,
}

/// The end of a process. Code and signal are both `None` when other code of the host has reaped it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Exit {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) cpu_user: Duration,
    pub(crate) cpu_system: Duration,
    /// The most memory that it had, in bytes, if that is known.
    pub(crate) peak_memory: Option<u64>,
}
