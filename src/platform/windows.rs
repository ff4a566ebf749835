//! Windows.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::windows::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation as win32;
use windows_sys::Win32::Globalization::{CSTR_EQUAL, CompareStringOrdinal};
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleA, GetProcAddress};
use windows_sys::Win32::System::SystemInformation::GetSystemDirectoryW;
use windows_sys::Win32::System::WindowsProgramming::QueryUnbiasedInterruptTime;

use super::{Interpreter, ShellArgs, windows_rules};
use crate::runtime::WaitSet;

pub(crate) use self::files::{
    append_private, block_file_size_signal, check_private_dir, create_private, create_private_dir, file_id, file_id_at,
    file_kind, free_bytes, is_deleted, is_executable, may_enter, names_descriptor, open_no_follow, open_regular,
    private_temp_dir, try_lock,
};
pub(crate) use self::leader::Leader;
pub(crate) use self::lifeline::{Lifeline, Table, spawn_guardian};
pub(crate) use self::pipe::{PipeReader, PipeWriter, reader_closed, write_some};
use self::programs::POWERSHELL_FILE;
pub(crate) use self::programs::{executable, interpreter_flags, interpreter_problem, search};
pub(crate) use self::spawn::{Spawned, spawn};
pub(crate) use self::terminal::{HAS_TERMINALS, end_of_file, is_terminal_missing, resize_terminal, terminal_id};

mod command_line;
mod environment;
mod exit_watch;
mod files;
mod job;
mod leader;
mod lifeline;
mod pipe;
mod process;
mod programs;
mod spawn;
mod terminal;

/// A line for the default shell that runs for ten minutes. Other commands that wait need a console.
#[cfg(test)]
pub(crate) const LONG_COMMAND: &str = "ping -n 600 127.0.0.1 >nul";
/// Whether the system itself ends the trees of a host that is gone. A job ends with its last handle, which the host has.
pub(crate) const TREES_END_WITH_THE_HOST: bool = true;
/// Whether users have login shells.
pub(crate) const HAS_LOGIN_SHELLS: bool = false;
/// Whether commands can be limited here.
pub(crate) const HAS_LIMITS: bool = false;
/// Whether `Path` and `PATH` are one variable.
pub(crate) const ENV_IGNORES_CASE: bool = true;
/// Whether programs expect the path of their directory in `PWD`.
pub(crate) const HAS_PWD: bool = false;
/// Whether a `#!` line has a path of this system.
pub(crate) const SHEBANG_IS_A_PATH: bool = false;
/// Programs that read scripts on this system and are preferred to those of every system, by extension.
pub(crate) const INTERPRETERS: &[(&str, &[Interpreter])] = &[
    // `python3` may be an alias that opens the Microsoft Store.
    ("py", &[("py", &["-3"]), ("python", &[]), ("python3", &[])]),
    ("ps1", &[("pwsh", POWERSHELL_FILE), ("powershell", POWERSHELL_FILE)]),
];

/// The numbers of Node.js for the two signals that Windows can imitate.
const SIGKILL: i32 = 9;
const SIGBREAK: i32 = 21;

/// A set that is always empty: on Windows the runtime waits for everything.
#[derive(Default)]
pub(crate) struct Waits;

impl WaitSet for Waits {
    fn wait(&mut self, _until: Instant) -> bool {
        false
    }
}

/// Globs of the variables that a program needs to start.
pub(crate) const fn core_env_names() -> &'static [&'static str] {
    &[
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "LANG",
        "LC_*",
        "TZ",
        "TMPDIR",
        "TERM",
        // These are the variables that Windows needs.
        "PATHEXT",
        "SystemRoot",
        "SystemDrive",
        "windir",
        "ComSpec",
        "OS",
        "TEMP",
        "TMP",
        "COMPUTERNAME",
        "NUMBER_OF_PROCESSORS",
        "PROCESSOR_*",
        "USERNAME",
        "USERDOMAIN",
        "USERPROFILE",
        "HOMEDRIVE",
        "HOMEPATH",
        "LOGONSERVER",
        "PUBLIC",
        "ALLUSERSPROFILE",
        "APPDATA",
        "LOCALAPPDATA",
        "ProgramData",
        "ProgramFiles*",
        "ProgramW6432",
        "CommonProgramFiles*",
        "CommonProgramW6432",
        "PSModulePath",
    ]
}

/// Returns the directories that are searched for programs when the child has no `PATH`.
pub(crate) fn default_path() -> PathBuf {
    let system = system_directory();
    let mut path = system.clone().into_os_string();
    if let Some(windows) = system.parent() {
        path.push(";");
        path.push(windows);
    }
    PathBuf::from(path)
}

/// Returns the shell of a `shell` command that names none. Not `%ComSpec%`: a variable must not select the program.
pub(crate) fn default_shell() -> PathBuf {
    system_directory().join("cmd.exe")
}

