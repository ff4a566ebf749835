//! Who belongs to a session.

#[cfg(not(target_os = "linux"))]
pub(super) use self::elsewhere::{kill_member, session_members};
#[cfg(target_os = "linux")]
pub(super) use self::linux::{kill_member, session_members};

#[cfg(target_os = "linux")]
mod linux {
    use libc::pid_t;

    /// The living members of a session; processes that only wait to be reaped are not alive.
    pub(in super::super) fn session_members(session: pid_t) -> Vec<pid_t> {
        let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
        entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse::<pid_t>().ok())
            .filter(|pid| session_of_living(*pid) == Some(session))
            .collect()
    }

    /// Kills a process if it is still a member. The descriptor pins the process: between the look and the signal its
    /// number cannot become somebody else's.
    pub(in super::super) fn kill_member(pid: pid_t, session: pid_t) {
        // SAFETY: no memory is involved; the result is checked.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        if session_of_living(pid) == Some(session) {
            if fd >= 0 {
                // SAFETY: a descriptor of ours; a null siginfo is allowed.
                unsafe {
                    libc::syscall(
                        libc::SYS_pidfd_send_signal,
                        fd,
                        libc::SIGKILL,
                        std::ptr::null::<libc::siginfo_t>(),
                        0,
                    )
                };
            } else {
                // SAFETY: no memory is involved. Without descriptors (Linux before 5.3) the look just above is the only guard.
                unsafe { libc::kill(pid, libc::SIGKILL) };
            }
        }
        if let Ok(fd) = i32::try_from(fd)
            && fd >= 0
        {
            // SAFETY: opened above, closed once.
            unsafe { libc::close(fd) };
        }
    }

    fn session_of_living(pid: pid_t) -> Option<pid_t> {
        let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
        // `pid (name) state ppid pgrp session …`; the name may hold anything, so the last parenthesis ends it.
        let after_name = stat.iter().rposition(|byte| *byte == b')')? + 1;
        let mut fields = std::str::from_utf8(stat.get(after_name..)?).ok()?.split_ascii_whitespace();
        let state = fields.next()?;
        let session = fields.nth(2)?.parse().ok()?;
        (!matches!(state, "Z" | "X")).then_some(session)
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use libc::pid_t;

    /// Without /proc the group stands for the session: whether it has members other than its dead leader is not told,
    /// so the leader's exit and the signal to the group are what ends a tree here.
    pub(in super::super) fn session_members(_session: pid_t) -> Vec<pid_t> {
        Vec::new()
    }

    pub(in super::super) fn kill_member(_pid: pid_t, _session: pid_t) {}
}
