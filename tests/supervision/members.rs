//! Processes of a tree that record the signals that they get, in a directory of the test.

use std::path::{Path, PathBuf};

use crate::common::*;

/// Takes a lock, and on SIGTERM releases it and writes a line. `sh member.sh NAME` runs it in the directory.
const MEMBER: &str = "
name=$1
trap 'rm -f $name.lock; echo stopped >> $name.stopped; exit 0' TERM
: > $name.lock
echo $$ > $name.pid
while :; do sleep 0.02; done
";

pub(crate) struct Members {
    dir: tempfile::TempDir,
}

impl Members {
    pub(crate) fn new() -> Self {
        let dir = scratch();
        write_file(&dir.path().join("member.sh"), MEMBER, 0o644);
        Self { dir }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        write_file(&self.file(name), text, 0o644);
    }

    /// Returns a shell line that runs in the directory.
    pub(crate) fn shell(&self, line: &str) -> ExecutionRequest {
        ExecutionRequest { working_dir: Some(self.dir.path().to_owned()), ..shell(line) }
    }

    /// Returns the text of a file; empty if there is none.
    pub(crate) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    /// Waits for a file with a whole line in it.
    pub(crate) async fn written(&self, name: &str) -> String {
        wait_until(&format!("{name} is written"), || self.text(name).ends_with('\n')).await;
        self.text(name)
    }

    /// Waits until a process has written its id into `NAME.pid`.
    pub(crate) async fn pid(&self, name: &str) -> u32 {
        self.written(&format!("{name}.pid")).await.trim().parse().expect("a process id")
    }

    pub(crate) async fn pids<const N: usize>(&self, names: [&str; N]) -> [u32; N] {
        let mut pids = [0; N];
        for (pid, name) in pids.iter_mut().zip(names) {
            *pid = self.pid(name).await;
        }
        pids
    }
}

/// A grace period that no test waits for.
pub(crate) const LONG_GRACE_MS: u64 = 600_000;

pub(crate) fn grace(ms: u64) -> ExecutionOptions {
    ExecutionOptions { kill_grace_ms: Some(ms), ..Default::default() }
}

/// Returns what was done to end it.
pub(crate) fn mechanism(result: &ExecutionResult) -> &str {
    &result.killed.as_ref().unwrap_or_else(|| panic!("nothing was ended: {result:#?}")).mechanism
}
