//! One `posix_spawn` for each command.
//!
//! The standard library's spawn has no session and no working fallback rules, and becomes a plain fork as soon as it is
//! given a hook: a fork copies the page tables of the host, which stalls a host of 2 GiB for half a second. `posix_spawn`
//! shares the memory until the new program runs, so the cost does not depend on the host.

use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use libc::{c_char, c_int, pid_t, posix_spawn_file_actions_t, posix_spawnattr_t};

use super::leader::Leader;
use super::{PipeReader, PipeWriter};
use crate::platform::{Launch, StdinKind};

/// A child that runs, and our ends of its pipes.
#[derive(Debug)]
pub(crate) struct Spawned {
    pub(crate) leader: Arc<Leader>,
    pub(crate) stdout: PipeReader,
    /// `None` when it shares standard output's pipe.
    pub(crate) stderr: Option<PipeReader>,
    pub(crate) stdin: Option<PipeWriter>,
}

/// Starts a program in a session of its own: no controlling terminal, default signals, nothing blocked, fds 0 to 2 only.
///
/// Blocks until the program runs, so it is called on a thread that may block; must be called within the runtime.
pub(crate) fn spawn(launch: &Launch) -> io::Result<Spawned> {
    // Everything that can fail without a child comes first.
    let stdin = Input::new(launch.stdin)?;
    let (stdout, child_stdout) = output_pipe()?;
    let (stderr, child_stderr) = if launch.merge_output {
        (None, None)
    } else {
        output_pipe().map(|(ours, child)| (Some(ours), Some(child)))?
    };

    let mut actions = FileActions::new()?;
    actions.dup2(stdin.child_fd(), libc::STDIN_FILENO)?;
    actions.dup2(child_stdout.as_raw_fd(), libc::STDOUT_FILENO)?;
    actions.dup2(child_stderr.as_ref().unwrap_or(&child_stdout).as_raw_fd(), libc::STDERR_FILENO)?;
    actions.close_above(libc::STDERR_FILENO)?;
    let program = c_string(launch.program.as_os_str().as_bytes())?;
    let mut argv = vec![program.clone()];
    for arg in &launch.args {
        argv.push(c_string(arg.as_bytes())?);
    }
    let trampoline;
    let mut path: &CStr = &program;
    if let Some(cwd) = &launch.cwd {
        let cwd = c_string(cwd.as_os_str().as_bytes())?;
        if !actions.chdir(&cwd)? {
            // A libc without the action (glibc before 2.29): a shell changes the directory and becomes the program.
            trampoline = c_string(b"/bin/sh")?;
            argv.splice(0..0, [trampoline.clone(), c_string(b"-c")?, c_string(b"cd -- \"$0\" && exec \"$@\"")?, cwd]);
            path = &trampoline;
        }
    }
    let attributes = Attributes::new()?;
    let argv = pointers(argv.iter().map(|arg| arg.as_ptr()));
    let envp = pointers(launch.env.split_inclusive(|byte| *byte == 0).map(|entry| entry.as_ptr().cast()));

    let pid = posix_spawn_patiently(path, &actions, &attributes, &argv, &envp)?;
    // From here on a child exists: nothing below can fail.
    Ok(Spawned { leader: Arc::new(Leader::new(pid, launch.tag.clone())), stdout, stderr, stdin: stdin.into_writer() })
}

/// Starts a shell that helps the host: `input` is its standard input, `table` its descriptor 3, and it says nothing. It has
/// a session of its own and nothing of the host's but `PATH`. Must be called within the runtime.
pub(super) fn spawn_helper(shell: &Path, script: &str, input: RawFd, table: RawFd) -> io::Result<Leader> {
    const TABLE: RawFd = libc::STDERR_FILENO + 1;
    let null = dev_null()?;
    let mut actions = FileActions::new()?;
    actions.dup2(input, libc::STDIN_FILENO)?;
    actions.dup2(null, libc::STDOUT_FILENO)?;
    actions.dup2(null, libc::STDERR_FILENO)?;
    // Last: each of the others may itself have this number.
    actions.dup2(table, TABLE)?;
    actions.close_above(TABLE)?;
    let shell = c_string(shell.as_os_str().as_bytes())?;
    let argv = [shell.clone(), c_string(b"-c")?, c_string(script.as_bytes())?, c_string(b"escher-guardian")?];
    let env = c_string(format!("PATH={}", super::DEFAULT_PATH).as_bytes())?;
    let attributes = Attributes::new()?;
    let argv = pointers(argv.iter().map(|arg| arg.as_ptr()));
    let envp = pointers([env.as_ptr()].into_iter());
    let pid = posix_spawn_patiently(&shell, &actions, &attributes, &argv, &envp)?;
    Ok(Leader::new(pid, Vec::new()))
}

