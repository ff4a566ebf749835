//! Linux: processes, their environments and their control groups, as `/proc` and the group file system show them.

use core::ffi::{c_int, c_long};

use crate::Proc;
use crate::claims::Bound;
use crate::sys::{self, Path};

#[cfg(target_arch = "x86_64")]
const GETDENTS: c_long = 217;
#[cfg(not(target_arch = "x86_64"))]
const GETDENTS: c_long = 61;
const PIDFD_SEND_SIGNAL: c_long = 424;
const PIDFD_OPEN: c_long = 434;
const O_DIRECTORY: c_int = if cfg!(any(target_arch = "aarch64", target_arch = "arm")) { 0o40_000 } else { 0o200_000 };
const O_NONBLOCK: c_int = 0o4_000;
const DIRECTORY: u8 = 4;
const TAG: &[u8] = b"ESCHER_EXECUTION_ID=";

/// Sets the name of this process, and keeps other processes of the user from reading or changing it.
pub(crate) fn prepare() {
    // SAFETY: PR_SET_NAME reads a C string; PR_SET_DUMPABLE takes a number.
    unsafe {
        sys::prctl(15, c"escher-guardian".as_ptr() as usize);
        sys::prctl(4, 0_usize);
    }
}

/// Whether the process table can be read, and is that of this process id namespace.
pub(crate) fn is_visible() -> bool {
    let mut status = [0; 4096];
    let Some(count) = sys::read_file(b"/proc/self/status\0", &mut status) else { return false };
    let field = |name: &[u8]| status[..count].split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(name));
    // SAFETY: no memory is involved.
    let own = Some(unsafe { sys::getpid() } as u64);
    // In the table of an outer namespace this process has several ids, of which the first may be equal to ours by chance.
    let is_outer = field(b"NSpid:\t").is_some_and(|numbers| numbers.contains(&b'\t'));
    field(b"Pid:\t").and_then(number) == own && !is_outer && is_listed()
}

/// Whether processes can be listed. A sandbox may allow to read the files of a process, and not the list (AppArmor, Landlock).
fn is_listed() -> bool {
    let mut found = false;
    each_entry(b"/proc\0", &mut |_, _| found = true);
    found
}

/// Calls `visit` with each process, in ascending order of ids.
pub(crate) fn each(visit: &mut dyn FnMut(Proc)) {
    each_entry(b"/proc\0", &mut |name, _| {
        if let Some(pid) = number(name)
            && let Some(proc) = read(pid as i32)
        {
            visit(proc);
        }
    });
}

/// Returns the time on the clock of process starts: ticks of 10 ms since the start of the system.
pub(crate) fn now() -> u64 {
    sys::clock_ms(7) / 10
}

pub(crate) fn read(pid: i32) -> Option<Proc> {
    Some(read_state(pid)?.0)
}

/// Reads a process, and whether its main thread has ended, which others may outlive.
fn read_state(pid: i32) -> Option<(Proc, bool)> {
    let mut path = Path::new();
    let mut stat = [0; 1024];
    let count = sys::read_file(path.push(b"/proc/").number(pid as u32).push(b"/stat").text(), &mut stat)?;
    let stat = &stat[..count];
    // The name may hold anything, so the last parenthesis ends it.
    let after = stat.iter().rposition(|byte| *byte == b')')? + 2;
    let mut fields = stat.get(after..)?.split(|byte| *byte == b' ');
    let state = *fields.next()?.first()?;
    let parent = number(fields.next()?)? as i32;
    let group = number(fields.next()?)? as i32;
    let session = number(fields.next()?)? as i32;
    let threads = number(fields.nth(13)?)?;
    let start = number(fields.nth(1)?)?;
    let main_has_ended = matches!(state, b'Z' | b'X');
    let is_dead = main_has_ended && threads <= 1;
    let proc = Proc { pid, parent, group, session, start, is_dead, owner: 0, is_detached: false, is_served: false };
    Some((proc, main_has_ended))
}

