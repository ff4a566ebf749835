//! Linux: `/proc`.

use std::fs::{DirEntry, File};
use std::io::Read as _;
use std::os::unix::fs::DirEntryExt as _;
use std::str::SplitAsciiWhitespace;

use libc::pid_t;

use super::{Entry, Proc};
use crate::platform::ProcessInfo;

/// Every process there is.
pub(in super::super) fn entries() -> Vec<Entry> {
    /// The number of an entry for which the kernel had no memory.
    const NONE: u64 = 1;
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let entry = |entry: DirEntry| {
        // The kernel numbers the entry of each process when it is first looked up, and counts on.
        let number = Some(entry.ino()).filter(|number| *number > NONE);
        Some(Entry { pid: entry.file_name().to_str()?.parse().ok()?, number })
    };
    entries.flatten().filter_map(entry).collect()
}

pub(in super::super) fn read(pid: pid_t) -> Option<Proc> {
    // A scan reads one of these for each process: one read gives all of it, and more calls would double the cost.
    let mut stat = [0; 2048];
    let length = File::open(format!("/proc/{pid}/stat")).ok()?.read(&mut stat).ok()?;
    let mut fields = fields(&stat[..length])?;
    let state = *fields.next()?.as_bytes().first()?;
    let mut number = || fields.next()?.parse().ok();
    let (parent, group, session) = (number()?, number()?, number()?);
    Some(Proc { pid, state, parent, group, session, start: fields.nth(START_AFTER_SESSION)?.parse().ok()? })
}

/// Fields of `stat` between the session and the time of the start.
const START_AFTER_SESSION: usize = 15;

/// `pid (name) state ppid pgrp session …` from the state on; the name may hold anything, so the last parenthesis
/// ends it.
fn fields(stat: &[u8]) -> Option<SplitAsciiWhitespace<'_>> {
    let after_name = stat.iter().rposition(|byte| *byte == b')')? + 1;
    Some(std::str::from_utf8(stat.get(after_name..)?).ok()?.split_ascii_whitespace())
}

/// The value of the variable that marks the processes of an execution, as it was when the process became the program that it is.
pub(in super::super) fn tag(pid: pid_t) -> Option<Vec<u8>> {
    tag_in(&std::fs::read(format!("/proc/{pid}/environ")).ok()?)
}

/// Whether a process has variables that can be read: one that is ending has none any more.
pub(in super::super) fn has_environment(pid: pid_t) -> bool {
    File::open(format!("/proc/{pid}/environ")).and_then(|mut file| file.read(&mut [0])).is_ok_and(|length| length > 0)
}

/// As [`tag`], of this process: also where the table of processes is that of another namespace.
pub(in super::super) fn own_tag() -> Option<Vec<u8>> {
    tag_in(&std::fs::read("/proc/self/environ").ok()?)
}

fn tag_in(environ: &[u8]) -> Option<Vec<u8>> {
    let mut entries = environ.split(|byte| *byte == 0);
    entries.find_map(|entry| entry.strip_prefix(b"ESCHER_EXECUTION_ID=")).map(<[u8]>::to_vec)
}

/// Whether a process may be on the way to becoming another program: until that has its arguments and variables, they are nowhere.
pub(in super::super) fn may_be_in_exec(pid: pid_t) -> bool {
    const START_OF_ENVIRONMENT: usize = 47;
    let Ok(stat) = std::fs::read(format!("/proc/{pid}/stat")) else { return false };
    fields(&stat).is_some_and(|mut fields| fields.nth(START_OF_ENVIRONMENT) == Some("0"))
}

/// Whether a signal to a group in which all only wait to be reaped is refused.
pub(in super::super) const REFUSES_DEAD_GROUPS: bool = false;

/// Whether the table of processes can be read, and is that of our own process ids.
pub(in super::super) fn is_visible() -> bool {
    is_own(&own_status(), std::process::id())
}

/// Whether a process with this id finds itself under the same id in the table that shows it with this `status`.
fn is_own(status: &str, pid: u32) -> bool {
    let is_pid = |word: &str| word.parse() == Ok(pid);
    // In the table of an outer namespace it has several numbers, of which the first may be the same as ours by chance.
    let is_outer = field(status, "NSpid").is_some_and(|numbers| numbers.split_ascii_whitespace().count() > 1);
    field(status, "Pid").is_some_and(is_pid) && !is_outer
}

/// Empty if it cannot be read. The name in it may hold any bytes.
fn own_status() -> String {
    String::from_utf8_lossy(&std::fs::read("/proc/self/status").unwrap_or_default()).into_owned()
}

/// A line of `/proc/<pid>/status`.
fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// Whether this process sees what `hidepid` hides: that takes the right to trace others.
fn sees_hidden() -> bool {
    const SYS_PTRACE: u64 = 1 << 19;
    let status = own_status();
    let rights = field(&status, "CapEff").and_then(|rights| u64::from_str_radix(rights, 16).ok());
    rights.is_some_and(|rights| rights & SYS_PTRACE != 0)
}

