//! Starts a child by `posix_spawn`.

use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::RawFd;
use std::sync::OnceLock;

use libc::{c_char, c_int, pid_t, posix_spawn_file_actions_t, posix_spawnattr_t};

use super::Image;
use crate::platform::unix::pid::Pid;

/// Starts a child. Blocks until its exec has succeeded or failed.
pub(in super::super) fn start(image: &Image<'_>) -> io::Result<Pid> {
    let mut actions = FileActions::new()?;
    for (number, fd) in (0..).zip(image.fds) {
        match image.terminal {
            // The leader of a session gets the first terminal that it opens as its controlling terminal.
            Some(path) if number == 0 => actions.open_terminal(path)?,
            _ => actions.dup2(*fd, number)?,
        }
    }
    let mut program = image.program;
    let mut argv = image.argv;
    let through_a_shell: Vec<*mut c_char>;
    if let Some(cwd) = image.cwd
        && !actions.chdir(cwd)?
    {
        // A shell changes the directory and then execs the program.
        program = c"/bin/sh";
        let words = [program, c"-c", c"cd -- \"$0\" && exec \"$@\"", cwd];
        through_a_shell = words.map(|word| word.as_ptr().cast_mut()).into_iter().chain(argv.iter().copied()).collect();
        argv = &through_a_shell;
    }
    let attributes = Attributes::new()?;
    let mut pid: pid_t = 0;
    // SAFETY: `program` is a C string; the two structs were initialised by their constructors and are valid for the call; `argv` and
    // `envp` are null-terminated arrays of C strings that outlive the call. The child shares the memory only until its exec, and libc
    // runs no code of the host in it.
    check(unsafe {
        libc::posix_spawn(
            &raw mut pid,
            program.as_ptr(),
            &raw const actions.0,
            &raw const attributes.0,
            argv.as_ptr(),
            image.envp.as_ptr(),
        )
    })?;
    Pid::from_raw(pid).ok_or_else(|| io::Error::other("no process id was returned"))
}

fn check(errno: c_int) -> io::Result<()> {
    if errno == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(errno)) }
}

/// The actions of the child on its descriptors and directory before the exec.
struct FileActions(posix_spawn_file_actions_t);

impl FileActions {
    fn new() -> io::Result<Self> {
        let mut actions = MaybeUninit::uninit();
        // SAFETY: initialises the struct; it is used only after success.
        check(unsafe { libc::posix_spawn_file_actions_init(actions.as_mut_ptr()) })?;
        // SAFETY: initialised just above.
        Ok(Self(unsafe { actions.assume_init() }))
    }

    fn dup2(&mut self, from: RawFd, to: RawFd) -> io::Result<()> {
        // SAFETY: the struct is initialised; the numbers are only recorded. `from == to` clears CLOEXEC in the child.
        check(unsafe { libc::posix_spawn_file_actions_adddup2(&raw mut self.0, from, to) })
    }

    /// Opens a terminal as descriptor 0.
    fn open_terminal(&mut self, path: &CStr) -> io::Result<()> {
        // SAFETY: the struct is initialised and the path is copied.
        check(unsafe { libc::posix_spawn_file_actions_addopen(&raw mut self.0, 0, path.as_ptr(), libc::O_RDWR, 0) })
    }

    /// Returns `false` if libc has no such action.
    fn chdir(&mut self, to: &CStr) -> io::Result<bool> {
        let Some(chdir) = add_chdir() else { return Ok(false) };
        // SAFETY: the documented signature; the struct is initialised and the path is copied.
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

/// The attributes of the child: its own session, default signals, an empty mask.
struct Attributes(posix_spawnattr_t);

#[cfg(target_vendor = "apple")]
const OWN_SESSION: c_int = 0x0400;
/// The flag by which only the descriptors of the file actions are open in the child.
#[cfg(target_vendor = "apple")]
const CLOSE_OTHERS: c_int = 0x4000;
#[cfg(not(target_vendor = "apple"))]
const CLOSE_OTHERS: c_int = 0;

impl Attributes {
    fn new() -> io::Result<Self> {
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: initialises the struct; it is used only after success.
        check(unsafe { libc::posix_spawnattr_init(attributes.as_mut_ptr()) })?;
        // SAFETY: initialised just above.
        let mut attributes = Self(unsafe { attributes.assume_init() });
        let mut all = MaybeUninit::<libc::sigset_t>::uninit();
        let mut none = MaybeUninit::uninit();
        // SAFETY: a set is plain bits, and both are initialised before the setters copy them. SIGKILL and SIGSTOP cannot be changed,
        // and some systems refuse a set that contains them.
        unsafe {
            // All bits are set, also those that `sigfillset` leaves out.
            all.as_mut_ptr().write_bytes(0xff, 1);
            libc::sigdelset(all.as_mut_ptr(), libc::SIGKILL);
            libc::sigdelset(all.as_mut_ptr(), libc::SIGSTOP);
            libc::sigemptyset(none.as_mut_ptr());
            check(libc::posix_spawnattr_setsigdefault(&raw mut attributes.0, all.as_ptr()))?;
            check(libc::posix_spawnattr_setsigmask(&raw mut attributes.0, none.as_ptr()))?;
        }
        let signals = libc::POSIX_SPAWN_SETSIGDEF as c_int | libc::POSIX_SPAWN_SETSIGMASK as c_int | CLOSE_OTHERS;
        if attributes.set_flags(signals | OWN_SESSION).is_err() {
            // macOS before 10.15 has no such flag: the child only gets its own process group.
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

type Chdir = unsafe extern "C" fn(*mut posix_spawn_file_actions_t, *const c_char) -> c_int;

/// Returns libc's function, which macOS has since 10.15.
fn add_chdir() -> Option<Chdir> {
    static FOUND: OnceLock<Option<Chdir>> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let found = symbol(c"posix_spawn_file_actions_addchdir_np");
        // SAFETY: the documented signature of the function of that name; a null pointer is `None`.
        unsafe { std::mem::transmute::<*mut libc::c_void, Option<Chdir>>(found) }
    })
}

fn symbol(name: &CStr) -> *mut libc::c_void {
    // SAFETY: looks a name up in the loaded libraries; null if there is none.
    unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) }
}
