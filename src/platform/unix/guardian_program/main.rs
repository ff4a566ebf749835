//! The guardian: a program that waits for the end of its host, and then ends the host's executions.
//!
//! It is compiled by the build script, embedded in the library, and started once for each host. It uses system calls, or the C library where
//! there is no other way to make them, starts no process, and needs less than a megabyte of memory unless it has many executions to end.
//!
//! Descriptors: 0 the lifeline, which closes when the host exits, and which it asks by a byte whether this program runs: reading it is the
//! answer; 3 the table; 4 a pidfd of the host, or `/dev/null`.
#![no_std]
#![no_main]
#![cfg_attr(without_libc, no_builtins)]
#![deny(unsafe_op_in_unsafe_fn)]

use core::ffi::{c_char, c_int};
use core::sync::atomic::Ordering::{Acquire, Relaxed};

use self::members::Members;
use self::sys::Path;
use self::table::{BASE_BYTES, Header, IN_USE, LEADER_FIRST, LEADER_STOPPED, Row, STOPPED_OFFSET, TABLE_BYTES};
use self::tree::Tree;

#[cfg_attr(target_os = "linux", path = "linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "apple.rs")]
mod kernel;
mod claims;
mod members;
#[cfg(without_libc)]
mod memory;
#[path = "../nested_names.rs"]
mod names;
mod outputs;
mod sessions;
mod sys;
#[path = "../guardian_table.rs"]
mod table;
mod tree;

const LIFELINE: c_int = 0;
const TABLE: c_int = 3;
const HOST: c_int = 4;

/// The longest wait for the host to close its descriptors, of which the lifeline is one.
const LONGEST_CLOSING_MS: u64 = 100;
/// The interval of the check whether the host runs, without a pidfd of it, in ms.
const LOOK_AGAIN_MS: c_int = 1_000;
/// The time of killing, in ms, after which the remaining processes hang in the kernel, or belong to another user.
const LONGEST_KILLING_MS: u64 = 10_000;
/// The longest time between two scans that counts for that, in ms: the guardian may have been stopped meanwhile.
const LONGEST_STEP_MS: u64 = 1_000;
const FIRST_PAUSE_MS: u64 = 2;
const LONGEST_PAUSE_MS: u64 = 40;

/// A process as the system shows it.
#[derive(Clone, Copy)]
pub(crate) struct Proc {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    pub(crate) group: i32,
    pub(crate) session: i32,
    pub(crate) start: u64,
    pub(crate) is_dead: bool,
    /// The place of its tree, counted from 1; 0: it belongs to none.
    pub(crate) owner: u32,
    /// Whether its tag is the value with which a child opts out.
    pub(crate) is_detached: bool,
    /// The signals that are due have been sent to it by this scan.
    pub(crate) is_served: bool,
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // A living host starts another guardian.
    // SAFETY: ends this process.
    unsafe { sys::_exit(101) }
}

/// The precompiled `core` refers to it; this program does not unwind.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

#[cfg_attr(not(without_libc), unsafe(no_mangle))]
extern "C" fn main(_count: c_int, _words: *const *const c_char) -> c_int {
    for signal in 1..32 {
        // SAFETY: no handler is installed; the two signals that cannot be ignored are refused.
        unsafe { sys::signal(signal, sys::SIG_IGN) };
    }
    // SAFETY: a C string.
    unsafe { sys::chdir(c"/".as_ptr()) };
    for fd in 5..16 {
        // SAFETY: none of them is used here.
        unsafe { sys::close(fd) };
    }
    kernel::prepare();
    // SAFETY: the host has created the file with that size, and sealed the size.
    let at = unsafe { sys::mmap(core::ptr::null_mut(), TABLE_BYTES, sys::PROT_READ, sys::MAP_SHARED, TABLE, 0) };
    if at as isize == -1 {
        return 1;
    }
    // SAFETY: a descriptor of this program that is not used any more.
    unsafe { sys::close(TABLE) };
    // SAFETY: mapped for the life of this program; the host changes atomics, and plain bytes only before an atomic shows that they
    // are complete.
    let (header, rows, stopped) = unsafe {
        let header = &*at.cast::<Header>();
        let rows = at.cast::<u8>().add(size_of::<Header>()).cast::<Row>();
        let stopped = &*at.cast::<u8>().add(STOPPED_OFFSET).cast();
        (header, core::slice::from_raw_parts(rows, table::MOST_ROWS), stopped)
    };
    let host = header.nested_host.load(Relaxed);
    claims::show_presence(host);
    // Untouched pages take no memory.
    let (Some(trees), Some(mut members)) = (sys::memory::<Tree>(rows.len()), Members::reserve(host != 0, stopped)) else { return 1 };
    wait_for_the_end_of_the_host(header.host.load(Relaxed));
    end_all(header, rows, trees, &mut members);
    remove_groups(header);
    0
}

fn wait_for_the_end_of_the_host(host: i32) {
    let mut fds = [
        sys::PollFd { fd: LIFELINE, events: sys::POLLIN, revents: 0 },
        sys::PollFd { fd: HOST, events: sys::POLLIN, revents: 0 },
    ];
    let mut has_descriptor = true;
    loop {
        let timeout = if has_descriptor { -1 } else { LOOK_AGAIN_MS };
        // SAFETY: the array is valid, and has the given length.
        let ready = unsafe { sys::poll(fds.as_mut_ptr(), if has_descriptor { 2 } else { 1 }, timeout) };
        // SAFETY: no memory is involved.
        if unsafe { sys::getppid() } != host {
            return;
        }
        if ready > 0 && fds[0].revents != 0 {
            let mut byte = 0_u8;
            // SAFETY: one byte is read into one.
            if unsafe { sys::read(LIFELINE, (&raw mut byte).cast(), 1) } == 0 {
                wait_for_closed_descriptors(host);
                return;
            }
        }
        // `/dev/null` is always readable: there is no pidfd of the host.
        if ready > 0 && fds[1].revents != 0 && has_descriptor {
            has_descriptor = false;
        }
    }
}

