//! Control groups of version 2 that a user may write, as a service manager delegates them.

use std::path::{Path, PathBuf};

use crate::common::{Uuid, block_until};

pub(crate) struct Delegated(PathBuf);

impl Delegated {
    /// Makes a new group for a user. `None`: there is no version 2 here, this user may not write it, or it has no
    /// `cgroup.kill`.
    pub(crate) fn to(uid: u32) -> Option<Self> {
        let group = mount()?.join(format!("escher-test-{}", Uuid::new_v4()));
        std::fs::create_dir(&group).ok()?;
        let this = Self(group);
        // To move a process, one must be able to write to both groups' common ancestor.
        for file in ["", "cgroup.procs"] {
            std::os::unix::fs::chown(this.0.join(file), Some(uid), None).ok()?;
        }
        this.0.join("cgroup.kill").exists().then_some(this)
    }

    /// Starts a program in the group.
    pub(crate) fn words(&self) -> [String; 4] {
        let line = format!("echo $$ > '{}' && exec \"$@\"", self.0.join("cgroup.procs").display());
        ["/bin/sh".into(), "-c".into(), line, "sh".into()]
    }

    /// Returns the groups in the one that this process is in.
    pub(crate) fn groups_in_ours() -> Vec<PathBuf> {
        let ours = std::fs::read_to_string("/proc/self/cgroup").unwrap();
        let ours = mount().unwrap().join(ours.lines().find_map(|line| line.strip_prefix("0::/")).unwrap());
        groups_below(&ours)
    }

    /// Returns the processes in these groups and in those below them.
    pub(crate) fn living_below(groups: &[PathBuf]) -> Vec<String> {
        let mut living = Vec::new();
        for group in groups {
            let procs = std::fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
            living.extend(procs.lines().map(str::to_owned));
            living.extend(Self::living_below(&groups_below(group)));
        }
        living
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Processes that a failed test has left must not outlive it.
            let _ = std::fs::write(self.0.join("cgroup.kill"), "1");
        }
        block_until("the group is empty", || remove(&self.0));
    }
}

fn groups_below(group: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(group).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

/// Removes a group, and those that a host has left in it.
fn remove(group: &Path) -> bool {
    for below in groups_below(group) {
        remove(&below);
    }
    std::fs::remove_dir(group).is_ok()
}

/// Returns where the control groups of version 2 are.
pub(crate) fn mount() -> Option<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let line = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
    line.split(' ').nth(4).map(|mount| Path::new(mount).to_owned())
}
