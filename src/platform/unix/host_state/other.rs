//! The working directory alone: `posix_spawn` sets neither umask, nor niceness, nor affinity.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The working directory of the host at one moment.
#[derive(Debug)]
pub(crate) struct HostState {
    directory: Option<PathBuf>,
}

impl HostState {
    /// Captures the state of the calling thread's process.
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
    pub(in super::super) fn change_to(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// Returns [`HostState::directory`], for `PWD`.
    pub(crate) fn name(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// Whether a path is a name of the working directory.
    pub(crate) fn is_known_as(&self, path: &Path) -> bool {
        use std::os::unix::fs::MetadataExt;
        let id = |path: &Path| std::fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
        self.directory.as_deref().is_some_and(|directory| id(directory).is_some() && id(directory) == id(path))
    }
}
