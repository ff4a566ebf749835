//! The arguments of a shell for a line.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

#[cfg(target_os = "linux")]
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

use super::file_size_limit::without_file_size_signal;
use super::pipe::above_stderr;
use crate::platform::ShellArgs;

/// The longest argument that the system accepts (`MAX_ARG_STRLEN` of Linux), its final NUL included.
const LONGEST_ARGUMENT: usize = 128 * 1024;
/// The descriptor from which a shell reads a line that is too long for an argument.
const LINE_FD: &str = "3";
#[cfg(target_os = "linux")]
const DESCRIPTORS: &str = "/proc/self/fd";
#[cfg(not(target_os = "linux"))]
const DESCRIPTORS: &str = "/dev/fd";

/// Flags of bash that end a line at the first failure, at an unset variable, or at a failing part of a pipeline.
const STRICT: &[&str] = &["-o", "errexit", "-o", "nounset", "-o", "pipefail"];

/// Returns the arguments of a shell for a line. A line that is too long for an argument is read from descriptor 3, which the shell
/// closes before the first command of the line: `$0`, line numbers and options are the same as with an argument.
pub(crate) fn shell_args(shell: &Path, line: &str, strict: bool) -> ShellArgs {
    let name = shell.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let is_long = line.len() + 2 > LONGEST_ARGUMENT && Path::new(DESCRIPTORS).exists();
    let (flags, given, file): (&[&str], String, _) = match name {
        "pwsh" | "powershell" => (&["-NoLogo", "-NonInteractive", "-Command"], line.to_owned(), None),
        // Neither is a POSIX shell: the line must not change, and a dash does not start an option.
        name if name.starts_with("python") || name.starts_with("node") => (&["-c"], line.to_owned(), None),
        "fish" | "csh" | "tcsh" if is_long => {
            (&["-c"], format!("source {DESCRIPTORS}/{LINE_FD}"), Some(line.to_owned()))
        }
        _ if is_long => (&["-c"], format!(". {DESCRIPTORS}/{LINE_FD}"), Some(format!("exec {LINE_FD}<&-; {line}"))),
        // The line would be read as an option; a blank before it has no other effect.
        _ if line.starts_with(['-', '+']) => (&["-c"], format!(" {line}"), None),
        _ => (&["-c"], line.to_owned(), None),
    };
    let strict = if strict { STRICT } else { &[] };
    let args = strict.iter().chain(flags).map(|flag| (*flag).into()).chain([given.into()]).collect();
    ShellArgs { args, verbatim: false, descriptor: file.map(String::into_bytes) }
}

/// Creates a file without a name that holds the bytes and cannot be changed.
pub(super) fn sealed_file(bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = nameless_file()?;
    without_file_size_signal(|| file.write_all(bytes))?;
    // Opening a descriptor by its path may share the position.
    file.rewind()?;
    seal(&file);
    above_stderr(file.into())
}

#[cfg(target_os = "linux")]
fn nameless_file() -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // A system may require the flag that forbids executing the file, and an old one does not know it.
    let created =
        memfd_create("shell-line", flags | MemfdFlags::NOEXEC_SEAL).or_else(|_| memfd_create("shell-line", flags));
    if let Ok(file) = created {
        return Ok(file.into());
    }
    unlinked_file()
}

#[cfg(not(target_os = "linux"))]
fn nameless_file() -> io::Result<File> {
    unlinked_file()
}

/// Creates a file in the temp folder and removes its name. While it had the name, only this user could open it.
fn unlinked_file() -> io::Result<File> {
    let path = std::env::temp_dir().join(format!("shell-line-{}", uuid::Uuid::new_v4()));
    let created = File::options().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(created)
}

/// Forbids changes. Does nothing for a file that is not in memory, which has no name either.
#[cfg(target_os = "linux")]
fn seal(file: &File) {
    let _ = fcntl_add_seals(file, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE);
}

#[cfg(not(target_os = "linux"))]
fn seal(_: &File) {}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(shell: &str, line: &str, strict: bool) -> (Vec<String>, Option<usize>) {
        let given = shell_args(Path::new(shell), line, strict);
        let args = given.args.into_iter().map(|arg| arg.into_string().unwrap()).collect();
        (args, given.descriptor.map(|bytes| bytes.len()))
    }

    #[test]
    fn a_line_is_an_argument_unless_it_is_too_long() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(args("/bin/sh", "ls", false), (words(&["-c", "ls"]), None));
        assert_eq!(args("/bin/sh", "-v", false), (words(&["-c", " -v"]), None));
        assert_eq!(args("/bin/sh", "+v", false), (words(&["-c", " +v"]), None));
        assert_eq!(args("/usr/bin/python3", "-5", false), (words(&["-c", "-5"]), None));
        let strict = words(&["-o", "errexit", "-o", "nounset", "-o", "pipefail", "-c", "ls"]);
        assert_eq!(args("/bin/bash", "ls", true), (strict, None));
        let long = "x".repeat(LONGEST_ARGUMENT - 2);
        assert_eq!(args("/bin/sh", &long, false), (words(&["-c", &long]), None));
        let longer = "x".repeat(LONGEST_ARGUMENT - 1);
        let (given, bytes) = args("/bin/sh", &longer, false);
        assert_eq!((given.len(), bytes), (2, Some(longer.len() + "exec 3<&-; ".len())));
    }

    #[test]
    fn a_sealed_file_is_read_from_its_start() {
        let fd = sealed_file(b"a line").unwrap();
        assert_eq!(io::read_to_string(File::from(fd)).unwrap(), "a line");
    }
}
