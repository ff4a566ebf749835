//! Hosts in circumstances of their own: the test program runs itself again, under another program.

use std::path::{Path, PathBuf};
use std::process::{self, Stdio};

use crate::common::{Recorder, Uuid, assert_passes, block_until, is_alone, own_name, pids_in, wait_until};

/// Runs the body of a test in a process of its own that `wrapper` starts: the last words of the wrapper's command line are
/// the program and its arguments.
pub(crate) fn alone_under<F: FnOnce()>(wrapper: &[&str], body: F) {
    if is_alone() {
        return body();
    }
    if !can(&body, wrapper) {
        return;
    }
    let test = own_name::<F>();
    let mut again = process::Command::new(wrapper[0]);
    again.args(&wrapper[1..]).arg(std::env::current_exe().expect("the test binary"));
    again.args([&test, "--exact", "--nocapture", "--test-threads=1"]);
    assert_passes(again, &test);
}

/// Returns the name of the test whose body this is.
pub(crate) fn own_name_of<F>(_of: &F) -> String {
    own_name::<F>()
}

/// Whether the test can be run here; says so if not. In the inner process it can.
fn can<F>(_of: &F, wrapper: &[&str]) -> bool {
    if is_alone() {
        return true;
    }
    let binary = std::env::current_exe().expect("the test binary");
    let tried =
        process::Command::new(wrapper[0]).args(&wrapper[1..]).args([binary.as_os_str(), "--list".as_ref()]).output();
    if tried.is_ok_and(|output| output.status.success()) {
        return true;
    }
    eprintln!("SKIPPED {}: `{}` cannot start a process here", own_name::<F>(), wrapper.join(" "));
    false
}

/// Starts a program as a user whose only processes are those of the test.
pub(crate) struct Stranger {
    pub(crate) uid: u32,
    words: Vec<String>,
}

impl Stranger {
    /// Returns a user: `salt` makes the users of two tests different; it may have so many processes and threads.
    /// `first` is done by a shell before the program.
    pub(crate) fn new(salt: u32, most_processes: u32, first: &str) -> Self {
        let uid = 200_000 + process::id() % 100_000 + salt * 100_000;
        // The shell's `ulimit -u` is not used, because dash does not have it.
        let limit = ["prlimit".to_owned(), format!("--nproc={most_processes}")];
        let ids = [format!("--reuid={uid}"), format!("--regid={uid}"), "--clear-groups".to_owned()];
        let shell = ["/bin/sh".to_owned(), "-c".to_owned(), format!("{first}; exec \"$@\""), "sh".to_owned()];
        Self { uid, words: [limit.into(), vec!["setpriv".to_owned()], ids.into(), shell.into()].concat() }
    }

    pub(crate) fn words(&self) -> Vec<&str> {
        self.words.iter().map(String::as_str).collect()
    }
}

/// Kills all processes of the user, also if the test has failed: one call signals all of them, so that a fork bomb cannot create new ones
/// meanwhile.
impl Drop for Stranger {
    fn drop(&mut self) {
        if is_alone() {
            return;
        }
        for _ in 0..3 {
            let ids = [format!("--reuid={}", self.uid), format!("--regid={}", self.uid)];
            let mut killer = process::Command::new("setpriv");
            killer.args(ids).args(["--clear-groups", "/bin/sh", "-c", "kill -KILL -1"]);
            let _ = killer.stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
    }
}

/// Ends the host of a test that hangs, in seconds.
const LONGEST_HOST: &str = "180";

impl Stranger {
    /// Does what [`words`](Self::words) does, with a bound on how long the host runs.
    pub(crate) fn bounded_words(&self) -> Vec<&str> {
        ["timeout", "--signal=KILL", LONGEST_HOST].into_iter().chain(self.words()).collect()
    }
}

#[test]
fn processes_of_a_stranger_end_with_it() {
    let stranger = Stranger::new(7, 100, ":");
    if !can(&processes_of_a_stranger_end_with_it, &stranger.words()) {
        return;
    }
    let words = stranger.words();
    let chain = "trap '' TERM; while :; do setsid sleep 1000 & sleep 0.01; done 2>/dev/null";
    let started =
        process::Command::new(words[0]).args(&words[1..]).args(["/bin/sh", "-c", chain]).stderr(Stdio::null()).spawn();
    let mut started = started.expect("it has started before");
    let owner = format!("\nUid:\t{}\t", stranger.uid);
    let of_it = || {
        let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
        let statuses = entries.filter_map(|entry| std::fs::read_to_string(entry.path().join("status")).ok());
        statuses.filter(|status| status.contains(&owner) && !status.contains("State:\tZ")).count()
    };
    block_until("it has many", || of_it() > 20);
    drop(stranger);
    let _ = started.wait();
    block_until("none is left", || of_it() == 0);
}

/// Compiles a library of `tests/preload`, to be loaded before a program's own. `None`: there is no C compiler.
pub(crate) fn preload(name: &str, dir: &Path) -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/preload").join(name).with_extension("c");
    let library = dir.join(name).with_extension("so");
    let mut compiler = process::Command::new("cc");
    compiler.args(["-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"]).arg(&library).arg(source).arg("-ldl");
    match compiler.status() {
        Ok(status) => assert!(status.success(), "{name} does not compile"),
        Err(_) => return None,
    }
    Some(library)
}

/// Lets system calls of this process fail while it runs.
pub(crate) struct Injection {
    strace: process::Child,
}

impl Injection {
    /// `None`: `strace` is missing, or may not trace here.
    pub(crate) fn new(calls: &str, what: &str) -> Option<Self> {
        let (trace, inject) = (format!("trace={calls}"), format!("inject={calls}:{what}"));
        let mut strace = process::Command::new("strace")
            .args(["-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject, "-p", &process::id().to_string()])
            .stdin(Stdio::null())
            .spawn()
            .ok()?;
        let mut over = false;
        block_until("the tracer is there", || {
            over = strace.try_wait().expect("it is our child").is_some();
            over || threads_traced()
        });
        (!over).then_some(Self { strace })
    }
}

impl Drop for Injection {
    fn drop(&mut self) {
        // SAFETY: the child was not waited for, so the number is its own. SIGINT lets it detach.
        unsafe { libc::kill(i32::try_from(self.strace.id()).expect("pids fit"), libc::SIGINT) };
        let _ = self.strace.wait();
    }
}

fn threads_traced() -> bool {
    let tasks = std::fs::read_dir("/proc/self/task").expect("/proc").flatten();
    tasks.map(|task| std::fs::read_to_string(task.path().join("status"))).all(|status| {
        // A thread that has just gone needs no tracer.
        status.map_or(true, |status| !status.contains("TracerPid:\t0\n"))
    })
}

/// Waits until an execution has printed so many pids as `pid <number>` lines, and gives them.
pub(crate) async fn printed_pids(recorder: &Recorder, id: Uuid, count: usize) -> Vec<u32> {
    let reported = || pids_in(&recorder.lines(id, execution_engine::types::Stream::Stdout).join("\n"));
    wait_until(&format!("execution {id} has printed {count} pids"), || reported().len() == count).await;
    reported()
}

/// Returns the session of a process.
pub(crate) fn session_of(pid: u32) -> i32 {
    // SAFETY: no memory is involved.
    unsafe { libc::getsid(i32::try_from(pid).expect("pids fit")) }
}

/// Returns living processes with these words in their command lines.
pub(crate) fn with_words(words: &str) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u32| {
        let line = std::fs::read(Path::new("/proc").join(pid.to_string()).join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).replace('\0', " ").contains(words) && crate::common::is_alive(*pid)
    })
    .collect()
}