fn system_directory() -> PathBuf {
    let mut buffer = [0_u16; 260];
    // SAFETY: the buffer has the given length.
    let length = unsafe { GetSystemDirectoryW(buffer.as_mut_ptr(), 260) } as usize;
    match buffer.get(..length) {
        Some(path) if length > 0 => PathBuf::from(String::from_utf16_lossy(path)),
        _ => PathBuf::from(r"C:\Windows\System32"),
    }
}

/// Returns the arguments of a shell for a line. `cmd.exe` takes the rest of its command line unchanged, between the quotes that `/s`
/// removes; every other shell takes the line as an argument.
pub(crate) fn shell_args(shell: &Path, line: &str, strict: bool) -> ShellArgs {
    let name = shell.file_stem().and_then(OsStr::to_str).unwrap_or_default().to_ascii_lowercase();
    let flags: &[&str] = match &*name {
        "cmd" => {
            let args = ["/d", "/s", "/c"].into_iter().map(OsString::from).chain([format!("\"{line}\"").into()]);
            return ShellArgs { args: args.collect(), verbatim: true, descriptor: None };
        }
        "pwsh" | "powershell" => &["-NoLogo", "-NonInteractive", "-Command"],
        _ if strict => &["-o", "errexit", "-o", "nounset", "-o", "pipefail", "-c"],
        _ => &["-c"],
    };
    ShellArgs { args: flags.iter().chain([&line]).map(OsString::from).collect(), verbatim: false, descriptor: None }
}

/// Returns the login shell of the user: there is none.
pub(crate) fn login_shell() -> Option<PathBuf> {
    None
}

/// Returns `None`: the system does not show what a process waits for.
pub(crate) fn empty_pipe(_: &PipeWriter) -> Option<super::InputId> {
    None
}

/// Returns the limit that kept a command from being started: there is none here.
pub(crate) fn refused_limit(_: &io::Error) -> Option<(&'static str, &io::Error)> {
    None
}

/// Whether an error means that there is no `/dev/null`. `NUL` always exists.
pub(crate) fn is_null_device_missing(_: &io::Error) -> bool {
    false
}

/// Whether a path is absolute. The system completes other paths with the drive or the directory.
pub(crate) fn is_complete(_: &Path) -> bool {
    false
}

/// Converts the bytes of an environment value to a path.
pub(crate) fn path_from_bytes(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}

/// Whether two names refer to the same variable.
pub(crate) fn same_name(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
        || (!(one.is_ascii() && other.is_ascii()) && compare_names(&wide(one), &wide(other)).is_eq())
}

fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

/// Compares names by the order of variables in an environment.
fn compare_names(one: &[u16], other: &[u16]) -> std::cmp::Ordering {
    let length = |name: &[u16]| i32::try_from(name.len()).unwrap_or(i32::MAX);
    // SAFETY: both have the given length.
    let order = unsafe { CompareStringOrdinal(one.as_ptr(), length(one), other.as_ptr(), length(other), 1) };
    order.cmp(&CSTR_EQUAL)
}

/// Whether a file is a script of `cmd.exe`, known by its extension.
pub(crate) fn is_batch(path: &Path) -> bool {
    windows_rules::is_batch(&path.to_string_lossy())
}

/// Returns the longest allowed path of a working directory in UTF-16 units, if the path is longer. With the separator and the NUL that
/// the system adds, that makes 260.
pub(crate) fn is_too_long_a_directory(path: &Path) -> Option<usize> {
    const MOST: usize = 258;
    (path.as_os_str().encode_wide().count() > MOST).then_some(MOST)
}

/// Returns the remedy for a program that may not be executed.
pub(crate) fn not_executable(error: Option<&io::Error>) -> &'static str {
    match error.and_then(code) {
        Some(win32::ERROR_ELEVATION_REQUIRED) => "it needs the rights of an administrator: give them to the host",
        Some(_) => "give this user the right to execute it",
        None => "it is no program of this system: name an .exe, a .com or a batch file, or run it as a script",
    }
}

/// Returns the size of a struct as the system's calls take it.
#[expect(clippy::cast_possible_truncation, reason = "the structs of an interface have a few hundred bytes")]
const fn size<T>() -> u32 {
    size_of::<T>() as u32
}

fn code(error: &io::Error) -> Option<u32> {
    error.raw_os_error().map(i32::cast_unsigned)
}

