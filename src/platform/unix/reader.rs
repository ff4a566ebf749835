//! Finds out what a process is blocked reading.

use super::procs::Proc;
use crate::platform::InputId;
use crate::types::WaitsFor;

/// Returns what a process is doing, and whether one of its threads is blocked reading this input.
#[cfg(target_os = "linux")]
pub(super) fn look(proc: &Proc, input: InputId) -> Activity {
    let activity = linux::look(proc.pid.as_raw(), input);
    // A stopped process is shown in the call that it will continue: it reads nothing until then.
    Activity { waits_for: activity.waits_for.filter(|_| !proc.is_stopped()), ..activity }
}

/// Returns no activity: the system does not show it.
#[cfg(not(target_os = "linux"))]
pub(super) fn look(_proc: &Proc, _input: InputId) -> Activity {
    Activity::default()
}

/// The activity of a process.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Activity {
    /// The processor time, in units of the system.
    pub(super) used: u64,
    /// The input that one of its threads is blocked reading.
    pub(super) waits_for: Option<WaitsFor>,
    /// Whether one of its threads has the processor, or waits for it: on a busy machine for longer than the threshold.
    pub(super) is_running: bool,
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::{self, File};
    use std::os::unix::fs::{FileExt as _, MetadataExt as _};

    use libc::c_long;

    use super::Activity;
    use crate::platform::InputId;
    use crate::types::WaitsFor;

    /// The most threads of a process that are looked at.
    const MOST_THREADS: usize = 64;
    /// The most descriptors of one call that are looked at.
    const MOST_POLLED: u64 = 1024;
    /// The device number of `/dev/tty`, which is the controlling terminal of each process.
    const OWN_TERMINAL: u64 = libc::makedev(5, 0);

    pub(super) fn look(pid: i32, input: InputId) -> Activity {
        let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let ids = threads.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let mut activity = Activity { used: used(pid), ..Activity::default() };
        for thread in ids.take(MOST_THREADS) {
            let call = fs::read_to_string(format!("/proc/{pid}/task/{thread}/syscall")).unwrap_or_default();
            activity.is_running |= call.starts_with("running");
            if activity.waits_for.is_none() {
                activity.waits_for = read_by(pid, &call).into_iter().find_map(|fd| kind_of(pid, fd, input));
            }
        }
        activity
    }

    /// Returns the processor time of a process, in ticks.
    fn used(pid: i32) -> u64 {
        stat(pid, 12).into_iter().take(2).sum()
    }

    /// Returns the device number of the controlling terminal of a process.
    fn controlling_terminal(pid: i32) -> Option<u64> {
        stat(pid, 5).first().copied()
    }

    /// Whether a process may not read its controlling terminal, since another process group is in the foreground: the system stops it then.
    fn is_in_background(pid: i32, device: u64) -> bool {
        matches!(stat(pid, 3)[..], [group, _, terminal, foreground, ..] if terminal == device && foreground != group)
    }

    /// Returns the numbers of `/proc/PID/stat` after the name and `skipped` further fields.
    fn stat(pid: i32, skipped: usize) -> Vec<u64> {
        let stat = fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name before it may hold anything.
        let end = stat.iter().rposition(|byte| *byte == b')').unwrap_or(0);
        let fields = String::from_utf8_lossy(&stat[end..]).into_owned();
        fields.split_ascii_whitespace().skip(skipped).map_while(|field| field.parse().ok()).collect()
    }

    /// Returns the descriptors that a call waits to read from. `call` is the number of a system call and its arguments.
    fn read_by(pid: i32, call: &str) -> Vec<u64> {
        let mut words = call.split_ascii_whitespace();
        // `running` and -1 are no call.
        let Some(number) = words.next().and_then(|word| word.parse::<c_long>().ok()) else { return Vec::new() };
        let arguments: Vec<u64> =
            words.map_while(|word| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()).take(6).collect();
        let [first, second, ..] = arguments[..] else { return Vec::new() };
        match number {
            libc::SYS_read | libc::SYS_readv | libc::SYS_recvfrom | libc::SYS_recvmsg => vec![first],
            // Programs copy their input by these calls, `cat` among them.
            libc::SYS_splice | libc::SYS_tee | libc::SYS_copy_file_range => vec![first],
            libc::SYS_sendfile => vec![second],
            libc::SYS_ppoll => polled(pid, first, second),
            libc::SYS_pselect6 => selected(pid, first, second),
            libc::SYS_epoll_pwait | libc::SYS_epoll_pwait2 => watched(pid, first),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_poll => polled(pid, first, second),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_select => selected(pid, first, second),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_epoll_wait => watched(pid, first),
            _ => Vec::new(),
        }
    }

    /// Reads the memory of a process.
    fn memory(pid: i32, at: u64, bytes: u64) -> Option<Vec<u8>> {
        let mut found = vec![0; usize::try_from(bytes).ok()?];
        File::open(format!("/proc/{pid}/mem")).ok()?.read_exact_at(&mut found, at).ok()?;
        Some(found)
    }

    /// Returns the descriptors of a `pollfd` array that are polled for input.
    fn polled(pid: i32, at: u64, count: u64) -> Vec<u64> {
        let entries = memory(pid, at, count.min(MOST_POLLED) * 8).unwrap_or_default();
        let entry = |entry: &[u8]| {
            let fd = i32::from_ne_bytes(entry[..4].try_into().ok()?);
            let events = i16::from_ne_bytes(entry[4..6].try_into().ok()?);
            if events & libc::POLLIN == 0 { None } else { u64::try_from(fd).ok() }
        };
        entries.chunks_exact(8).filter_map(entry).collect()
    }

    /// Returns the members of an `fd_set`.
    fn selected(pid: i32, count: u64, at: u64) -> Vec<u64> {
        let count = count.min(MOST_POLLED);
        let bits = if at == 0 { None } else { memory(pid, at, count.div_ceil(64) * 8) }.unwrap_or_default();
        // Little-endian words, on every architecture that is supported.
        let is_set = |fd: &u64| {
            bits.get(usize::try_from(*fd / 8).unwrap_or(usize::MAX)).is_some_and(|byte| byte >> (*fd % 8) & 1 == 1)
        };
        (0..count).filter(is_set).collect()
    }

    /// Returns the descriptors that an epoll instance watches for input.
    fn watched(pid: i32, epoll: u64) -> Vec<u64> {
        let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{epoll}")).unwrap_or_default();
        let target = |line: &str| {
            let mut words = line.strip_prefix("tfd:")?.split_ascii_whitespace();
            let fd = words.next()?.parse::<u64>().ok()?;
            let events = u32::from_str_radix(words.nth(1)?, 16).ok()?;
            (events & libc::EPOLLIN.cast_unsigned() != 0).then_some(fd)
        };
        info.lines().filter_map(target).collect()
    }

    /// Returns what a descriptor is, if it is the input.
    fn kind_of(pid: i32, fd: u64, input: InputId) -> Option<WaitsFor> {
        let path = format!("/proc/{pid}/fd/{fd}");
        let target = fs::read_link(&path).ok()?;
        match input {
            InputId::Pipe(inode) => (target.to_str()? == format!("pipe:[{inode}]")).then_some(WaitsFor::Stdin),
            InputId::Terminal(device) => {
                // Only a descriptor with the name of a terminal is checked, since others may hang. Another mount
                // namespace may name it from its own root.
                let name = target.file_name()?.to_str()?;
                if name != "tty" && name.parse::<u32>().is_err() {
                    return None;
                }
                let found = fs::metadata(&path).ok()?.rdev();
                let is_it = found == device || (found == OWN_TERMINAL && controlling_terminal(pid) == Some(device));
                (is_it && !is_in_background(pid, device)).then_some(WaitsFor::Terminal)
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use std::io::Read as _;
        use std::process::{Child, Command, Stdio};

        use super::*;

        #[test]
        fn a_process_that_computes_is_running_whatever_its_share_of_the_processor() {
            let is_running = |child: &Child| look(child.id().cast_signed(), InputId::Pipe(0)).is_running;
            let endless = "echo ready; while :; do :; done";
            let mut works = Command::new("sh").args(["-c", endless]).stdout(Stdio::piped()).spawn().unwrap();
            let mut sleeps = Command::new("sleep").arg("60").spawn().unwrap();
            works.stdout.take().unwrap().read_exact(&mut [0; 6]).unwrap();
            // The loop ends when the program sleeps.
            while is_running(&sleeps) {}
            assert!((0..100).all(|_| is_running(&works)));
            for child in [&mut works, &mut sleeps] {
                child.kill().and_then(|()| child.wait()).unwrap();
            }
        }
    }
}
