//! The terminal of a command: a pseudo-terminal, whose other end is the controlling terminal of the child.

use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::is_exhaustion;
use super::pipe::{PipeReader, PipeWriter, above_stderr, duplicate_from, set_nonblocking};
use crate::platform::{InputId, SpawnThread};
use crate::types::TerminalSize;

/// Whether commands can have a terminal on this system.
pub(crate) const HAS_TERMINALS: bool = true;

/// The system gives no terminal.
#[derive(Debug, thiserror::Error)]
#[error("no terminal can be opened ({0})")]
struct NoTerminal(io::Error);

/// Whether an error means that the system gives no terminal.
pub(crate) fn is_terminal_missing(error: &io::Error) -> bool {
    matches!(error.get_ref(), Some(inner) if inner.is::<NoTerminal>())
}

/// A new terminal: the engine's two ends of it, and the child's.
pub(super) struct Terminal {
    pub(super) reader: PipeReader,
    pub(super) writer: PipeWriter,
    pub(super) child: OwnedFd,
    /// The path of the child's end.
    pub(super) path: CString,
}

impl Terminal {
    /// Opens a terminal; `thread` polls it at first. Must be called within the runtime.
    pub(super) fn open(size: TerminalSize, thread: &SpawnThread) -> io::Result<Self> {
        // A machine that is short of descriptors has terminals.
        let explain = |error: io::Error| {
            if is_exhaustion(&error) { error } else { io::Error::new(error.kind(), NoTerminal(error)) }
        };
        Self::try_open(size, thread).map_err(explain)
    }

    fn try_open(size: TerminalSize, thread: &SpawnThread) -> io::Result<Self> {
        let ours = above_stderr(openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | CLOEXEC)?)?;
        close_on_exec(&ours)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let path = ptsname(&ours, Vec::new())?;
        let child = above_stderr(open_child_end(&ours, &path)?)?;
        tcsetwinsize(&child, winsize(size))?;
        let mut modes = modes_of(&child)?;
        // A backspace erases a whole character.
        modes.c_iflag |= libc::IUTF8;
        set_modes(&child, &modes)?;
        set_nonblocking(&ours)?;
        // The runtime polls the two directions apart, each by a number of its own.
        let writer = PipeWriter::from_owned_fd_unchecked(duplicate_from(&ours, libc::STDERR_FILENO + 1)?)?;
        Ok(Self { reader: PipeReader::of_terminal(ours, thread), writer, child, path })
    }
}

/// Returns the modes of a terminal. It calls libc, since user-mode emulators (qemu) lack the newer calls that `rustix` makes first.
fn modes_of(terminal: impl AsFd) -> io::Result<libc::termios> {
    let mut modes = MaybeUninit::uninit();
    // SAFETY: the descriptor is open, and the call fills the structure.
    if unsafe { libc::tcgetattr(terminal.as_fd().as_raw_fd(), modes.as_mut_ptr()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: filled just above.
    Ok(unsafe { modes.assume_init() })
}

fn set_modes(terminal: impl AsFd, modes: &libc::termios) -> io::Result<()> {
    // SAFETY: the descriptor is open, and the structure is one that the system has filled.
    let done = unsafe { libc::tcsetattr(terminal.as_fd().as_raw_fd(), libc::TCSANOW, modes) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn winsize(TerminalSize { columns, rows }: TerminalSize) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

/// Changes the size of a terminal; the system sends SIGWINCH to its foreground process group.
pub(crate) fn resize_terminal(terminal: &PipeWriter, size: TerminalSize) -> io::Result<()> {
    Ok(tcsetwinsize(terminal, winsize(size))?)
}

/// Returns what a terminal takes as the end of its input; where its program has turned that off, what a user would type. `is_line_open`: the
/// last line that was written has no end. Then, where the terminal gives its program whole lines, the first end-of-file character only hands
/// that line over.
pub(crate) fn end_of_file(terminal: &PipeWriter, is_line_open: bool) -> Vec<u8> {
    const USUAL: u8 = 0x04;
    /// `_POSIX_VDISABLE` of Linux and of macOS.
    const NONE: [u8; 2] = [0, 0xff];
    let modes = modes_of(terminal).ok();
    let code = modes.as_ref().map(|modes| modes.c_cc[libc::VEOF]);
    let Some(code) = code.filter(|code| !NONE.contains(code)) else { return vec![USUAL] };
    let has_lines = modes.is_some_and(|modes| modes.c_lflag & libc::ICANON != 0);
    vec![code; if has_lines && is_line_open { 2 } else { 1 }]
}

/// Returns the identity of a terminal. Whether it holds input is not checked: a process that is blocked reading it shows that it does not.
#[cfg(target_os = "linux")]
pub(crate) fn terminal_id(terminal: &PipeWriter) -> Option<InputId> {
    /// The major number of all of them.
    const CHILD_ENDS: u32 = 136;
    let path = ptsname(terminal, Vec::new()).ok()?;
    let number = path.to_str().ok()?.rsplit('/').next()?.parse().ok()?;
    Some(InputId::Terminal(rustix::fs::makedev(CHILD_ENDS, number)))
}

/// Returns `None`: the system does not show what a process waits for.
#[cfg(not(target_os = "linux"))]
pub(crate) fn terminal_id(_: &PipeWriter) -> Option<InputId> {
    None
}

#[cfg(target_os = "linux")]
const CLOEXEC: OpenptFlags = OpenptFlags::CLOEXEC;
#[cfg(not(target_os = "linux"))]
const CLOEXEC: OpenptFlags = OpenptFlags::empty();

/// Sets the flag on systems whose open call lacks it: a child that another thread starts has only the descriptors that it is
/// given.
#[cfg(not(target_os = "linux"))]
fn close_on_exec(fd: &OwnedFd) -> io::Result<()> {
    Ok(rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::CLOEXEC)?)
}

#[cfg(target_os = "linux")]
#[expect(clippy::unnecessary_wraps, reason = "it can fail on other systems")]
fn close_on_exec(_: &OwnedFd) -> io::Result<()> {
    Ok(())
}

/// Opens the child's end, also where the path names another terminal: in another mount namespace, for example.
#[cfg(target_os = "linux")]
fn open_child_end(ours: &OwnedFd, path: &CString) -> io::Result<OwnedFd> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    match rustix::pty::ioctl_tiocgptpeer(ours, flags) {
        Ok(child) => Ok(child),
        // Linux before 4.13.
        Err(_) => open_by_path(path),
    }
}

#[cfg(not(target_os = "linux"))]
fn open_child_end(_: &OwnedFd, path: &CString) -> io::Result<OwnedFd> {
    open_by_path(path)
}

fn open_by_path(path: &CString) -> io::Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags, open};
    Ok(open(path.as_c_str(), OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?)
}
