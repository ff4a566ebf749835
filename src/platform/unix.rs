//! Linux and macOS.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use self::file_size_limit::block_file_size_signal;
pub(crate) use self::files::{
    append_private, check_private_dir, create_private, create_private_dir, file_id, file_id_at, file_kind, free_bytes,
    is_deleted, is_executable, may_enter, names_descriptor, open_no_follow, open_regular, private_temp_dir, try_lock,
};
#[cfg(target_os = "linux")]
pub(crate) use self::host_state::HostState;
pub(crate) use self::leader::Leader;
pub(crate) use self::lifeline::{Lifeline, Table, spawn_guardian};
pub(crate) use self::limits::{HAS_LIMITS, refused_limit};
pub(crate) use self::pipe::{PipeReader, PipeWriter, empty_pipe, reader_closed, write_some};
pub(crate) use self::readiness::Descriptors as Waits;
pub(crate) use self::shell::shell_args;
pub(crate) use self::signal::{SIGNALS, signal_name};
pub(crate) use self::spawn::{Spawned, is_null_device_missing, spawn};
pub(crate) use self::stop_notes::end_stop_signals;
pub(crate) use self::terminal::{HAS_TERMINALS, end_of_file, is_terminal_missing, resize_terminal, terminal_id};

use super::Interpreter;

mod birth;
mod bounded;
mod census;
mod cgroup;
mod chase;
mod descent;
mod exec;
mod file_size_limit;
mod files;
mod guardian_table;
#[cfg(target_os = "linux")]
mod host_state;
mod leader;
mod lifeline;
mod limits;
mod mechanism;
mod nested_names;
mod orphans;
mod pid;
mod pidfd;
mod pipe;
mod process_table;
mod procs;
mod reader;
mod readiness;
mod shell;
mod signal;
mod spawn;
mod stop_claims;
mod stop_notes;
mod terminal;
mod termination_queue;
mod termination_thread;
mod tree;

/// A line for the default shell that runs for ten minutes.
#[cfg(test)]
pub(crate) const LONG_COMMAND: &str = "exec sleep 600";
/// Whether the system itself ends the trees of a host that is gone. On Unix the guardian does.
pub(crate) const TREES_END_WITH_THE_HOST: bool = false;
/// Whether `Path` and `PATH` are one variable.
pub(crate) const ENV_IGNORES_CASE: bool = false;
/// Whether programs expect the path of their directory in `PWD`.
pub(crate) const HAS_PWD: bool = true;
/// Whether a `#!` line has a path of this system.
pub(crate) const SHEBANG_IS_A_PATH: bool = true;
/// Programs that read scripts on this system and are preferred to those of every system, by extension.
pub(crate) const INTERPRETERS: &[(&str, &[Interpreter])] = &[];

const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Returns the directories that are searched for programs when the child has no `PATH`.
pub(crate) fn default_path() -> PathBuf {
    PathBuf::from(DEFAULT_PATH)
}

/// Globs of the variables that a program needs to start.
pub(crate) const fn core_env_names() -> &'static [&'static str] {
    &["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_*", "TZ", "TMPDIR", "TERM"]
}

/// Returns the shell of a `shell` command that names none.
pub(crate) fn default_shell() -> PathBuf {
    let bash = Path::new("/bin/bash");
    if bash.exists() { bash.to_owned() } else { PathBuf::from("/bin/sh") }
}

/// Whether users have login shells.
pub(crate) const HAS_LOGIN_SHELLS: bool = true;

/// Returns the login shell of the user of this process, by the system's list of users.
pub(crate) fn login_shell() -> Option<PathBuf> {
    let mut user = std::mem::MaybeUninit::<libc::passwd>::zeroed();
    let mut found = std::ptr::null_mut();
    let mut text = vec![0; 16 * 1024];
    // SAFETY: every out-parameter is valid for the call, and the buffer has the given size.
    let done =
        unsafe { libc::getpwuid_r(libc::geteuid(), user.as_mut_ptr(), text.as_mut_ptr(), text.len(), &raw mut found) };
    if done != 0 || found.is_null() {
        return None;
    }
    // SAFETY: the call has filled it. Its texts are in the buffer, which is valid.
    let shell = unsafe { std::ffi::CStr::from_ptr(user.assume_init().pw_shell) };
    (!shell.is_empty()).then(|| path_from_bytes(shell.to_bytes()))
}

/// Whether two names refer to the same variable.
pub(crate) fn same_name(one: &str, other: &str) -> bool {
    one == other
}

/// Returns the file that the path of a program refers to: the path itself.
pub(crate) fn executable(path: PathBuf, _path_ext: Option<&[u8]>) -> PathBuf {
    path
}

/// Looks a name up in the directories of `path`, relative ones of which start at `cwd`.
pub(crate) fn search(name: &str, path: &OsStr, cwd: &Path, _path_ext: Option<&[u8]>) -> Option<PathBuf> {
    which::which_in(name, Some(path), cwd).ok()
}

/// Returns the arguments between an interpreter that a request names and the script.
pub(crate) fn interpreter_flags(_: &Path) -> &'static [&'static str] {
    &[]
}

