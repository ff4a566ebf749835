//! The child programs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{Command, ExecutionRequest};

/// Returns a line for `/bin/sh`. The default shell is not used: what a test says about its child must not depend on
/// bash.
pub(crate) fn shell(line: impl Into<String>) -> ExecutionRequest {
    Command::Shell { command: line.into(), shell: "/bin/sh".into() }.into()
}

/// Returns a program and its arguments, without a shell.
pub(crate) fn exec<S: AsRef<str>>(program: impl AsRef<str>, args: &[S]) -> ExecutionRequest {
    let args = args.iter().map(|arg| arg.as_ref().to_owned()).collect();
    Command::Exec { program: program.as_ref().to_owned(), args }.into()
}

/// Returns a program without arguments, named by its path.
pub(crate) fn program(path: &Path) -> ExecutionRequest {
    exec::<&str>(path.to_str().expect("test paths are UTF-8"), &[])
}

/// Returns a script file, whose interpreter is looked up.
pub(crate) fn script(path: impl Into<PathBuf>) -> ExecutionRequest {
    Command::Script { path: path.into(), interpreter: None, args: Vec::new() }.into()
}

/// Returns `true`, the child with the shortest run.
pub(crate) fn brief() -> ExecutionRequest {
    exec::<&str>("true", &[])
}

/// Returns a child that stays until it is ended.
pub(crate) fn endless() -> ExecutionRequest {
    exec("/bin/sleep", &["1000"])
}

/// Returns a child that prints `ready` and stays until it is ended; `trap` comes first.
pub(crate) fn endless_after(trap: &str) -> ExecutionRequest {
    shell(format!("{trap}; echo ready; while :; do sleep 0.05; done"))
}

/// Returns a child that leaves a file and exits: the file shows whether it ever ran.
pub(crate) fn leaves(marker: &Path) -> ExecutionRequest {
    exec("touch", &[marker.to_str().expect("test paths are UTF-8")])
}

/// Returns a child that prints `ready` and stays until the file exists. It notices an end of the test too.
pub(crate) fn waits_for(file: &Path) -> ExecutionRequest {
    shell(format!("echo ready; while [ ! -e '{0}' ] && [ -d '{1}' ]; do sleep 0.01; done", file.display(), dir(file)))
}

fn dir(file: &Path) -> String {
    file.parent().expect("a file is in a directory").display().to_string()
}

/// Makes a directory that is removed with the test.
pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// Writes a file of the given mode.
pub(crate) fn write_file(path: &Path, content: impl AsRef<[u8]>, mode: u32) -> PathBuf {
    fs::write(path, content).expect("the scratch directory takes files");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the file is ours");
    path.to_owned()
}

/// Writes a file that may be executed.
pub(crate) fn executable(path: &Path, content: impl AsRef<[u8]>) -> PathBuf {
    write_file(path, content, 0o755)
}
