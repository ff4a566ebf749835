//! The process table of Linux: `/proc`.

use std::fs::{DirEntry, File};
use std::io::Read as _;
use std::mem::MaybeUninit;
use std::os::unix::fs::DirEntryExt as _;
use std::path::{Path, PathBuf};
use std::str::SplitAsciiWhitespace;

use rustix::fs::{Mode, OFlags, RawDir};

use super::{Proc, ProcEntry, TagRead, is_dead};
use crate::platform::ProcessInfo;
use crate::platform::unix::pid::Pid;

/// Lists all processes.
pub(in super::super) fn entries() -> Vec<ProcEntry> {
    /// The number of an entry for which the kernel had no memory.
    const NONE: u64 = 1;
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let entry = |entry: DirEntry| {
        // The kernel numbers the entry of each process when it is first looked up, and counts on.
        let number = Some(entry.ino()).filter(|number| *number > NONE);
        Some(ProcEntry { pid: Pid::parse(entry.file_name().to_str()?)?, number })
    };
    entries.flatten().filter_map(entry).collect()
}

pub(in super::super) fn read(pid: Pid) -> Option<Proc> {
    // A scan reads this file for each process: one read returns all of it, and more calls would double the cost.
    let mut stat = [0; 2048];
    let length = File::open(format!("/proc/{pid}/stat")).ok()?.read(&mut stat).ok()?;
    let mut fields = fields(&stat[..length])?;
    let state = *fields.next()?.as_bytes().first()?;
    let mut id = || Some(Pid::from_raw(fields.next()?.parse().ok()?));
    let (parent, group, session) = (id()?, id()?, id()?);
    let threads: u32 = fields.nth(THREADS_AFTER_SESSION)?.parse().ok()?;
    // The state is that of the first thread, which may end before the others.
    let has_other_threads = is_dead(state) && threads > 1;
    let living = has_other_threads.then(|| living_threads(pid).next()).flatten();
    let state = living.map_or(state, |(_, state)| state);
    Some(Proc { pid, state, parent, group, session, start: fields.nth(START_AFTER_THREADS)?.parse().ok()? })
}

/// Fields of `stat` between the session and the number of threads.
const THREADS_AFTER_SESSION: usize = 13;
/// Fields of `stat` between the number of threads and the time of the start.
const START_AFTER_THREADS: usize = 1;

/// Returns the path and the state of each thread of a process that has not ended.
fn living_threads(pid: Pid) -> impl Iterator<Item = (PathBuf, u8)> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads.filter_map(|thread| {
        let path = thread.path();
        let stat = std::fs::read(path.join("stat")).ok()?;
        let state = *fields(&stat)?.next()?.as_bytes().first()?;
        (!is_dead(state)).then_some((path, state))
    })
}

/// Returns the fields of `pid (name) state ppid pgrp session …` from the state on; the name may hold anything, so the
/// last parenthesis ends it.
fn fields(stat: &[u8]) -> Option<SplitAsciiWhitespace<'_>> {
    let after_name = stat.iter().rposition(|byte| *byte == b')')? + 1;
    Some(std::str::from_utf8(stat.get(after_name..)?).ok()?.split_ascii_whitespace())
}

/// Returns the value of the variable that marks the processes of an execution, as it was at the last exec of the process.
pub(in super::super) fn tag(pid: Pid) -> Option<Vec<u8>> {
    tag_in(&environ(pid)?)
}

/// Whether a process has variables that can be read. A process that is ending has none.
pub(in super::super) fn has_environment(pid: Pid) -> bool {
    environ(pid).is_some()
}

/// Returns the variables of a process, if it has some that can be read. When its first thread has ended, only its other threads show
/// them.
fn environ(pid: Pid) -> Option<Vec<u8>> {
    let read = |path: &Path| std::fs::read(path.join("environ")).ok().filter(|environ| !environ.is_empty());
    let process = PathBuf::from(format!("/proc/{pid}"));
    read(&process).or_else(|| {
        let has_ended = std::fs::read(process.join("stat")).is_ok_and(|stat| {
            let state = fields(&stat).and_then(|mut fields| fields.next()?.bytes().next());
            state.is_some_and(is_dead)
        });
        has_ended.then(|| living_threads(pid).find_map(|(thread, _)| read(&thread))).flatten()
    })
}