/// Returns the name of an error, such as `ENOENT`: the same as in Node.js.
pub(crate) fn errno_name(error: &io::Error) -> Option<&'static str> {
    Some(match code(error)? {
        win32::ERROR_FILE_NOT_FOUND | win32::ERROR_PATH_NOT_FOUND | win32::ERROR_INVALID_NAME => "ENOENT",
        win32::ERROR_ACCESS_DENIED | win32::ERROR_ELEVATION_REQUIRED | win32::ERROR_ACCESS_DISABLED_BY_POLICY => {
            "EACCES"
        }
        win32::ERROR_BAD_EXE_FORMAT | win32::ERROR_EXE_MACHINE_TYPE_MISMATCH => "ENOEXEC",
        command_line::TOO_LONG => "E2BIG",
        win32::ERROR_FILENAME_EXCED_RANGE => "ENAMETOOLONG",
        win32::ERROR_DIRECTORY => "ENOTDIR",
        win32::ERROR_TOO_MANY_OPEN_FILES => "EMFILE",
        win32::ERROR_NOT_ENOUGH_MEMORY
        | win32::ERROR_OUTOFMEMORY
        | win32::ERROR_COMMITMENT_LIMIT
        | win32::ERROR_NO_SYSTEM_RESOURCES
        | win32::ERROR_NOT_ENOUGH_QUOTA => "ENOMEM",
        win32::ERROR_MAX_THRDS_REACHED => "EAGAIN",
        win32::ERROR_SHARING_VIOLATION | win32::ERROR_PIPE_BUSY => "EBUSY",
        win32::ERROR_INVALID_HANDLE => "EBADF",
        win32::ERROR_INVALID_PARAMETER => "EINVAL",
        win32::ERROR_NOT_SUPPORTED => "ENOTSUP",
        win32::ERROR_DISK_FULL => "ENOSPC",
        _ => return None,
    })
}

/// Whether an error means that the machine is short of processes, files or memory.
pub(crate) fn is_exhaustion(error: &io::Error) -> bool {
    matches!(errno_name(error), Some("EMFILE" | "ENOMEM" | "EAGAIN"))
}

/// Returns an error for which [`is_exhaustion`] holds.
#[cfg(test)]
pub(crate) fn exhaustion() -> io::Error {
    io::Error::from_raw_os_error(win32::ERROR_NOT_ENOUGH_MEMORY.cast_signed())
}

/// Returns the name of a signal, such as `SIGKILL`.
pub(crate) fn signal_name(signal: i32) -> String {
    match signal {
        SIGKILL => String::from("SIGKILL"),
        SIGBREAK => String::from("SIGBREAK"),
        other => format!("signal {other}"),
    }
}

/// Every signal that can be sent to a command, by its name: Ctrl-Break, and the end of its job.
pub(crate) const SIGNALS: &[(&str, i32)] = &[("SIGBREAK", SIGBREAK), ("SIGKILL", SIGKILL)];

/// Returns the tag of this process. Jobs need no tags, so it is empty.
pub(crate) fn own_tag() -> &'static [u8] {
    &[]
}

/// Starts the threads that end trees. Windows needs none.
#[expect(clippy::unnecessary_wraps, reason = "the other systems can fail")]
pub(crate) fn prepare() -> io::Result<()> {
    Ok(())
}

/// Returns the time since the machine was started, without the time in which it slept.
pub(crate) fn uptime() -> Duration {
    type Precise = unsafe extern "system" fn(*mut u64);
    // Looked up at run time: Wine, for example, lacks it. The other call has a resolution of about 15 ms.
    static PRECISE: std::sync::OnceLock<Option<Precise>> = std::sync::OnceLock::new();
    let precise = PRECISE.get_or_init(|| {
        // SAFETY: the name ends with a NUL, and this library is loaded in every process.
        let library = unsafe { GetModuleHandleA(c"kernelbase.dll".as_ptr().cast()) };
        // SAFETY: as above; the call returns null for a null library.
        let found = unsafe { GetProcAddress(library, c"QueryUnbiasedInterruptTimePrecise".as_ptr().cast()) };
        // SAFETY: the documented signature of the function of this name.
        found.map(|found| unsafe { std::mem::transmute::<unsafe extern "system" fn() -> isize, Precise>(found) })
    });
    let mut ticks = 0;
    match precise {
        // SAFETY: the out-parameter is valid for the call.
        Some(precise) => unsafe { precise(&raw mut ticks) },
        None => {
            // SAFETY: as above.
            unsafe { QueryUnbiasedInterruptTime(&raw mut ticks) };
        }
    }
    Duration::from_nanos(ticks.saturating_mul(100))
}

/// Does nothing: no other process sends signals for this one.
pub(crate) fn end_stop_signals() {}

/// Returns `false`: a host that exits ends its trees itself.
#[cfg(feature = "node")]
pub(crate) fn is_first_thread() -> bool {
    false
}

/// Returns the time on the clock of process starts. Membership does not depend on it on Windows.
pub(crate) fn start_clock() -> u64 {
    0
}

/// Returns which processes are hidden from this process. A job shows all of its members.
pub(crate) fn limited_sight() -> Option<&'static str> {
    None
}

/// Does nothing: Windows calls a library only after the exit has ended every other thread. In Node.js a JavaScript listener does the
/// work; in any case the jobs end with the host.
pub(crate) fn at_exit(_: fn()) {}