/// Calls `visit` with the directories of the other threads of a process whose main thread has ended, until it returns `true`: only those
/// show its environment and its descriptors.
fn each_remaining_thread(pid: i32, visit: &mut dyn FnMut(&mut Path) -> bool) {
    if !read_state(pid).is_some_and(|(proc, main_has_ended)| main_has_ended && !proc.is_dead) {
        return;
    }
    let mut path = Path::new();
    path.push(b"/proc/").number(pid as u32).push(b"/task");
    let mut own = Path::new();
    own.push(&path.text()[..path.length()]);
    let length = path.length();
    let mut is_done = false;
    each_entry(own.text(), &mut |name, _| {
        if !is_done && number(name).is_some_and(|thread| thread != pid as u64) {
            is_done = visit(path.push(b"/").push(name));
            path.truncate(length);
        }
    });
}

fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |number, digit| {
        if !digit.is_ascii_digit() {
            return None;
        }
        number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    })
}

/// Copies the value of the variable that marks members into `tag` and returns its length; `None` if there is none, or it cannot be read.
pub(crate) fn tag(pid: i32, tag: &mut [u8]) -> Option<usize> {
    let mut found = tag_in(Path::new().push(b"/proc/").number(pid as u32), tag);
    if found.is_none() {
        each_remaining_thread(pid, &mut |directory| {
            found = tag_in(directory, tag);
            found.is_some()
        });
    }
    found
}

/// Does what [`tag`] does, for the directory of a process or of a thread.
fn tag_in(directory: &mut Path, tag: &mut [u8]) -> Option<usize> {
    // SAFETY: the path ends with a NUL.
    let fd = unsafe { sys::open(directory.push(b"/environ").text().as_ptr().cast(), sys::O_RDONLY) };
    if fd < 0 {
        return None;
    }
    let mut buffer = [0; 4096];
    // The number of matched bytes of the name of the variable; `None` in another entry. The number of copied bytes of
    // its value.
    let mut matched = Some(0);
    let mut taken = 0;
    let found = 'file: loop {
        // SAFETY: the buffer has the given length.
        let count = unsafe { sys::read(fd, buffer.as_mut_ptr().cast(), buffer.len()) };
        if count <= 0 {
            break matched == Some(TAG.len());
        }
        for byte in &buffer[..count as usize] {
            match matched {
                Some(length) if length == TAG.len() => {
                    if *byte == 0 {
                        break 'file true;
                    }
                    if taken < tag.len() {
                        tag[taken] = *byte;
                        taken += 1;
                    }
                }
                Some(length) if TAG[length] == *byte => matched = Some(length + 1),
                _ => matched = (*byte == 0).then_some(0),
            }
        }
    };
    // SAFETY: a descriptor that this function has opened.
    unsafe { sys::close(fd) };
    found.then_some(taken)
}

/// Whether a process has variables that can be read: one that is ending has none any more.
pub(crate) fn has_environment(pid: i32) -> bool {
    let is_filled = |directory: &mut Path| {
        sys::read_file(directory.push(b"/environ").text(), &mut [0]).is_some_and(|count| count > 0)
    };
    let mut has = is_filled(Path::new().push(b"/proc/").number(pid as u32));
    if !has {
        each_remaining_thread(pid, &mut |directory| {
            has = is_filled(directory);
            has
        });
    }
    has
}

/// Signals a process if it still is the one that was seen: a pidfd keeps the id from being reused meanwhile.
pub(crate) fn signal(proc: &Proc, signal: c_int) {
    // SAFETY: no memory is involved except a null pointer, which the call allows; the results are checked.
    unsafe {
        let fd = sys::system_call(PIDFD_OPEN, [proc.pid.into(), 0, 0, 0]);
        if read(proc.pid).is_some_and(|now| now.start == proc.start) {
            let refused = fd < 0 || sys::system_call(PIDFD_SEND_SIGNAL, [fd, signal.into(), 0, 0]) != 0;
            if refused {
                sys::kill(proc.pid, signal);
            }
        }
        if fd >= 0 {
            sys::close(fd as c_int);
        }
    }
}