/// Does what [`tag`] does, for this process: also where the table of processes is that of another namespace.
pub(in super::super) fn own_tag() -> Option<Vec<u8>> {
    tag_in(&std::fs::read("/proc/self/environ").ok()?)
}

fn tag_in(environ: &[u8]) -> Option<Vec<u8>> {
    let mut entries = environ.split(|byte| *byte == 0);
    entries.find_map(|entry| entry.strip_prefix(b"ESCHER_EXECUTION_ID=")).map(<[u8]>::to_vec)
}

/// Does what [`tag`] does. A process in an exec has neither arguments nor variables.
pub(in super::super) fn settled_tag(pid: Pid) -> TagRead {
    let before = start_of_environment(pid);
    match tag(pid) {
        Some(tag) => TagRead::Found(tag),
        // Another exec puts the variables in another place.
        None if before.as_deref() != Some("0") && start_of_environment(pid) == before => TagRead::Absent,
        None => TagRead::Unsettled,
    }
}

/// Returns the address of a process's variables, as it is written; "0" during an exec.
fn start_of_environment(pid: Pid) -> Option<String> {
    const INDEX: usize = 47;
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    fields(&stat)?.nth(INDEX).map(str::to_owned)
}

/// Returns the most memory that this process has had since its exec, in bytes. `getrusage` also counts that of the process which started
/// it, if they shared their memory until the exec.
pub(in super::super) fn own_peak_memory() -> Option<u64> {
    field(&own_status(), "VmHWM")?.strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

/// Whether the system refuses a signal to a group that has only zombies.
pub(in super::super) const REFUSES_DEAD_GROUPS: bool = false;

/// Whether the process table can be read, and is that of this process id namespace.
pub(in super::super) fn is_visible() -> bool {
    is_own(&own_status(), std::process::id()) && is_listed()
}

/// Whether processes can be listed. A sandbox may allow to read the files of a process, and not the list: `AppArmor` and Landlock can.
fn is_listed() -> bool {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    // Room for some entries: the rest is not needed.
    let mut entries = [MaybeUninit::uninit(); 512];
    rustix::fs::open("/proc", flags, Mode::empty())
        .is_ok_and(|folder| RawDir::new(folder, &mut entries).next().is_some_and(|entry| entry.is_ok()))
}

/// Whether `status`, of this process, shows this id: then the table belongs to this process id namespace.
fn is_own(status: &str, pid: u32) -> bool {
    let is_pid = |word: &str| word.parse() == Ok(pid);
    // In the table of an outer namespace this process has several ids, of which the first may be equal to ours by
    // chance.
    let is_outer = field(status, "NSpid").is_some_and(|numbers| numbers.split_ascii_whitespace().count() > 1);
    field(status, "Pid").is_some_and(is_pid) && !is_outer
}

/// Returns the status of this process; empty if it cannot be read. The name in it may hold any bytes.
fn own_status() -> String {
    String::from_utf8_lossy(&std::fs::read("/proc/self/status").unwrap_or_default()).into_owned()
}

/// Returns the value of a line of `/proc/<pid>/status`.
fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// Whether this process sees processes that `hidepid` hides, which needs the right to trace them.
fn sees_hidden() -> bool {
    const SYS_PTRACE: u64 = 1 << 19;
    let status = own_status();
    let rights = field(&status, "CapEff").and_then(|rights| u64::from_str_radix(rights, 16).ok());
    rights.is_some_and(|rights| rights & SYS_PTRACE != 0)
}

/// Returns which processes are hidden from this process, as a text for users.
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

/// The time after its start, in units of [`Proc::start`], by which a process has finished its exec.
pub(in super::super) const SETTLED: u64 = TICKS_PER_SECOND;
/// The unit of all times that Linux shows to programs.
const TICKS_PER_SECOND: u64 = 100;

/// Returns the present time in the unit of [`Proc::start`].
pub(in super::super) fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the out-parameter is valid for the call.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    let (seconds, nanoseconds) = (u64::try_from(time.tv_sec).unwrap_or(0), u64::try_from(time.tv_nsec).unwrap_or(0));
    seconds * TICKS_PER_SECOND + nanoseconds / (1_000_000_000 / TICKS_PER_SECOND)
}

