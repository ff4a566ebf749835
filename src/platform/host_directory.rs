//! The working directory of the host: the whole state that a child inherits on systems where the engine sets neither umask, nor niceness,
//! nor affinity. On Linux `unix/host_state.rs` takes its place.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The working directory of the host, as it was when the command was accepted.
#[derive(Debug)]
pub(crate) struct HostState {
    directory: Option<PathBuf>,
}

impl HostState {
    /// Captures the state of this process.
    pub(crate) fn capture() -> Arc<Self> {
        Arc::new(Self { directory: std::env::current_dir().ok() })
    }

    /// Returns the path of the working directory.
    ///
    /// # Errors
    /// `NotFound` when the directory had been deleted.
    pub(crate) fn directory(&self) -> io::Result<PathBuf> {
        self.directory.clone().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Returns the directory that a child has to change to; `None` if it stays in the directory of the host.
    pub(super) fn change_to(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// Returns [`HostState::directory`], for `PWD`.
    pub(crate) fn name(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// Returns whether a path is a name of the working directory.
    pub(crate) fn is_known_as(&self, path: &Path) -> bool {
        self.directory.as_deref().is_some_and(|directory| is_same_directory(directory, path))
    }
}

/// Whether two paths, links included, lead to the same directory.
#[cfg(unix)]
fn is_same_directory(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |path: &Path| std::fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
    one == other || id(one).is_some_and(|found| id(other) == Some(found))
}

/// Whether two paths have the same text. That suffices: no program expects a name of its directory here.
#[cfg(windows)]
fn is_same_directory(one: &Path, other: &Path) -> bool {
    one == other
}
