//! Linux control groups, version 2, where a writable one is at hand: `cgroup.kill` ends a group that forks faster than
//! anybody can look. Nothing is put into a group before it has to be killed, so a command costs nothing by this.

use libc::pid_t;

#[cfg(not(target_os = "linux"))]
pub(super) fn kill(_pids: &[pid_t]) -> bool {
    false
}

#[cfg(target_os = "linux")]
pub(super) use self::linux::kill;

#[cfg(target_os = "linux")]
mod linux {
    use std::path::{Path, PathBuf};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::pid_t;

    /// Moves processes into a group of their own and kills the group. `false`: that is not possible here.
    pub(in super::super) fn kill(pids: &[pid_t]) -> bool {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let Some(home) = home() else { return false };
        let group = home.join(format!("escher-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        if std::fs::create_dir(&group).is_err() {
            return false;
        }
        // One number a write; one that is gone, or may not be moved, is left to the signals.
        let move_in = |pid: &&pid_t| std::fs::write(group.join("cgroup.procs"), pid.to_string()).is_ok();
        let moved = pids.iter().filter(move_in).count();
        let killed = moved > 0 && std::fs::write(group.join("cgroup.kill"), "1").is_ok();
        remove_when_empty(&group);
        killed
    }

    /// The kernel removes a group only when its last process is gone.
    fn remove_when_empty(group: &Path) {
        for _ in 0..50 {
            if std::fs::remove_dir(group).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }

    /// Our own group's directory, if we may make groups in it.
    fn home() -> Option<&'static Path> {
        static HOME: OnceLock<Option<PathBuf>> = OnceLock::new();
        HOME.get_or_init(|| {
            let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
            let ours = std::fs::read_to_string("/proc/self/cgroup").ok()?;
            let mount = mounts.lines().find(|line| line.contains(" - cgroup2 "))?.split(' ').nth(4)?;
            let path = ours.lines().find_map(|line| line.strip_prefix("0::/"))?;
            let home = Path::new(mount).join(path);
            home.join("cgroup.procs").exists().then_some(home)
        })
        .as_deref()
    }

    #[cfg(test)]
    mod tests {
        use std::os::unix::process::ExitStatusExt;
        use std::process::Command;

        use super::*;

        #[test]
        fn a_group_is_killed_and_removed() {
            let sleeper = || Command::new("sleep").arg("1000").spawn().unwrap();
            let mut children = [sleeper(), sleeper(), sleeper()];
            let pids = children.each_ref().map(|child| pid_t::try_from(child.id()).unwrap());
            let is_killed = kill(&pids);
            if !is_killed {
                eprintln!("SKIPPED a_group_is_killed_and_removed: no control group of version 2 is ours to write");
                for child in &mut children {
                    child.kill().unwrap();
                }
            }
            for mut child in children {
                assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
            }
            let ours = format!("escher-{}-", std::process::id());
            let left = home().into_iter().flat_map(|home| std::fs::read_dir(home).unwrap().flatten());
            assert!(!left.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with(&ours)));
        }

        #[test]
        fn a_group_of_nobody_kills_nobody() {
            assert!(!kill(&[pid_t::MAX]));
        }
    }
}
