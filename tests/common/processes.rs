//! Processes: which ones are alive, which ones are left, and a process for a test of its own.

use std::any::type_name;
use std::process;

use super::wait_until;

/// Whether a process runs. One that only waits to be reaped does not: in a container, orphans may never be reaped.
pub(crate) fn is_alive(pid: u32) -> bool {
    let raw = i32::try_from(pid).expect("pids fit");
    // SAFETY: signal 0 only checks that the process exists.
    let exists = unsafe { libc::kill(raw, 0) } == 0;
    exists && !matches!(state(pid), Some('Z' | 'X'))
}

/// Returns the state letter of a process, where the system provides it.
pub(crate) fn state(pid: u32) -> Option<char> {
    stat_after_name(pid)?.trim_start().chars().next()
}

fn stat_after_name(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything, so the last parenthesis ends it.
    stat.rsplit_once(')').map(|(_, rest)| rest.to_owned())
}

/// Returns the processes that a child printed as `pid <number>` lines.
pub(crate) fn pids_in(text: &str) -> Vec<u32> {
    text.lines().filter_map(|line| line.strip_prefix("pid ")?.trim().parse().ok()).collect()
}

/// Asserts that none of them runs now.
#[track_caller]
pub(crate) fn assert_gone(pids: &[u32]) {
    assert!(!pids.is_empty(), "there is no process to look for");
    let alive: Vec<_> = pids.iter().filter(|pid| is_alive(**pid)).collect();
    assert!(alive.is_empty(), "still alive: {alive:?}");
}

/// Ends a process that a test left on purpose.
pub(crate) async fn end(pid: u32) {
    let raw = i32::try_from(pid).expect("pids fit");
    // SAFETY: no memory is involved; the pid is of a process that the test has started.
    unsafe { libc::kill(raw, libc::SIGKILL) };
    wait_until("the leftover is gone", || !is_alive(pid)).await;
}

/// Returns the children of this process that have ended and were not reaped.
#[cfg(target_os = "linux")]
pub(crate) fn zombies() -> Vec<u32> {
    children().into_iter().filter(|pid| state(*pid) == Some('Z')).collect()
}

/// Returns the children of this process that run a program of this name.
#[cfg(target_os = "linux")]
pub(crate) fn children_named(program: &str) -> Vec<u32> {
    let runs =
        |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim_end() == program);
    children().into_iter().filter(runs).collect()
}

#[cfg(target_os = "linux")]
fn children() -> Vec<u32> {
    let us = process::id().to_string();
    let pids = std::fs::read_dir("/proc").expect("/proc").flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| {
            let stat = stat_after_name(*pid).unwrap_or_default();
            stat.split_ascii_whitespace().nth(1) == Some(us.as_str())
        })
        .collect()
}

/// Returns how many descriptors this process has open.
#[cfg(target_os = "linux")]
pub(crate) fn open_descriptors() -> usize {
    // The directory is open itself while it is read.
    std::fs::read_dir("/proc/self/fd").expect("/proc").count() - 1
}

/// Returns how many threads this process has.
#[cfg(target_os = "linux")]
pub(crate) fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("/proc").count()
}

const ALONE: &str = "ESCHER_TEST_ALONE";

/// Runs the body of a test in a process of its own, because it counts or changes what a whole process shares.
///
/// The test binary runs itself again for this one test; the body's name is the test's.
pub(crate) fn alone<F: FnOnce()>(body: F) {
    alone_after(|_| (), body);
}

/// Does what [`alone`] does, with a change of the command that starts that process.
pub(crate) fn alone_after<F: FnOnce()>(prepare: impl FnOnce(&mut process::Command), body: F) {
    if is_alone() {
        return body();
    }
    let test = own_name::<F>();
    let mut again = process::Command::new(std::env::current_exe().expect("the test binary"));
    again.args([&test, "--exact", "--nocapture", "--test-threads=1"]);
    prepare(&mut again);
    assert_passes(again, &test);
}

pub(crate) fn is_alone() -> bool {
    std::env::var_os(ALONE).is_some()
}

/// Returns the name of the test whose body is `F`, as the test harness prints it.
pub(crate) fn own_name<F>() -> String {
    let closure = type_name::<F>();
    let name = closure.split("::{{closure}}").next().unwrap_or(closure);
    name.split_once("::").expect("a test is in a crate").1.to_owned()
}

/// Runs a command that runs one test again, and fails as that fails.
pub(crate) fn assert_passes(mut again: process::Command, test: &str) {
    let output = again.env(ALONE, "1").output().expect("the test binary runs");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "in a process of its own, {test} says:\n{said}");
}
