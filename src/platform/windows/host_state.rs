//! The state that a child inherits from its host, as it was when the command was accepted.

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
    pub(super) fn change_to(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// Returns [`HostState::directory`], for `PWD`.
    pub(crate) fn name(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// Whether a path is a name of the working directory.
    pub(crate) fn is_known_as(&self, path: &Path) -> bool {
        self.directory.as_deref() == Some(path)
    }
}
