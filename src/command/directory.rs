//! Determines the directory in which a command runs, and in which its relative names start.

use std::borrow::Cow;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::SpawnFailure;
use crate::platform::{self, HostState};

/// The directory of a command.
#[derive(Clone, Copy)]
pub(super) struct WorkingDirectory<'a> {
    /// The directory of the request, as an absolute path.
    pub(super) own: Option<&'a Path>,
    /// The state of the host, whose directory is used if the request has none.
    pub(super) host: &'a HostState,
}

impl WorkingDirectory<'_> {
    fn path(&self) -> io::Result<Cow<'_, Path>> {
        self.own.map_or_else(|| self.host.directory().map(Cow::Owned), |own| Ok(Cow::Borrowed(own)))
    }

    /// Returns a path as the command would see it.
    pub(super) fn absolute(&self, path: &Path) -> Result<PathBuf, SpawnFailure> {
        if platform::is_complete(path) {
            return Ok(path.to_owned());
        }
        let explain = |error: &io::Error| {
            let problem = match error.kind() {
                io::ErrorKind::NotFound => "is relative, and the working directory of the host has been deleted: give an absolute path, or set `working_dir`".to_owned(),
                _ => format!("cannot be made absolute: {error}"),
            };
            SpawnFailure::new(error, format!("{} {problem}", path.display()))
        };
        let base = self.path().map_err(|error| explain(&error))?;
        std::path::absolute(base.join(path)).map_err(|error| explain(&error))
    }

    /// Returns the variable `PWD` of the command; `None` when `inherited`, that of the host, is right.
    pub(super) fn pwd(&self, inherited: Option<&[u8]>) -> Option<PathBuf> {
        if let Some(own) = self.own {
            return Some(logical(own));
        }
        // A host without the variable does not get one.
        let is_right = self.host.is_known_as(&platform::path_from_bytes(inherited?));
        if is_right { None } else { self.host.name().map(Path::to_owned) }
    }
}

/// Returns the path of a directory without `.`, `..` and superfluous separators, its links kept: the value that `PWD`
/// may hold.
fn logical(path: &Path) -> PathBuf {
    if path.components().any(|part| part == Component::ParentDir) {
        // Only the system knows where `..` leads after a link.
        return path.canonicalize().unwrap_or_else(|_| path.to_owned());
    }
    path.components().collect()
}

/// Returns the working directory that a request names, absolute; or what is wrong with it.
pub(super) fn working_dir(dir: &Path, host: &HostState) -> Result<PathBuf, SpawnFailure> {
    let explain = |error: &io::Error, what: &str| {
        SpawnFailure::new(error, format!("working directory {} {what}: create it, or name another", dir.display()))
    };
    let absolute = WorkingDirectory { own: None, host }.absolute(dir)?;
    match std::fs::metadata(&absolute) {
        Ok(found) if found.is_dir() => Ok(absolute),
        Ok(_) => Err(explain(&io::Error::from(io::ErrorKind::NotADirectory), "is not a directory")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(explain(&error, "does not exist")),
        Err(error) => Err(explain(&error, &format!("cannot be entered ({error})"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pwd_has_neither_dots_nor_superfluous_separators() {
        assert_eq!(logical(Path::new("/usr/./lib//")), Path::new("/usr/lib"));
        assert_eq!(logical(Path::new("/")), Path::new("/"));
        assert_eq!(logical(Path::new("/usr/..")), Path::new("/").canonicalize().unwrap());
        assert_eq!(logical(Path::new("/no/such/../directory")), Path::new("/no/such/../directory"));
    }
}