/// Opens the read end of a pipe that is an output of a process, and has had no reader since the host is gone: SIGPIPE would end a
/// program that prints during its clean-up. `None` if it is not a pipe, has a reader such as the next command of a pipeline, or cannot
/// be opened.
pub(crate) fn open_output(pid: i32, number: u32, is_held: &dyn Fn(&[u8]) -> bool) -> Option<(c_int, [u8; 32])> {
    let mut opened = open_output_in(Path::new().push(b"/proc/").number(pid as u32), number, is_held);
    if opened.is_none() {
        each_remaining_thread(pid, &mut |directory| {
            opened = open_output_in(directory, number, is_held);
            opened.is_some()
        });
    }
    opened
}

/// Does what [`open_output`] does, for the directory of a process or of a thread.
fn open_output_in(path: &mut Path, number: u32, is_held: &dyn Fn(&[u8]) -> bool) -> Option<(c_int, [u8; 32])> {
    path.push(b"/fd/").number(number);
    let mut name = [0; 32];
    // SAFETY: the path ends with a NUL, and the buffer has the given length.
    unsafe {
        let length = sys::readlink(path.text().as_ptr().cast(), name.as_mut_ptr().cast(), name.len());
        let is_pipe = usize::try_from(length).is_ok_and(|length| length < name.len()) && name.starts_with(b"pipe:[");
        if !is_pipe || is_held(&name) || has_reader(path) {
            return None;
        }
        let fd = sys::open(path.text().as_ptr().cast(), sys::O_RDONLY | O_NONBLOCK);
        (fd >= 0).then_some((fd, name))
    }
}

/// Whether a process has the read end of a pipe, of which `path` is a write end.
fn has_reader(path: &Path) -> bool {
    // SAFETY: the path ends with a NUL; one entry is polled.
    unsafe {
        let fd = sys::open(path.text().as_ptr().cast(), sys::O_WRONLY | O_NONBLOCK);
        let mut polled = sys::PollFd { fd, events: 0, revents: 0 };
        // The kernel reports an error for a pipe that has no reader.
        let is_broken = fd >= 0 && sys::poll(&raw mut polled, 1, 0) > 0 && polled.revents & sys::POLLERR != 0;
        if fd >= 0 {
            sys::close(fd);
        }
        !is_broken
    }
}

/// Calls `visit` with the process ids in a group and in the groups below it.
pub(crate) fn each_in_group(path: &mut Path, visit: &mut dyn FnMut(i32)) {
    let length = path.length();
    let mut buffer = [0_u8; 8192];
    path.push(b"/cgroup.procs");
    // SAFETY: the path ends with a NUL.
    let fd = unsafe { sys::open(path.text().as_ptr().cast(), sys::O_RDONLY) };
    path.truncate(length);
    if fd >= 0 {
        let mut pid = 0_i64;
        loop {
            // SAFETY: the buffer has the given length.
            let count = unsafe { sys::read(fd, buffer.as_mut_ptr().cast(), buffer.len()) };
            if count <= 0 {
                break;
            }
            for byte in &buffer[..count as usize] {
                if byte.is_ascii_digit() {
                    pid = pid * 10 + i64::from(byte - b'0');
                } else {
                    // 0 stands for a process of another process id namespace.
                    if pid > 0 {
                        visit(pid as i32);
                    }
                    pid = 0;
                }
            }
        }
        // SAFETY: a descriptor that this function has opened.
        unsafe { sys::close(fd) };
    }
    each_group_below(path, &mut |below| each_in_group(below, visit));
}

/// Whether a group, or one below it, has a living process.
pub(crate) fn is_populated(path: &mut Path) -> bool {
    let length = path.length();
    let mut text = [0; 128];
    let count = sys::read_file(path.push(b"/cgroup.events").text(), &mut text).unwrap_or(0);
    path.truncate(length);
    text[..count].split(|byte| *byte == b'\n').any(|line| line == b"populated 1")
}

/// Kills all members of a group in one step, where the kernel supports it.
pub(crate) fn kill_group(path: &mut Path) {
    let length = path.length();
    path.push(b"/cgroup.kill");
    // SAFETY: the path ends with a NUL, and one byte is written.
    unsafe {
        let fd = sys::open(path.text().as_ptr().cast(), sys::O_WRONLY);
        if fd >= 0 {
            sys::write(fd, b"1".as_ptr().cast(), 1);
            sys::close(fd);
        }
    }
    path.truncate(length);
}