/// What of the table of processes is hidden from this process, for people.
pub(in super::super) fn limit() -> Option<&'static str> {
    if !is_visible() {
        return Some(
            "the table of processes (/proc) cannot be read, or is that of another process namespace: members of a tree outside of its process group cannot be seen, and are not ended",
        );
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let own = mounts.lines().rfind(|line| line.split(' ').nth(4) == Some("/proc")).unwrap_or_default();
    let is_hidden = own
        .split([' ', ','])
        .any(|option| option.strip_prefix("hidepid=").is_some_and(|value| !matches!(value, "0" | "off")));
    (is_hidden && !sees_hidden()).then_some(
        "/proc hides the processes of other users (hidepid): members of a tree that run as another user cannot be seen, and are not ended",
    )
}

/// So long after its start, in units of [`Proc::start`], a process has become the program that it is to be.
pub(in super::super) const SETTLED: u64 = TICKS_PER_SECOND;
/// Wherever Linux shows times to programs.
const TICKS_PER_SECOND: u64 = 100;

/// What [`Proc::start`] of a process would be that starts now.
pub(in super::super) fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the out-parameter is valid for the call.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    let (seconds, nanoseconds) = (u64::try_from(time.tv_sec).unwrap_or(0), u64::try_from(time.tv_nsec).unwrap_or(0));
    seconds * TICKS_PER_SECOND + nanoseconds / (1_000_000_000 / TICKS_PER_SECOND)
}

/// More of a file about a process is not needed: what is shown of it is shorter by far.
const MOST_READ: u64 = 64 * 1024;

pub(in super::super) fn describe(proc: &Proc) -> ProcessInfo {
    let pid = proc.pid;
    let file = |name: &str| {
        let mut bytes = Vec::new();
        let file = File::open(format!("/proc/{pid}/{name}"));
        // A command line may have megabytes. What was read before an error counts.
        _ = file.and_then(|file| file.take(MOST_READ).read_to_end(&mut bytes));
        bytes
    };
    let stat = file("stat");
    // utime and stime, in ticks of 1/100 s wherever Linux runs.
    let ticks =
        fields(&stat).map_or(0, |fields| fields.skip(11).take(2).filter_map(|time| time.parse::<u64>().ok()).sum());
    #[expect(clippy::cast_precision_loss, reason = "a count of ticks is far below 2^53")]
    let cpu_ms = ticks as f64 * 10.0;
    ProcessInfo {
        pid,
        parent: proc.parent,
        command: command(&file("cmdline"), &file("comm")),
        state: char::from(proc.state).to_string(),
        cpu_ms,
        waits_for: waits_for(&String::from_utf8_lossy(&file("wchan")), &String::from_utf8_lossy(&file("syscall"))),
    }
}

/// The program and its arguments. A process that is becoming a program has none yet, and is shown by its name, as in `ps`.
fn command(cmdline: &[u8], name: &[u8]) -> String {
    let words = String::from_utf8_lossy(cmdline).replace('\0', " ");
    match words.trim_end() {
        "" => format!("[{}]", String::from_utf8_lossy(name).trim_end()),
        words => words.to_owned(),
    }
}

/// The number of `read`.
#[cfg(target_arch = "x86_64")]
const READ: &str = "0";
#[cfg(not(target_arch = "x86_64"))]
const READ: &str = "63";

/// What a process that reads is blocked on, if it is one of the two that a person would have to feed.
fn waits_for(wchan: &str, syscall: &str) -> Option<String> {
    if wchan.contains("tty_read") {
        return Some("terminal".to_owned());
    }
    let mut call = syscall.split_ascii_whitespace();
    (call.next() == Some(READ) && call.next() == Some("0x0")).then(|| "stdin".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let stat = b"12 (a) b ( c) S 1 2 3 0 -1 0";
        assert!(fields(stat).unwrap().take(4).eq(["S", "1", "2", "3"]));
    }

    #[test]
    fn the_table_of_another_namespace_is_not_ours_even_if_our_number_is_the_same() {
        let status = |pid: &str, all: &str| {
            format!("Name:\tnode\nTgid:\t7\nPid:\t{pid}\nPPid:\t12\nNStgid:\t{all}\nNSpid:\t{all}\n")
        };
        assert!(is_own(&status("12", "12"), 12));
        assert!(!is_own(&status("12", "12\t12"), 12));
        assert!(!is_own(&status("13", "13\t12"), 12));
        // Before Linux 4.1.
        assert!(is_own("Name:\tnode\nPid:\t12\nPPid:\t1\n", 12));
        assert!(!is_own("", 12));
    }

    #[test]
    fn a_process_without_arguments_is_shown_by_its_name() {
        assert_eq!(command(b"cat\0-u\0", b"cat\n"), "cat -u");
        assert_eq!(command(b"", b"cat\n"), "[cat]");
        assert_eq!(command(b"\0\0", b"a b\n"), "[a b]");
    }

    #[test]
    fn a_reader_of_stdin_or_a_terminal_is_found() {
        assert_eq!(waits_for("n_tty_read", "running").as_deref(), Some("terminal"));
        assert_eq!(waits_for("0", &format!("{READ} 0x0 0x7f 0x1000 0x0")).as_deref(), Some("stdin"));
        assert_eq!(waits_for("pipe_read", &format!("{READ} 0x3 0x7f")), None);
        assert_eq!(waits_for("", "running"), None);
    }
}