/// `ETXTBSY` passes: another thread's child holds a just-written program open for writing until its own exec.
fn posix_spawn_patiently(
    path: &CStr,
    actions: &FileActions,
    attributes: &Attributes,
    argv: &[*mut c_char],
    envp: &[*mut c_char],
) -> io::Result<pid_t> {
    let mut pause = Duration::from_millis(1);
    loop {
        let mut pid: pid_t = 0;
        // SAFETY: path is a C string; the two structs were initialised by their constructors and live until the call
        // returns; argv and envp are NULL-terminated arrays of C strings that outlive the call. The child shares our
        // memory only until it execs, and libc runs nothing of ours in it.
        let errno = unsafe {
            libc::posix_spawn(
                &raw mut pid,
                path.as_ptr(),
                &raw const actions.0,
                &raw const attributes.0,
                argv.as_ptr(),
                envp.as_ptr(),
            )
        };
        match errno {
            0 => return Ok(pid),
            libc::ETXTBSY if pause < Duration::from_millis(500) => {
                std::thread::sleep(pause);
                pause *= 2;
            }
            errno => return Err(io::Error::from_raw_os_error(errno)),
        }
    }
}

fn c_string(bytes: &[u8]) -> io::Result<CString> {
    CString::new(bytes).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

/// A NULL-terminated array; the strings stay where they are.
fn pointers(strings: impl Iterator<Item = *const c_char>) -> Vec<*mut c_char> {
    strings.map(<*const c_char>::cast_mut).chain([ptr::null_mut()]).collect()
}

/// What the child reads from.
enum Input {
    Null(RawFd),
    Pipe { ours: PipeWriter, child: OwnedFd },
    Inherit,
}

impl Input {
    fn new(kind: StdinKind) -> io::Result<Self> {
        match kind {
            StdinKind::Empty => dev_null().map(Self::Null),
            StdinKind::Inherit => Ok(Self::Inherit),
            StdinKind::Pipe => {
                let (read, write) = pipe()?;
                set_nonblocking(&write)?;
                Ok(Self::Pipe { ours: PipeWriter::from_owned_fd_unchecked(write)?, child: read })
            }
        }
    }

    fn child_fd(&self) -> RawFd {
        match self {
            Self::Null(fd) => *fd,
            Self::Pipe { child, .. } => child.as_raw_fd(),
            Self::Inherit => libc::STDIN_FILENO,
        }
    }

    fn into_writer(self) -> Option<PipeWriter> {
        match self {
            Self::Pipe { ours, .. } => Some(ours),
            Self::Null(_) | Self::Inherit => None,
        }
    }
}

/// One `/dev/null` for all children; it lives as long as the process.
fn dev_null() -> io::Result<RawFd> {
    static NULL: OnceLock<OwnedFd> = OnceLock::new();
    if let Some(fd) = NULL.get() {
        return Ok(fd.as_raw_fd());
    }
    let opened = above_stderr(std::fs::File::open("/dev/null")?.into())?;
    Ok(NULL.get_or_init(|| opened).as_raw_fd())
}

fn output_pipe() -> io::Result<(PipeReader, OwnedFd)> {
    let (read, write) = pipe()?;
    set_nonblocking(&read)?;
    Ok((PipeReader::from_owned_fd_unchecked(read)?, write))
}

/// A pipe no child inherits by accident, with both ends above standard error.
pub(super) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds: [RawFd; 2] = [-1; 2];
    #[cfg(target_os = "linux")]
    // SAFETY: `fds` has room for the two descriptors that the call writes.
    let made = unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) };
    #[cfg(not(target_os = "linux"))]
    // SAFETY: as above; this system has no pipe2, and our spawn closes what it does not name (CLOEXEC_DEFAULT).
    let made = unsafe { libc::pipe(fds.as_mut_ptr()) };
    if made != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: both descriptors are fresh and nobody else's.
    let (read, write) = unsafe { (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])) };
    #[cfg(not(target_os = "linux"))]
    for fd in [&read, &write] {
        // SAFETY: a plain flag on a descriptor that we own.
        unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    Ok((above_stderr(read)?, above_stderr(write)?))
}