/// The most that is read of a file about a process. The text for users is much shorter.
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
        pid: pid.number(),
        parent: proc.parent.map_or(0, Pid::number),
        command: command(&file("cmdline"), &file("comm")),
        state: char::from(proc.state).to_string(),
        cpu_ms,
        // A stopped process is shown in the call that it will continue.
        waits_for: (!proc.is_stopped())
            .then(|| {
                waits_for(&String::from_utf8_lossy(&file("wchan")), &String::from_utf8_lossy(&file("syscall")), |fd| {
                    std::fs::read_link(format!("/proc/{pid}/fd/{fd}")).is_ok_and(|path| is_terminal(&path))
                })
            })
            .flatten(),
    }
}

/// Returns the program and its arguments. A process in an exec has none yet, and is shown by its name, as in `ps`.
fn command(cmdline: &[u8], name: &[u8]) -> String {
    let words = String::from_utf8_lossy(cmdline).replace('\0', " ");
    match words.trim_end() {
        "" => format!("[{}]", String::from_utf8_lossy(name).trim_end()),
        words => words.to_owned(),
    }
}

/// The number of the system call `read`.
#[cfg(target_arch = "x86_64")]
const READ: &str = "0";
#[cfg(not(target_arch = "x86_64"))]
const READ: &str = "63";

/// Returns `terminal` or `stdin` if the process is blocked reading from that, where a user would have to enter something.
fn waits_for(wchan: &str, syscall: &str, is_terminal: impl Fn(u64) -> bool) -> Option<String> {
    // Kernels since 3.18 may show the function below it instead.
    if wchan.contains("tty_read") {
        return Some("terminal".to_owned());
    }
    let mut call = syscall.split_ascii_whitespace();
    let fd = call.next().filter(|number| *number == READ).and_then(|_| call.next()?.strip_prefix("0x"))?;
    let fd = u64::from_str_radix(fd, 16).ok()?;
    if is_terminal(fd) { Some("terminal".to_owned()) } else { (fd == 0).then(|| "stdin".to_owned()) }
}

/// Whether a descriptor that the system shows with this path is a terminal.
fn is_terminal(path: &Path) -> bool {
    path.starts_with("/dev/pts") || path.to_str().is_some_and(|path| path.starts_with("/dev/tty"))
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
        // Linux before 4.1 shows no `NSpid`.
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
        let on = |path: &str| is_terminal(Path::new(path));
        let none = |_: u64| on("pipe:[7]");
        assert_eq!(waits_for("n_tty_read", "running", none).as_deref(), Some("terminal"));
        assert_eq!(waits_for("0", &format!("{READ} 0x0 0x7f 0x1000 0x0"), none).as_deref(), Some("stdin"));
        assert_eq!(waits_for("pipe_read", &format!("{READ} 0x3 0x7f"), none), None);
        assert_eq!(waits_for("", "running", none), None);
        let terminal = |fd: u64| fd != 3 && (on("/dev/pts/4") && on("/dev/tty"));
        assert_eq!(waits_for("wait_woken", &format!("{READ} 0x0 0x7f"), terminal).as_deref(), Some("terminal"));
        assert_eq!(waits_for("wait_woken", &format!("{READ} 0x5 0x7f"), terminal).as_deref(), Some("terminal"));
        assert_eq!(waits_for("wait_woken", &format!("{READ} 0x3 0x7f"), terminal), None);
    }
}
