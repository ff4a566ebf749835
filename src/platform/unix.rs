//! Linux and macOS.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

pub(crate) use self::files::{
    append_private, check_private_dir, create_private, create_private_dir, file_kind, free_bytes, is_deleted, lock,
    names_own_descriptor, open_regular, private_temp_dir, try_lock,
};
pub(crate) use self::leader::Leader;
pub(crate) use self::lifeline::{Lifeline, Table, spawn_guardian};
pub(crate) use self::pipe::{PipeReader, PipeWriter, nobody_reads};
pub(crate) use self::spawn::{Spawned, spawn};
pub(crate) use self::tree::Means;
pub(crate) use self::watched::attend;

use super::{Interpreter, ShellArgs};

mod cgroup;
mod files;
mod leader;
mod lifeline;
mod pidfd;
mod pipe;
mod procs;
mod spawn;
mod start;
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

/// The name of a signal, such as `SIGKILL`.
pub(crate) fn signal_name(signal: i32) -> String {
    let name = match signal {
        libc::SIGHUP => "SIGHUP",
        libc::SIGINT => "SIGINT",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGILL => "SIGILL",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGUSR1 => "SIGUSR1",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGUSR2 => "SIGUSR2",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGALRM => "SIGALRM",
        libc::SIGTERM => "SIGTERM",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGXFSZ => "SIGXFSZ",
        libc::SIGVTALRM => "SIGVTALRM",
        libc::SIGPROF => "SIGPROF",
        libc::SIGSYS => "SIGSYS",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}