/// Removes a group and those below it. The kernel removes only empty groups.
pub(crate) fn remove_group(path: &mut Path) {
    each_group_below(path, &mut remove_group);
    // SAFETY: the path ends with a NUL.
    unsafe { sys::rmdir(path.text().as_ptr().cast()) };
}

fn each_group_below(path: &mut Path, visit: &mut dyn FnMut(&mut Path)) {
    let length = path.length();
    let mut own = Path::new();
    own.push(&path.text()[..length]);
    each_entry(own.text(), &mut |name, kind| {
        if kind == DIRECTORY && name != b"." && name != b".." {
            path.push(b"/").push(name);
            visit(path);
            path.truncate(length);
        }
    });
}

fn each_entry(path: &[u8], visit: &mut dyn FnMut(&[u8], u8)) {
    // SAFETY: the path ends with a NUL.
    let fd = unsafe { sys::open(path.as_ptr().cast(), sys::O_RDONLY | O_DIRECTORY) };
    if fd < 0 {
        return;
    }
    let mut buffer = [0_u8; 8192];
    loop {
        // SAFETY: the buffer has the given length.
        let count = unsafe {
            sys::system_call(GETDENTS, [fd.into(), buffer.as_mut_ptr() as c_long, buffer.len() as c_long, 0])
        };
        if count <= 0 {
            break;
        }
        let mut rest = &buffer[..count as usize];
        // Inode, offset, length of the entry, kind, name and a NUL.
        while rest.len() > 19 {
            let length = usize::from(u16::from_ne_bytes([rest[16], rest[17]])).clamp(19, rest.len());
            let name = rest[19..length].split(|byte| *byte == 0).next().unwrap_or(b"");
            visit(name, rest[18]);
            rest = &rest[length..];
        }
    }
    // SAFETY: a descriptor that this function has opened.
    unsafe { sys::close(fd) };
}

const AF_UNIX: c_int = 1;
const EADDRINUSE: c_int = 98;
const SOCK_DGRAM: c_int = 2;

/// A `sockaddr_un`.
#[repr(C)]
struct Address {
    family: u16,
    name: [u8; 108],
}

impl Address {
    /// Returns the address of a name in the abstract namespace, and its length in bytes: two of the family, one of 0, and the name.
    fn of(kind: &[u8], name: &[u8]) -> (Self, u32) {
        let mut address = Self { family: AF_UNIX as u16, name: [0; 108] };
        // A first byte of 0 marks a name in the abstract namespace.
        let mut bytes = 3;
        for (place, byte) in address.name[1..].iter_mut().zip(kind.iter().chain(name)) {
            *place = *byte;
            bytes += 1;
        }
        (address, bytes)
    }
}

/// Binds a name in the abstract namespace of sockets until this program ends.
pub(crate) fn bind(kind: &[u8], name: &[u8]) -> Bound {
    let (address, bytes) = Address::of(kind, name);
    // SAFETY: the address has the layout of a `sockaddr_un`, and has at least the given length.
    unsafe {
        let fd = sys::socket(AF_UNIX, SOCK_DGRAM, 0);
        if fd < 0 {
            return Bound::Nowhere;
        }
        if sys::bind(fd, (&raw const address).cast(), bytes) == 0 {
            return Bound::Here;
        }
        let is_taken = sys::last_error() == EADDRINUSE;
        sys::close(fd);
        if is_taken { Bound::ByAnother } else { Bound::Nowhere }
    }
}

/// Whether a process has bound a name.
pub(crate) fn is_bound(kind: &[u8], name: &[u8]) -> bool {
    let (address, bytes) = Address::of(kind, name);
    // SAFETY: as above.
    unsafe {
        let fd = sys::socket(AF_UNIX, SOCK_DGRAM, 0);
        let is_connected = fd >= 0 && sys::connect(fd, (&raw const address).cast(), bytes) == 0;
        if fd >= 0 {
            sys::close(fd);
        }
        is_connected
    }
}
