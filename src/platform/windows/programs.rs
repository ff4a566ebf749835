//! Finds the file of a program.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use windows_sys::Win32::Storage::FileSystem::GetBinaryTypeW;

use super::command_line::wide_z;
use crate::platform::windows_rules::{extensions, is_batch, is_cmd, is_powershell, program_names};

/// Flags with which a PowerShell runs a file. Without them it reads the path and the arguments as code.
pub(super) const POWERSHELL_FILE: &[&str] = &["-NoLogo", "-NoProfile", "-NonInteractive", "-File"];

/// Returns the file that the path of a program refers to: with an extension of `%PATHEXT%`, if the path has none of them. `path_ext`
/// is the child's.
pub(crate) fn executable(path: PathBuf, path_ext: Option<&[u8]>) -> PathBuf {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return path };
    found_in(folder, name, path_ext).unwrap_or(path)
}

/// Looks a name up in the directories of `path`, relative ones of which start at `cwd`. The directory `cwd` itself is not searched.
pub(crate) fn search(name: &str, path: &OsStr, cwd: &Path, path_ext: Option<&[u8]>) -> Option<PathBuf> {
    let entries = std::env::split_paths(path).filter(|entry| !entry.as_os_str().is_empty());
    entries.map(|entry| cwd.join(entry)).find_map(|folder| found_in(&folder, OsStr::new(name), path_ext))
}

fn found_in(folder: &Path, name: &OsStr, path_ext: Option<&[u8]>) -> Option<PathBuf> {
    let path_ext = path_ext.map(String::from_utf8_lossy);
    let extensions = extensions(path_ext.as_deref());
    let names = program_names(name.to_str()?, &extensions);
    let (last, others) = names.split_last()?;
    let there = others.iter().map(|name| folder.join(name)).find(|file| is_there(file));
    // If the name has no extension of a program, its content decides.
    let is_named = others.is_empty();
    there.or_else(|| Some(folder.join(last)).filter(|file| is_there(file) && (is_named || is_binary(file))))
}

/// Whether there is a file, or the alias of an application of the Microsoft Store, which is a dangling link.
fn is_there(file: &Path) -> bool {
    std::fs::symlink_metadata(file).is_ok_and(|found| found.is_file() || found.is_symlink())
}

fn is_binary(file: &Path) -> bool {
    let Ok(file) = wide_z(file.as_os_str()) else { return false };
    let mut kind = 0;
    // SAFETY: the path ends with a NUL; the out-parameter is valid for the call.
    unsafe { GetBinaryTypeW(file.as_ptr(), &raw mut kind) != 0 }
}

/// Returns the arguments between an interpreter that a request names and the script.
pub(crate) fn interpreter_flags(program: &Path) -> &'static [&'static str] {
    if is_powershell(&program.to_string_lossy()) { POWERSHELL_FILE } else { &[] }
}

/// Returns why an interpreter that a request names does not read a script.
pub(crate) fn interpreter_problem(program: &Path, script: &Path) -> Option<&'static str> {
    let is_mismatch = is_cmd(&program.to_string_lossy()) && !is_batch(&script.to_string_lossy());
    is_mismatch
        .then_some("is not named .bat or .cmd, and cmd.exe runs no other files: rename it, or leave `interpreter` out")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_name_with_a_dot_and_the_extensions_of_the_child_find_a_program() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["python3.11.exe", "both", "both.cmd", "odd.xyz", "notes.txt"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let found = |name, path_ext: Option<&str>| {
            let by_name = search(name, folder.path().as_os_str(), Path::new(r"C:\"), path_ext.map(str::as_bytes));
            let by_path = executable(folder.path().join(name), path_ext.map(str::as_bytes));
            if let Some(by_name) = &by_name {
                assert_eq!(*by_name, by_path);
            } else {
                assert_eq!(by_path, folder.path().join(name), "it is left as it is");
            }
            by_name.map(|file| file.file_name().unwrap().to_str().unwrap().to_ascii_lowercase())
        };
        assert_eq!(found("python3.11", None).as_deref(), Some("python3.11.exe"));
        assert_eq!(found("both", None).as_deref(), Some("both.cmd"), "the other is no program of this system");
        assert_eq!(found("odd", None), None);
        assert_eq!(found("odd", Some(".EXE;.XYZ")).as_deref(), Some("odd.xyz"));
        assert_eq!(found("notes.txt", None), None);
        assert_eq!(found("both.cmd", None).as_deref(), Some("both.cmd"));
        assert_eq!(search("both", OsStr::new(""), folder.path(), None), None);
        assert!(search("both", OsStr::new("."), folder.path(), None).is_some(), "a relative entry");
    }

    #[test]
    fn interpreters_get_what_they_need_to_run_a_file() {
        assert_eq!(interpreter_flags(Path::new(r"C:\x\powershell.exe")).last(), Some(&"-File"));
        assert!(interpreter_flags(Path::new(r"C:\x\node.exe")).is_empty());
        let cmd = Path::new(r"C:\Windows\System32\cmd.exe");
        assert!(interpreter_problem(cmd, Path::new(r"C:\x.txt")).is_some());
        assert!(interpreter_problem(cmd, Path::new(r"C:\x.bat")).is_none());
    }
}