/// A host that closed 0, 1 or 2 gets such numbers for new files; `dup2` in the child would overwrite them.
pub(super) fn above_stderr(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() > libc::STDERR_FILENO {
        return Ok(fd);
    }
    // SAFETY: duplicates a descriptor that we own; the result is checked.
    let moved = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, libc::STDERR_FILENO + 1) };
    if moved < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: fresh and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(moved) })
}

fn set_nonblocking(fd: &OwnedFd) -> io::Result<()> {
    // SAFETY: a plain flag on a descriptor that we own; a fresh pipe has no other status flags to keep.
    let done = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn check(errno: c_int) -> io::Result<()> {
    if errno == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(errno)) }
}

/// What the child does with its descriptors and directory before it becomes the program.
struct FileActions(posix_spawn_file_actions_t);

impl FileActions {
    fn new() -> io::Result<Self> {
        let mut actions = MaybeUninit::uninit();
        // SAFETY: initialises the struct it is given; used only if it said so.
        check(unsafe { libc::posix_spawn_file_actions_init(actions.as_mut_ptr()) })?;
        // SAFETY: initialised just above.
        Ok(Self(unsafe { actions.assume_init() }))
    }

    fn dup2(&mut self, from: RawFd, to: RawFd) -> io::Result<()> {
        // SAFETY: the struct is initialised; the numbers are only recorded. `from == to` clears CLOEXEC in the child.
        check(unsafe { libc::posix_spawn_file_actions_adddup2(&raw mut self.0, from, to) })
    }

    /// Closes whatever the host forgot to mark. macOS does it by an attribute.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(
            clippy::unused_self,
            clippy::unnecessary_wraps,
            reason = "there is nothing to do where an attribute does it"
        )
    )]
    fn close_above(&mut self, last: RawFd) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        {
            if let Some(close_from) = newer_libc().close_from {
                // SAFETY: the signature is glibc's own for this name; the struct is initialised.
                return check(unsafe { close_from(&raw mut self.0, last + 1) });
            }
            self.close_each_open(last)
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = last;
            Ok(())
        }
    }

    /// glibc before 2.34: what is open now and would be inherited is closed one by one. A descriptor that another thread
    /// opens without CLOEXEC after this look gets through.
    #[cfg(target_os = "linux")]
    fn close_each_open(&mut self, last: RawFd) -> io::Result<()> {
        for entry in std::fs::read_dir("/proc/self/fd")?.flatten() {
            let Some(fd) = entry.file_name().to_str().and_then(|name| name.parse::<RawFd>().ok()) else { continue };
            // SAFETY: reads a flag; a number that is closed meanwhile gives an error, which is skipped.
            let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
            if fd > last && flags >= 0 && flags & libc::FD_CLOEXEC == 0 {
                // SAFETY: the struct is initialised; the number is only recorded.
                check(unsafe { libc::posix_spawn_file_actions_addclose(&raw mut self.0, fd) })?;
            }
        }
        Ok(())
    }

    /// `false` when this libc has no such action.
    fn chdir(&mut self, to: &CStr) -> io::Result<bool> {
        let Some(chdir) = newer_libc().chdir else { return Ok(false) };
        // SAFETY: the signature is libc's own for this name; the struct is initialised and the path is copied.
        check(unsafe { chdir(&raw mut self.0, to.as_ptr()) })?;
        Ok(true)
    }
}

impl Drop for FileActions {
    fn drop(&mut self) {
        // SAFETY: initialised by `new`, destroyed once.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut self.0) };
    }
}

/// How the child starts: its own session, default signals, an empty mask.
struct Attributes(posix_spawnattr_t);

