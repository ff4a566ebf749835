//! Linux and macOS.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

pub(crate) use self::files::{
    append_private, check_private_dir, create_private, create_private_dir, file_id, file_id_at, file_kind, free_bytes,
    is_deleted, names_own_descriptor, open_no_follow, open_regular, private_temp_dir, try_lock,
};
pub(crate) use self::leader::Leader;
pub(crate) use self::lifeline::{Lifeline, Table, spawn_guardian};
pub(crate) use self::pipe::{PipeReader, PipeWriter, nobody_reads};
pub(crate) use self::spawn::{Spawned, spawn};
pub(crate) use self::watched::attend;

use super::{Interpreter, ShellArgs};
use crate::types::StopSignal;

mod bounded;
mod census;
mod cgroup;
mod files;
mod guardian_table;
mod leader;
mod lifeline;
mod mechanism;
mod pidfd;
mod pipe;
mod procs;
mod spawn;
mod start;
mod termination_thread;
mod tree;
mod watched;

/// Whether the system itself ends the trees of a host that is gone. Here a guardian does.
pub(crate) const TREES_END_WITH_THE_HOST: bool = false;
/// Whether `Path` and `PATH` are one variable.
pub(crate) const ENV_IGNORES_CASE: bool = false;
/// Whether a `#!` line names a path of this system.
pub(crate) const SHEBANG_IS_A_PATH: bool = true;
/// Programs that read scripts here and are better than those of every system, by extension.
pub(crate) const INTERPRETERS: &[(&str, &[Interpreter])] = &[];

const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Where programs are looked for when the child has no `PATH`.
pub(crate) fn default_path() -> PathBuf {
    PathBuf::from(DEFAULT_PATH)
}

/// Globs of the variables that a program needs to start.
pub(crate) const fn core_env_names() -> &'static [&'static str] {
    &["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_*", "TZ", "TMPDIR", "TERM"]
}

/// The shell of a `shell` command that names none.
pub(crate) fn default_shell() -> PathBuf {
    let bash = Path::new("/bin/bash");
    if bash.exists() { bash.to_owned() } else { PathBuf::from("/bin/sh") }
}

/// How a shell is given its line.
pub(crate) fn shell_args(shell: &Path, line: &str) -> ShellArgs {
    let flags: &[&str] = match shell.file_name().and_then(OsStr::to_str) {
        Some("pwsh" | "powershell") => &["-NoLogo", "-NonInteractive", "-Command"],
        _ => &["-c"],
    };
    ShellArgs { args: flags.iter().chain([&line]).map(OsString::from).collect(), verbatim: false }
}

/// Whether two names are of the same variable.
pub(crate) fn same_name(one: &str, other: &str) -> bool {
    one == other
}

/// The file that is meant by the path of a program: the path itself.
pub(crate) fn executable(path: PathBuf) -> PathBuf {
    path
}

/// Whether a file is a script of the system's own shell, known by its extension. There are none here.
pub(crate) fn is_batch(_: &Path) -> bool {
    false
}

/// What to do about a program that may not be executed.
pub(crate) fn not_executable(_: Option<&io::Error>) -> &'static str {
    "`chmod +x` it"
}

/// A path from the bytes of an environment value.
pub(crate) fn path_from_bytes(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

/// The name of an error, such as `ENOENT`.
pub(crate) fn errno_name(error: &io::Error) -> Option<&'static str> {
    Some(match error.raw_os_error()? {
        libc::E2BIG => "E2BIG",
        libc::EACCES => "EACCES",
        libc::EAGAIN => "EAGAIN",
        libc::EBADF => "EBADF",
        libc::EBUSY => "EBUSY",
        libc::EFAULT => "EFAULT",
        libc::EINVAL => "EINVAL",
        libc::EIO => "EIO",
        libc::EISDIR => "EISDIR",
        libc::ELOOP => "ELOOP",
        libc::EMFILE => "EMFILE",
        libc::ENAMETOOLONG => "ENAMETOOLONG",
        libc::ENFILE => "ENFILE",
        libc::ENODEV => "ENODEV",
        libc::ENOENT => "ENOENT",
        libc::ENOEXEC => "ENOEXEC",
        libc::ENOMEM => "ENOMEM",
        libc::ENOSPC => "ENOSPC",
        libc::ENOSYS => "ENOSYS",
        libc::ENOTDIR => "ENOTDIR",
        libc::EPERM => "EPERM",
        libc::ETXTBSY => "ETXTBSY",
        _ => return None,
    })
}

