//! Why the system did not start a program.

use std::io;
use std::path::{Path, PathBuf};

use super::SpawnFailure;
use super::directory::working_dir;
use super::script::shebang;
use crate::platform::{self, FileKind, Launch};

/// The kernel follows no more interpreters of interpreters.
const MOST_INTERPRETERS: usize = 5;

/// Explains what kept the system from starting `launch`: the directory, the program, or what the program needs to run.
pub(crate) fn explain(error: &io::Error, launch: &Launch) -> SpawnFailure {
    if platform::is_null_device_missing(error) {
        return SpawnFailure::new(
            error,
            format!("{error}, which is the input of a command without `stdin`: mount /dev, or give `stdin`"),
        );
    }
    if platform::is_terminal_missing(error) {
        let remedy = "mount /dev/pts, raise the number of terminals (kernel.pty.max), or leave out `terminal`";
        return SpawnFailure::new(error, format!("{error}: {remedy}"));
    }
    if let Some((name, refusal)) = platform::refused_limit(error) {
        let why = if platform::is_exhaustion(refusal) {
            "it is too small for the program"
        } else {
            "it may be above the hard limit of the host"
        };
        return SpawnFailure::new(
            refusal,
            format!(
                "the limit of {} was refused by the system ({refusal}), since {why}: give another one in `limits`",
                name.replace('_', " ")
            ),
        );
    }
    if let Some(cwd) = &launch.cwd
        && let Err(failure) = working_dir(cwd, &launch.host)
    {
        return failure;
    }
    let name = platform::errno_name(error);
    if let Some(cwd) = launch.cwd.as_ref().filter(|cwd| name == Some("EACCES") && !platform::may_enter(cwd)) {
        let directory = cwd.display();
        return SpawnFailure::new(
            error,
            format!("working directory {directory} may not be entered: permit it (`chmod +x`), or name another"),
        );
    }
    let cwd = launch.cwd.clone().or_else(|| launch.host.directory().ok());
    if let Some((cwd, most)) = cwd.and_then(|cwd| platform::is_too_long_a_directory(&cwd).map(|most| (cwd, most))) {
        let directory = cwd.display();
        return SpawnFailure::new(
            error,
            format!(
                "working directory {directory} has a path of more than the {most} characters that the system allows here: run it in another one"
            ),
        );
    }
    let (what, program) = (launch.role, launch.program.display());
    let needs_files = matches!(name, Some("ENOENT" | "EACCES" | "ENOTDIR" | "ELOOP" | "ENAMETOOLONG"));
    if needs_files && let Some(message) = broken_interpreter(&launch.program) {
        return SpawnFailure::new(error, message);
    }
    let message = match name {
        Some("ENOENT") if launch.program.exists() => format!(
            "{what} {program} exists, but the loader or library that it was linked for does not: install it, or use a build for this system"
        ),
        Some("ENOENT") => format!("{what} {program} does not exist: check the path, or install it"),
        Some("ENOTDIR") => {
            format!("{what} {program} does not exist, since a part of its path is a file: check the path")
        }
        Some("EACCES") if is_out_of_reach(&launch.program) => {
            format!(
                "{what} {program} cannot be reached: permit this user to search the directories of its path (`chmod +x`)"
            )
        }
        Some("EACCES") if launch.program.is_dir() => format!("{what} {program} is a directory: name a file in it"),
        Some("EACCES") => special(&launch.program).map_or_else(
            || {
                format!(
                    "{what} {program} may not be executed: {}{}",
                    platform::not_executable(Some(error)),
                    or_as_script(what)
                )
            },
            |kind| format!("{what} {program} is {kind}: name a regular file"),
        ),
        Some("ENOEXEC") => format!(
            "{what} {program} is neither a binary for this machine nor a script with a `#!` line: run it as a script with an interpreter"
        ),
        Some("E2BIG") => format!(
            "the arguments and the environment of {program} are too large for the system ({} bytes): pass the data on stdin or in a file",
            argument_bytes(launch)
        ),
        _ if platform::is_exhaustion(error) => exhausted(error),
        _ => format!("{what} {program} could not be started: {error}"),
    };
    SpawnFailure::new(error, message)
}

/// Whether a directory of a path may not be searched.
fn is_out_of_reach(path: &Path) -> bool {
    std::fs::metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

/// Returns the hint that a program may be meant to be a script; a shell and an interpreter are not.
fn or_as_script(what: &str) -> &'static str {
    if what == "program" { ", or run it as a script" } else { "" }
}

/// Returns what is wrong with the interpreter of a script, or with the interpreter of that one.
fn broken_interpreter(program: &Path) -> Option<String> {
    let mut script = program.to_owned();
    for _ in 0..MOST_INTERPRETERS {
        let line = shebang(&script).ok()??;
        let interpreter = PathBuf::from(&line.interpreter);
        let what = format!("interpreter {:?} of script {}", line.interpreter, script.display());
        let found = match std::fs::metadata(&interpreter) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Some(missing_interpreter(&line.interpreter, &script));
            }
            Err(error) => return Some(format!("{what} cannot be reached ({error}): correct the `#!` line")),
        };
        match platform::file_kind(&found) {
            FileKind::Directory => return Some(format!("{what} is a directory: correct the `#!` line")),
            FileKind::Special(kind) => return Some(format!("{what} is {kind}: correct the `#!` line")),
            FileKind::Regular if !platform::is_executable(&found) => {
                return Some(format!("{what} may not be executed: {}", platform::not_executable(None)));
            }
            FileKind::Regular => script = interpreter,
        }
    }
    None
}

pub(super) fn missing_interpreter(interpreter: &str, script: &Path) -> String {
    let cause = if interpreter.ends_with('\r') {
        "its `#!` line ends with a carriage return: save the file with LF line ends"
    } else {
        "install it, or correct the `#!` line"
    };
    format!("interpreter {interpreter:?} of script {} does not exist: {cause}", script.display())
}

/// Returns the resource that a machine lacks, and the limit that applies.
pub(crate) fn exhaustion_text(error: &io::Error) -> String {
    match platform::errno_name(error) {
        Some("EMFILE" | "ENFILE") => format!("too many files are open ({error}): raise the limit (ulimit -n)"),
        _ => format!(
            "the system has no room for another process ({error}): end some, raise the limit (ulimit -u, or pids.max of the control group)"
        ),
    }
}

/// Returns [`exhaustion_text`], with other remedies for a command that is to be started.
pub(super) fn exhausted(error: &io::Error) -> String {
    format!("{}, or lower `max_concurrent_executions`", exhaustion_text(error))
}

fn argument_bytes(launch: &Launch) -> usize {
    launch.env.len() + launch.args.iter().map(|arg| arg.len() + 1).sum::<usize>()
}

/// Returns the type of a file that is neither a regular one nor a directory.
fn special(path: &Path) -> Option<&'static str> {
    match platform::file_kind(&std::fs::metadata(path).ok()?) {
        FileKind::Special(what) => Some(what),
        FileKind::Regular | FileKind::Directory => None,
    }
}