#[cfg(target_os = "linux")]
const OWN_SESSION: c_int = 0x80;
#[cfg(target_vendor = "apple")]
const OWN_SESSION: c_int = 0x0400;
/// Only what the file actions name is open in the child.
#[cfg(target_vendor = "apple")]
const CLOSE_OTHERS: c_int = 0x4000;
#[cfg(not(target_vendor = "apple"))]
const CLOSE_OTHERS: c_int = 0;

impl Attributes {
    fn new() -> io::Result<Self> {
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: initialises the struct it is given; used only if it said so.
        check(unsafe { libc::posix_spawnattr_init(attributes.as_mut_ptr()) })?;
        // SAFETY: initialised just above.
        let mut attributes = Self(unsafe { attributes.assume_init() });
        let mut all = MaybeUninit::<libc::sigset_t>::uninit();
        let mut none = MaybeUninit::uninit();
        // SAFETY: a set is plain bits, and both are initialised before the setters copy them. SIGKILL and SIGSTOP cannot be
        // changed and some systems refuse to be asked.
        unsafe {
            // Every bit: `sigfillset` leaves out the ones that glibc keeps to itself, which it would leave ignored.
            all.as_mut_ptr().write_bytes(0xff, 1);
            libc::sigdelset(all.as_mut_ptr(), libc::SIGKILL);
            libc::sigdelset(all.as_mut_ptr(), libc::SIGSTOP);
            libc::sigemptyset(none.as_mut_ptr());
            check(libc::posix_spawnattr_setsigdefault(&raw mut attributes.0, all.as_ptr()))?;
            check(libc::posix_spawnattr_setsigmask(&raw mut attributes.0, none.as_ptr()))?;
        }
        let signals = libc::POSIX_SPAWN_SETSIGDEF as c_int | libc::POSIX_SPAWN_SETSIGMASK as c_int | CLOSE_OTHERS;
        if attributes.set_flags(signals | OWN_SESSION).is_err() {
            // glibc before 2.26 has no sessions here: a group of its own is the best it gives.
            attributes.set_flags(signals | libc::POSIX_SPAWN_SETPGROUP as c_int)?;
        }
        Ok(attributes)
    }

    fn set_flags(&mut self, flags: c_int) -> io::Result<()> {
        #[expect(clippy::cast_possible_truncation, reason = "libc's flags are shorts, and all of ours fit")]
        // SAFETY: the struct is initialised; unknown flags give EINVAL.
        check(unsafe { libc::posix_spawnattr_setflags(&raw mut self.0, flags as libc::c_short) })
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: initialised by `new`, destroyed once.
        unsafe { libc::posix_spawnattr_destroy(&raw mut self.0) };
    }
}

/// Functions that the oldest libc we run on does not have.
struct NewerLibc {
    chdir: Option<unsafe extern "C" fn(*mut posix_spawn_file_actions_t, *const c_char) -> c_int>,
    #[cfg(target_os = "linux")]
    close_from: Option<unsafe extern "C" fn(*mut posix_spawn_file_actions_t, c_int) -> c_int>,
}

fn newer_libc() -> &'static NewerLibc {
    static FOUND: OnceLock<NewerLibc> = OnceLock::new();
    FOUND.get_or_init(|| {
        let chdir = symbol(c"posix_spawn_file_actions_addchdir_np");
        #[cfg(target_os = "linux")]
        let close_from = symbol(c"posix_spawn_file_actions_addclosefrom_np");
        // SAFETY: each type is the documented signature of the function of that name, and a null stays `None`.
        unsafe {
            NewerLibc {
                chdir: std::mem::transmute::<
                    *mut libc::c_void,
                    Option<unsafe extern "C" fn(*mut posix_spawn_file_actions_t, *const c_char) -> c_int>,
                >(chdir),
                #[cfg(target_os = "linux")]
                close_from: std::mem::transmute::<
                    *mut libc::c_void,
                    Option<unsafe extern "C" fn(*mut posix_spawn_file_actions_t, c_int) -> c_int>,
                >(close_from),
            }
        }
    })
}

fn symbol(name: &CStr) -> *mut libc::c_void {
    // SAFETY: looks a name up in what is loaded; null when it is not there.
    unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) }
}