/// Whether an error says that the machine is short of processes, files or memory.
pub(crate) fn is_exhaustion(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EMFILE | libc::ENFILE | libc::ENOMEM))
}

/// The number of a stop signal.
pub(crate) const fn stop_number(signal: StopSignal) -> i32 {
    match signal {
        StopSignal::Term => libc::SIGTERM,
        StopSignal::Int => libc::SIGINT,
        StopSignal::Hup => libc::SIGHUP,
        StopSignal::Quit => libc::SIGQUIT,
        StopSignal::Usr1 => libc::SIGUSR1,
        StopSignal::Usr2 => libc::SIGUSR2,
    }
}

/// Every signal that can be sent to a command, by its name.
pub(crate) const SIGNALS: &[(&str, i32)] = &[
    ("SIGHUP", libc::SIGHUP),
    ("SIGINT", libc::SIGINT),
    ("SIGQUIT", libc::SIGQUIT),
    ("SIGILL", libc::SIGILL),
    ("SIGTRAP", libc::SIGTRAP),
    ("SIGABRT", libc::SIGABRT),
    ("SIGBUS", libc::SIGBUS),
    ("SIGFPE", libc::SIGFPE),
    ("SIGKILL", libc::SIGKILL),
    ("SIGUSR1", libc::SIGUSR1),
    ("SIGSEGV", libc::SIGSEGV),
    ("SIGUSR2", libc::SIGUSR2),
    ("SIGPIPE", libc::SIGPIPE),
    ("SIGALRM", libc::SIGALRM),
    ("SIGTERM", libc::SIGTERM),
    ("SIGCHLD", libc::SIGCHLD),
    ("SIGCONT", libc::SIGCONT),
    ("SIGSTOP", libc::SIGSTOP),
    ("SIGTSTP", libc::SIGTSTP),
    ("SIGTTIN", libc::SIGTTIN),
    ("SIGTTOU", libc::SIGTTOU),
    ("SIGURG", libc::SIGURG),
    ("SIGXCPU", libc::SIGXCPU),
    ("SIGXFSZ", libc::SIGXFSZ),
    ("SIGVTALRM", libc::SIGVTALRM),
    ("SIGPROF", libc::SIGPROF),
    ("SIGWINCH", libc::SIGWINCH),
    ("SIGIO", libc::SIGIO),
    ("SIGSYS", libc::SIGSYS),
];

/// The name of a signal, such as `SIGKILL`.
pub(crate) fn signal_name(signal: i32) -> String {
    let known = SIGNALS.iter().find(|(_, number)| *number == signal);
    known.map_or_else(|| format!("signal {signal}"), |(name, _)| (*name).to_owned())
}

/// What marks this process itself as one of an execution, of an engine in another process; empty if nothing does. Read once, from
/// the environment that the process was started with.
pub(crate) fn own_tag() -> &'static [u8] {
    static TAG: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    TAG.get_or_init(|| procs::tag(std::process::id().cast_signed()).unwrap_or_default())
}

/// Starts the threads that end trees: they are there however short the machine is of threads later.
pub(crate) fn prepare() {
    termination_thread::prepare();
}

/// The clock by which the system counts the starts of processes.
pub(crate) fn start_clock() -> u64 {
    procs::now()
}

/// What this process cannot see of the processes that it is to end; `None` where it sees all of them.
pub(crate) fn limited_sight() -> Option<&'static str> {
    static LIMIT: std::sync::OnceLock<Option<&'static str>> = std::sync::OnceLock::new();
    *LIMIT.get_or_init(procs::limit)
}

/// Whether this is the thread that the process has begun with.
#[cfg(all(feature = "node", target_os = "linux"))]
pub(crate) fn is_main_thread() -> bool {
    // SAFETY: no memory is involved.
    unsafe { libc::syscall(libc::SYS_gettid) == libc::c_long::from(libc::getpid()) }
}

/// Whether this is the thread that the process has begun with.
#[cfg(all(feature = "node", not(target_os = "linux")))]
pub(crate) fn is_main_thread() -> bool {
    // SAFETY: no memory is involved.
    unsafe { libc::pthread_main_np() == 1 }
}