/// Returns why an interpreter that a request names does not read a script. On Unix any program may read any file.
pub(crate) fn interpreter_problem(_program: &Path, _script: &Path) -> Option<&'static str> {
    None
}

/// Returns the longest allowed path of a working directory, if the path is longer. On Unix the system's own error reports that.
pub(crate) fn is_too_long_a_directory(_: &Path) -> Option<usize> {
    None
}

/// Whether a file is a script of the system's own shell, by its extension. Unix has none.
pub(crate) fn is_batch(_: &Path) -> bool {
    false
}

/// Returns the remedy for a program that may not be executed.
pub(crate) fn not_executable(_: Option<&io::Error>) -> &'static str {
    "`chmod +x` it"
}

/// Whether a path is absolute.
pub(crate) fn is_complete(path: &Path) -> bool {
    path.is_absolute()
}

/// Converts the bytes of an environment value to a path.
pub(crate) fn path_from_bytes(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

/// Returns the name of an error, such as `ENOENT`.
pub(crate) fn errno_name(error: &io::Error) -> Option<&'static str> {
    /// The names of the constants are the names of the errors; no library of this crate has them as text.
    macro_rules! name {
        ($number:expr; $($name:ident)*) => {
            match $number {
                $(libc::$name => Some(stringify!($name)),)*
                _ => None,
            }
        };
    }
    name!(error.raw_os_error()?;
        E2BIG EACCES EADDRINUSE EAGAIN EBADF EBUSY ECANCELED ECHILD ECONNREFUSED
        ECONNRESET EDEADLK EDQUOT EEXIST EFAULT EFBIG EHOSTDOWN EHOSTUNREACH EILSEQ
        EINTR EINVAL EIO EISDIR ELOOP EMFILE EMLINK ENAMETOOLONG ENETUNREACH
        ENFILE ENODEV ENOENT ENOEXEC ENOLCK ENOMEM ENOSPC ENOSYS ENOTCONN
        ENOTDIR ENOTEMPTY ENOTSUP ENOTTY ENXIO EOVERFLOW EPERM EPIPE EPROTO
        ERANGE EROFS ESPIPE ESRCH ESTALE ETIMEDOUT ETXTBSY EXDEV
    )
}

/// Whether an error means that the machine is short of processes, files or memory.
pub(crate) fn is_exhaustion(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EMFILE | libc::ENFILE | libc::ENOMEM))
}

/// Returns an error for which [`is_exhaustion`] holds.
#[cfg(test)]
pub(crate) fn exhaustion() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOMEM)
}

/// Returns the tag of this process, if it is a member of an execution of an engine in another process; else nothing. Read once, from
/// the environment at the start of the process.
pub(crate) fn own_tag() -> &'static [u8] {
    static TAG: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    TAG.get_or_init(|| procs::own_tag().unwrap_or_default())
}

/// Whether this process is a member of an execution of an outer engine.
fn is_nested() -> bool {
    nested_names::innermost(own_tag()).is_some()
}

/// Starts the thread that ends trees, so that it exists when the machine is short of threads later.
pub(crate) fn prepare() -> io::Result<()> {
    termination_thread::prepare()
}

/// Returns the time since the machine was started, without the time in which it slept.
pub(crate) fn uptime() -> Duration {
    #[cfg(target_vendor = "apple")]
    const CLOCK: libc::clockid_t = libc::CLOCK_UPTIME_RAW;
    #[cfg(not(target_vendor = "apple"))]
    const CLOCK: libc::clockid_t = libc::CLOCK_MONOTONIC;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the out-parameter is valid for the call, which cannot fail for a clock that every such system has.
    unsafe { libc::clock_gettime(CLOCK, &raw mut time) };
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Registers a function to be called when this process exits by a return from `main` or by `exit`, as after `process.exit()` and an
/// uncaught exception of Node.js. It is not called in a fork of this process. Only the first call has an effect.
pub(crate) fn at_exit(call: fn()) {
    static CALL: std::sync::OnceLock<(u32, fn())> = std::sync::OnceLock::new();
    extern "C" fn run() {
        if let Some((host, call)) = CALL.get()
            && *host == std::process::id()
        {
            call();
        }
    }
    if CALL.set((std::process::id(), call)).is_ok() {
        // SAFETY: the function belongs to this library, is valid as long as it, and does not unwind: `call` catches its panics.
        unsafe { libc::atexit(run) };
    }
}

/// Whether this is the thread with which this process has started.
#[cfg(feature = "node")]
pub(crate) fn is_first_thread() -> bool {
    // SAFETY: these calls only return numbers.
    #[cfg(target_os = "linux")]
    let is_first = unsafe { libc::gettid() == libc::getpid() };
    // SAFETY: as above.
    #[cfg(not(target_os = "linux"))]
    let is_first = unsafe { libc::pthread_main_np() } != 0;
    is_first
}

/// Returns the time on the clock of process starts.
pub(crate) fn start_clock() -> u64 {
    procs::now()
}

/// Returns which processes are hidden from this process; `None` where it sees all of them.
pub(crate) fn limited_sight() -> Option<&'static str> {
    static LIMIT: std::sync::OnceLock<Option<&'static str>> = std::sync::OnceLock::new();
    *LIMIT.get_or_init(procs::limit)
}