/// Waits until the host, whose lifeline has closed, has closed its other descriptors too: then the pipes that it has read have no reader.
fn wait_for_closed_descriptors(host: i32) {
    let until = sys::now_ms() + LONGEST_CLOSING_MS;
    // SAFETY: no memory is involved.
    while unsafe { sys::getppid() } == host && sys::now_ms() < until {
        sys::sleep_ms(1);
    }
}

/// Puts the directory of a control group into `path`. Returns `false` if there is none.
fn group_path(header: &Header, number: u32, path: &mut Path) -> bool {
    path.truncate(0);
    if number == 0 || header.has_base.load(Acquire) == 0 {
        return false;
    }
    let base = &header.base[..BASE_BYTES - 1];
    path.push(base.split(|byte| *byte == 0).next().unwrap_or(b"")).push(b"/").number(number);
    true
}

fn end_all(header: &Header, rows: &[Row], trees: &mut [Tree], members: &mut Members) {
    let used = (header.rows.load(Acquire) as usize).min(rows.len());
    let rows = &rows[..used];
    let now = sys::now_ms();
    let mut count = 0;
    for row in rows.iter().filter(|row| row.state.load(Acquire) == IN_USE) {
        trees[count] = Tree::of(row, now);
        count += 1;
    }
    if count == 0 {
        return;
    }
    let trees = &mut trees[..count];
    if !kernel::is_visible() {
        end_groups(trees, header);
        return;
    }
    members.begin(trees);
    if !members.scan(trees, header, now) {
        return;
    }
    let now = sys::now_ms();
    for tree in trees.iter_mut() {
        tree.begin_grace(now);
    }
    let mut pause = FIRST_PAUSE_MS;
    sys::sleep_ms(pause);
    loop {
        let now = sys::now_ms();
        if !members.scan(trees, header, now) {
            return;
        }
        let mut left = trees.iter().filter(|tree| !tree.is_gone && !is_given_up(tree)).peekable();
        if left.peek().is_none() {
            return;
        }
        let is_killing = left.any(|tree| now >= tree.kill_at);
        pause = if is_killing { FIRST_PAUSE_MS } else { (pause * 2).min(LONGEST_PAUSE_MS) };
        let next_kill = trees.iter().filter(|tree| !tree.is_gone && tree.kill_at > now).map(|tree| tree.kill_at - now);
        sys::sleep_ms(next_kill.fold(pause, u64::min).max(1));
    }
}

/// Whether a tree was killed for so long that signals will not end what is left of it.
fn is_given_up(tree: &Tree) -> bool {
    tree.killed_for >= LONGEST_KILLING_MS
}

/// Ends process groups, where the process table cannot be read and only the ids of the groups are known.
fn end_groups(trees: &mut [Tree], header: &Header) {
    let mut path = Path::new();
    for tree in trees.iter_mut().filter(|tree| tree.leader > 1 && tree.stop_sent_at == 0) {
        // The rest of its group gets the signal when the leader has exited: before, a signal to the group would be a second one for it.
        tree.leader_runs = tree.flags & LEADER_FIRST != 0;
        if !tree.leader_runs {
            stop(-tree.leader, tree.stop_signal);
        } else if tree.flags & LEADER_STOPPED == 0 {
            stop(tree.leader, tree.stop_signal);
        }
    }
    loop {
        let now = sys::now_ms();
        let mut is_left = false;
        for tree in trees.iter_mut().filter(|tree| !tree.is_gone) {
            // SAFETY: no memory is involved; signal 0 is not sent.
            tree.is_gone = tree.leader <= 1 || unsafe { sys::kill(-tree.leader, 0) } != 0;
            // SAFETY: as above.
            if tree.leader_runs && unsafe { sys::kill(tree.leader, 0) } != 0 {
                tree.leader_runs = false;
                stop(-tree.leader, tree.stop_signal);
            }
            if !tree.is_gone && now >= tree.kill_at {
                tree.count_killing(now);
                // SAFETY: no memory is involved.
                unsafe { sys::kill(-tree.leader, sys::SIGKILL) };
            }
            if now >= tree.kill_at && group_path(header, tree.cgroup, &mut path) {
                kernel::kill_group(&mut path);
            }
            is_left |= !tree.is_gone && !is_given_up(tree);
        }
        if !is_left {
            return;
        }
        sys::sleep_ms(FIRST_PAUSE_MS * 5);
    }
}

/// Sends the stop signal, and SIGCONT, to a process, or to the process group with the negative of its id.
fn stop(target: c_int, signal: c_int) {
    // SAFETY: no memory is involved.
    unsafe {
        sys::kill(target, signal);
        sys::kill(target, sys::SIGCONT);
    }
}

fn remove_groups(header: &Header) {
    if header.has_base.load(Acquire) == 0 {
        return;
    }
    let mut path = Path::new();
    path.push(header.base[..BASE_BYTES - 1].split(|byte| *byte == 0).next().unwrap_or(b""));
    kernel::remove_group(&mut path);
}
